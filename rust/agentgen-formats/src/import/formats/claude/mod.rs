//! Logs of Claude Code: one file a session, one row for each block of an answer, and files of sub-agents.
//!
//! The format is not documented by its vendor; `docs/import.md` says what is read.

mod chains;
mod row;
mod session;
mod text;

use std::path::{Path, PathBuf};

use agentgen_trace::error::Result;

use super::{Format, Head, in_home};
use crate::import::formats::Environment;
use crate::import::lines::read_rows;
use crate::import::model::Recording;

/// Logs of Claude Code.
pub const FORMAT: Format = Format {
    name: "claude-code",
    title: "logs of Claude Code",
    extensions: &["jsonl"],
    recognises,
    read,
    default_folders,
};

/// Types of rows that tell a log of Claude Code; others come with them.
const ROW_TYPES: [&str; 9] = [
    "user",
    "assistant",
    "system",
    "summary",
    "queue-operation",
    "file-history-snapshot",
    "mode",
    "permission-mode",
    "attachment",
];

fn recognises(head: &Head) -> bool {
    head.any(|row| {
        let is_row = row.text("type").is_some_and(|kind| ROW_TYPES.contains(&kind));
        let is_named = row.has("sessionId") || row.has("leafUuid") || row.has_all(&["uuid", "parentUuid"]);
        let is_early = row.has("sessionId") && row.object("message").is_some_and(|message| message.has("usage"));
        is_row && is_named || is_early
    })
}

fn read(path: &Path) -> Result<Recording> {
    let (mut recording, rows) = read_rows(path, row::parse)?;
    chains::build(path, rows, &mut recording);
    Ok(recording)
}

fn default_folders(environment: Environment) -> Vec<PathBuf> {
    if let Some(folders) = environment("CLAUDE_CONFIG_DIR") {
        let folders = folders.to_string_lossy().into_owned();
        return folders.split(',').map(|folder| Path::new(folder.trim()).join("projects")).collect();
    }
    let config = environment("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| in_home(environment, ".config"));
    let desktop = "Library/Application Support/Claude/local-agent-mode-sessions";
    let folders = [
        in_home(environment, ".claude/projects"),
        config.map(|folder| folder.join("claude/projects")),
        in_home(environment, desktop),
    ];
    folders.into_iter().flatten().collect()
}
