//! Declares the rows of a file: one object per role, with the types of its fields.

use crate::diagnostic::Diagnostic;
use crate::source::json_object::Members;
use schemars::{JsonSchema, json_schema};
use serde_json::value::RawValue;

use super::field::{
    Absent, Field, HeaderText, Integer, JsonPath, NonEmpty, Number, Object, Text, TextOrObject, Texts, schema, wrong,
};
use super::object::{object, take};

/// Maximum number of rows or tokens.
const MAX_COUNT: i64 = agentgen_core::config::MAX_TOKENS as i64;
/// Maximum of numbers without a limit of their own.
const MAX_NUMBER: i64 = 1_000_000_000;

/// A delay, s.
pub(super) type Seconds = Number<0, MAX_NUMBER>;
/// Position of a row in its conversation.
pub(super) type Turn = Integer<1, MAX_COUNT>;

/// Declares a field with a single allowed value.
macro_rules! literal {
    ($name:ident = $text:literal) => {
        #[doc = concat!("`", $text, "`.")]
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $name;

        schema!($name, $text, json_schema!({"const": $text}));

        impl Field for $name {
            fn read(json: &RawValue, at: &JsonPath, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
                if serde_json::from_str::<String>(json.get()).is_ok_and(|text| text == $text) {
                    return Some(Self);
                }
                diagnostics.push(wrong("range", json, at, concat!('"', $text, '"')));
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
    /// Marks the line as metadata.
    _type: DatasetMetadata,
}}

object! {
/// Fields of every row of a conversation.
Common {
    /// Name of the conversation, also sent as an HTTP header: printable ASCII without leading or trailing spaces.
    conversation_id: HeaderText,
    /// Position of the row in its conversation: 1, 2, 3 and so on.
    turn: Turn,
    /// System prompt of the whole conversation; the first that is not empty is used.
    system: Option<String>,
    /// Name of the message's author.
    name: Option<Text>,
}}

object! {
/// A tool that the model may call.
Tool {
    /// Kind of tool: always `function`.
    r#type: FunctionType,
    /// The function.
    function: ToolFunction,
}}

object! {
/// A function that the model may call; `description`, `parameters` and other members are sent unchanged.
ToolFunction {
    /// Its name.
    name: Text,
}}

object! {
/// Parameters of a request. A row's own take precedence over those of the conversation's first row, these over those of
/// the run.
Parameters {
    /// Tools that the model may call.
    tools: Option<NonEmpty<Tool>>,
    /// Tool choice: `none`, `auto`, `required`, or an object that names a function.
    tool_choice: Option<TextOrObject>,
    /// Name of the model.
    model: Option<Text>,
    /// Whether the answer is streamed.
    stream: Option<bool>,
    /// Maximum tokens of the answer.
    max_new_tokens: Option<Integer<1, MAX_COUNT>>,
    /// Maximum tokens of the answer, if `max_new_tokens` is absent.
    max_completion_tokens: Option<Integer<1, MAX_COUNT>>,
    /// Maximum tokens of the answer, if the other two are absent.
    max_tokens: Option<Integer<1, MAX_COUNT>>,
    /// Sampling temperature.
    temperature: Option<Number<0, 2>>,
    /// Nucleus sampling: probability mass to sample from.
    top_p: Option<Number<0, 1>>,
    /// Number of most likely tokens to sample from.
    top_k: Option<Integer<1, MAX_COUNT>>,
    /// Sampling seed.
    seed: Option<Integer<{ i64::MIN }, { i64::MAX }>>,
    /// Repetition penalty: a factor, 1 for none.
    repetition_penalty: Option<Number<0, MAX_NUMBER>>,
    /// Penalty for frequent tokens.
    frequency_penalty: Option<Number<-2, 2>>,
    /// Penalty for tokens that have occurred.
    presence_penalty: Option<Number<-2, 2>>,
    /// Texts that end the answer.
    stop: Option<Texts>,
    /// Number of answers.
    n: Option<Integer<1, MAX_COUNT>>,
    /// Bias added to the logits of tokens, by token id.
    logit_bias: Option<Object>,
    /// Identifier of the end user.
    user: Option<String>,
    /// Chat template to use instead of the model's.
    chat_template: Option<String>,
    /// Arguments of the chat template.
    chat_template_kwargs: Option<Object>,
}}

object! {
/// A message of the user. It causes a request.
UserRow {
    /// Role of the message.
    role: UserRole,
    /// The message.
    content: Text,
    /// Delay before the request, from the end of the answer before, in seconds.
    delay_seconds: Option<Seconds>,
    /// Must be absent.
    tool_calls: Option<Absent>,
    /// Must be absent.
    tool_results: Option<Absent>,
    + common: Common,
    + parameters: Parameters,
}}

object! {
/// A recorded answer without tool calls.
AnswerRow {
    /// Role of the message.
    role: AssistantRole,
    /// The answer.
    content: Text,
    /// Reasoning of the model before its answer.
    reasoning_content: Option<String>,
    /// Must be absent.
    tool_calls: Option<Absent>,
    /// Must be absent.
    tool_results: Option<Absent>,
    + common: Common,
}}

object! {
/// A recorded answer with tool calls.
CallRow {
    /// Role of the message.
    role: AssistantRole,
    /// Text beside the calls.
    content: Option<String>,
    /// Reasoning of the model before its answer.
    reasoning_content: Option<String>,
    /// The calls. The next row holds one result for each of them.
    tool_calls: NonEmpty<Call>,
    /// Must be absent.
    tool_results: Option<Absent>,
    + common: Common,
}}

object! {
/// A tool call.
Call {
    /// Id of the call, unique in its conversation.
    id: Text,
    /// Kind of call: always `function`.
    r#type: FunctionType,
    /// The called function.
    function: CallFunction,
}}

object! {
/// A called function.
CallFunction {
    /// Its name.
    name: Text,
    /// Arguments: a JSON object as text, or the object itself, which is sent as text.
    arguments: TextOrObject,
}}

object! {
/// The results of all calls of the row before. It causes a request.
ToolRow {
    /// Role of the message.
    role: ToolRole,
    /// The results, one for each call.
    tool_results: NonEmpty<CallResult>,
    /// Delay before the request, from the end of the answer before, in seconds.
    delay_seconds: Option<Seconds>,
    /// Must be absent.
    content: Option<Absent>,
    /// Must be absent.
    tool_calls: Option<Absent>,
    + common: Common,
    + parameters: Parameters,
}}

object! {
/// The result of a tool call.
CallResult {
    /// Id of the call.
    tool_call_id: Text,
    /// Output of the tool; may be empty.
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
    /// An answer without tool calls.
    Answer(AnswerRow),
    /// An answer with tool calls.
    Call(CallRow),
    /// Results of tools.
    Tool(ToolRow),
}

/// Whether a line is about the file.
pub(super) fn is_metadata(members: &Members) -> bool {
    take::<DatasetMetadata>(members, "_type", &JsonPath::Row, &mut Vec::new()).is_some()
}
