//! A row of a Claude Code log, reduced to what calls are made of.

use serde::Deserialize;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_128;

use super::super::json::{Content, Flag, Maybe, Number, Str, text_bytes};
use super::text::{TextKind, kind_of};
use crate::import::lines::BadLine;
use crate::import::model::Usage;
use crate::import::time::{duration_ms, iso_ms};

/// A row as it is written. Any field may be missing.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Raw<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
    subtype: Str<'a>,
    uuid: Str<'a>,
    parent_uuid: Str<'a>,
    session_id: Str<'a>,
    agent_id: Str<'a>,
    timestamp: Str<'a>,
    cwd: Str<'a>,
    version: Str<'a>,
    is_sidechain: Flag,
    is_meta: Flag,
    is_compact_summary: Flag,
    is_visible_in_transcript_only: Flag,
    is_api_error_message: Flag,
    message: Maybe<Message<'a>>,
    tool_use_result: Maybe<RawResult<'a>>,
    compact_metadata: Maybe<Compaction<'a>>,
    attachment: Maybe<Attachment<'a>>,
    forked_from: Maybe<Fork<'a>>,
    duration_ms: Number,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    id: Str<'a>,
    role: Str<'a>,
    model: Str<'a>,
    stop_reason: Str<'a>,
    usage: Maybe<RawUsage>,
    content: Option<Content<'a, Block<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawUsage {
    #[serde(rename = "input_tokens")]
    rest: Number,
    #[serde(rename = "cache_creation_input_tokens")]
    written: Number,
    #[serde(rename = "cache_read_input_tokens")]
    cached: Number,
    #[serde(rename = "output_tokens")]
    output: Number,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
    id: Str<'a>,
    name: Str<'a>,
    text: Option<&'a RawValue>,
    thinking: Option<&'a RawValue>,
    input: Option<&'a RawValue>,
    tool_use_id: Str<'a>,
    is_error: Flag,
    content: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawResult<'a> {
    duration_ms: Number,
    duration_seconds: Number,
    total_duration_ms: Number,
    #[serde(borrow)]
    agent_id: Str<'a>,
    run_id: Str<'a>,
    status: Str<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Compaction<'a> {
    #[serde(borrow)]
    trigger: Str<'a>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Attachment<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
    command_mode: Str<'a>,
    prompt: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Fork<'a> {
    #[serde(borrow)]
    session_id: Str<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TaskInput<'a> {
    #[serde(borrow)]
    subagent_type: Str<'a>,
}

/// A row without its text.
#[derive(Debug)]
pub struct Row {
    /// Hash of its id.
    pub uuid: Option<u128>,
    /// Hash of the id of the row that it follows.
    pub parent: Option<u128>,
    pub session: Option<String>,
    pub agent: Option<String>,
    pub is_sidechain: bool,
    pub time_ms: Option<f64>,
    pub cwd: Option<String>,
    pub version: Option<String>,
    /// The session that this row was copied from.
    pub forked_from: Option<String>,
    pub what: What,
}

/// What a row says.
#[derive(Debug)]
pub enum What {
    /// One or more blocks of a model call's answer.
    Answer(Answer),
    /// Tool results, text of the user, or both.
    Input { results: Vec<ResultOf>, text: Option<TextKind>, bytes: u64 },
    /// The history was compacted.
    Compacted { by_user: bool },
    /// A request of the user took so many ms.
    TurnEnded(f64),
    /// A message that the client made itself.
    Synthetic,
    /// Nothing about calls; other rows may follow it.
    Other,
}

/// A part of the answer of a model call.
#[derive(Debug, Default)]
pub struct Answer {
    /// Id of the call.
    pub id: Option<String>,
    pub model: Option<String>,
    pub usage: Option<Usage>,
    pub is_stopped: bool,
    pub bytes: u64,
    pub tools: Vec<Use>,
}

/// A tool call.
#[derive(Debug)]
pub struct Use {
    pub id: String,
    pub name: String,
    /// It starts a sub-agent.
    pub starts_agent: bool,
    /// Kind of that sub-agent.
    pub agent_kind: Option<String>,
}

/// A tool's result.
#[derive(Debug, Clone, Default)]
pub struct ResultOf {
    /// Id of the tool call.
    pub id: String,
    pub is_error: Option<bool>,
    pub internal_ms: Option<f64>,
    /// The sub-agent, or the run of several, that it is about.
    pub agent: Option<String>,
    /// The sub-agent was started and not waited for.
    pub is_background: bool,
}

fn owned(text: &Str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_string())
}

fn hashed(text: &Str) -> Option<u128> {
    (!text.is_empty()).then(|| xxh3_128(text.as_bytes()))
}

/// Parses a row; `None` for one that says nothing.
pub fn parse(line: &str) -> Result<Option<Row>, BadLine> {
    let Maybe(Some(raw)) = serde_json::from_str::<Maybe<Raw>>(line)? else {
        return Err(BadLine::new("not a JSON object"));
    };
    let what = what(&raw)?;
    let is_linked = !raw.uuid.is_empty() && matches!(what, What::Other);
    let names_session = !raw.session_id.is_empty();
    if matches!(what, What::Other) && !is_linked && !names_session {
        return Ok(None);
    }
    Ok(Some(Row {
        uuid: hashed(&raw.uuid),
        parent: hashed(&raw.parent_uuid),
        session: owned(&raw.session_id),
        agent: owned(&raw.agent_id),
        is_sidechain: raw.is_sidechain.is_set(),
        time_ms: iso_ms(&raw.timestamp),
        cwd: owned(&raw.cwd),
        version: owned(&raw.version),
        forked_from: raw.forked_from.0.and_then(|fork| owned(&fork.session_id)),
        what,
    }))
}

