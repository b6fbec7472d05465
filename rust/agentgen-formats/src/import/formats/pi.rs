//! Sessions of the Pi coding agent: a tree of entries with the times of every request.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use agentgen_trace::error::Result;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Environment;
use super::json::{Content, Flag, Maybe, Number, Str, text_bytes};
use super::{Format, Head, in_home};
use crate::import::lines::{BadLine, read_lines};
use crate::import::model::{Call, RecordedSession, Recording, Rewrite, ToolUse, Trigger, Usage};
use crate::import::time::{elapsed, epoch_ms, iso_ms};

/// Sessions of the Pi coding agent.
pub const FORMAT: Format = Format {
    name: "pi",
    title: "sessions of the Pi coding agent",
    extensions: &["jsonl"],
    recognises,
    read,
    default_folders,
};

/// Why entries are left out that occur twice.
const REPEATED: &str = "repeated rows";

/// Why a session is left out.
const EMPTY: &str = "sessions without a model call";

fn recognises(head: &Head) -> bool {
    head.objects.first().is_some_and(|header| {
        header.text("type") == Some("session") && header.has("id") && (header.has("cwd") || header.has("version"))
    })
}

fn default_folders(environment: Environment) -> Vec<PathBuf> {
    let home = environment("PI_AGENT_DIR").map(PathBuf::from).or_else(|| in_home(environment, ".pi/agent"));
    home.map(|home| home.join("sessions")).into_iter().collect()
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Raw<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
    id: Str<'a>,
    parent_id: Str<'a>,
    timestamp: Str<'a>,
    version: Number,
    cwd: Str<'a>,
    parent_session: Str<'a>,
    branched_from: Str<'a>,
    model_id: Str<'a>,
    message: Maybe<Message<'a>>,
    content: Option<Content<'a, Block<'a>>>,
    summary: Option<&'a RawValue>,
    usage: Maybe<Counts>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Message<'a> {
    #[serde(borrow)]
    role: Str<'a>,
    content: Option<Content<'a, Block<'a>>>,
    model: Str<'a>,
    usage: Maybe<Counts>,
    timestamp: Number,
    tool_call_id: Str<'a>,
    is_error: Flag,
    output: Option<&'a RawValue>,
    exclude_from_context: Flag,
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
    arguments: Option<&'a RawValue>,
}

/// Tokens of a request; the three parts of the prompt are disjoint.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Counts {
    input: Number,
    output: Number,
    cache_read: Number,
    cache_write: Number,
}

impl Counts {
    /// `None` for a request that failed before anything was counted.
    fn usage(&self) -> Option<Usage> {
        let (cached, written) = (self.cache_read.count(), self.cache_write.count());
        let prompt = self.input.count()? + cached.unwrap_or(0) + written.unwrap_or(0);
        (prompt > 0).then_some(Usage {
            prompt_tokens: Some(prompt),
            cached_tokens: cached,
            cache_written_tokens: written,
            output_tokens: self.output.count(),
            reasoning_tokens: None,
        })
    }
}

fn content_bytes(content: Option<&Content<Block>>) -> u64 {
    match content {
        Some(Content::Text(text)) => text.len() as u64,
        Some(Content::Blocks(blocks)) => {
            let values = blocks.iter().flat_map(|block| [block.text, block.thinking, block.arguments]);
            values.flatten().map(text_bytes).sum()
        }
        None => 0,
    }
}

fn owned(text: &Str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_string())
}

fn read(path: &Path) -> Result<Recording> {
    let mut recording = Recording::default();
    let stem = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut builder = Builder::new(stem.split('.').next().unwrap_or_default());
    read_lines(path, &mut recording, |line, _| {
        let Maybe(Some(entry)) = serde_json::from_str::<Maybe<Raw>>(line)? else {
            return Err(BadLine::new("not a JSON object"));
        };
        builder.add(&entry);
        Ok(())
    })?;
    recording.leave_out(REPEATED, builder.repeated);
    if builder.session.calls.is_empty() {
        recording.leave_out(EMPTY, 1);
    } else {
        recording.sessions.push(builder.session);
    }
    Ok(recording)
}

/// The input since the answer before.
#[derive(Debug, Default)]
struct Pending {
    trigger: Option<Trigger>,
    is_human: bool,
    bytes: u64,
    rewrite: Option<Rewrite>,
}

struct Builder {
    session: RecordedSession,
    model: Option<String>,
    /// For each entry, the number of calls up to it on its branch.
    calls_at: HashMap<String, usize>,
    ids: HashSet<String>,
    repeated: u64,
    /// Call and index of each tool call without a result, by id.
    waiting: HashMap<String, (usize, usize)>,
    turn: Option<u32>,
    pending: Pending,
}

impl Builder {
    fn new(stem: &str) -> Self {
        Self {
            session: RecordedSession::new(stem.to_owned(), FORMAT.name, Vec::new()),
            model: None,
            calls_at: HashMap::new(),
            ids: HashSet::new(),
            repeated: 0,
            waiting: HashMap::new(),
            turn: None,
            pending: Pending::default(),
        }
    }

