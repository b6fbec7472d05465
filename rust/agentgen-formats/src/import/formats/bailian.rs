//! Bailian traces (Qwen): whole prompts in blocks of 16 tokens, in seconds; chats are trees.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use agentgen_trace::error::Result;
use serde::Deserialize;

use super::support::{key, problem};
use super::values::{BlockId, Name, Tokens, block_tokens, fits, ids, ms, tokens};
use super::{Format, Head, no_folders};
use crate::import::lines::read_lines;
use crate::import::model::{Call, Prompt, RecordedSession, Recording, Trigger, Usage};

const NAME: &str = "bailian";

const BLOCK_TOKENS: u32 = 16;

pub const FORMAT: Format = Format {
    name: NAME,
    title: "a Bailian (Qwen) trace",
    extensions: &["jsonl"],
    recognises: |head: &Head| head.any(|o| o.has_all(&["chat_id", "parent_chat_id", "hash_ids"])),
    read,
    default_folders: no_folders,
};

#[derive(Deserialize)]
struct Row {
    chat_id: Name,
    parent_chat_id: Option<Name>,
    timestamp: f64,
    input_length: Tokens,
    output_length: Option<Tokens>,
    hash_ids: Vec<BlockId>,
    #[serde(skip)]
    line: u64,
}

fn read(path: &Path) -> Result<Recording> {
    let (mut recording, mut rows) = (Recording::default(), Vec::<Row>::new());
    let mut seen = HashSet::new();
    let mut repeated = 0;
    read_lines(path, &mut recording, |text, line| {
        let row: Row = serde_json::from_str(text)?;
        ms(Some(row.timestamp), 1000.0)?;
        if seen.insert(row.chat_id.clone()) {
            rows.push(Row { line, ..row });
        } else {
            repeated += 1;
        }
        Ok(())
    })?;
    recording.leave_out("repeated rows", repeated);
    // Answers come after what they answer.
    rows.sort_by(|a, b| a.timestamp.total_cmp(&b.timestamp));
    let size = block_tokens(rows.iter().map(|r| (r.input_length.0, r.hash_ids.len())), BLOCK_TOKENS);
    let size = size.unwrap_or(BLOCK_TOKENS);
    let mut chats = Chats::default();
    for row in rows {
        let (input, count) = (row.input_length.0, row.hash_ids.len());
        if fits(input, count, size) {
            chats.add(path, row, size);
        } else {
            let reason = format!("{count} hash_ids for {input} tokens in blocks of {size}");
            problem(&mut recording, path, Some(row.line), reason);
        }
    }
    recording.problems.sort_by_key(|problem| problem.line);
    recording.sessions = chats.sessions;
    Ok(recording)
}

/// Chats as sessions. The first answer to a turn continues its session, any other begins one.
#[derive(Default)]
struct Chats {
    sessions: Vec<RecordedSession>,
    /// Session and call of each turn.
    places: HashMap<Name, (usize, usize)>,
}

impl Chats {
    fn add(&mut self, path: &Path, row: Row, block_tokens: u32) {
        let parent = row.parent_chat_id.and_then(|parent| self.places.get(&parent).copied());
        let sent_ms = Some(row.timestamp * 1000.0);
        let scope = Some(path.display().to_string());
        let mut call = Call {
            trigger: Some(Trigger::Human),
            usage: Usage {
                prompt_tokens: Some(row.input_length.0),
                output_tokens: tokens(row.output_length),
                ..Usage::default()
            },
            prompt: Prompt::Blocks { scope, block_tokens, ids: ids(row.hash_ids) },
            sent_ms,
            sent_is_recorded: true,
            ..Call::default()
        };
        let place = match parent {
            Some((session, turn)) if turn + 1 == self.sessions[session].calls.len() => {
                call.human_turn_index = turn as u32 + 1;
                self.sessions[session].calls.push(call);
                (session, turn + 1)
            }
            _ => {
                let continues = parent.map(|(session, _)| self.sessions[session].key.clone());
                let key = key(path, format!("chat {}", row.chat_id));
                self.sessions.push(RecordedSession { continues, ..RecordedSession::new(key, NAME, vec![call]) });
                (self.sessions.len() - 1, 0)
            }
        };
        self.places.insert(row.chat_id, place);
    }
}
