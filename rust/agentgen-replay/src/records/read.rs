//! Reads record files.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::Record;

/// What could not be read of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadErrors {
    /// Whether the last line is truncated: the worker died while it wrote.
    pub truncated: bool,
    /// Numbers of lines that are not records, from 1.
    pub damaged: Vec<u64>,
}

/// Calls `each` with every record of a file in order; returns what could not be read.
pub fn read<E: From<io::Error>>(path: &Path, mut each: impl FnMut(Record) -> Result<(), E>) -> Result<ReadErrors, E> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
    let (mut line, mut errors) = (Vec::new(), ReadErrors::default());
    for number in 1.. {
        line.clear();
        if file.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.last() != Some(&b'\n') {
            errors.truncated = true;
            break;
        }
        match serde_json::from_slice(&line) {
            Ok(record) => each(record)?,
            Err(_) => errors.damaged.push(number),
        }
    }
    Ok(errors)
}
