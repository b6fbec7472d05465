//! Writes `requests.parquet`, the table of all requests.

use std::path::Path;
use std::sync::Arc;

use agentgen_trace::Result;
use agentgen_trace::sink::file::PartialFile;
use agentgen_trace::sink::parquet::parquet_error;
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::run::{Run, Sent};
use crate::records::{Measured, Phase};

/// Name of the table in a run directory.
pub const REQUESTS: &str = "requests.parquet";
/// Rows encoded at once.
const BATCH_ROWS: usize = 1 << 14;

/// A request with all that is known of it.
struct Row {
    /// With its texts and gaps.
    sent: Sent,
    predicted: Option<u64>,
}

/// Type and value of a column.
#[derive(Clone, Copy)]
enum Fill {
    Count(fn(&Row) -> Option<u64>),
    Stamp(fn(&Row) -> Option<i64>),
    Time(fn(&Row) -> Option<f64>),
    Text(fn(&Row) -> Option<&str>),
}
use Fill::{Count, Stamp, Text, Time};

fn answer(row: &Row) -> Option<&Measured> {
    row.sent.answer.as_ref()
}

/// Name, unit (empty without one), description and value of each column.
const COLUMNS: &[(&str, &str, &str, Fill)] = &[
    ("worker", "", "number of the worker process", Count(|row| Some(row.sent.worker.into()))),
    ("session", "", "number of the session in the trace, from 0", Count(|row| Some(row.sent.session))),
    ("session_key", "", "name of the session in HTTP headers", Text(|row| Some(&row.sent.record.key))),
    ("turn", "", "turn of the request in its session, from 0", Count(|row| Some(row.sent.turn.into()))),
    ("phase", "", "warmup or run", Text(|row| Some(phase(row.sent.phase)))),
    ("url", "", "index of the server", Count(|row| Some(row.sent.url.into()))),
    ("outcome", "", "ok, or the class of the failure", Text(|row| Some(row.sent.outcome.name()))),
    ("status", "", "HTTP status; null without one", Count(|row| Some(row.sent.status.into()).filter(|&s| s > 0))),
    ("retries", "", "number of retries", Count(|row| Some(row.sent.retries.into()))),
    ("message", "", "error in one line", Text(|row| Some(&*row.sent.message).filter(|text| !text.is_empty()))),
    ("finish_reason", "", "why the server stopped generating", Text(|row| answer(row)?.finish_reason.as_deref())),
    (
        "scheduled_ns",
        "ns",
        "scheduled time: actual end of the response before, plus the delay",
        Stamp(|row| Some(row.sent.scheduled_ns)),
    ),
    (
        "intended_ns",
        "ns",
        "intended time: intended end of the response before, plus the delay",
        Stamp(|row| Some(row.sent.intended_ns)),
    ),
    ("sent_ns", "ns", "when it was last sent", Stamp(|row| row.sent.sent_ns)),
    ("first_byte_ns", "ns", "first byte of the answer's body", Stamp(|row| answer(row)?.first_byte_ns)),
    ("first_token_ns", "ns", "first text, reasoning or tool call", Stamp(|row| answer(row)?.first_token_ns)),
    ("first_answer_ns", "ns", "first text or tool call", Stamp(|row| answer(row)?.first_answer_ns)),
    ("last_token_ns", "ns", "last text, reasoning or tool call", Stamp(|row| answer(row)?.last_token_ns)),
    ("last_byte_ns", "ns", "last byte of the answer's body", Stamp(|row| answer(row)?.last_byte_ns)),
    ("context_tokens", "tokens", "prompt, as planned", Count(|row| Some(row.sent.context_tokens))),
    ("input_tokens", "tokens", "new tokens of the prompt, as planned", Count(|row| Some(row.sent.input_tokens))),
    ("output_tokens", "tokens", "output, as planned", Count(|row| Some(row.sent.output_tokens))),
    (
        "reported_prompt_tokens",
        "tokens",
        "prompt, as the server reports it",
        Count(|row| row.sent.measured().prompt_tokens),
    ),
    (
        "reported_output_tokens",
        "tokens",
        "output, as the server reports it",
        Count(|row| row.sent.measured().completion_tokens),
    ),
    (
        "reported_cached_tokens",
        "tokens",
        "cached tokens, as the server reports them",
        Count(|row| row.sent.measured().cached_tokens),
    ),
    ("predicted_cached_tokens", "tokens", "cached tokens of an infinite cache", Count(|row| row.predicted)),
    ("reads", "", "network reads of the body", Count(|row| Some(answer(row)?.reads))),
    ("events", "", "events that were parsed", Count(|row| Some(answer(row)?.events))),
    ("output_events", "", "events that brought output", Count(|row| Some(answer(row)?.output_events))),
    ("malformed_events", "", "events that could not be parsed", Count(|row| Some(answer(row)?.malformed_events))),
    ("gaps", "", "number of gaps between reads that brought output", Count(|row| Some(answer(row)?.gaps.count()))),
    ("gap_sum_ns", "ns", "their sum", Count(|row| Some(answer(row)?.gaps.sum()))),
    ("gap_max_ns", "ns", "the longest", Count(|row| Some(answer(row)?.gaps.range()?.1))),
    ("ttft_ms", "ms", "first_token - sent", Time(|row| row.sent.ttft_ms())),
    ("ttfa_ms", "ms", "first_answer - sent", Time(|row| row.sent.ttfa_ms())),
    ("tpot_ms", "ms", "(last_token - first_token) / (output tokens - 1)", Time(|row| row.sent.tpot_ms())),
    ("e2e_ms", "ms", "last_byte - sent", Time(|row| row.sent.e2e_ms())),
    ("lag_ms", "ms", "sent - scheduled; null of retries", Time(|row| row.sent.lag_ms())),
    ("intended_lag_ms", "ms", "sent - intended; null of retries", Time(|row| row.sent.intended_lag_ms())),
];

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Warmup => "warmup",
        Phase::Run => "run",
    }
}

