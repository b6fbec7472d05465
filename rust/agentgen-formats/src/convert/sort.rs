//! Sorts rows by time.

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, RecordBatch};
use arrow_select::interleave::interleave_record_batch;

use super::Batches;
use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::error::{Result, TraceError};
use agentgen_trace::meta::{Layout, TraceMeta};
use agentgen_trace::schema::Column;
use agentgen_trace::source::columns::{BATCH_IDS, BATCH_ROWS};

/// Sorts the rows of a cumulative trace by timestamp; rows with equal times keep their order. Memory holds the whole table.
pub fn sort(meta: &TraceMeta, batches: Batches) -> Result<Batches> {
    if meta.layout == Layout::Incremental {
        let expected = "a cumulative trace (incremental rows depend on the earlier rows of their session)";
        let diagnostic = Diagnostic::unnamed("an incremental trace", expected);
        return Err(diagnostic.with_help("also convert it to the cumulative layout").into());
    }
    let batches: Vec<RecordBatch> = batches.collect::<Result<_>>()?;
    let mut order: Vec<(f64, usize, usize)> = Vec::new();
    for (number, batch) in batches.iter().enumerate() {
        let column =
            batch.column_by_name(Column::TimestampMs.name()).ok_or_else(|| TraceError::internal("no timestamp_ms"))?;
        let times = column.as_primitive::<Float64Type>();
        if times.null_count() > 0 {
            let row = order.len() + (0..times.len()).find(|i| times.is_null(*i)).unwrap_or(0) + 1;
            let diagnostic = Diagnostic::unnamed("no timestamp", "a timestamp on every row");
            return Err(diagnostic.with_field("timestamp").on_line(row as u64).into());
        }
        order.extend(times.values().iter().enumerate().map(|(row, time)| (*time, number, row)));
    }
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ids: i64 = batches.iter().map(ids_of).sum();
    // Rows that hold, on average, the maximum ids of a batch.
    let rows = BATCH_IDS / (ids as usize / order.len().max(1)).max(1);
    let rows = rows.clamp(1, BATCH_ROWS);
    let mut order = order.into_iter().map(|(_, number, row)| (number, row));
    Ok(Box::new(std::iter::from_fn(move || {
        let indices: Vec<(usize, usize)> = order.by_ref().take(rows).collect();
        let all: Vec<&RecordBatch> = batches.iter().collect();
        (!indices.is_empty()).then(|| interleave_record_batch(&all, &indices).map_err(TraceError::internal))
    })))
}

fn ids_of(batch: &RecordBatch) -> i64 {
    batch.column_by_name(Column::HashIds.name()).map_or(0, |lists| {
        let offsets = lists.as_list::<i64>().value_offsets();
        offsets[offsets.len() - 1] - offsets[0]
    })
}
