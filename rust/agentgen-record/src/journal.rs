//! The thread that writes the journal.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use agentgen_formats::import::journal::{Header, Outcome, VERSION};

use crate::entry::Entries;
use crate::stats::Counted;
use crate::tap::Ended;
use crate::texts::Texts;

/// How long a line may wait to be written: a crash loses no more.
const FLUSH: Duration = Duration::from_millis(500);
/// Bytes that wait at most.
const BUFFER_BYTES: usize = 1 << 20;

/// A journal.
pub struct Journal {
    file: BufWriter<File>,
    entries: Entries,
    counted: Arc<Mutex<Counted>>,
    waiting: Arc<AtomicU64>,
    texts: Option<Texts>,
}

impl Journal {
    /// Begins a journal.
    pub fn begin(
        file: File,
        entries: Entries,
        texts: Option<Texts>,
        counted: Arc<Mutex<Counted>>,
        waiting: Arc<AtomicU64>,
    ) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(BUFFER_BYTES, file);
        serde_json::to_writer(&mut file, &Header { agentgen_record: VERSION })?;
        file.write_all(b"\n")?;
        file.flush()?;
        Ok(Self { file, entries, counted, waiting, texts })
    }

    /// Writes the calls that come, until no more can. What cannot be written is reported in the counts.
    pub fn write_all(mut self, ended: &Receiver<Ended>) {
        let mut due: Option<Instant> = None;
        let mut result = Ok(());
        loop {
            let wait = due.map_or(FLUSH, |due| due.saturating_duration_since(Instant::now()));
            match ended.recv_timeout(wait) {
                Ok(call) => {
                    result = result.and_then(|()| self.write(&call));
                    let bytes = call.request.map_or(0, |request| request.len()) as u64;
                    self.waiting.fetch_sub(bytes, Ordering::Relaxed);
                    due.get_or_insert_with(|| Instant::now() + FLUSH);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if due.is_some_and(|due| due <= Instant::now()) {
                due = None;
                result = result.and_then(|()| self.file.flush());
            }
            self.report(&result);
        }
        result = result.and_then(|()| self.file.flush()).and_then(|()| self.file.get_ref().sync_all());
        self.report(&result);
        if let Some(texts) = self.texts.take() {
            let written = texts.finish();
            if let Ok(conversations) = written {
                self.counted().stats.conversations = conversations;
            }
            self.report(&written.map(drop));
        }
    }

    fn write(&mut self, ended: &Ended) -> io::Result<()> {
        let made = self.entries.make(ended);
        self.counted().add(&made.entry, made.prompt.as_ref(), made.client);
        if let (Some(texts), Outcome::Answered) = (&mut self.texts, made.entry.outcome) {
            texts.add(&made, ended)?;
        }
        serde_json::to_writer(&mut self.file, &made.entry)?;
        self.file.write_all(b"\n")
    }

    fn report(&self, result: &io::Result<()>) {
        if let Err(error) = result {
            self.counted().stats.error.get_or_insert_with(|| error.to_string());
        }
    }

    fn counted(&self) -> std::sync::MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
