//! A line of a Codex log, reduced to what calls are made of.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::json::{Content, Flag, Maybe, Number, Str, text_bytes};
use super::output;
use crate::import::lines::BadLine;
use crate::import::model::Usage;
use crate::import::time::{duration_ms, iso_ms};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw<'a> {
    #[serde(borrow)]
    timestamp: Str<'a>,
    #[serde(rename = "type")]
    kind: Str<'a>,
    payload: Maybe<Payload<'a>>,
}

/// The fields of all kinds of lines; each line has some of them.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Payload<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
    timestamp: Str<'a>,
    // session_meta
    id: Str<'a>,
    session_id: Str<'a>,
    forked_from_id: Str<'a>,
    cwd: Str<'a>,
    cli_version: Str<'a>,
    source: Maybe<Source<'a>>,
    // turn_context and turns
    turn_id: Str<'a>,
    model: Str<'a>,
    model_context_window: Number,
    duration_ms: Number,
    // items
    role: Str<'a>,
    name: Str<'a>,
    call_id: Str<'a>,
    content: Option<Content<'a, Block<'a>>>,
    summary: Option<Content<'a, Block<'a>>>,
    arguments: Option<&'a RawValue>,
    input: Option<&'a RawValue>,
    output: Option<&'a RawValue>,
    message: Option<&'a RawValue>,
    // ends of tools
    duration: Maybe<Duration>,
    exit_code: Number,
    success: Flag,
    // token_count
    info: Maybe<Info<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Source<'a> {
    #[serde(borrow)]
    subagent: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Subagent<'a> {
    #[serde(borrow)]
    thread_spawn: Maybe<ThreadSpawn<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ThreadSpawn<'a> {
    #[serde(borrow)]
    parent_thread_id: Str<'a>,
    agent_role: Str<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Block<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Duration {
    secs: Number,
    nanos: Number,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Info<'a> {
    #[serde(borrow)]
    model: Str<'a>,
    model_context_window: Number,
    last_token_usage: Maybe<Counts>,
    total_token_usage: Maybe<Counts>,
}

/// Tokens of a call, or of a thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Counts {
    #[serde(rename = "input_tokens")]
    input: Number,
    #[serde(rename = "cached_input_tokens")]
    cached: Number,
    #[serde(rename = "cache_write_input_tokens")]
    written: Number,
    #[serde(rename = "output_tokens")]
    output: Number,
    #[serde(rename = "reasoning_output_tokens")]
    reasoning: Number,
}

impl Counts {
    /// Whether nothing was sent and nothing came: an estimate of the client after a compaction.
    pub fn is_empty(&self) -> bool {
        [self.input, self.output].iter().all(|count| count.count().unwrap_or(0) == 0)
    }

    /// What was added since `before`; all of it if the totals began anew.
    pub fn since(self, before: Self) -> Self {
        let is_less = |now: Number, before: Number| now.0.unwrap_or(0.0) < before.0.unwrap_or(0.0);
        if is_less(self.input, before.input) || is_less(self.output, before.output) {
            return self;
        }
        let less = |now: Number, before: Number| Number(now.0.map(|now| (now - before.0.unwrap_or(0.0)).max(0.0)));
        Self {
            input: less(self.input, before.input),
            cached: less(self.cached, before.cached),
            written: less(self.written, before.written),
            output: less(self.output, before.output),
            reasoning: less(self.reasoning, before.reasoning),
        }
    }

    pub fn usage(&self) -> Usage {
        Usage {
            prompt_tokens: self.input.count(),
            cached_tokens: self.cached.count(),
            cache_written_tokens: self.written.count(),
            output_tokens: self.output.count(),
            reasoning_tokens: self.reasoning.count(),
        }
    }
}

/// A line without its text.
#[derive(Debug)]
pub struct Row {
    pub time_ms: Option<f64>,
    /// The turn that it names.
    pub turn: Option<String>,
    pub what: What,
}

/// What a line says.
#[derive(Debug)]
pub enum What {
    Session(Box<Meta>),
    /// The model of the calls that follow.
    Model(String),
    TurnStarted {
        window: Option<u64>,
    },
    TurnEnded {
        duration_ms: Option<f64>,
    },
    TurnAborted,
    /// A prompt, as an event.
    Prompt {
        bytes: u64,
    },
    /// A message of the user in the history: a prompt, or text that the client adds.
    UserItem {
        is_prompt: bool,
        bytes: u64,
    },
    /// A part of an answer: text, reasoning, or a tool call.
    Output {
        bytes: u64,
        tool: Option<Use>,
    },
    Result(output::ToolResult),
    /// A tool ended, as an event: its call, duration and success.
    ToolEnded {
        call: String,
        internal_ms: Option<f64>,
        is_error: Option<bool>,
    },
    Tokens {
        last: Option<Counts>,
        total: Option<Counts>,
        window: Option<u64>,
        model: Option<String>,
    },
    Compacted,
    RolledBack,
}

/// The beginning of a thread.
#[derive(Debug, Default)]
pub struct Meta {
    pub id: Option<String>,
    pub forked_from: Option<String>,
    pub cwd: Option<String>,
    pub version: Option<String>,
    /// The thread that started this one as a sub-agent, and the kind of agent.
    pub parent: Option<(String, Option<String>)>,
}

/// A tool call.
#[derive(Debug)]
pub struct Use {
    pub id: String,
    pub name: String,
    /// The arguments, if they name sub-agents.
    pub arguments: String,
}

/// Tools that start sub-agents or wait for them.
pub const START: &str = "spawn_agent";
const AGENT_TOOLS: [&str; 4] = [START, "wait", "wait_agent", "close_agent"];

