//! One line of JSONL as a [`Row`].
//!
//! Rows are almost entirely arrays of integers, so the usual shape of a row is read by hand, without allocating. Whatever
//! is unusual or wrong goes to [`super::json_faults`], which is slow and knows everything; both agree on every row that
//! the first accepts.

mod cursor;

use self::cursor::Cursor;
use super::json_faults;
use super::json_key::{Key, MAX_LENGTH, REQUIRED};
use crate::diagnostic::Diagnostic;
use crate::row::{Row, SessionKey};

/// Reads one line, without its end, into `row`, whose buffers are reused. The row is good if no diagnostic was added; of a
/// faulty row, the fields that are sound are set.
pub fn parse_row(line: &[u8], row: &mut Row, diagnostics: &mut Vec<Diagnostic>) {
    if parse_usual(line, row).is_none() {
        clear(row);
        row.session_id.clear();
        json_faults::parse_any(line, row, diagnostics);
    }
}

/// Empties a row, but for the name of its session, which the next row often repeats.
fn clear(row: &mut Row) {
    let (session_id, mut hash_ids) = (std::mem::take(&mut row.session_id), std::mem::take(&mut row.hash_ids));
    hash_ids.clear();
    *row = Row { session_id, hash_ids, ..Row::default() };
}

/// Reads a row of the usual shape: known keys once each, plain strings, integers, decimals without exponent, nothing
/// missing, everything in range. `None` means "look closer", not "faulty".
pub(super) fn parse_usual(line: &[u8], row: &mut Row) -> Option<()> {
    clear(row);
    let mut cursor = Cursor::new(line);
    let (mut seen, mut usually_next) = (0u16, 0);
    cursor.expect(b'{')?;
    loop {
        let key = cursor.key(usually_next)?;
        if seen & key.bit() != 0 {
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
            let name = cursor.text()?;
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
        Key::Timestamp => row.timestamp = Some(cursor.decimal()?),
        Key::Delay => row.delay = Some(cursor.decimal()?),
        Key::GroupId => row.group_id = Some(cursor.integer(u64::from(u32::MAX))? as u32),
        Key::IsRestart => row.is_restart = Some(cursor.boolean()?),
        Key::ParentSession => row.parent_session_id = Some(std::str::from_utf8(cursor.text()?).ok()?.to_owned()),
        Key::EndReason => row.end_reason = Some(std::str::from_utf8(cursor.text()?).ok()?.to_owned()),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_row_held_before_does_not_show() {
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
