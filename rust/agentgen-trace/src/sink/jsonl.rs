//! Rows of the canonical table as lines of JSON, in Mooncake's keys.

use std::io::Write as _;

use agentgen_core::Layout;
use arrow_array::cast::AsArray as _;
use arrow_array::types::Int8Type;
use arrow_array::types::{Float64Type, Int64Type, UInt32Type};
use arrow_array::{Array as _, BooleanArray, DictionaryArray, Int64Array, LargeListArray, PrimitiveArray};
use arrow_array::{RecordBatch, StringArray, StringViewArray};

use crate::error::Result;
use crate::links::LinkArrays;
use crate::row::RowLinks;
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
    links: Option<LinkArrays<'a>>,
}

/// Writes the fields of links that are not null; those of the session only on its first row.
fn write_links(links: &RowLinks, is_first: bool, number: &mut itoa::Buffer, out: &mut Vec<u8>) {
    let mut name = |key: &[u8], value: &Option<String>| {
        if let Some(value) = value {
            out.extend_from_slice(key);
            string(value, out);
        }
    };
    if is_first {
        name(b",\"link\":", &links.link);
        name(b",\"root_session_id\":", &links.root_session_id);
        name(b",\"agent\":", &links.agent);
        name(b",\"break_kind\":", &links.break_kind);
    }
    name(b",\"trigger\":", &links.trigger);
    let mut length = |key: &[u8], value: Option<u32>| {
        if let Some(value) = value {
            out.extend_from_slice(key);
            out.extend_from_slice(number.format(value).as_bytes());
        }
    };
    if is_first {
        length(b",\"parent_turn\":", links.parent_turn);
        length(b",\"join_turn\":", links.join_turn);
        length(b",\"kept_length\":", links.kept_length);
    }
    length(b",\"returned_length\":", links.returned_length);
}

impl<'a> Rows<'a> {
    fn new(batch: &'a RecordBatch) -> Result<Self> {
        let column = |column: Column| column.required(batch);
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
            links: LinkArrays::of(batch)?,
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
        ids(&self.ids.values()[start..end], number, out);
        out.push(b']');
        self.write_time(row, layout, number, out);
        let is_first = self.turn_index[row] == 0;
        if is_first {
            self.write_first(row, number, out);
        }
        if let Some(links) = &self.links {
            write_links(&links.row(row), is_first, number, out);
        }
        if let Some(reason) = self.end_reason.key(row) {
            out.extend_from_slice(b",\"end_reason\":");
            string(self.end_reasons.value(reason), out);
        }
        out.extend_from_slice(b"}\n");
    }

    fn write_time(&self, row: usize, layout: Layout, number: &mut itoa::Buffer, out: &mut Vec<u8>) {
        let is_first = self.turn_index[row] == 0;
        if is_first && self.delay_ms.is_valid(row) {
            // A first row's `delay` would be read as the time after a turn before it.
            out.extend_from_slice(b",\"start_delay\":");
            milliseconds(self.delay_ms.value(row), number, out);
        }
        if layout == Layout::Incremental && !is_first && self.delay_ms.is_valid(row) {
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

/// Ids with commas between them. Most ids are one more than the one before: but for every tenth, their text differs in
/// the last digit alone, so that counting it up in the text before is all it takes.
pub fn ids(ids: &[i64], number: &mut itoa::Buffer, out: &mut Vec<u8>) {
    const WORD: usize = 16;
    // With their comma these fit in a word.
    let short = 0..1_000_000_000_000_000;
    for run in ids.chunk_by(|id, next| short.contains(id) && id + 1 == *next && next % 10 != 0) {
        let start = out.len();
        out.extend_from_slice(number.format(run[0]).as_bytes());
        out.push(b',');
        if run.len() > 1 {
            let len = out.len() - start;
            let mut word = [0; WORD];
            word[..len].copy_from_slice(&out[start..]);
            // The first digit in the lowest byte.
            let (mut text, one) = (u128::from_le_bytes(word), 1 << (8 * (len - 2)));
            for _ in &run[1..] {
                text += one;
                // Bytes of a fixed number are stored, not copied by a call; those that are too many go again.
                out.extend_from_slice(&text.to_le_bytes());
                out.truncate(out.len() - (WORD - len));
            }
        }
    }
    if !ids.is_empty() {
        out.pop();
    }
}

/// Milliseconds with one decimal; with as many as it takes where a foreign trace is finer.
pub fn milliseconds(value: f64, number: &mut itoa::Buffer, out: &mut Vec<u8>) {
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
pub fn string(text: &str, out: &mut Vec<u8>) {
    let is_special = |b: u8| u8::from(!matches!(b, b' '..=b'~') || matches!(b, b'"' | b'\\'));
    // A search for the first special byte could end early, and so would not be vectorised.
    if text.bytes().map(is_special).fold(0, u8::max) == 0 {
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
    fn ids_are_written_as_they_are() {
        let carries = [0i64, 9, 99, 999, 1_000, 123_456_789, 999_999_999_999_999, (1 << 53) - 1, i64::MAX - 20];
        let counted = carries.into_iter().flat_map(|id| id - 12..id + 12);
        let odd = [7, 7, 6, 8, 9, 10, 100, 101, 1_002, i64::MAX, i64::MIN, -1, 0, 1];
        let written: Vec<i64> = counted.chain(odd).collect();
        for ids_of_row in [&written[..], &written[..1], &[]].into_iter().chain(written.windows(2)) {
            let mut out = b"[".to_vec();
            ids(ids_of_row, &mut itoa::Buffer::new(), &mut out);
            out.push(b']');
            assert_eq!(String::from_utf8(out).expect("digits"), format!("{ids_of_row:?}").replace(' ', ""));
        }
    }

    #[test]
    fn strings_are_escaped_where_they_must_be() {
        let mut out = Vec::new();
        string("a\"\n\u{e9}", &mut out);
        assert_eq!(out, "\"a\\\"\\n\u{e9}\"".as_bytes());
    }
}