    fn add(&mut self, entry: &Raw) {
        if &*entry.kind == "session" {
            return self.header(entry);
        }
        // Entries of version 1 have no id: they follow each other.
        if self.calls_at.contains_key(&*entry.id) {
            self.repeated += 1;
            return;
        }
        let calls = self.session.calls.len();
        let before = self.calls_at.get(&*entry.parent_id).copied().unwrap_or(calls);
        match (&*entry.kind, &entry.message.0) {
            ("message", Some(message)) => self.message(entry, message, before),
            ("model_change", _) => self.model = owned(&entry.model_id).or(self.model.take()),
            ("compaction", _) => self.compaction(entry),
            ("branch_summary", _) => {
                self.pending.rewrite = Some(Rewrite::Rollback);
                self.pending.bytes += entry.summary.map_or(0, text_bytes);
            }
            ("custom_message", _) => self.input(Trigger::Notification, content_bytes(entry.content.as_ref())),
            _ => {}
        }
        if !entry.id.is_empty() {
            let now = self.session.calls.len();
            self.calls_at.insert(entry.id.to_string(), if now > calls { now } else { before });
        }
    }

    fn header(&mut self, header: &Raw) {
        let session = &mut self.session;
        session.key = owned(&header.id).unwrap_or_else(|| session.key.clone());
        session.project = owned(&header.cwd);
        session.client.version = header.version.count().map(|version| format!("session version {version}"));
        self.model = owned(&header.model_id).or(self.model.take());
        // The file of the session whose history this one begins with: its name ends in the id.
        let parent = owned(&header.parent_session).or_else(|| owned(&header.branched_from));
        session.continues = parent.map(|path| {
            let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
            let stem = name.strip_suffix(".jsonl").unwrap_or(name);
            stem.rsplit('_').next().unwrap_or_default().to_owned()
        });
    }

    fn input(&mut self, trigger: Trigger, bytes: u64) {
        self.pending.trigger.get_or_insert(trigger);
        self.pending.bytes += bytes;
    }

    /// `before`: the calls in the history that the entry follows.
    fn message(&mut self, entry: &Raw, message: &Message, before: usize) {
        let bytes = content_bytes(message.content.as_ref());
        match &*message.role {
            "user" => {
                if before < self.session.calls.len() {
                    self.pending.rewrite.get_or_insert(Rewrite::Rollback);
                }
                self.pending.is_human = true;
                self.input(Trigger::Human, bytes);
            }
            "assistant" => self.answer(entry, message, bytes),
            "toolResult" => {
                self.input(Trigger::Tool, bytes);
                self.result(message);
            }
            // A command of the user, whose output the next prompt holds.
            "bashExecution" if !message.exclude_from_context.is_set() => {
                self.pending.bytes += message.output.map_or(0, text_bytes);
            }
            "custom" => self.input(Trigger::Notification, bytes),
            _ => {}
        }
    }

    fn answer(&mut self, entry: &Raw, message: &Message, bytes: u64) {
        let (sent_ms, end_ms) = (epoch_ms(message.timestamp.0), iso_ms(&entry.timestamp));
        // Copies of a session keep both times.
        let id = sent_ms.map(|sent| format!("{sent}:{}", &*entry.timestamp));
        if let Some(id) = &id
            && !self.ids.insert(id.clone())
        {
            self.repeated += 1;
            return;
        }
        let index = self.session.calls.len();
        let pending = std::mem::take(&mut self.pending);
        if pending.is_human {
            self.turn = Some(self.turn.map_or(u32::from(index > 0), |turn| turn + 1));
        }
        let mut call = Call {
            id,
            model: owned(&message.model).or_else(|| self.model.clone()),
            trigger: pending.trigger,
            human_turn_index: self.turn.unwrap_or(0),
            rewrite: pending.rewrite,
            usage: message.usage.0.as_ref().and_then(Counts::usage).unwrap_or_default(),
            sent_ms,
            sent_is_recorded: sent_ms.is_some(),
            end_ms,
            input_bytes: Some(pending.bytes),
            output_bytes: Some(bytes),
            ..Call::default()
        };
        if let Some(Content::Blocks(blocks)) = &message.content {
            for block in blocks.iter().filter(|block| &*block.kind == "toolCall") {
                self.waiting.insert(block.id.to_string(), (index, call.tools.len()));
                call.tools.push(ToolUse { name: block.name.to_string(), ..ToolUse::default() });
            }
        }
        self.session.calls.push(call);
    }

    fn result(&mut self, message: &Message) {
        let Some((call, tool)) = self.waiting.remove(&*message.tool_call_id) else { return };
        let call = &mut self.session.calls[call];
        let tool = &mut call.tools[tool];
        tool.wall_ms = elapsed(call.end_ms, epoch_ms(message.timestamp.0));
        tool.is_error = message.is_error.0;
    }

    /// The summary replaces the history; newer versions count the tokens of the request that made it.
    fn compaction(&mut self, entry: &Raw) {
        if let Some(usage) = entry.usage.0.as_ref().and_then(Counts::usage) {
            self.session.calls.push(Call {
                id: owned(&entry.id).map(|id| format!("{id}:{}", &*entry.timestamp)),
                model: self.model.clone(),
                trigger: Some(Trigger::Compaction),
                human_turn_index: self.turn.unwrap_or(0),
                usage,
                end_ms: iso_ms(&entry.timestamp),
                output_bytes: entry.summary.map(text_bytes),
                ..Call::default()
            });
        }
        self.pending.rewrite = Some(Rewrite::AutoCompaction);
        self.pending.bytes += entry.summary.map_or(0, text_bytes);
    }
}
