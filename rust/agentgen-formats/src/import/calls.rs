//! `calls.parquet`: one row per model call, with what the source says beyond the canonical table.

use std::sync::{Arc, LazyLock};

use agentgen_trace::error::{Result, TraceError};
use arrow_array::builder::{
    BooleanBuilder, Float64Builder, LargeListBuilder, StringBuilder, StructBuilder, UInt32Builder, UInt64Builder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};

use super::model::{Call, Rewrite, ToolUse, Trigger};
use super::names::Names;
use super::split::Turn;
use super::times::Origins;

static TOOL: LazyLock<Fields> = LazyLock::new(|| {
    Fields::from(vec![
        Field::new("name", DataType::Utf8, true),
        Field::new("wall_ms", DataType::Float64, true),
        Field::new("internal_ms", DataType::Float64, true),
        Field::new("is_error", DataType::Boolean, true),
        Field::new("asks_person", DataType::Boolean, true),
    ])
});

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let tool = Field::new("item", DataType::Struct(TOOL.clone()), true);
    let column = |name: &str, kind: DataType| Field::new(name, kind, true);
    Arc::new(Schema::new(vec![
        column("session_id", DataType::Utf8),
        column("turn_index", DataType::UInt32),
        column("root_session_id", DataType::Utf8),
        column("agent", DataType::Utf8),
        column("agent_depth", DataType::UInt32),
        column("human_turn_index", DataType::UInt32),
        column("trigger", DataType::Utf8),
        column("rewrite", DataType::Utf8),
        column("model", DataType::Utf8),
        column("prompt_tokens", DataType::UInt32),
        column("prompt_quality", DataType::Utf8),
        column("cached_tokens", DataType::UInt64),
        column("cache_written_tokens", DataType::UInt64),
        column("output_tokens", DataType::UInt32),
        column("output_quality", DataType::Utf8),
        column("reasoning_tokens", DataType::UInt64),
        column("input_bytes", DataType::UInt64),
        column("output_bytes", DataType::UInt64),
        column("sent_ms", DataType::Float64),
        column("sent_quality", DataType::Utf8),
        column("first_output_ms", DataType::Float64),
        column("end_ms", DataType::Float64),
        column("wait_before_ms", DataType::Float64),
        column("wait_kind", DataType::Utf8),
        column("human_turn_ms", DataType::Float64),
        column("tools", DataType::LargeList(Arc::new(tool))),
    ]))
});

/// The columns of the table.
pub(crate) fn schema() -> SchemaRef {
    SCHEMA.clone()
}

/// A call beside its turn.
#[derive(Debug)]
pub(crate) struct CallRow<'a> {
    pub session: &'a str,
    pub root: &'a str,
    pub agent: &'a str,
    pub depth: u32,
    pub turn_index: u32,
    pub turn: &'a Turn,
    pub call: &'a Call,
    /// From which its times count.
    pub origins: Origins,
    pub wait_ms: Option<f64>,
    /// The call whose answer came before it in its recorded session.
    pub before: Option<&'a Call>,
    /// Recorded duration of the user's request that it is the first call of.
    pub human_turn_ms: Option<f64>,
}

impl CallRow<'_> {
    /// What the delay before the call waited for. Some tools ask a person: their wait is that person's.
    fn wait_kind(&self) -> Option<&'static str> {
        self.wait_ms?;
        let waits_for = self.call.trigger.and_then(canonical_trigger)?;
        let tools = self.before.map_or(&[][..], |before| &before.tools);
        let longest = tools.iter().max_by(|a, b| a.wall_ms.unwrap_or(0.0).total_cmp(&b.wall_ms.unwrap_or(0.0)));
        let asks_person = self.call.trigger == Some(Trigger::Tool) && longest.is_some_and(|tool| tool.asks_person);
        Some(if asks_person { "human" } else { waits_for })
    }
}

/// Builds a batch of calls.
pub(crate) struct CallTable {
    names: Vec<StringBuilder>,
    numbers: Vec<UInt32Builder>,
    counts: Vec<UInt64Builder>,
    times: Vec<Float64Builder>,
    tools: LargeListBuilder<StructBuilder>,
    rows: usize,
}

