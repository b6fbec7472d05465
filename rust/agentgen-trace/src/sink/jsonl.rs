//! Rows of the canonical table as lines of JSON, in Mooncake's keys.

use std::io::Write as _;

use agentgen_core::Layout;
use arrow_array::cast::AsArray as _;
use arrow_array::types::Int8Type;
use arrow_array::types::{Float64Type, Int64Type, UInt32Type};
use arrow_array::{Array as _, BooleanArray, DictionaryArray, Int64Array, LargeListArray, PrimitiveArray};
use arrow_array::{RecordBatch, StringArray, StringViewArray};

use crate::batch::internal;
use crate::error::Result;
use crate::schema::Column;

/// Appends a batch's rows to `out`; the batch must have all columns.
pub fn write(batch: &RecordBatch, layout: Layout, out: &mut Vec<u8>) -> Result<()> {
    let rows = Rows::new(batch)?;
    // Ids dominate: about ten bytes each, and some hundred for the rest of a row.
    out.reserve(rows.ids.values().len() * 10 + batch.num_rows() * 128);
    let mut number = itoa::Buffer::new();
    for row in 0..batch.num_rows() {
        rows.write(row, layout, &mut number, out);
    }
    Ok(())
}

/// The columns of a batch.
struct Rows<'a> {
    session_id: &'a StringViewArray,
    turn_index: &'a [u32],
    group_id: &'a PrimitiveArray<UInt32Type>,
    input_length: &'a [u32],
    context_length: &'a [u32],
    output_length: &'a [u32],
    delay_ms: &'a PrimitiveArray<Float64Type>,
    timestamp_ms: &'a PrimitiveArray<Float64Type>,
    hash_ids: &'a LargeListArray,
    ids: &'a Int64Array,
    is_restart: &'a BooleanArray,
    parent_session_id: &'a StringViewArray,
    end_reason: &'a DictionaryArray<Int8Type>,
    end_reasons: &'a StringArray,
}

impl<'a> Rows<'a> {
    fn new(batch: &'a RecordBatch) -> Result<Self> {
        let column = |column: Column| {
            batch.column_by_name(column.name()).ok_or_else(|| internal(format!("no column {}", column.name())))
        };
        let numbers = |c| Ok::<_, crate::TraceError>(&column(c)?.as_primitive::<UInt32Type>().values()[..]);
        let hash_ids = column(Column::HashIds)?.as_list::<i64>();
        let end_reason = column(Column::EndReason)?.as_dictionary::<Int8Type>();
        Ok(Self {
            session_id: column(Column::SessionId)?.as_string_view(),
            turn_index: numbers(Column::TurnIndex)?,
            group_id: column(Column::GroupId)?.as_primitive(),
            input_length: numbers(Column::InputLength)?,
            context_length: numbers(Column::ContextLength)?,
            output_length: numbers(Column::OutputLength)?,
            delay_ms: column(Column::DelayMs)?.as_primitive(),
            timestamp_ms: column(Column::TimestampMs)?.as_primitive(),
            hash_ids,
            ids: hash_ids.values().as_primitive::<Int64Type>(),
            is_restart: column(Column::IsRestart)?.as_boolean(),
            parent_session_id: column(Column::ParentSessionId)?.as_string_view(),
            end_reason,
            end_reasons: end_reason.values().as_string::<i32>(),
        })
    }

