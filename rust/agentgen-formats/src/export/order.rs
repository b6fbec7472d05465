//! Sorts records by time in bounded memory: sorted parts go to temporary files, and are merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use agentgen_trace::error::{Result, TraceError};

use super::record::Records;

/// Bytes of records that wait in memory.
const IN_MEMORY_BYTES: usize = 64 << 20;

/// Records in any order; they come out by time, those of one time in the order in which they were added.
#[derive(Debug)]
pub(crate) struct Sorter {
    directory: PathBuf,
    in_memory_bytes: usize,
    bytes: Vec<u8>,
    /// Time, and range of the bytes.
    records: Vec<(f64, usize, usize)>,
    parts: Vec<File>,
}

impl Sorter {
    /// Temporary files are in `directory`.
    pub(crate) fn new(directory: &Path) -> Self {
        Self::with(directory, IN_MEMORY_BYTES)
    }

    fn with(directory: &Path, in_memory_bytes: usize) -> Self {
        Self {
            directory: directory.to_owned(),
            in_memory_bytes,
            bytes: Vec::new(),
            records: Vec::new(),
            parts: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, records: &Records) -> Result<()> {
        let (base, mut start) = (self.bytes.len(), 0);
        self.bytes.extend_from_slice(&records.bytes);
        for (end, time) in &records.ends {
            self.records.push((*time, base + start, base + end));
            start = *end;
        }
        if self.bytes.len() >= self.in_memory_bytes { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<()> {
        let fail = |error| TraceError::io(&self.directory, error);
        let file = tempfile::tempfile_in(&self.directory).map_err(fail)?;
        let mut writer = BufWriter::new(file);
        // The sort keeps the order of equal times.
        self.records.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (time, start, end) in self.records.drain(..) {
            let head = [time.to_le_bytes(), ((end - start) as u64).to_le_bytes()].concat();
            writer.write_all(&head).and_then(|()| writer.write_all(&self.bytes[start..end])).map_err(fail)?;
        }
        let mut file = writer.into_inner().map_err(|error| fail(error.into_error()))?;
        file.rewind().map_err(fail)?;
        self.parts.push(file);
        self.bytes.clear();
        Ok(())
    }

    /// Passes all records to `emit`, in order.
    pub(crate) fn finish(mut self, mut emit: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if self.parts.is_empty() {
            self.records.sort_by(|a, b| a.0.total_cmp(&b.0));
            return self.records.iter().try_for_each(|(_, start, end)| emit(&self.bytes[*start..*end]));
        }
        self.spill()?;
        let directory = self.directory;
        let mut parts: Vec<Part> = self.parts.into_iter().map(|file| Part::new(file, &directory)).collect();
        let mut next = BinaryHeap::new();
        for (index, part) in parts.iter_mut().enumerate() {
            next.extend(part.read()?.map(|time| Reverse((Time(time), index))));
        }
        while let Some(Reverse((_, index))) = next.pop() {
            emit(&parts[index].record)?;
            next.extend(parts[index].read()?.map(|time| Reverse((Time(time), index))));
        }
        Ok(())
    }
}

/// A time with a total order.
#[derive(Debug, PartialEq)]
struct Time(f64);

impl Eq for Time {}

impl Ord for Time {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// A sorted part on the disk, and its next record.
struct Part {
    reader: BufReader<File>,
    directory: PathBuf,
    record: Vec<u8>,
}

impl Part {
    fn new(file: File, directory: &Path) -> Self {
        Self { reader: BufReader::new(file), directory: directory.to_owned(), record: Vec::new() }
    }

    /// Reads the next record; its time, `None` at the end.
    fn read(&mut self) -> Result<Option<f64>> {
        let mut head = [0; 16];
        match self.reader.read_exact(&mut head) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            done => done.map_err(|error| TraceError::io(&self.directory, error))?,
        }
        let [mut time, mut length] = [[0; 8]; 2];
        time.copy_from_slice(&head[..8]);
        length.copy_from_slice(&head[8..]);
        self.record.resize(u64::from_le_bytes(length) as usize, 0);
        self.reader.read_exact(&mut self.record).map_err(|error| TraceError::io(&self.directory, error))?;
        Ok(Some(f64::from_le_bytes(time)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_on_the_disk_and_in_memory_give_one_order() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut expected = Vec::new();
        for in_memory_bytes in [1, 40, usize::MAX] {
            let mut sorter = Sorter::with(directory.path(), in_memory_bytes);
            let mut all = Vec::new();
            for number in 0..50_u32 {
                let time = f64::from(number * 7 % 10);
                let mut records = Records::default();
                records.raw(&format!("{number}\n")).end(time);
                sorter.add(&records).expect("room");
                all.push((time, number));
            }
            all.sort_by(|a, b| a.0.total_cmp(&b.0));
            expected = all.iter().map(|(_, number)| format!("{number}\n")).collect();
            let mut found = Vec::new();
            sorter
                .finish(|record| {
                    found.push(String::from_utf8(record.to_vec()).expect("text"));
                    Ok(())
                })
                .expect("readable");
            assert_eq!(found, expected, "{in_memory_bytes}");
        }
        assert_eq!(expected.len(), 50);
    }
}