impl CallTable {
    pub(crate) fn new() -> Self {
        let count = |kind: &DataType| SCHEMA.fields().iter().filter(|field| field.data_type() == kind).count();
        Self {
            names: (0..count(&DataType::Utf8)).map(|_| StringBuilder::new()).collect(),
            numbers: (0..count(&DataType::UInt32)).map(|_| UInt32Builder::new()).collect(),
            counts: (0..count(&DataType::UInt64)).map(|_| UInt64Builder::new()).collect(),
            times: (0..count(&DataType::Float64)).map(|_| Float64Builder::new()).collect(),
            tools: LargeListBuilder::new(StructBuilder::from_fields(TOOL.clone(), 0)),
            rows: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    pub(crate) fn push(&mut self, row: &CallRow, names: &Names) -> Result<()> {
        let CallRow { turn, call, .. } = row;
        self.rows += 1;
        let lengths = &turn.lengths;
        // In the order of their columns, by type.
        let words = [
            Some(row.session),
            Some(row.root),
            Some(row.agent),
            call.trigger.map(trigger),
            call.rewrite.map(rewrite),
            call.model.as_deref().map(|model| names.model(model)),
            Some(lengths.prompt_quality.name()),
            Some(lengths.output_quality.name()),
            call.sent_ms.map(|_| if call.sent_is_recorded { "recorded" } else { "derived" }),
            row.wait_kind(),
        ];
        for (column, word) in self.names.iter_mut().zip(words) {
            column.append_option(word);
        }
        let numbers = [row.turn_index, row.depth, call.human_turn_index, lengths.prompt, lengths.output];
        for (column, number) in self.numbers.iter_mut().zip(numbers) {
            column.append_value(number);
        }
        let usage = &call.usage;
        let counts = [
            usage.cached_tokens,
            usage.cache_written_tokens,
            usage.reasoning_tokens,
            call.input_bytes,
            call.output_bytes,
        ];
        for (column, count) in self.counts.iter_mut().zip(counts) {
            column.append_option(count);
        }
        let since = |time: Option<f64>| time.and_then(|time| row.origins.since(time));
        let times =
            [since(call.sent_ms), since(call.first_output_ms), since(call.end_ms), row.wait_ms, row.human_turn_ms];
        for (column, time) in self.times.iter_mut().zip(times) {
            column.append_option(time);
        }
        for tool in &call.tools {
            self.tool(tool, names)?;
        }
        self.tools.append(true);
        Ok(())
    }

    fn tool(&mut self, tool: &ToolUse, names: &Names) -> Result<()> {
        fn missing() -> TraceError {
            TraceError::internal("a tool's field of another type")
        }
        let fields = self.tools.values();
        fields.field_builder::<StringBuilder>(0).ok_or_else(missing)?.append_value(names.tool(&tool.name));
        fields.field_builder::<Float64Builder>(1).ok_or_else(missing)?.append_option(tool.wall_ms);
        fields.field_builder::<Float64Builder>(2).ok_or_else(missing)?.append_option(tool.internal_ms);
        fields.field_builder::<BooleanBuilder>(3).ok_or_else(missing)?.append_option(tool.is_error);
        fields.field_builder::<BooleanBuilder>(4).ok_or_else(missing)?.append_value(tool.asks_person);
        fields.append(true);
        Ok(())
    }

    /// The rows so far.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch> {
        self.rows = 0;
        let (mut names, mut numbers) = (self.names.iter_mut(), self.numbers.iter_mut());
        let (mut counts, mut times) = (self.counts.iter_mut(), self.times.iter_mut());
        let tools = self.tools.finish();
        let columns = SCHEMA.fields().iter().map(|field| {
            let column: Option<ArrayRef> = match field.data_type() {
                DataType::Utf8 => names.next().map(|column| Arc::new(column.finish()) as ArrayRef),
                DataType::UInt32 => numbers.next().map(|column| Arc::new(column.finish()) as ArrayRef),
                DataType::UInt64 => counts.next().map(|column| Arc::new(column.finish()) as ArrayRef),
                DataType::Float64 => times.next().map(|column| Arc::new(column.finish()) as ArrayRef),
                _ => Some(Arc::new(tools.clone())),
            };
            column.ok_or_else(|| TraceError::internal("a column without a builder"))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        RecordBatch::try_new(SCHEMA.clone(), columns).map_err(TraceError::internal)
    }
}

fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Human => "human",
        Trigger::Tool => "tool",
        Trigger::Compaction => "compaction",
        Trigger::Notification => "notification",
    }
}

/// The value of the canonical column `trigger`, which only tells people from tools.
pub(crate) fn canonical_trigger(cause: Trigger) -> Option<&'static str> {
    matches!(cause, Trigger::Human | Trigger::Tool).then(|| trigger(cause))
}

fn rewrite(rewrite: Rewrite) -> &'static str {
    match rewrite {
        Rewrite::ManualCompaction => "manual-compaction",
        Rewrite::AutoCompaction => "auto-compaction",
        Rewrite::Clear => "clear",
        Rewrite::Rollback => "rollback",
    }
}
