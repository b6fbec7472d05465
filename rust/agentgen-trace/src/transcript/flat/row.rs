//! The rows of a file as they are declared: one object for each role, and what their values must be.

use crate::diagnostic::Diagnostic;
use crate::source::json_object::Members;
use schemars::{JsonSchema, json_schema};
use serde_json::value::RawValue;

use super::field::{
    Absent, At, Field, HeaderText, Number, Object, Some1, Text, TextOrObject, Texts, Whole, schema, wrong,
};
use super::object::{object, take};

/// Numbers of rows, and of tokens, are at most this.
const MAX_COUNT: i64 = agentgen_core::config::MAX_TOKENS as i64;
/// Numbers without a bound of their own are at most this.
const MAX_NUMBER: i64 = 1_000_000_000;

/// A delay, s.
pub(super) type Seconds = Number<0, MAX_NUMBER>;
/// Place of a row in its conversation.
pub(super) type Turn = Whole<1, MAX_COUNT>;

/// Declares the only value that a field may have.
macro_rules! literal {
    ($name:ident = $text:literal) => {
        #[doc = concat!("`", $text, "`.")]
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $name;

        schema!($name, $text, json_schema!({"const": $text}));

        impl Field for $name {
            fn read(json: &RawValue, at: &At, faults: &mut Vec<Diagnostic>) -> Option<Self> {
                if serde_json::from_str::<String>(json.get()).is_ok_and(|text| text == $text) {
                    return Some(Self);
                }
                faults.push(wrong("range", json, at, concat!('"', $text, '"')));
                None
            }
        }
    };
}

literal!(DatasetMetadata = "dataset_metadata");
literal!(UserRole = "user");
literal!(AssistantRole = "assistant");
literal!(ToolRole = "tool");
literal!(FunctionType = "function");

object! {
/// A line about the file, which belongs to no conversation.
MetadataRow {
    /// Says that it is one.
    _type: DatasetMetadata,
}}

object! {
/// What rows of every role have.
Common {
    /// The conversation, also on the wire: printable ASCII, no space at its ends.
    conversation_id: HeaderText,
    /// Place of the row in its conversation, from 1, every row counted.
    turn: Turn,
    /// System prompt of the whole conversation; the first that is not empty counts.
    system: Option<String>,
    /// Name of the message's author.
    name: Option<Text>,
}}

object! {
/// A tool that the model may call.
Tool {
    /// The only kind of tool there is.
    r#type: FunctionType,
    /// What can be called.
    function: ToolFunction,
}}

object! {
/// A function as the model is told of it; `description` and `parameters` go on as they are.
ToolFunction {
    /// Its name.
    name: Text,
}}

object! {
/// Parameters of a request. Those of a row go before those of the conversation's first row, these before those of the run.
Parameters {
    /// Tools that the model may call.
    tools: Option<Some1<Tool>>,
    /// Which of them it must call: `none`, `auto`, `required`, or one by name.
    tool_choice: Option<TextOrObject>,
    /// The model.
    model: Option<Text>,
    /// Whether the answer comes as a stream of events.
    stream: Option<bool>,
    /// Tokens to answer with at most.
    max_new_tokens: Option<Whole<1, MAX_COUNT>>,
    /// The same, where `max_new_tokens` is not given.
    max_completion_tokens: Option<Whole<1, MAX_COUNT>>,
    /// The same, where the other two are not given.
    max_tokens: Option<Whole<1, MAX_COUNT>>,
    /// Randomness of sampling.
    temperature: Option<Number<0, 2>>,
    /// Probability mass to sample from.
    top_p: Option<Number<0, 1>>,
    /// Tokens to sample from.
    top_k: Option<Whole<1, MAX_COUNT>>,
    /// Seed of sampling.
    seed: Option<Whole<{ i64::MIN }, { i64::MAX }>>,
    /// Factor against repetition.
    repetition_penalty: Option<Number<0, MAX_NUMBER>>,
    /// Penalty for frequent tokens.
    frequency_penalty: Option<Number<-2, 2>>,
    /// Penalty for tokens that occurred.
    presence_penalty: Option<Number<-2, 2>>,
    /// Texts that end the answer.
    stop: Option<Texts>,
    /// How many answers to give.
    n: Option<Whole<1, MAX_COUNT>>,
    /// Additions to the likelihood of tokens.
    logit_bias: Option<Object>,
    /// Name of the end user.
    user: Option<String>,
    /// Chat template to use instead of the model's.
    chat_template: Option<String>,
    /// Arguments of the chat template.
    chat_template_kwargs: Option<Object>,
}}

object! {
/// A message of the user. It causes a request.
UserRow {
    /// Who speaks.
    role: UserRole,
    /// The message.
    content: Text,
    /// Seconds to wait before the request, from the end of the answer before.
    delay_seconds: Option<Seconds>,
    /// Not on this role.
    tool_calls: Option<Absent>,
    /// Not on this role.
    tool_results: Option<Absent>,
    + common: Common,
    + parameters: Parameters,
}}

object! {
/// A recorded answer in words.
AnswerRow {
    /// Who speaks.
    role: AssistantRole,
    /// The answer.
    content: Text,
    /// What the model thought before.
    reasoning_content: Option<String>,
    /// Not without calls.
    tool_calls: Option<Absent>,
    /// Not on this role.
    tool_results: Option<Absent>,
    + common: Common,
}}

object! {
/// A recorded answer that calls tools.
CallRow {
    /// Who speaks.
    role: AssistantRole,
    /// What was said beside the calls.
    content: Option<String>,
    /// What the model thought before.
    reasoning_content: Option<String>,
    /// The calls. The next row has the result of every one of them.
    tool_calls: Some1<Call>,
    /// Not on this role.
    tool_results: Option<Absent>,
    + common: Common,
}}

object! {
/// A call of a tool.
Call {
    /// Names the call in its conversation.
    id: Text,
    /// The only kind of call there is.
    r#type: FunctionType,
    /// What is called.
    function: CallFunction,
}}

object! {
/// The function that is called.
CallFunction {
    /// Its name.
    name: Text,
    /// A JSON object as text, or the object itself, which is sent as its text.
    arguments: TextOrObject,
}}

object! {
/// The results of all calls of the row before. It causes a request.
ToolRow {
    /// Who speaks.
    role: ToolRole,
    /// One result for every call.
    tool_results: Some1<CallResult>,
    /// Seconds to wait before the request, from the end of the answer before.
    delay_seconds: Option<Seconds>,
    /// Not on this role.
    content: Option<Absent>,
    /// Not on this role.
    tool_calls: Option<Absent>,
    + common: Common,
    + parameters: Parameters,
}}

object! {
/// What a call came to.
CallResult {
    /// The call.
    tool_call_id: Text,
    /// What the tool printed; may be empty.
    content: String,
}}

/// A line of a file of multi-turn messages.
#[derive(Debug, JsonSchema)]
#[schemars(untagged, title = "Row of multi-turn messages")]
#[allow(dead_code)] // stands for the lines of a file in the schema; the reader picks the object by its role
pub(crate) enum Line {
    /// A line about the file.
    Metadata(MetadataRow),
    /// A message of the user.
    User(UserRow),
    /// An answer in words.
    Answer(AnswerRow),
    /// An answer that calls tools.
    Call(CallRow),
    /// Results of tools.
    Tool(ToolRow),
}

/// Whether a line is about the file.
pub(super) fn is_metadata(members: &Members) -> bool {
    take::<DatasetMetadata>(members, "_type", &At::Row, &mut Vec::new()).is_some()
}
