//! Simulated requests as a Parquet file.

use std::path::Path;
use std::sync::Arc;

use agentgen_trace::Result;
use agentgen_trace::sink::batches::BatchFile;
use arrow_array::builder::{Float64Builder, StringBuilder, UInt32Builder, UInt64Builder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use agentgen_trace::session::Session;

use super::Served;

/// Rows per row group.
const ROWS: usize = 1 << 16;

/// A Parquet file with a row for each request that was sent, in the order in which they ended. Failed requests have null
/// times.
#[derive(Debug)]
pub struct RequestTable {
    file: BatchFile,
    schema: SchemaRef,
    columns: Columns,
    rows: usize,
}

#[derive(Debug, Default)]
struct Columns {
    session_id: StringBuilder,
    session: UInt64Builder,
    turn_index: UInt32Builder,
    replica: UInt32Builder,
    context_length: UInt32Builder,
    output_length: UInt32Builder,
    sent_ms: Float64Builder,
    admitted_ms: Float64Builder,
    prefill_end_ms: Float64Builder,
    end_ms: Float64Builder,
    hit_blocks: UInt32Builder,
    hit_tokens: UInt32Builder,
}

/// The columns: session id (null where the trace names none), number of the session in file order, turn, replica, lengths
/// in tokens, times in ms, and hits.
fn schema() -> SchemaRef {
    let field = |name: &str, kind: DataType, nullable: bool| Field::new(name, kind, nullable);
    Arc::new(Schema::new(vec![
        field("session_id", DataType::Utf8, true),
        field("session", DataType::UInt64, false),
        field("turn_index", DataType::UInt32, false),
        field("replica", DataType::UInt32, false),
        field("context_length", DataType::UInt32, false),
        field("output_length", DataType::UInt32, false),
        field("sent_ms", DataType::Float64, false),
        field("admitted_ms", DataType::Float64, true),
        field("prefill_end_ms", DataType::Float64, true),
        field("end_ms", DataType::Float64, true),
        field("hit_blocks", DataType::UInt32, true),
        field("hit_tokens", DataType::UInt32, true),
    ]))
}

impl RequestTable {
    /// Creates the file; it gets its name `path` when it is complete.
    pub fn create(path: &Path) -> Result<Self> {
        let schema = schema();
        Ok(Self { file: BatchFile::create(path, &schema)?, schema, columns: Columns::default(), rows: 0 })
    }

    /// Adds a request.
    pub fn add(&mut self, session: &Session, served: &Served) -> Result<()> {
        let (columns, service) = (&mut self.columns, served.service);
        columns.session_id.append_option(session.name.as_deref());
        columns.session.append_value(served.session);
        columns.turn_index.append_value(served.turn);
        columns.replica.append_value(served.replica);
        columns.context_length.append_value(served.context_tokens);
        columns.output_length.append_value(served.output_tokens);
        columns.sent_ms.append_value(served.sent_ms);
        columns.admitted_ms.append_option(service.map(|s| s.admitted_ms));
        columns.prefill_end_ms.append_option(service.map(|s| s.prefill_end_ms));
        columns.end_ms.append_option(service.map(|s| s.end_ms));
        columns.hit_blocks.append_option(service.map(|s| s.hit_blocks));
        columns.hit_tokens.append_option(service.map(|s| s.hit_tokens));
        self.rows += 1;
        if self.rows == ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let columns = &mut self.columns;
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(columns.session_id.finish()),
            Arc::new(columns.session.finish()),
            Arc::new(columns.turn_index.finish()),
            Arc::new(columns.replica.finish()),
            Arc::new(columns.context_length.finish()),
            Arc::new(columns.output_length.finish()),
            Arc::new(columns.sent_ms.finish()),
            Arc::new(columns.admitted_ms.finish()),
            Arc::new(columns.prefill_end_ms.finish()),
            Arc::new(columns.end_ms.finish()),
            Arc::new(columns.hit_blocks.finish()),
            Arc::new(columns.hit_tokens.finish()),
        ];
        self.rows = 0;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays).expect("columns match the schema");
        self.file.append(&batch)
    }

    /// Completes the file.
    pub fn finish(mut self) -> Result<()> {
        if self.rows > 0 {
            self.flush()?;
        }
        self.file.finish().map(drop)
    }
}
