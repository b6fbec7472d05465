//! The spans and steps of `AgentTrace` as tables.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use agentgen_trace::error::{Result, TraceError};
use agentgen_trace::ordered::stream;
use arrow_array::builder::{Float64Builder, Int64Builder, LargeStringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::literal::arguments;
use crate::import::formats::agenttrace::row::{Span, Step, Trace, read_traces};
use crate::import::formats::values::tokens;
use crate::import::model::Recording;

/// Rows of a batch.
const BATCH_ROWS: usize = 4096;

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// Tool calls that ran.
    Spans,
    /// Model calls.
    Steps,
}

const TEXT: DataType = DataType::LargeUtf8;
const WHOLE: DataType = DataType::Int64;
const REAL: DataType = DataType::Float64;

const SPANS: [(&str, DataType); 19] = [
    ("trace_id", TEXT),
    ("model", TEXT),
    ("dataset_name", TEXT),
    ("span_index", WHOLE),
    ("step_number", WHOLE),
    ("span_id", TEXT),
    ("tool_name", TEXT),
    ("tool_input", TEXT),
    ("arguments", TEXT),
    ("tool_output", TEXT),
    ("exit_code", WHOLE),
    ("start_ns", WHOLE),
    ("end_ns", WHOLE),
    ("duration_ms", REAL),
    ("user_time_s", REAL),
    ("system_time_s", REAL),
    ("max_rss_bytes", REAL),
    ("read_bytes", REAL),
    ("write_bytes", REAL),
];

const STEPS: [(&str, DataType); 11] = [
    ("trace_id", TEXT),
    ("model", TEXT),
    ("dataset_name", TEXT),
    ("step_number", WHOLE),
    ("step_id", TEXT),
    ("model_output", TEXT),
    ("reasoning_content", TEXT),
    ("tool_calls", TEXT),
    ("input_tokens", WHOLE),
    ("output_tokens", WHOLE),
    ("duration_ms", REAL),
];

impl Frame {
    /// Its columns.
    #[must_use]
    pub fn schema(self) -> SchemaRef {
        let columns: &[(&str, DataType)] = if self == Self::Spans { &SPANS } else { &STEPS };
        let fields: Vec<_> = columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect();
        Arc::new(Schema::new(fields))
    }
}

/// The rows of a table, in batches.
pub fn frame(paths: Vec<PathBuf>, frame: Frame) -> impl Iterator<Item = Result<RecordBatch>> + Send {
    stream(1, move |emit| {
        let mut table = Table::new(frame);
        for path in &paths {
            read(path, &mut table, emit)?;
        }
        if table.rows > 0 { emit(table.finish()?) } else { Ok(()) }
    })
}

fn read(path: &Path, table: &mut Table, emit: &mut dyn FnMut(RecordBatch) -> Result<()>) -> Result<()> {
    let mut failed = None;
    // What cannot be read is told by the figures.
    read_traces(path, &mut Recording::default(), |trace| {
        table.add(&trace);
        if table.rows >= BATCH_ROWS && failed.is_none() {
            failed = table.finish().and_then(&mut *emit).err();
        }
    })?;
    failed.map_or(Ok(()), Err)
}

enum Column {
    Text(LargeStringBuilder),
    Whole(Int64Builder),
    Real(Float64Builder),
}

/// A value of a row.
enum Cell<'a> {
    Text(Option<&'a str>),
    Whole(Option<i64>),
    Real(Option<f64>),
}

struct Table {
    frame: Frame,
    columns: Vec<Column>,
    rows: usize,
}

impl Table {
    fn new(frame: Frame) -> Self {
        let schema = frame.schema();
        let columns = schema.fields().iter().map(|field| match field.data_type() {
            DataType::Int64 => Column::Whole(Int64Builder::new()),
            DataType::Float64 => Column::Real(Float64Builder::new()),
            _ => Column::Text(LargeStringBuilder::new()),
        });
        Self { frame, columns: columns.collect(), rows: 0 }
    }

