//! Starts and stops a recorder.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use agentgen_server::StartError;
use agentgen_server::proxy::Proxy;

use crate::entry::Entries;
use crate::journal::Journal;
use crate::options::RecordOptions;
use crate::stats::{Counted, Stats};
use crate::tap::Watch;
use crate::texts::Texts;

/// Why a recorder did not start.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Its proxy did not start.
    #[error(transparent)]
    Proxy(#[from] StartError),
    /// A file cannot be written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
}

/// A recorder that runs on its own threads until it is stopped or dropped.
pub struct Recorder {
    proxy: Proxy,
    writing: Option<JoinHandle<()>>,
    counted: Arc<Mutex<Counted>>,
    other_requests: Arc<AtomicU64>,
}

impl Recorder {
    /// Begins the journal, listens and starts the threads.
    pub fn start(options: RecordOptions) -> Result<Self, RecordError> {
        let RecordOptions { proxy, journal: path, messages, session_headers } = options;
        let failed = |source| RecordError::File { path: path.clone(), source };
        let (counted, waiting) = (Arc::<Mutex<Counted>>::default(), Arc::<AtomicU64>::default());
        let other_requests = Arc::<AtomicU64>::default();
        let (sender, ended) = mpsc::channel();
        let watch = Watch::new(sender, session_headers, waiting.clone(), other_requests.clone());
        let entries = Entries::new(&proxy.upstream);
        let proxy = Proxy::start(&proxy, Arc::new(watch))?;
        let texts =
            messages.map(|path| Texts::begin(path.clone()).map_err(|source| RecordError::File { path, source }));
        let texts = texts.transpose()?;
        let file = File::create_new(&path).map_err(failed)?;
        let journal = Journal::begin(file, entries, texts, counted.clone(), waiting).map_err(failed)?;
        let thread = std::thread::Builder::new().name("agentgen-journal".to_owned());
        let writing = thread.spawn(move || journal.write_all(&ended)).map_err(StartError::Threads)?;
        Ok(Self { proxy, writing: Some(writing), counted, other_requests })
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.proxy.address()
    }

    /// The counts so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.counted.lock().unwrap_or_else(PoisonError::into_inner).stats.clone();
        stats.open = self.proxy.open_calls() as u64;
        stats.other_requests = self.other_requests.load(Ordering::Relaxed);
        stats
    }

    /// Takes no more connections and requests; calls that are passing go on.
    pub fn close(&self) {
        self.proxy.close();
    }

    /// Whether all connections of clients have ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.proxy.is_over()
    }

    /// Ends all calls and threads; the journal is complete then. Does nothing if the recorder has stopped.
    pub fn stop(&mut self) {
        self.proxy.stop();
        if let Some(writing) = self.writing.take() {
            // It has reported what failed.
            let _ = writing.join();
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop();
    }
}
