//! Appends records to a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::{Record, Request, Session, VERSION, Worker};
use crate::durations::Durations;

/// Records are flushed at this size,
const FLUSH_BYTES: usize = 64 << 10;
/// or this long after the last flush, by the stamps of the records.
const FLUSH_NS: i64 = 500_000_000;

/// The record file of one worker.
#[derive(Debug)]
pub struct Recorder {
    file: File,
    /// Complete lines that have not been written.
    lines: Vec<u8>,
    loop_lag: Durations,
    /// Stamp of the record at the last flush, ns.
    written_ns: i64,
}

impl Recorder {
    /// Creates the file, which must not exist.
    pub fn create(path: &Path, worker: u32) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create_new(true).open(path)?;
        let mut recorder =
            Self { file, lines: Vec::with_capacity(FLUSH_BYTES * 2), loop_lag: Durations::default(), written_ns: 0 };
        recorder.add(&Record::Worker(Worker { version: VERSION, worker }))?;
        recorder.flush()?;
        Ok(recorder)
    }

    /// Adds a request.
    pub fn request(&mut self, request: Request) -> io::Result<()> {
        let stamps = [request.answer.as_ref().and_then(|answer| answer.last_byte_ns), request.sent_ns];
        let now = stamps.into_iter().flatten().max().unwrap_or(request.scheduled_ns);
        self.add(&Record::Request(request))?;
        self.flush_if_due(now)
    }

    /// Adds a session.
    pub fn session(&mut self, session: Session) -> io::Result<()> {
        let now = session.closed_ns;
        self.add(&Record::Session(session))?;
        self.flush_if_due(now)
    }

    /// Adds a lag of the event loop, ns.
    pub fn loop_lag(&mut self, late_ns: u64) {
        self.loop_lag.add(late_ns);
    }

    /// Writes all pending records.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.loop_lag.count() > 0 {
            let lag = std::mem::take(&mut self.loop_lag);
            self.add(&Record::LoopLag(lag))?;
        }
        let written = self.file.write_all(&self.lines);
        self.lines.clear();
        written
    }

    fn flush_if_due(&mut self, now: i64) -> io::Result<()> {
        if self.lines.len() >= FLUSH_BYTES || now - self.written_ns >= FLUSH_NS {
            self.written_ns = now;
            self.flush()?;
        }
        Ok(())
    }

    fn add(&mut self, record: &Record) -> io::Result<()> {
        serde_json::to_writer(&mut self.lines, record)?;
        self.lines.push(b'\n');
        Ok(())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // Callers that need the error call `flush`.
        let _ = self.flush();
    }
}
