//! What the readers of traces and requests share.

use std::path::Path;

use agentgen_trace::error::Result;
use agentgen_trace::source::Blocks;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::import::lines::{BadLine, read_document, read_lines};
use crate::import::model::{Agent, Call, Client, Problem, RecordedSession, Recording};

/// A session of the main agent that a format tells nothing else about.
pub fn session(key: String, format: &str, calls: Vec<Call>) -> RecordedSession {
    RecordedSession {
        key,
        client: Client { format: format.to_owned(), version: None },
        project: None,
        agent: Agent::Main,
        continues: None,
        context_window: None,
        human_turn_ms: Vec::new(),
        calls,
    }
}

/// A key that no other file has.
pub fn key(path: &Path, name: impl std::fmt::Display) -> String {
    format!("{}:{name}", path.display())
}

/// Adds a problem of a line.
pub fn problem(recording: &mut Recording, path: &Path, line: Option<u64>, reason: impl Into<String>) {
    recording.problems.push(Problem { file: path.to_owned(), line, reason: reason.into() });
}

/// What is read of a file to see how it is written.
const HEAD_BYTES: u64 = 1 << 20;

/// Gives each JSON value of a file to `value`, with its line if it has one: the lines of JSONL, the elements of an array, or
/// the values of a document over several lines.
pub fn read_values(
    path: &Path,
    recording: &mut Recording,
    mut value: impl FnMut(&str, Option<u64>) -> Result<(), BadLine>,
) -> Result<()> {
    if is_jsonl(&Blocks::head(path, HEAD_BYTES)?) {
        return read_lines(path, recording, |text, line| value(text, Some(line)));
    }
    read_document(path, recording, |text, recording| {
        let mut give = |text: &str| {
            if let Err(bad) = value(text, None) {
                problem(recording, path, None, bad.reason());
            }
        };
        if text.trim_start().starts_with('[') {
            // The elements before the damage of a truncated file cannot be told from it: all or none.
            let elements: Vec<&RawValue> = serde_json::from_str(text)?;
            for element in elements {
                give(element.get());
            }
            return Ok(());
        }
        for element in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
            give(element?.get());
        }
        Ok(())
    })
}

/// Whether each line of a file with this beginning is a value of its own.
fn is_jsonl(head: &[u8]) -> bool {
    let head = head.trim_ascii_start();
    if head.starts_with(b"[") {
        return false;
    }
    // A first line that is longer than the head is one value: nobody writes a document on several lines like this.
    head.iter().position(|byte| *byte == b'\n').is_none_or(|end| {
        let mut values = serde_json::Deserializer::from_slice(&head[..end]).into_iter::<IgnoredAny>();
        values.all(|value| value.is_ok())
    })
}
