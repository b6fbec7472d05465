//! CSV with a header: traces of lengths as Azure and `BurstGPT` publish them.

use std::collections::HashMap;
use std::path::Path;

use agentgen_trace::error::Result;

use super::support::key;
use super::{Format, Head, no_folders};
use crate::import::lines::{BadLine, read_lines};
use crate::import::model::{Call, RecordedSession, Recording, Usage};
use crate::import::time::iso_ms;

pub const AZURE: Format = Format {
    name: "azure",
    title: "an Azure LLM inference trace",
    extensions: &["csv"],
    recognises: |head: &Head| has_header(head, &["TIMESTAMP", "ContextTokens", "GeneratedTokens"]),
    read: read_azure,
    default_folders: no_folders,
};

pub const BURST: Format = Format {
    name: "burstgpt",
    title: "a BurstGPT trace",
    extensions: &["csv"],
    recognises: |head: &Head| has_header(head, &["Timestamp", "Request tokens", "Response tokens"]),
    read: read_burst,
    default_folders: no_folders,
};

/// Whether the first line names these columns.
pub fn has_header(head: &Head, columns: &[&str]) -> bool {
    let header = fields(&head.first_line);
    columns.iter().all(|column| header.iter().any(|name| name == column))
}

/// The fields of a line; a field in quotes may hold commas and doubled quotes.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut is_quoted) = (vec![String::new()], false);
    for (at, character) in line.char_indices() {
        let field = fields.len() - 1;
        match character {
            // A quote after a quote inside of quotes stands for itself.
            '"' if !is_quoted && !fields[field].is_empty() && line[..at].ends_with('"') => {
                fields[field].push('"');
                is_quoted = true;
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            other => fields[field].push(other),
        }
    }
    fields.iter().map(|field| field.trim().to_owned()).collect()
}

/// A row, by the names of its columns.
pub struct Row<'a> {
    header: &'a [String],
    fields: Vec<String>,
}

impl Row<'_> {
    /// The text of a column; `None` if there is no such column, or nothing in it.
    pub fn text(&self, column: &str) -> Option<&str> {
        let index = self.header.iter().position(|name| name == column)?;
        self.fields.get(index).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// The number in a column.
    pub fn number(&self, column: &str) -> Result<Option<f64>, BadLine> {
        let Some(text) = self.text(column) else { return Ok(None) };
        let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
        number.map(Some).ok_or_else(|| BadLine::new(format!("{column} that is not a number from 0")))
    }

    /// The number in a column that every row has.
    pub fn required(&self, column: &str) -> Result<f64, BadLine> {
        self.number(column)?.ok_or_else(|| BadLine::new(format!("no {column}")))
    }

    /// A number of tokens that every row has.
    pub fn tokens(&self, column: &str) -> Result<u64, BadLine> {
        let number = self.required(column)?;
        let is_count = number.fract() == 0.0 && number <= f64::from(i32::MAX);
        if is_count { Ok(number as u64) } else { Err(BadLine::new(format!("{column} that is not a number of tokens"))) }
    }
}

/// Gives the rows after the header to `row`, with their lines.
pub fn read_rows(
    path: &Path,
    recording: &mut Recording,
    mut row: impl FnMut(&Row, u64) -> Result<(), BadLine>,
) -> Result<()> {
    let mut header = None;
    read_lines(path, recording, |text, line| match &header {
        None => {
            header = Some(fields(text));
            Ok(())
        }
        Some(header) => row(&Row { header, fields: fields(text) }, line),
    })
}

fn read_azure(path: &Path) -> Result<Recording> {
    let (mut recording, mut sessions) = (Recording::default(), Vec::new());
    read_rows(path, &mut recording, |row, line| {
        let time = row.text("TIMESTAMP").and_then(iso_ms);
        let sent_ms = Some(time.ok_or_else(|| BadLine::new("TIMESTAMP that is not a time"))?);
        let usage = usage(row.tokens("ContextTokens")?, row.tokens("GeneratedTokens")?);
        let call = Call { usage, sent_ms, sent_is_recorded: true, ..Call::default() };
        sessions.push(RecordedSession::new(key(path, format!("line {line}")), AZURE.name, vec![call]));
        Ok(())
    })?;
    recording.sessions = sessions;
    Ok(recording)
}

fn read_burst(path: &Path) -> Result<Recording> {
    let (mut recording, mut sessions) = (Recording::default(), Vec::<RecordedSession>::new());
    let (mut places, mut failed) = (HashMap::new(), 0);
    read_rows(path, &mut recording, |row, line| {
        let usage = usage(row.tokens("Request tokens")?, row.tokens("Response tokens")?);
        // Requests that failed have no answer.
        if usage.output_tokens == Some(0) {
            failed += 1;
            return Ok(());
        }
        let sent_ms = row.required("Timestamp")? * 1000.0;
        let call = Call {
            model: row.text("Model").map(str::to_owned),
            usage,
            sent_ms: Some(sent_ms),
            sent_is_recorded: true,
            end_ms: row.number("Elapsed time")?.map(|seconds| sent_ms + seconds * 1000.0),
            ..Call::default()
        };
        let name = row.text("Session ID").map(str::to_owned);
        if let Some(place) = name.as_ref().and_then(|name| places.get(name)) {
            let session: &mut RecordedSession = &mut sessions[*place];
            session.calls.push(call);
            return Ok(());
        }
        let label = name.as_ref().map_or_else(|| format!("line {line}"), |name| format!("session {name}"));
        name.map(|name| places.insert(name, sessions.len()));
        sessions.push(RecordedSession::new(key(path, label), BURST.name, vec![call]));
        Ok(())
    })?;
    recording.sessions = sessions;
    recording.leave_out("failed requests (no response tokens)", failed);
    Ok(recording)
}

fn usage(prompt: u64, output: u64) -> Usage {
    Usage { prompt_tokens: Some(prompt), output_tokens: Some(output), ..Usage::default() }
}

#[cfg(test)]
mod tests {
    use super::fields;

    #[test]
    fn quotes_may_hold_commas_and_quotes() {
        assert_eq!(fields("a,\"b,c\", d ,\"e \"\"f\"\"\",\"\""), ["a", "b,c", "d", "e \"f\"", ""]);
        assert_eq!(fields(""), [""]);
    }
}
