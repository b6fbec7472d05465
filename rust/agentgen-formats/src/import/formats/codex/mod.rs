//! Logs ("rollouts") of Codex: one file a thread, a line for each item and event, token counts after each model call.

mod output;
mod replay;
mod row;
mod session;

use std::path::{Path, PathBuf};

use agentgen_trace::error::Result;

use super::{Format, Head, in_home};
use crate::import::formats::Environment;
use crate::import::lines::read_rows;
use crate::import::model::Recording;

/// Logs of Codex.
pub const FORMAT: Format =
    Format { name: "codex", title: "logs of Codex", extensions: &["jsonl"], recognises, read, default_folders };

/// Types of lines.
const LINE_TYPES: [&str; 6] =
    ["session_meta", "turn_context", "response_item", "event_msg", "compacted", "token_usage_record"];

fn recognises(head: &Head) -> bool {
    head.any(|line| line.has("payload") && line.text("type").is_some_and(|kind| LINE_TYPES.contains(&kind)))
}

fn read(path: &Path) -> Result<Recording> {
    let (mut recording, rows) = read_rows(path, row::parse)?;
    session::build(path, rows, &mut recording);
    Ok(recording)
}

fn default_folders(environment: Environment) -> Vec<PathBuf> {
    let home = environment("CODEX_HOME").map(PathBuf::from).or_else(|| in_home(environment, ".codex"));
    home.map(|home| vec![home.join("sessions"), home.join("archived_sessions")]).unwrap_or_default()
}
