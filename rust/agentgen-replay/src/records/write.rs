//! Appending to a record file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::{Record, Request, Session, VERSION, Worker};
use crate::durations::Durations;

/// Records wait until they fill so many bytes,
const FLUSH_BYTES: usize = 64 << 10;
/// or one says that so much time has gone by.
const FLUSH_NS: i64 = 500_000_000;

/// A worker's own record file.
#[derive(Debug)]
pub struct Recorder {
    file: File,
    /// Whole lines that have not been written.
    lines: Vec<u8>,
    loop_lag: Durations,
    /// The time that a record told of when lines were last written.
    written_ns: i64,
}

impl Recorder {
    /// Makes the file, which must not be there.
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

    /// Tells how late the event loop ran something, nanoseconds.
    pub fn loop_lag(&mut self, late_ns: u64) {
        self.loop_lag.add(late_ns);
    }

    /// Writes what waits.
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
        // Whoever wants to hear of an error flushes.
        let _ = self.flush();
    }
}
