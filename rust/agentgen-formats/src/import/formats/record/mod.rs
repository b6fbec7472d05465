//! Journals of `agentgen record`: the calls that passed through it, with hashes of their prompts.

mod link;
mod prompts;

use std::path::Path;

use agentgen_trace::error::Result;

use super::support::key;
use super::{Format, Head, no_folders};
use crate::import::journal::{Entry, Line, Outcome, VERSION};
use crate::import::lines::{BadLine, read_lines};
use crate::import::model::{RecordedSession, Recording};
use link::Lines;
use prompts::Prompts;

const NAME: &str = "record";

pub const FORMAT: Format = Format {
    name: NAME,
    title: "the journal of a recorder",
    extensions: &["jsonl"],
    recognises: |head: &Head| head.any(|object| object.has_all(&["agentgen_record"])),
    read,
    default_folders: no_folders,
};

fn read(path: &Path) -> Result<Recording> {
    let mut recording = Recording::default();
    let (mut entries, mut prompts): (Vec<Entry>, _) = (Vec::new(), Prompts::default());
    read_lines(path, &mut recording, |text, _| match Line::read(text)? {
        Line::Header(header) if header.agentgen_record == VERSION => Ok(()),
        Line::Header(_) => Err(BadLine::new("a journal of another version")),
        Line::Call(mut entry) => {
            prompts.add(&mut entry)?;
            entries.push(*entry);
            Ok(())
        }
    })?;
    entries.retain(|entry| match unusable(entry, &prompts) {
        Some(reason) => {
            recording.leave_out(reason, 1);
            false
        }
        None => true,
    });
    // Lines stand in the order in which calls ended.
    entries.sort_by(|a, b| a.sent_ms.total_cmp(&b.sent_ms).then(a.call.cmp(&b.call)));
    let mut lines = Lines::new(&entries);
    for entry in &entries {
        lines.add(entry, prompts.pieces(entry.call));
    }
    recording.sessions =
        lines.finish(|number, calls| RecordedSession::new(key(path, format!("line {number}")), NAME, calls));
    Ok(recording)
}

/// Why a call is no call of a session.
fn unusable(entry: &Entry, prompts: &Prompts) -> Option<&'static str> {
    let has_answer = entry.first_token_after_ms.is_some() || entry.usage.output.is_some_and(|tokens| tokens > 0);
    match entry.outcome {
        Outcome::Refused => Some("calls that the server refused"),
        Outcome::Unreachable => Some("calls that did not reach the server"),
        _ if !prompts.has(entry.call) => Some("calls whose request could not be read"),
        Outcome::Truncated | Outcome::Cancelled if !has_answer => Some("calls without an answer"),
        _ => None,
    }
}
