//! Figures of an imported run, from its `calls.parquet`.

use std::collections::HashMap;
use std::path::Path;

use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::error::{Result, TraceError};
use agentgen_trace::run_directory::CALLS;
use agentgen_trace::source::ColumnBatches;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, StructArray};

use super::report::{Collector, OneStep, OneTool, OneTrace, ToolTimes};
use crate::import::time::elapsed;

const COLUMNS: [&str; 8] =
    ["root_session_id", "model", "prompt_tokens", "output_tokens", "reasoning_tokens", "sent_ms", "end_ms", "tools"];

/// `None` for a directory without calls, or whose tools have no times.
pub(super) fn report(directory: &Path) -> Result<Option<ToolTimes>> {
    let path = directory.join(CALLS);
    if !path.is_file() {
        return Ok(None);
    }
    let mut traces = Traces::default();
    for batch in ColumnBatches::open(&path, &COLUMNS)? {
        traces.add(&batch.map_err(|e| e.in_file(&path))?).ok_or_else(|| other_table(&path))?;
    }
    let has_times = traces.found.iter().flat_map(|trace| &trace.tools).any(|tool| tool.ms.is_some());
    let mut collector = Collector::new("tokens");
    for trace in traces.found {
        collector.add(trace);
    }
    Ok(has_times.then(|| collector.finish(Vec::new())))
}

fn other_table(path: &Path) -> TraceError {
    Diagnostic::unnamed("columns of another table", "those of an import's calls").in_file(path).into()
}

/// The root sessions so far.
#[derive(Default)]
struct Traces {
    found: Vec<OneTrace>,
    by_root: HashMap<String, usize>,
}

impl Traces {
    /// `None` if a column is missing or of another type.
    fn add(&mut self, batch: &RecordBatch) -> Option<()> {
        let column = |name: &str| batch.column_by_name(name);
        let roots = column("root_session_id")?.as_string_opt::<i32>()?;
        let models = column("model")?.as_string_opt::<i32>()?;
        let prompts = column("prompt_tokens")?.as_primitive_opt::<UInt32Type>()?;
        let outputs = column("output_tokens")?.as_primitive_opt::<UInt32Type>()?;
        let reasoning = column("reasoning_tokens")?.as_primitive_opt::<UInt64Type>()?;
        let (sent, end) = (floats(column("sent_ms")?)?, floats(column("end_ms")?)?);
        let tools = column("tools")?.as_list_opt::<i64>()?;
        for row in 0..batch.num_rows() {
            let root = roots.value(row);
            let index = *self.by_root.entry(root.to_owned()).or_insert_with(|| {
                let model = models.is_valid(row).then(|| models.value(row).to_owned());
                self.found.push(OneTrace { model, ..OneTrace::default() });
                self.found.len() - 1
            });
            let trace = &mut self.found[index];
            trace.steps.push(OneStep {
                input_tokens: prompts.is_valid(row).then(|| f64::from(prompts.value(row))),
                output_tokens: outputs.is_valid(row).then(|| f64::from(outputs.value(row))),
                reasoning: reasoning.is_valid(row).then(|| reasoning.value(row) as f64).filter(|tokens| *tokens > 0.0),
            });
            if let Some(ms) = elapsed(at(sent, row), at(end, row)) {
                *trace.model_ms.get_or_insert(0.0) += ms;
            }
            if tools.is_valid(row) {
                add_tools(trace, tools.value(row).as_struct_opt()?)?;
            }
        }
        Some(())
    }
}

/// The tools of a call run side by side: the longest counts. A tool that asks a person takes that person's time.
fn add_tools(trace: &mut OneTrace, tools: &StructArray) -> Option<()> {
    let names = tools.column_by_name("name")?.as_string_opt::<i32>()?;
    let (wall, internal) = (floats(tools.column_by_name("wall_ms")?)?, floats(tools.column_by_name("internal_ms")?)?);
    let errors = tools.column_by_name("is_error")?.as_boolean_opt()?;
    let people = tools.column_by_name("asks_person")?.as_boolean_opt()?;
    let mut longest = 0.0_f64;
    for index in 0..tools.len() {
        if people.is_valid(index) && people.value(index) {
            continue;
        }
        let ms = at(wall, index).or_else(|| at(internal, index));
        longest = longest.max(ms.unwrap_or(0.0));
        trace.tools.push(OneTool {
            name: names.value(index).to_owned(),
            ms,
            is_error: errors.is_valid(index) && errors.value(index),
            ..OneTool::default()
        });
    }
    trace.tools_ms += longest;
    Some(())
}

type Floats = arrow_array::PrimitiveArray<Float64Type>;

fn floats(column: &ArrayRef) -> Option<&Floats> {
    column.as_primitive_opt::<Float64Type>()
}

fn at(values: &Floats, row: usize) -> Option<f64> {
    values.is_valid(row).then(|| values.value(row))
}