fn what(raw: &Raw) -> Result<What, BadLine> {
    // Logs of early versions have no type, but a role.
    let role = raw.message.0.as_ref().map_or("", |message| &*message.role);
    let kind = if raw.kind.is_empty() { role } else { &*raw.kind };
    Ok(match (kind, &raw.message.0) {
        ("assistant" | "user", None) => return Err(BadLine::new("no message object")),
        ("assistant", Some(message)) if raw.is_api_error_message.is_set() || &*message.model == "<synthetic>" => {
            What::Synthetic
        }
        ("assistant", Some(message)) => What::Answer(answer(message, raw)),
        ("user", Some(message)) => input(message, raw),
        ("system", _) if &*raw.subtype == "compact_boundary" => {
            let trigger = raw.compact_metadata.0.as_ref().map_or("", |compaction| &*compaction.trigger);
            What::Compacted { by_user: trigger == "manual" }
        }
        ("system", _) if &*raw.subtype == "turn_duration" => {
            duration_ms(raw.duration_ms.0).map_or(What::Other, What::TurnEnded)
        }
        ("attachment", _) => attachment(raw.attachment.0.as_ref()),
        _ => What::Other,
    })
}

/// A prompt that was typed while the agent worked is delivered as an attachment.
fn attachment(attachment: Option<&Attachment>) -> What {
    match attachment {
        Some(queued) if &*queued.kind == "queued_command" => {
            let text =
                if &*queued.command_mode == "task-notification" { TextKind::Notification } else { TextKind::Human };
            What::Input { results: Vec::new(), text: Some(text), bytes: queued.prompt.map_or(0, text_bytes) }
        }
        _ => What::Other,
    }
}

fn answer(message: &Message, raw: &Raw) -> Answer {
    let usage = message.usage.0.as_ref().and_then(|usage| {
        let (rest, written, cached) = (usage.rest.count(), usage.written.count(), usage.cached.count());
        let prompt = rest.map(|rest| rest + written.unwrap_or(0) + cached.unwrap_or(0));
        // Servers that count nothing leave zeros.
        (prompt != Some(0)).then_some(Usage {
            prompt_tokens: prompt,
            cached_tokens: cached,
            cache_written_tokens: written,
            output_tokens: usage.output.count(),
            reasoning_tokens: None,
        })
    });
    let mut answer = Answer {
        id: owned(&message.id).or_else(|| owned(&raw.uuid)),
        model: owned(&message.model),
        usage,
        is_stopped: !message.stop_reason.is_empty(),
        ..Answer::default()
    };
    match &message.content {
        Some(Content::Text(text)) => answer.bytes = text.len() as u64,
        Some(Content::Blocks(blocks)) => {
            for block in blocks {
                let values = [block.text, block.thinking, block.input];
                answer.bytes += values.into_iter().flatten().map(text_bytes).sum::<u64>();
                if &*block.kind == "tool_use" {
                    answer.tools.push(tool_use(block));
                }
            }
        }
        None => {}
    }
    answer
}

fn tool_use(block: &Block) -> Use {
    let starts_agent = matches!(&*block.name, "Task" | "Agent");
    let input = block.input.filter(|_| starts_agent).map(|input| serde_json::from_str::<Maybe<TaskInput>>(input.get()));
    let agent_kind = input.and_then(|input| owned(&input.ok()?.0?.subagent_type));
    Use { id: block.id.to_string(), name: block.name.to_string(), starts_agent, agent_kind }
}

fn input(message: &Message, raw: &Raw) -> What {
    let mut results = Vec::new();
    let (mut text, mut bytes) = (None, 0);
    match &message.content {
        Some(Content::Text(plain)) => (text, bytes) = (Some(kind_of(plain)), plain.len() as u64),
        Some(Content::Blocks(blocks)) => {
            for block in blocks {
                bytes += [block.text, block.content].into_iter().flatten().map(text_bytes).sum::<u64>();
                let kind = match &*block.kind {
                    "tool_result" => {
                        results.push(result_of(block, raw, results.is_empty()));
                        continue;
                    }
                    "text" => block.text.map_or(TextKind::Other, |text| {
                        serde_json::from_str::<Str>(text.get()).map_or(TextKind::Other, |text| kind_of(&text))
                    }),
                    // Images and documents are the user's.
                    _ => TextKind::Human,
                };
                text = Some(text.map_or(kind, |before: TextKind| before.max(kind)));
            }
        }
        None => {}
    }
    if raw.is_compact_summary.is_set() {
        text = Some(TextKind::Summary);
    } else if raw.is_meta.is_set() || raw.is_visible_in_transcript_only.is_set() {
        text = text.map(|_| TextKind::Other);
    }
    What::Input { results, text, bytes }
}

/// The details of a row's result are those of the first, as there is one for each row.
fn result_of(block: &Block, raw: &Raw, is_first: bool) -> ResultOf {
    let details = raw.tool_use_result.0.as_ref().filter(|_| is_first);
    let seconds = details.and_then(|d| d.duration_seconds.0).map(|seconds| seconds * 1000.0);
    // Some versions name the sub-agent on the row itself.
    let on_row = owned(&raw.agent_id).filter(|_| is_first && !raw.is_sidechain.is_set());
    ResultOf {
        id: block.tool_use_id.to_string(),
        is_error: block.is_error.0,
        internal_ms: duration_ms(details.and_then(|d| d.duration_ms.0.or(seconds).or(d.total_duration_ms.0))),
        agent: details.and_then(|d| owned(&d.agent_id).or_else(|| owned(&d.run_id))).or(on_row),
        is_background: details.is_some_and(|d| d.status.starts_with("async")),
    }
}
