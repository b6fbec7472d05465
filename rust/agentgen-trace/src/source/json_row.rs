//! Parses one line of JSONL into a [`Row`].
//!
//! Rows consist almost entirely of arrays of integers, so a fast path reads the usual shape of a row without allocating.
//! Every other line goes to the full reader, [`super::json_full`], which is slower and reports all faults. Both readers
//! agree on every row that the fast path accepts.

mod cursor;

use self::cursor::Cursor;
use super::json_full;
use super::json_key::{Key, MAX_LENGTH, REQUIRED};
use crate::diagnostic::Diagnostic;
use crate::row::{MAX_NAME_BYTES, Row, SessionKey, is_time};

/// Reads one line, without its line end, into `row`, whose buffers are reused. The row is valid if no diagnostic was added;
/// of an invalid row, the valid fields are set.
pub fn parse_row(line: &[u8], row: &mut Row, diagnostics: &mut Vec<Diagnostic>) {
    if parse_fast(line, row).is_none() {
        clear(row);
        row.session_id.clear();
        json_full::parse_full(line, row, diagnostics);
    }
}

/// Clears a row, except for its session name, which the next row often repeats.
fn clear(row: &mut Row) {
    let (session_id, mut hash_ids) = (std::mem::take(&mut row.session_id), std::mem::take(&mut row.hash_ids));
    hash_ids.clear();
    *row = Row { session_id, hash_ids, ..Row::default() };
}

/// The fast path: known keys once each, strings without escapes, integers, decimals without exponent, no required key
/// missing, all values in range, no links. `None` means that the full reader must decide, not that the row is invalid.
pub(super) fn parse_fast(line: &[u8], row: &mut Row) -> Option<()> {
    clear(row);
    let mut cursor = Cursor::new(line);
    let (mut seen, mut usually_next) = (0u32, 0);
    cursor.expect(b'{')?;
    loop {
        let key = cursor.key(usually_next)?;
        if seen & key.bit() != 0 || key.is_of_links() {
            return None;
        }
        (seen, usually_next) = (seen | key.bit(), key as usize + 1);
        cursor.expect(b':')?;
        value(&mut cursor, key, row)?;
        match cursor.delimiter() {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    if row.session_key == SessionKey::None {
        row.session_id.clear();
    }
    let both = Key::Session.bit() | Key::Conversation.bit();
    let complete = REQUIRED.iter().all(|(key, _)| seen & key.bit() != 0) && seen & both != both;
    (complete && cursor.is_at_end()).then_some(())
}

fn value(cursor: &mut Cursor, key: Key, row: &mut Row) -> Option<()> {
    cursor.skip_space();
    match key {
        Key::Session | Key::Conversation => {
            let name = name(cursor)?;
            if name != row.session_id.as_bytes() {
                row.session_id.clear();
                row.session_id.push_str(std::str::from_utf8(name).ok()?);
            }
            row.session_key = if key == Key::Session { SessionKey::Session } else { SessionKey::Conversation };
        }
        Key::InputLength => {
            row.input_length = cursor.integer(MAX_LENGTH)? as u32;
            if row.input_length == 0 {
                return None;
            }
        }
        Key::OutputLength => row.output_length = cursor.integer(MAX_LENGTH)? as u32,
        Key::HashIds => cursor.ids(&mut row.hash_ids)?,
        Key::Timestamp => row.timestamp = Some(cursor.decimal().filter(|ms| is_time(*ms))?),
        Key::Delay => row.delay = Some(cursor.decimal().filter(|ms| is_time(*ms))?),
        Key::GroupId => row.group_id = Some(cursor.integer(u64::from(u32::MAX))? as u32),
        Key::IsRestart => row.is_restart = Some(cursor.boolean()?),
        Key::ParentSession => row.parent_session_id = Some(std::str::from_utf8(name(cursor)?).ok()?.to_owned()),
        Key::EndReason => row.end_reason = Some(std::str::from_utf8(name(cursor)?).ok()?.to_owned()),
        _ => return None,
    }
    Some(())
}

fn name<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    cursor.text().filter(|text| text.len() <= MAX_NAME_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_previous_content_of_a_row_has_no_effect() {
        let sessions = [
            r#""session_id":"a","#,
            r#""session_id":"ab","#,
            r#""session_id":"\t\"","#,
            "\"session_id\":\"\t\",",
            "\"session_id\":\"\t\"\",",
            r#""session_id":"","#,
            r#""conversation_id":"a","#,
            r#""session_id":"a","conversation_id":"a","#,
            "",
        ];
        let lines =
            sessions.map(|session| format!(r#"{{{session}"input_length":5,"output_length":1,"hash_ids":[7]}}"#));
        let parse = |line: &str, mut row: Row| {
            let mut diagnostics = Vec::new();
            parse_row(line.as_bytes(), &mut row, &mut diagnostics);
            (row, diagnostics)
        };
        for before in &lines {
            for line in &lines {
                let (used, _) = parse(before, Row::default());
                assert_eq!(parse(line, used), parse(line, Row::default()), "{line} after {before}");
            }
        }
    }
}