/// How messages begin that the client adds to the history as the user's.
const ADDED: [&str; 7] = [
    "<environment_context>",
    "<user_instructions>",
    "# AGENTS.md instructions",
    "<INSTRUCTIONS>",
    "<permissions",
    "<turn_aborted>",
    "<subagent_notification>",
];

fn owned(text: &Str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_string())
}

/// Parses a line; `None` for one that says nothing about calls.
pub fn parse(line: &str) -> Result<Option<Row>, BadLine> {
    let Maybe(Some(raw)) = serde_json::from_str::<Maybe<Raw>>(line)? else {
        return Err(BadLine::new("not a JSON object"));
    };
    let Some(payload) = raw.payload.0 else {
        return if raw.kind.is_empty() { Err(BadLine::new("no type and payload")) } else { Ok(None) };
    };
    let time_ms = iso_ms(&raw.timestamp).or_else(|| iso_ms(&payload.timestamp));
    let turn = owned(&payload.turn_id);
    let what = match &*raw.kind {
        "session_meta" => Some(What::Session(Box::new(meta(&payload)))),
        "turn_context" => owned(&payload.model).map(What::Model),
        "response_item" => item(&payload),
        "event_msg" => event(&payload),
        "compacted" => Some(What::Compacted),
        _ => None,
    };
    Ok(what.map(|what| Row { time_ms, turn, what }))
}

fn meta(payload: &Payload) -> Meta {
    let subagent = payload.source.0.as_ref().and_then(|source| source.subagent);
    let spawn = subagent.and_then(|s| serde_json::from_str::<Maybe<Subagent>>(s.get()).ok()?.0?.thread_spawn.0);
    let parent = spawn.and_then(|spawn| Some((owned(&spawn.parent_thread_id)?, owned(&spawn.agent_role))));
    Meta {
        id: owned(&payload.id).or_else(|| owned(&payload.session_id)),
        forked_from: owned(&payload.forked_from_id),
        cwd: owned(&payload.cwd),
        version: owned(&payload.cli_version),
        parent,
    }
}

fn content_bytes(content: Option<&Content<Block>>) -> u64 {
    match content {
        Some(Content::Text(text)) => text.len() as u64,
        Some(Content::Blocks(blocks)) => blocks.iter().filter_map(|block| block.text).map(text_bytes).sum(),
        None => 0,
    }
}

/// An item of the history.
fn item(payload: &Payload) -> Option<What> {
    let bytes = content_bytes(payload.content.as_ref());
    let text = |bytes| Some(What::Output { bytes, tool: None });
    let tool = |name: &str| {
        let arguments = payload.arguments.or(payload.input);
        let kept = arguments.filter(|_| AGENT_TOOLS.contains(&name)).map_or_else(String::new, |a| a.get().to_owned());
        let tool = Use { id: payload.call_id.to_string(), name: name.to_owned(), arguments: kept };
        Some(What::Output { bytes: arguments.map_or(0, text_bytes), tool: Some(tool) })
    };
    match (&*payload.kind, &*payload.role) {
        ("message" | "", "assistant") => text(bytes),
        ("message" | "", "user") => {
            let first = match payload.content.as_ref() {
                Some(Content::Text(text)) => text.to_string(),
                Some(Content::Blocks(blocks)) => {
                    let text = blocks.first().and_then(|block| serde_json::from_str::<Str>(block.text?.get()).ok());
                    text.map(|text| text.to_string()).unwrap_or_default()
                }
                None => String::new(),
            };
            let is_added = ADDED.iter().any(|start| first.trim_start().starts_with(start));
            Some(What::UserItem { is_prompt: !is_added, bytes })
        }
        ("message" | "", "system" | "developer") => Some(What::UserItem { is_prompt: false, bytes }),
        ("reasoning", _) => text(bytes + content_bytes(payload.summary.as_ref())),
        ("function_call" | "custom_tool_call", _) => tool(&payload.name),
        ("local_shell_call" | "web_search_call" | "tool_search_call" | "image_generation_call", _) => {
            tool(payload.kind.trim_end_matches("_call"))
        }
        ("function_call_output" | "custom_tool_call_output" | "tool_search_output", _) => {
            let mut result = output::parse(&payload.call_id, payload.output);
            if let Some(success) = payload.success.0 {
                result.is_error = Some(!success);
            }
            Some(What::Result(result))
        }
        _ => None,
    }
}

fn event(payload: &Payload) -> Option<What> {
    let bytes = payload.message.map_or(0, text_bytes);
    match &*payload.kind {
        "user_message" => Some(What::Prompt { bytes }),
        "token_count" => payload.info.0.as_ref().map(|info| What::Tokens {
            last: info.last_token_usage.0,
            total: info.total_token_usage.0,
            window: info.model_context_window.count(),
            model: owned(&info.model),
        }),
        "task_started" | "turn_started" => Some(What::TurnStarted { window: payload.model_context_window.count() }),
        "task_complete" | "turn_complete" => Some(What::TurnEnded { duration_ms: duration_ms(payload.duration_ms.0) }),
        "turn_aborted" => Some(What::TurnAborted),
        "context_compacted" => Some(What::Compacted),
        "thread_rolled_back" => Some(What::RolledBack),
        "mcp_tool_call_end" | "exec_command_end" | "patch_apply_end" | "web_search_end" => {
            let duration = payload.duration.0.as_ref();
            let internal_ms =
                duration_ms(duration.and_then(|d| Some(d.secs.0? * 1e3 + d.nanos.0.unwrap_or(0.0) / 1e6)));
            let failed = payload.exit_code.0.map(|code| code != 0.0);
            let is_error = failed.or_else(|| payload.success.0.map(|success| !success));
            Some(What::ToolEnded { call: payload.call_id.to_string(), internal_ms, is_error })
        }
        _ => None,
    }
}
