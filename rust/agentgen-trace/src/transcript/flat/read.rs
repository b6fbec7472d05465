//! Reads the conversations of files.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use crate::source::{Blocks, MAX_LINE_BYTES};
use crate::{Cancel, Result, TraceError};

use super::assemble::{Assembler, located};
use super::parse::parse;
use super::rules;
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::transcript::Transcript;

/// Reads files as one set of conversations, block by block, and continues after every finding.
pub struct Reader {
    paths: Vec<PathBuf>,
    /// Index of the current file.
    file: usize,
    blocks: Option<Blocks>,
    /// Lines of the current file before the current block.
    lines: u64,
    /// Rows of the current file.
    file_rows: u64,
    assembler: Assembler,
    /// Rows so far, invalid ones included.
    pub rows: u64,
    /// Bytes of the completed files.
    consumed: u64,
}

impl Reader {
    /// A reader of `paths`, before their first row.
    #[must_use]
    pub fn new(paths: &[PathBuf]) -> Self {
        Self {
            paths: paths.to_vec(),
            file: 0,
            blocks: None,
            lines: 0,
            file_rows: 0,
            assembler: Assembler::default(),
            rows: 0,
            consumed: 0,
        }
    }

    /// Conversations so far.
    #[must_use]
    pub fn conversations(&self) -> u64 {
        self.assembler.conversations
    }

    /// Bytes of the files read so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let open = self.blocks.as_ref().map_or(0, |b| b.consumed().load(std::sync::atomic::Ordering::Relaxed));
        self.consumed + open
    }

    /// Reads the next block: passes conversations that end in it to `ready` and reports findings. False at the end.
    pub fn step(&mut self, diagnostics: &mut Vec<Diagnostic>, mut ready: impl FnMut(Transcript)) -> Result<bool> {
        let Some(path) = self.paths.get(self.file) else { return Ok(false) };
        if self.blocks.is_none() {
            self.blocks = Some(Blocks::open(path, MAX_LINE_BYTES)?);
        }
        let Some(block) = self.blocks.as_mut().and_then(Iterator::next).transpose()? else {
            self.end_file(diagnostics, ready);
            return Ok(true);
        };
        let (mut lines, mut found) = (block.lines(), Vec::new());
        for line in lines.by_ref() {
            let place = Place { file: self.file as u32, line: self.lines + line.number + 1 };
            let parsed = parse(&line, &mut found);
            self.file_rows += u64::from(parsed.is_some() || !found.is_empty());
            let (id, turn) = parsed.as_ref().map_or((None, None), |row| (row.id.clone(), row.turn));
            match parsed {
                Some(row) => drop(self.assembler.push(place, row, diagnostics).map(&mut ready)),
                None if found.is_empty() => {}
                None => self.assembler.push_unnamed(),
            }
            diagnostics.extend(found.drain(..).map(|diagnostic| match &id {
                Some(id) => located(place, id, turn, diagnostic),
                None => diagnostic.at(place),
            }));
        }
        self.lines += lines.lines_read();
        Ok(true)
    }

    fn end_file(&mut self, diagnostics: &mut Vec<Diagnostic>, ready: impl FnMut(Transcript)) {
        if self.file_rows == 0 {
            let place = Place { file: self.file as u32, line: 0 };
            diagnostics.push(Diagnostic::new(rules::EMPTY, "no rows", "at least one row").at(place));
        }
        self.consumed += self.blocks.take().map_or(0, |blocks| blocks.file_bytes());
        self.rows += std::mem::take(&mut self.file_rows);
        self.lines = 0;
        self.file += 1;
        if self.file == self.paths.len() {
            self.assembler.finish(diagnostics).map(ready);
        }
    }
}

/// The conversations of a file, in order. The first invalid row is an error and the last item.
pub struct Transcripts {
    path: PathBuf,
    reader: Reader,
    ready: VecDeque<Transcript>,
    cancel: Cancel,
    failed: Option<TraceError>,
    is_done: bool,
}

/// Reads the conversations of a file: JSONL, plain or compressed (gzip, zstd).
#[must_use]
pub fn read(path: &Path, cancel: &Cancel) -> Transcripts {
    Transcripts {
        path: path.to_owned(),
        reader: Reader::new(&[path.to_owned()]),
        ready: VecDeque::new(),
        cancel: cancel.clone(),
        failed: None,
        is_done: false,
    }
}

impl Transcripts {
    /// Reads blocks until a conversation is ready or the file ends.
    fn fill(&mut self) -> Result<()> {
        let mut diagnostics = Vec::new();
        while self.ready.is_empty() && !self.is_done {
            self.cancel.check()?;
            let ready = &mut self.ready;
            self.is_done = !self.reader.step(&mut diagnostics, |conversation| ready.push_back(conversation))?;
            diagnostics.sort_by_key(Diagnostic::place);
            if let Some(diagnostic) = diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Error) {
                return Err(self.refuse(diagnostic));
            }
            diagnostics.clear();
        }
        Ok(())
    }

    fn refuse(&self, diagnostic: &Diagnostic) -> TraceError {
        let help = format!("agentgen validate {} lists all findings", self.path.display());
        diagnostic.clone().in_file(&self.path).with_help(help).into()
    }
}

impl Iterator for Transcripts {
    type Item = Result<Transcript>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed.is_none()
            && let Err(error) = self.fill()
        {
            self.failed = Some(error);
            self.is_done = true;
        }
        // Conversations before the first fault are valid and come first.
        match self.ready.pop_front() {
            Some(conversation) => Some(Ok(conversation)),
            None => self.failed.take().map(Err),
        }
    }
}
