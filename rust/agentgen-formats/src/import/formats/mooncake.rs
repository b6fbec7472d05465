//! Rows of Mooncake: whole prompts without sessions, whole prompts of sessions (Dynamo), or what each turn adds (`AIPerf`,
//! Dynamo's `mooncake-delta`); also rows with lengths only.

use std::collections::HashMap;
use std::path::Path;

use agentgen_trace::error::Result;
use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_128;

use super::support::{key, problem};
use super::values::{BlockId, Name, Tokens, block_tokens, fits, ids, ms, tokens};
use super::{Format, Head, HeadObject, no_folders};
use crate::import::lines::{BadLine, read_lines};
use crate::import::model::{Call, Part, Prompt, RecordedSession, Recording, Usage};

/// The size of most published traces.
const BLOCK_TOKENS: u32 = 512;

pub const FORMAT: Format = Format {
    name: "mooncake",
    title: "a Mooncake trace",
    extensions: &["jsonl"],
    recognises: |head: &Head| head.any(|o| o.has_array("hash_ids")),
    read: |path| read(path, "mooncake", None),
    default_folders: no_folders,
};

/// Its rows look like those of `mooncake`, so it is used by name only.
pub const DELTA: Format = Format {
    name: "mooncake-delta",
    title: "a Mooncake trace whose rows are what each turn adds",
    extensions: &["jsonl"],
    recognises: |_| false,
    read: |path| read(path, "mooncake-delta", Some(Layout::Added)),
    default_folders: no_folders,
};

pub const LENGTHS: Format = Format {
    name: "lengths",
    title: "a trace of lengths",
    extensions: &["jsonl"],
    recognises: |head: &Head| head.any(is_lengths),
    read: |path| read(path, "lengths", None),
    default_folders: no_folders,
};

fn is_lengths(object: &HeadObject) -> bool {
    object.has("input_length") && !["hash_ids", "messages", "text_input", "payload"].iter().any(|key| object.has(key))
}

#[derive(Deserialize)]
struct Fields {
    session_id: Option<Name>,
    conversation_id: Option<Name>,
    input_length: Option<Tokens>,
    output_length: Option<Tokens>,
    hash_ids: Option<Vec<BlockId>>,
    timestamp: Option<f64>,
    created_time: Option<f64>,
    delay: Option<f64>,
    delay_ms: Option<f64>,
    start_delay: Option<f64>,
    group_id: Option<Name>,
    parent_session_id: Option<Name>,
    model: Option<String>,
}

/// A row, checked as far as one row can be.
struct Row {
    line: u64,
    session: Option<String>,
    input: Option<u64>,
    output: Option<u64>,
    ids: Option<Vec<u64>>,
    sent_ms: Option<f64>,
    delay_ms: Option<f64>,
    group: Option<Name>,
    parent: Option<Name>,
    model: Option<String>,
}

/// What the lengths and ids of the rows of a session are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// The whole prompt.
    Whole,
    /// What the turn adds to the prompt and the answer before.
    Added,
}

fn row(text: &str, line: u64) -> Result<Row, BadLine> {
    let fields: Fields = serde_json::from_str(text)?;
    if fields.input_length.is_none() && fields.hash_ids.as_ref().is_none_or(Vec::is_empty) {
        return Err(BadLine::new("neither input_length nor hash_ids"));
    }
    Ok(Row {
        line,
        session: fields.session_id.or(fields.conversation_id).map(|name| name.to_string()),
        input: tokens(fields.input_length),
        output: tokens(fields.output_length),
        ids: fields.hash_ids.map(ids),
        sent_ms: ms(fields.timestamp.or(fields.created_time), 1.0)?,
        delay_ms: ms(fields.delay.or(fields.delay_ms).or(fields.start_delay), 1.0)?,
        group: fields.group_id,
        parent: fields.parent_session_id,
        model: fields.model,
    })
}

fn read(path: &Path, format: &str, layout: Option<Layout>) -> Result<Recording> {
    let (mut recording, mut rows) = (Recording::default(), Vec::new());
    read_lines(path, &mut recording, |text, line| {
        rows.push(row(text, line)?);
        Ok(())
    })?;
    // Rows without hash_ids fit every size.
    let sized = rows.iter().filter_map(|row| Some((row.input?, row.ids.as_ref()?.len())));
    let block_tokens = block_tokens(sized, BLOCK_TOKENS).unwrap_or(BLOCK_TOKENS);
    let mut is_whole: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        let count = row.ids.as_ref().map_or(0, Vec::len);
        match row.input {
            Some(input) if row.ids.is_some() && !fits(input, count, block_tokens) => {
                let reason = format!("{count} hash_ids for {input} tokens in blocks of {block_tokens}");
                problem(&mut recording, path, Some(row.line), reason);
            }
            _ => is_whole.push(row),
        }
    }
    let builder = Builder { path, format, block_tokens };
    recording.problems.sort_by_key(|problem| problem.line);
    recording.sessions = builder.sessions(is_whole, layout);
    Ok(recording)
}

struct Builder<'a> {
    path: &'a Path,
    format: &'a str,
    block_tokens: u32,
}