    #[inline]
    fn write(&self, row: usize, layout: Layout, number: &mut itoa::Buffer, out: &mut Vec<u8>) {
        out.push(b'{');
        if self.session_id.is_valid(row) {
            out.extend_from_slice(match layout {
                Layout::Incremental => b"\"session_id\":",
                // Under `session_id` a reader would append whole prompts to each other.
                Layout::Cumulative => b"\"conversation_id\":",
            });
            string(self.session_id.value(row), out);
            out.push(b',');
        }
        let input = match layout {
            Layout::Incremental => self.input_length[row],
            Layout::Cumulative => self.context_length[row],
        };
        out.extend_from_slice(b"\"input_length\":");
        out.extend_from_slice(number.format(input).as_bytes());
        out.extend_from_slice(b",\"output_length\":");
        out.extend_from_slice(number.format(self.output_length[row]).as_bytes());
        out.extend_from_slice(b",\"hash_ids\":[");
        let (start, end) =
            (self.hash_ids.value_offsets()[row] as usize, self.hash_ids.value_offsets()[row + 1] as usize);
        for id in &self.ids.values()[start..end] {
            out.extend_from_slice(number.format(*id).as_bytes());
            out.push(b',');
        }
        if start < end {
            out.pop();
        }
        out.push(b']');
        self.write_time(row, layout, number, out);
        if self.turn_index[row] == 0 {
            self.write_first(row, number, out);
        }
        if let Some(reason) = self.end_reason.key(row) {
            out.extend_from_slice(b",\"end_reason\":");
            string(self.end_reasons.value(reason), out);
        }
        out.extend_from_slice(b"}\n");
    }

    fn write_time(&self, row: usize, layout: Layout, number: &mut itoa::Buffer, out: &mut Vec<u8>) {
        if layout == Layout::Incremental && self.delay_ms.is_valid(row) {
            out.extend_from_slice(b",\"delay\":");
            milliseconds(self.delay_ms.value(row), number, out);
        } else if self.timestamp_ms.is_valid(row) {
            out.extend_from_slice(b",\"timestamp\":");
            milliseconds(self.timestamp_ms.value(row), number, out);
        }
    }

    /// What only a session's first row says.
    fn write_first(&self, row: usize, number: &mut itoa::Buffer, out: &mut Vec<u8>) {
        if self.group_id.is_valid(row) {
            out.extend_from_slice(b",\"group_id\":");
            out.extend_from_slice(number.format(self.group_id.value(row)).as_bytes());
        }
        if self.is_restart.value(row) {
            out.extend_from_slice(b",\"is_restart\":true");
        }
        if self.parent_session_id.is_valid(row) {
            out.extend_from_slice(b",\"parent_session_id\":");
            string(self.parent_session_id.value(row), out);
        }
    }
}

/// Milliseconds with one decimal; with as many as it takes where a foreign trace is finer.
fn milliseconds(value: f64, number: &mut itoa::Buffer, out: &mut Vec<u8>) {
    let tenths = value * 10.0;
    let whole = tenths.round();
    // Dividing back tells whether the value is a number of tenths: exactly what the generator stores.
    if whole / 10.0 == value && (0.0..9e15).contains(&whole) {
        let whole = whole as u64;
        out.extend_from_slice(number.format(whole / 10).as_bytes());
        out.extend_from_slice(&[b'.', b'0' + (whole % 10) as u8]);
    } else {
        // Writing to memory cannot fail.
        let _ = write!(out, "{value}");
    }
}

/// A JSON string; names of our own need no escapes.
fn string(text: &str, out: &mut Vec<u8>) {
    if text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        let _ = serde_json::to_writer(out, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_have_one_decimal_unless_finer() {
        let text = |value| {
            let mut out = Vec::new();
            milliseconds(value, &mut itoa::Buffer::new(), &mut out);
            String::from_utf8(out).expect("digits")
        };
        assert_eq!(text(0.0), "0.0");
        assert_eq!(text(4444.7), "4444.7");
        assert_eq!(text(120_000.0), "120000.0");
        assert_eq!(text(0.25), "0.25");
        for tenths in (0..100_000u64).chain(1_u64 << 52..(1 << 52) + 100) {
            assert_eq!(text(tenths as f64 / 10.0), format!("{}.{}", tenths / 10, tenths % 10));
        }
    }

    #[test]
    fn strings_are_escaped_where_they_must_be() {
        let mut out = Vec::new();
        string("a\"\n\u{e9}", &mut out);
        assert_eq!(out, "\"a\\\"\\n\u{e9}\"".as_bytes());
    }
}
