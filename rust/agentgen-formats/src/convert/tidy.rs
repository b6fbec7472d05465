//! Puts rows of foreign traces into the form that the readers take: the rows of a session one after the other, hash ids as
//! whole numbers from 0.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use agentgen_trace::error::{Result, TraceError};
use agentgen_trace::ordered::Cancel;
use agentgen_trace::source::{Blocks, MAX_LINE_BYTES};
use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use tempfile::TempDir;

/// What is changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tidy {
    /// The rows of a session come where its first row stands. Holds the whole file in memory.
    pub group: bool,
    /// Hash ids become numbers in the order in which they appear, whatever they are: strings, negative, of 64 bits.
    pub renumber_ids: bool,
}

/// A changed copy of a JSONL file of the same name, in a directory that is removed at the end.
#[derive(Debug)]
pub struct Tidied {
    _directory: TempDir,
    path: PathBuf,
    is_grouped: bool,
}

impl Tidied {
    /// The copy.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An error about the copy as one about its source, of which only the order of the rows may differ.
    #[must_use]
    pub fn in_source(&self, error: TraceError, source: &Path) -> TraceError {
        let copy = self.path.display().to_string();
        match error {
            TraceError::Diagnostic(diagnostic) if diagnostic.file_name() == Some(&copy) => {
                let name = if self.is_grouped {
                    format!("{} (grouped)", source.display())
                } else {
                    source.display().to_string()
                };
                diagnostic.in_file(Path::new(&name)).into()
            }
            other => other,
        }
    }
}

/// Copies a JSONL file with changed rows. Lines that are not rows are copied as they are: the reader says what is wrong.
pub fn tidy(source: &Path, tidy: Tidy, cancel: &Cancel) -> Result<Tidied> {
    let directory = tempfile::tempdir().map_err(|error| TraceError::io(source, error))?;
    let name = source.file_name().map_or(Cow::Borrowed("rows"), |name| name.to_string_lossy());
    let name = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(&name);
    let path = directory.path().join(name);
    let failed = |error| TraceError::io(&path, error);
    let mut file = BufWriter::new(File::create(&path).map_err(failed)?);
    let (mut groups, mut ids, mut line) = (Groups::default(), Ids::default(), Vec::new());
    for block in Blocks::open(source, MAX_LINE_BYTES)? {
        cancel.check()?;
        let block = block?;
        for read in block.lines() {
            if let Some((bytes, limit)) = read.too_long {
                return Err(TraceError::io(
                    source,
                    std::io::Error::other(format!("found a line of {bytes} bytes, expected at most {limit}")),
                ));
            }
            line.clear();
            let session = rewrite(read.bytes, tidy.renumber_ids.then_some(&mut ids), &mut line);
            line.push(b'\n');
            if tidy.group {
                groups.add(session, &line);
            } else {
                file.write_all(&line).map_err(failed)?;
            }
        }
    }
    for group in &groups.rows {
        file.write_all(group).map_err(failed)?;
    }
    file.flush().map_err(failed)?;
    Ok(Tidied { _directory: directory, path, is_grouped: tidy.group })
}

/// Rows by session, in the order of the first row of each.
#[derive(Debug, Default)]
struct Groups {
    rows: Vec<Vec<u8>>,
    of_session: HashMap<String, usize>,
}

impl Groups {
    /// Adds a row. One that names no session is a session of its own.
    fn add(&mut self, session: Option<String>, line: &[u8]) {
        let next = self.rows.len();
        let at = session.map_or(next, |session| *self.of_session.entry(session).or_insert(next));
        if at == next {
            self.rows.push(Vec::new());
        }
        self.rows[at].extend_from_slice(line);
    }
}

/// Numbers of hash ids, by their JSON text.
#[derive(Debug, Default)]
struct Ids(HashMap<Box<str>, usize>);

impl Ids {
    /// The number of an id. `7.0` is the id 7.
    fn number(&mut self, id: &str) -> usize {
        let whole = id.split_once('.').filter(|(_, places)| places.bytes().all(|digit| digit == b'0'));
        let id = if id.starts_with('"') { id } else { whole.map_or(id, |(whole, _)| whole) };
        if let Some(number) = self.0.get(id) {
            return *number;
        }
        let number = self.0.len();
        self.0.insert(id.into(), number);
        number
    }

    /// The list with the numbers of its ids; `None` if it is no list.
    fn list(&mut self, list: &str) -> Option<String> {
        let items: Vec<&RawValue> = serde_json::from_str(list).ok()?;
        let numbers: Vec<String> = items.iter().map(|id| self.number(id.get()).to_string()).collect();
        Some(format!("[{}]", numbers.join(",")))
    }
}

/// Writes a row, with numbered ids if `ids` numbers them; returns the name of its session as JSON text.
fn rewrite(row: &[u8], ids: Option<&mut Ids>, line: &mut Vec<u8>) -> Option<String> {
    let text = std::str::from_utf8(row).ok();
    let Some(fields) = text.and_then(|text| serde_json::Deserializer::from_str(text).deserialize_map(Fields).ok())
    else {
        line.extend_from_slice(row);
        return None;
    };
    let named = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.get().to_owned());
    let session = named("session_id").or_else(|| named("conversation_id"));
    let Some(ids) = ids else {
        line.extend_from_slice(row);
        return session;
    };
    for (at, (key, value)) in fields.iter().enumerate() {
        line.push(if at == 0 { b'{' } else { b',' });
        line.extend_from_slice(serde_json::Value::from(key.as_str()).to_string().as_bytes());
        line.push(b':');
        let numbered = if key == "hash_ids" { ids.list(value.get()) } else { None };
        line.extend_from_slice(numbered.as_deref().unwrap_or(value.get()).as_bytes());
    }
    line.extend_from_slice(if fields.is_empty() { b"{}" } else { b"}" });
    session
}

/// The members of an object in order.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(member) = map.next_entry()? {
            fields.push(member);
        }
        Ok(fields)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tidied(text: &str, changes: Tidy) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.jsonl");
        std::fs::write(&path, text).unwrap();
        std::fs::read_to_string(tidy(&path, changes, &Cancel::default()).unwrap().path()).unwrap()
    }

    #[test]
    fn rows_of_a_session_come_where_its_first_row_stands() {
        let text = "{\"session_id\": \"a\", \"n\": 1}\n{\"session_id\": \"b\"}\n{\"n\": 2}\n{\"n\": 3}\nodd\n\
                    {\"session_id\": \"a\", \"n\": 4}";
        let expected = "{\"session_id\": \"a\", \"n\": 1}\n{\"session_id\": \"a\", \"n\": 4}\n{\"session_id\": \"b\"}\n\
                        {\"n\": 2}\n{\"n\": 3}\nodd\n";
        assert_eq!(tidied(text, Tidy { group: true, ..Tidy::default() }), expected);
    }

    #[test]
    fn ids_are_numbered_in_the_order_in_which_they_appear() {
        let text = "{\"hash_ids\": [\"9\", 9, -3, 18446744073709551615], \"x\": 1.50}\n{\"hash_ids\": [9.0, 9.5, \"9\"]}\n\
                    {\"hash_ids\": 7}\n";
        let expected = "{\"hash_ids\":[0,1,2,3],\"x\":1.50}\n{\"hash_ids\":[1,4,0]}\n{\"hash_ids\":7}\n";
        assert_eq!(tidied(text, Tidy { renumber_ids: true, ..Tidy::default() }), expected);
    }
}
