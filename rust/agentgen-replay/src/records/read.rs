//! Reading record files.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::Record;

/// What is wrong with a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trouble {
    /// The last line has no end: its worker died while it wrote.
    pub torn: bool,
    /// Numbers of lines that are no records, from 1.
    pub damaged: Vec<u64>,
}

/// Gives each record of a file in order; says what could not be read.
pub fn read<E: From<io::Error>>(path: &Path, mut each: impl FnMut(Record) -> Result<(), E>) -> Result<Trouble, E> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
    let (mut line, mut trouble) = (Vec::new(), Trouble::default());
    for number in 1.. {
        line.clear();
        if file.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.last() != Some(&b'\n') {
            trouble.torn = true;
            break;
        }
        match serde_json::from_slice(&line) {
            Ok(record) => each(record)?,
            Err(_) => trouble.damaged.push(number),
        }
    }
    Ok(trouble)
}
