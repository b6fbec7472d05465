//! Rollouts as a table of 16 columns.

use std::sync::{Arc, LazyLock};

use agentgen_trace::error::{Result, TraceError};
use arrow_array::builder::LargeStringBuilder;
use arrow_array::{ArrayRef, BooleanArray, Int64Array, LargeListArray, LargeStringArray, RecordBatch, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};

use super::model::{Block, Message, Rollout};

fn texts(names: &[&str]) -> Fields {
    names.iter().map(|name| Field::new(*name, DataType::LargeUtf8, true)).collect()
}

fn list_of(fields: &Fields) -> (FieldRef, DataType) {
    let item = Arc::new(Field::new("item", DataType::Struct(fields.clone()), true));
    (Arc::clone(&item), DataType::LargeList(item))
}

/// `json` holds the whole block if it has more than a type and a text.
static BLOCK: LazyLock<Fields> = LazyLock::new(|| texts(&["type", "text", "json"]));

static FUNCTION: LazyLock<Fields> = LazyLock::new(|| texts(&["name", "arguments"]));

static TOOL_CALL: LazyLock<Fields> = LazyLock::new(|| {
    let mut fields = texts(&["id", "type"]).to_vec();
    fields.push(Arc::new(Field::new("function", DataType::Struct(FUNCTION.clone()), true)));
    Fields::from(fields)
});

static MESSAGE: LazyLock<Fields> = LazyLock::new(|| {
    let text = |name: &str| Field::new(name, DataType::LargeUtf8, true);
    Fields::from(vec![
        text("role"),
        Field::new("content", list_of(&BLOCK).1, true),
        text("reasoning_content"),
        Field::new("tool_calls", list_of(&TOOL_CALL).1, true),
        text("tool_call_id"),
    ])
});

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name: &str| Field::new(name, DataType::LargeUtf8, true);
    Arc::new(Schema::new(vec![
        text("trace_id"),
        text("source_kind"),
        text("source_path"),
        text("root_session_id"),
        text("agent_id"),
        Field::new("is_sidechain", DataType::Boolean, true),
        text("cwd"),
        text("project_path"),
        text("git_branch"),
        text("started_at"),
        text("ended_at"),
        Field::new("messages", list_of(&MESSAGE).1, true),
        text("source_meta"),
        Field::new("message_count", DataType::Int64, true),
        Field::new("tool_call_count", DataType::Int64, true),
        text("final_assistant_message"),
    ]))
});

/// The columns.
pub(super) fn schema() -> SchemaRef {
    SCHEMA.clone()
}

/// The rows of some rollouts.
pub(super) fn batch(rollouts: &[Rollout]) -> Result<RecordBatch> {
    let text =
        |of: fn(&Rollout) -> Option<&str>| Arc::new(rollouts.iter().map(of).collect::<LargeStringArray>()) as ArrayRef;
    let number = |of: fn(&Rollout) -> usize| {
        Arc::new(rollouts.iter().map(|rollout| of(rollout) as i64).collect::<Int64Array>()) as ArrayRef
    };
    let json = |rollout: &Rollout| serde_json::to_string(&rollout.source_meta).map_err(TraceError::internal);
    let meta = rollouts.iter().map(json).collect::<Result<Vec<_>>>()?;
    let answers: LargeStringArray = rollouts.iter().map(Rollout::final_answer).collect();
    let columns: Vec<ArrayRef> = vec![
        text(|rollout| Some(&rollout.trace_id)),
        text(|rollout| Some(rollout.source_kind)),
        text(|rollout| Some(&rollout.source_path)),
        text(|rollout| Some(&rollout.root_session_id)),
        text(|rollout| rollout.agent_id.as_deref()),
        Arc::new(rollouts.iter().map(|rollout| Some(rollout.is_sidechain)).collect::<BooleanArray>()),
        text(|rollout| rollout.cwd.as_deref()),
        text(|rollout| rollout.project_path.as_deref()),
        text(|rollout| rollout.git_branch.as_deref()),
        text(|rollout| rollout.started_at.as_deref()),
        text(|rollout| rollout.ended_at.as_deref()),
        messages(rollouts)?,
        Arc::new(LargeStringArray::from(meta)),
        number(|rollout| rollout.messages.len()),
        number(Rollout::tool_call_count),
        Arc::new(answers),
    ];
    RecordBatch::try_new(schema(), columns).map_err(TraceError::internal)
}

fn messages(rollouts: &[Rollout]) -> Result<ArrayRef> {
    let all: Vec<&Message> = rollouts.iter().flat_map(|rollout| &rollout.messages).collect();
    let text = |of: fn(&Message) -> Option<&str>| {
        Arc::new(all.iter().map(|message| of(message)).collect::<LargeStringArray>()) as ArrayRef
    };
    let columns = vec![
        text(|message| Some(message.role)),
        contents(&all)?,
        text(|message| message.reasoning.as_deref()),
        tool_calls(&all)?,
        text(|message| message.tool_call_id.as_deref()),
    ];
    list(&MESSAGE, columns, rollouts.iter().map(|rollout| rollout.messages.len()), None)
}

fn contents(messages: &[&Message]) -> Result<ArrayRef> {
    let [mut kinds, mut texts, mut rest] = [(); 3].map(|()| LargeStringBuilder::new());
    for block in messages.iter().flat_map(|message| &message.content) {
        kinds.append_value(block.kind());
        texts.append_option(block.text());
        rest.append_option(block.has_more().then(|| json(block)).transpose()?);
    }
    let columns = [kinds, texts, rest].map(|mut column| Arc::new(column.finish()) as ArrayRef);
    list(&BLOCK, columns.to_vec(), messages.iter().map(|message| message.content.len()), None)
}

fn json(block: &Block) -> Result<String> {
    serde_json::to_string(&block.0).map_err(TraceError::internal)
}

fn tool_calls(messages: &[&Message]) -> Result<ArrayRef> {
    let calls: Vec<_> = messages.iter().flat_map(|message| &message.tool_calls).collect();
    let text = |of: fn(&super::model::ToolCall) -> &str| {
        Arc::new(calls.iter().map(|call| Some(of(call))).collect::<LargeStringArray>()) as ArrayRef
    };
    let function = structs(&FUNCTION, vec![text(|call| &call.name), text(|call| &call.arguments)])?;
    let columns = vec![text(|call| &call.id), text(|_| "function"), Arc::new(function)];
    // A message without calls has no list.
    let has_calls: NullBuffer = messages.iter().map(|message| !message.tool_calls.is_empty()).collect();
    list(&TOOL_CALL, columns, messages.iter().map(|message| message.tool_calls.len()), Some(has_calls))
}

fn structs(fields: &Fields, columns: Vec<ArrayRef>) -> Result<StructArray> {
    StructArray::try_new(fields.clone(), columns, None).map_err(TraceError::internal)
}

/// Lists of structs with these lengths.
fn list(
    fields: &Fields,
    columns: Vec<ArrayRef>,
    lengths: impl Iterator<Item = usize>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    let values = Arc::new(structs(fields, columns)?);
    let offsets = OffsetBuffer::from_lengths(lengths);
    let lists = LargeListArray::try_new(list_of(fields).0, offsets, values, nulls).map_err(TraceError::internal)?;
    Ok(Arc::new(lists))
}