fn schema() -> SchemaRef {
    let field = |&(name, unit, what, fill): &(&str, &str, &str, Fill)| {
        let kind = match fill {
            Count(_) => DataType::UInt64,
            Stamp(_) => DataType::Int64,
            Time(_) => DataType::Float64,
            Text(_) => DataType::Utf8,
        };
        let metadata = [("unit", unit), ("description", what)].map(|(name, text)| (name.to_owned(), text.to_owned()));
        Field::new(name, kind, true).with_metadata(metadata.into())
    };
    Arc::new(Schema::new(COLUMNS.iter().map(field).collect::<Vec<_>>()))
}

/// Writes the table into a directory, under its name once it is complete.
pub fn write_requests(run: &Run, predicted: Option<&[Option<u64>]>, directory: &Path) -> Result<()> {
    let path = directory.join(REQUESTS);
    let schema = schema();
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let broken = |error| parquet_error(&path, error);
    let mut writer =
        ArrowWriter::try_new(PartialFile::create(&path)?, Arc::clone(&schema), Some(properties)).map_err(broken)?;
    let (mut rows, mut at) = (Vec::with_capacity(BATCH_ROWS), 0);
    let mut write = |rows: &mut Vec<Row>| writer.write(&batch(&schema, rows)).map(|()| rows.clear()).map_err(broken);
    run.reread(|worker, record| {
        let key = run.requests.get(at).map_or(0, |sent| sent.key);
        let sent = Sent { worker, key, record };
        rows.push(Row { sent, predicted: predicted.and_then(|all| all.get(at).copied().flatten()) });
        at += 1;
        if rows.len() == BATCH_ROWS { write(&mut rows) } else { Ok(()) }
    })?;
    write(&mut rows)?;
    writer.into_inner().map_err(broken)?.seal()?.publish().map(drop)
}

fn batch(schema: &SchemaRef, rows: &[Row]) -> RecordBatch {
    let columns = COLUMNS.iter().map(|(.., fill)| -> ArrayRef {
        match fill {
            Count(of) => Arc::new(rows.iter().map(of).collect::<UInt64Array>()),
            Stamp(of) => Arc::new(rows.iter().map(of).collect::<Int64Array>()),
            Time(of) => Arc::new(rows.iter().map(of).collect::<Float64Array>()),
            Text(of) => Arc::new(rows.iter().map(of).collect::<StringArray>()),
        }
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect()).expect("columns are made for the schema")
}