impl Builder<'_> {
    /// Groups rows by session, wherever they stand; a row without a session is one.
    fn sessions(&self, rows: Vec<Row>, layout: Option<Layout>) -> Vec<RecordedSession> {
        let (mut groups, mut places): (Vec<Vec<Row>>, HashMap<String, usize>) = (Vec::new(), HashMap::new());
        for row in rows {
            let new = groups.len();
            let place = match &row.session {
                Some(name) => *places.entry(name.clone()).or_insert(new),
                None => new,
            };
            if place == new {
                groups.push(Vec::new());
            }
            groups[place].push(row);
        }
        let layout = layout.unwrap_or_else(|| self.layout(&groups));
        groups.into_iter().map(|rows| self.session(rows, layout)).collect()
    }

    /// The layout of the file: rows of whole prompts begin as the row before them in their session, rows of added text do
    /// not. The layout of most pairs of rows counts, since compaction rewrites prompts.
    fn layout(&self, groups: &[Vec<Row>]) -> Layout {
        let (mut same, mut other) = (0_u64, 0_u64);
        for pair in groups.iter().flat_map(|rows| rows.windows(2)) {
            let [Some(before), Some(after)] = [&pair[0].ids, &pair[1].ids] else { continue };
            let full = before.len().min((self.prompt(&pair[0]) / u64::from(self.block_tokens)) as usize);
            if full > 0 {
                *(if before.first() == after.first() { &mut same } else { &mut other }) += 1;
            }
        }
        let is_session = groups.iter().any(|rows| rows.len() > 1);
        if is_session && same <= other { Layout::Added } else { Layout::Whole }
    }

    /// Tokens of a row; those of its blocks if it does not say.
    fn prompt(&self, row: &Row) -> u64 {
        let blocks = row.ids.as_ref().map_or(0, Vec::len) as u64 * u64::from(self.block_tokens);
        row.input.unwrap_or(blocks)
    }

    fn session(&self, mut rows: Vec<Row>, layout: Layout) -> RecordedSession {
        let first = &mut rows[0];
        let name =
            first.session.take().map_or_else(|| format!("line {}", first.line), |name| format!("session {name}"));
        let key_of = |name: String| key(self.path, name);
        let project = first.group.take().map(|group| key_of(format!("group {group}")));
        let continues = first.parent.take().map(|parent| key_of(format!("session {parent}")));
        let key = key_of(name);
        let calls = match layout {
            Layout::Whole => rows.into_iter().map(|row| self.whole(row)).collect(),
            Layout::Added => self.added(&key, rows),
        };
        RecordedSession { project, continues, ..RecordedSession::new(key, self.format, calls) }
    }

    fn whole(&self, row: Row) -> Call {
        let prompt = self.prompt(&row);
        let (ids, call) = call(row, prompt);
        let scope = Some(self.path.display().to_string());
        let content = ids.map(|ids| Prompt::Blocks { scope, block_tokens: self.block_tokens, ids });
        Call { prompt: content.unwrap_or_default(), ..call }
    }

    /// The calls of a session whose rows hold added text: each prompt is the one before, its answer and these chunks.
    fn added(&self, key: &str, rows: Vec<Row>) -> Vec<Call> {
        let scope = self.path.display().to_string();
        let (mut context, mut calls, mut parts) = (0, Vec::with_capacity(rows.len()), Vec::new());
        for (turn, row) in rows.into_iter().enumerate() {
            let added = self.prompt(&row);
            let (ids, call) = call(row, 0);
            context += added;
            match ids.filter(|ids| !ids.is_empty()) {
                Some(ids) => self.chunks(&scope, &ids, added, &mut parts),
                None => parts.push(part(&format!("{key} input {turn}"), added)),
            }
            let usage = Usage { prompt_tokens: Some(context), ..call.usage };
            let output = usage.output_tokens.unwrap_or(0);
            calls.push(Call { usage, prompt: Prompt::Appended(std::mem::take(&mut parts)), ..call });
            if output > 0 {
                context += output;
                parts.push(part(&format!("{key} output {turn}"), output));
            }
        }
        calls
    }

    fn chunks(&self, scope: &str, ids: &[u64], added: u64, parts: &mut Vec<Part>) {
        let size = u64::from(self.block_tokens);
        let mut rest = added;
        for id in ids {
            let tokens = rest.min(size);
            rest -= tokens;
            parts.push(part(&format!("{scope} {id}"), tokens));
        }
    }
}

/// A part with an identity and a number of tokens.
fn part(identity: &str, tokens: u64) -> Part {
    Part { hash: xxh3_128(identity.as_bytes()), bytes: tokens }
}

fn call(row: Row, prompt: u64) -> (Option<Vec<u64>>, Call) {
    let usage = Usage { prompt_tokens: Some(prompt), output_tokens: row.output, ..Usage::default() };
    let (sent_ms, delay_ms) = (row.sent_ms, row.delay_ms);
    let call =
        Call { model: row.model, usage, sent_ms, sent_is_recorded: sent_ms.is_some(), delay_ms, ..Call::default() };
    (row.ids, call)
}