    fn add(&mut self, trace: &Trace) {
        let id = trace.id.to_string();
        let dataset = trace.metadata.as_ref().and_then(|metadata| metadata.dataset_name.as_deref());
        let about = [Some(&*id), trace.model.as_deref(), trace.dataset_name.as_deref().or(dataset)];
        match self.frame {
            Frame::Spans => {
                let steps = steps_of(trace);
                for (index, span) in trace.spans.iter().enumerate() {
                    let input = span.tool_input.as_deref().and_then(arguments).map(|value| value.to_string());
                    self.push(about, span_cells(index, steps[index], span, input.as_deref()));
                }
            }
            Frame::Steps => {
                for step in &trace.llm_steps {
                    let calls = step.tool_calls.as_ref().map(|calls| {
                        let calls = calls
                            .iter()
                            .map(|call| serde_json::json!({"name": call.name, "arguments": call.arguments}));
                        calls.collect::<serde_json::Value>().to_string()
                    });
                    self.push(about, step_cells(step, calls.as_deref()));
                }
            }
        }
    }

    fn push<const N: usize>(&mut self, about: [Option<&str>; 3], cells: [Cell; N]) {
        let cells = about.into_iter().map(Cell::Text).chain(cells);
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            match (column, cell) {
                (Column::Text(column), Cell::Text(text)) => column.append_option(text),
                (Column::Whole(column), Cell::Whole(number)) => column.append_option(number),
                (Column::Real(column), Cell::Real(number)) => column.append_option(number),
                (Column::Text(column), _) => column.append_null(),
                (Column::Whole(column), _) => column.append_null(),
                (Column::Real(column), _) => column.append_null(),
            }
        }
        self.rows += 1;
    }

    fn finish(&mut self) -> Result<RecordBatch> {
        self.rows = 0;
        let columns = self.columns.iter_mut().map(|column| match column {
            Column::Text(column) => Arc::new(column.finish()) as ArrayRef,
            Column::Whole(column) => Arc::new(column.finish()),
            Column::Real(column) => Arc::new(column.finish()),
        });
        RecordBatch::try_new(self.frame.schema(), columns.collect()).map_err(TraceError::internal)
    }
}

/// The number of the step that called each span, by the names of tools in order.
fn steps_of(trace: &Trace) -> Vec<Option<i64>> {
    let mut numbers = vec![None; trace.spans.len()];
    let mut rest = trace.spans.as_slice();
    for step in &trace.llm_steps {
        for span in step.join(&mut rest).into_iter().flatten() {
            if let Some(at) = trace.spans.iter().position(|other| std::ptr::eq(other, span)) {
                numbers[at] = step.number;
            }
        }
    }
    numbers
}

fn span_cells<'a>(index: usize, step: Option<i64>, span: &'a Span, input: Option<&'a str>) -> [Cell<'a>; 16] {
    let used = span.telemetry.as_ref();
    let ns = |time: Option<f64>| Cell::Whole(time.map(|time| time as i64));
    [
        Cell::Whole(Some(index as i64)),
        Cell::Whole(step),
        Cell::Text(span.id.as_deref()),
        Cell::Text(span.tool_name.as_deref()),
        Cell::Text(span.tool_input.as_deref()),
        Cell::Text(input),
        Cell::Text(span.tool_output.as_deref()),
        Cell::Whole(span.exit_code),
        ns(span.start_ns),
        ns(span.end_ns),
        Cell::Real(span.ms()),
        Cell::Real(used.and_then(|used| used.user_time_s)),
        Cell::Real(used.and_then(|used| used.system_time_s)),
        Cell::Real(used.and_then(|used| used.max_rss_bytes)),
        Cell::Real(used.and_then(|used| used.read_bytes)),
        Cell::Real(used.and_then(|used| used.write_bytes)),
    ]
}

fn step_cells<'a>(step: &'a Step, calls: Option<&'a str>) -> [Cell<'a>; 8] {
    let count = |field| Cell::Whole(tokens(field).map(|count| count as i64));
    [
        Cell::Whole(step.number),
        Cell::Text(step.id.as_deref()),
        Cell::Text(step.model_output.as_deref()),
        Cell::Text(step.reasoning_content.as_deref()),
        Cell::Text(calls),
        count(step.input_tokens),
        count(step.output_tokens),
        Cell::Real(step.duration_ms),
    ]
}
