//! Sessions of Hermes: snapshots in JSON and transcripts of its gateway in JSONL. Tokens are counted for whole sessions
//! only, in its data base, which is not read.

use std::path::{Path, PathBuf};

use agentgen_trace::error::Result;
use serde_json::Value;

use super::Environment;
use super::chat::{self, Conversation, Kind};
use super::support::read_values;
use super::{Format, Head, HeadObject, in_home};
use crate::import::lines::BadLine;
use crate::import::model::{Part, RecordedSession, Recording};
use crate::import::time::{epoch_ms, iso_ms};

/// Sessions of Hermes.
pub const FORMAT: Format = Format {
    name: "hermes",
    title: "sessions of Hermes",
    extensions: &["json", "jsonl"],
    recognises,
    read,
    default_folders,
};

/// Why a session is left out.
const EMPTY: &str = "sessions without a model call";

/// Why messages are left out.
const NO_MESSAGE: &str = "records of the gateway";

fn recognises(head: &Head) -> bool {
    head.any(|object| object.has_array("messages") && object.has_all(&["session_id", "session_start"]))
        || head.objects.iter().all(is_transcript)
            && head.any(|object| object.has("finish_reason") || object.text("role") == Some("session_meta"))
}

/// Whether a row is a message of the gateway's transcripts, and not of a trace of messages.
fn is_transcript(row: &HeadObject) -> bool {
    row.has("role") && !["conversation_id", "session_id", "_type"].iter().any(|key| row.has(key))
}

fn default_folders(environment: Environment) -> Vec<PathBuf> {
    let home = environment("HERMES_HOME").map(PathBuf::from).or_else(|| in_home(environment, ".hermes"));
    home.map(|home| home.join("sessions")).into_iter().collect()
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

fn read(path: &Path) -> Result<Recording> {
    let (mut recording, mut snapshots) = (Recording::default(), Vec::new());
    let mut transcript = Transcript::default();
    read_values(path, &mut recording, |json, _| {
        let value: Value = serde_json::from_str(json)?;
        if value.get("messages").is_some() {
            snapshots.push(snapshot(&value, path)?);
            return Ok(());
        }
        transcript.add(&value)
    })?;
    recording.leave_out(NO_MESSAGE, transcript.others);
    let calls = transcript.conversation.answered();
    if transcript.messages > 0 {
        let stem = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let key = stem.split('.').next().unwrap_or_default().to_owned();
        snapshots.push(finish(RecordedSession::new(key, FORMAT.name, calls), transcript.model.as_deref()));
    }
    for session in snapshots {
        if session.calls.is_empty() {
            recording.leave_out(EMPTY, 1);
        } else {
            recording.sessions.push(session);
        }
    }
    Ok(recording)
}

/// A session in one document. Its times are local ones without an offset.
fn snapshot(value: &Value, path: &Path) -> Result<RecordedSession, BadLine> {
    let messages =
        value.get("messages").and_then(Value::as_array).ok_or_else(|| BadLine::new("no list of messages"))?;
    let mut conversation = Conversation::default();
    conversation.add_parts(chat::tools_part(value.get("tools")));
    if let Some(system) = text(value, "system_prompt").filter(|prompt| !prompt.is_empty()) {
        conversation.add_parts([Part::new("system", system)]);
    }
    for message in messages {
        conversation.push(chat::message(message)?);
    }
    let calls = conversation.answered();
    let stem = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = stem.split('.').next().unwrap_or_default();
    let key = text(value, "session_id").unwrap_or_else(|| stem.strip_prefix("session_").unwrap_or(stem));
    let mut session = finish(RecordedSession::new(key.to_owned(), FORMAT.name, calls), text(value, "model"));
    let time = |key| text(value, key).and_then(iso_ms);
    if let Some(call) = session.calls.first_mut() {
        call.sent_ms = time("session_start");
    }
    if let Some(call) = session.calls.last_mut() {
        call.end_ms = time("last_updated");
    }
    Ok(session)
}

/// Names the model and the calls.
fn finish(mut session: RecordedSession, model: Option<&str>) -> RecordedSession {
    for (index, call) in session.calls.iter_mut().enumerate() {
        call.id = Some(format!("{}:{index}", session.key));
        call.model = model.map(str::to_owned);
    }
    session
}

/// A transcript of the gateway, which writes the messages of a request when it is over.
#[derive(Default)]
struct Transcript {
    conversation: Conversation,
    model: Option<String>,
    messages: u64,
    others: u64,
}

impl Transcript {
    fn add(&mut self, row: &Value) -> Result<(), BadLine> {
        match text(row, "role") {
            None => return Err(BadLine::new("no message")),
            Some("session_meta") => {
                self.others += 1;
                self.conversation.add_parts(chat::tools_part(row.get("tools")));
                self.model = text(row, "model").map(str::to_owned).or(self.model.take());
                return Ok(());
            }
            Some(_) => {}
        }
        let message = chat::message(row)?;
        let ends_turn = message.kind == Kind::Answer && message.tools.is_empty();
        self.messages += 1;
        self.conversation.push(message);
        if let (true, Some(call)) = (ends_turn, self.conversation.last_call()) {
            let seconds = row.get("timestamp").and_then(Value::as_f64);
            let recorded_ms = epoch_ms(seconds.map(|seconds| seconds * 1000.0));
            call.end_ms = text(row, "timestamp").and_then(iso_ms).or(recorded_ms);
        }
        Ok(())
    }
}
