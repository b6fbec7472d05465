//! Files that appear under their names only when they are whole, with the digest of what went in.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::temporary;
use crate::buffers::Buffers;
use crate::diagnostic::Diagnostic;
use crate::error::{Result, TraceError};

/// Buffers that may wait to be hashed.
const HASH_QUEUE: usize = 2;

/// So much is written before it is sent to the disk: large enough that the disk's own cache is seldom emptied.
const FLUSH_BYTES: u64 = 64 << 20;

/// Sends what was written to the disk, in a thread of its own, so that the disk does not idle until the end. An error
/// ends it and is kept: the system reports a failed write to one flush only, and the next one would succeed.
#[derive(Debug)]
struct Flusher {
    /// Full while a flush is under way.
    requests: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Flusher {
    fn start(mut flush: impl FnMut() -> io::Result<()> + Send + 'static) -> Self {
        let (requests, receiver) = sync_channel(0);
        let thread = std::thread::spawn(move || receiver.iter().try_for_each(|()| flush()));
        Self { requests, thread }
    }

    /// Waits for the flush that is under way; the error of any.
    fn finish(self) -> io::Result<()> {
        drop(self.requests);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("internal error: flushing panicked")))
    }
}

/// A file of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Name in the run directory.
    pub name: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
}

/// A file being written under a temporary name. Hashing and flushing run in threads of their own, beside the writes.
/// Dropped before [`SealedFile::publish`], it is removed.
#[derive(Debug)]
pub struct PartialFile {
    path: PathBuf,
    file: NamedTempFile,
    bytes: u64,
    /// Bytes written since a flush began.
    unflushed: u64,
    /// Started when there is enough to flush.
    flusher: Option<Flusher>,
    /// `None` once sealed or failed.
    hasher: Option<(SyncSender<Vec<u8>>, JoinHandle<Sha256>)>,
    buffers: Buffers,
}

impl PartialFile {
    /// Starts a file that will be called `path`.
    pub fn create(path: &Path) -> Result<Self> {
        Self::recycling(path, &Buffers::default())
    }

    /// Starts a file whose buffers, once hashed, go to `buffers`.
    pub fn recycling(path: &Path, buffers: &Buffers) -> Result<Self> {
        let file = temporary::create(path)?;
        let (sender, receiver) = sync_channel::<Vec<u8>>(HASH_QUEUE);
        let hashed = buffers.clone();
        let thread = std::thread::spawn(move || {
            let mut hasher = Sha256::new();
            while let Ok(bytes) = receiver.recv() {
                hasher.update(&bytes);
                hashed.put_back(bytes);
            }
            hasher
        });
        Ok(Self {
            path: path.to_owned(),
            file,
            bytes: 0,
            unflushed: 0,
            flusher: None,
            hasher: Some((sender, thread)),
            buffers: buffers.clone(),
        })
    }

    /// Where the file will be.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a buffer and keeps it for hashing.
    pub fn append(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.file.as_file_mut().write_all(&bytes)?;
        self.bytes += bytes.len() as u64;
        self.unflushed += bytes.len() as u64;
        let Some((sender, _)) = &self.hasher else { return Err(io::Error::other("internal error: appended too late")) };
        sender.send(bytes).map_err(io::Error::other)?;
        if self.unflushed >= FLUSH_BYTES {
            self.flush_beside()?;
        }
        Ok(())
    }

    /// Has what was written so far flushed, unless a flush is under way.
    fn flush_beside(&mut self) -> io::Result<()> {
        let flusher = if let Some(flusher) = self.flusher.take() {
            flusher
        } else {
            let file = self.file.as_file().try_clone()?;
            Flusher::start(move || file.sync_data())
        };
        match flusher.requests.try_send(()) {
            Ok(()) => self.unflushed = 0,
            Err(TrySendError::Full(())) => {}
            Err(TrySendError::Disconnected(())) => {
                // Nobody may seal it now.
                self.hasher = None;
                return flusher.finish();
            }
        }
        self.flusher = Some(flusher);
        Ok(())
    }

    /// Flushes to the disk: nothing more can fail for want of space.
    pub fn seal(mut self) -> Result<SealedFile> {
        let Some((sender, thread)) = self.hasher.take() else {
            return Err(TraceError::internal("a failed file was sealed"));
        };
        drop(sender);
        let flushed = self.flusher.take().map_or(Ok(()), Flusher::finish);
        flushed.and_then(|()| self.file.as_file().sync_all()).map_err(|e| TraceError::io(&self.path, e))?;
        let hasher = thread.join().map_err(|_| TraceError::internal("hashing panicked"))?;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let entry = FileEntry { name, bytes: self.bytes, sha256: hex(&hasher.finalize()) };
        Ok(SealedFile { file: self, entry })
    }
}

/// A whole file that still has its temporary name.
#[derive(Debug)]
pub struct SealedFile {
    file: PartialFile,
    entry: FileEntry,
}

impl SealedFile {
    /// Size and digest.
    #[must_use]
    pub fn entry(&self) -> &FileEntry {
        &self.entry
    }

    /// Gives the file its name.
    pub fn publish(self) -> Result<FileEntry> {
        let PartialFile { path, file, .. } = self.file;
        temporary::publish(file, &path)?;
        Ok(self.entry)
    }
}

impl Write for PartialFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // From the pool that the hasher fills, so that the pool does not grow by every write.
        let mut buffer = self.buffers.take_empty();
        buffer.extend_from_slice(bytes);
        self.append(buffer)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a small file whole.
pub fn write_whole(path: &Path, bytes: Vec<u8>) -> Result<FileEntry> {
    sealed(path, bytes)?.publish()
}

/// Writes a small file, still under its temporary name.
pub fn sealed(path: &Path, bytes: Vec<u8>) -> Result<SealedFile> {
    let mut file = PartialFile::create(path)?;
    file.append(bytes).map_err(|e| TraceError::io(path, e))?;
    file.seal()
}

/// Lower-case hex digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|b| [b >> 4, b & 0xF]).map(|d| char::from(b"0123456789abcdef"[usize::from(d)])).collect()
}

/// Opens a plain file for reading: a pipe may never begin, a device never end.
pub fn open_plain(path: &Path) -> Result<File> {
    let fail = |e| TraceError::io(path, e);
    if !std::fs::metadata(path).map_err(fail)?.is_file() {
        // Traces are read more than once: a pipe would be empty the second time.
        let diagnostic = Diagnostic::unnamed("a pipe or a device", "a file").with_help("write it to a file first");
        return Err(diagnostic.in_file(path).into());
    }
    File::open(path).map_err(fail)
}

/// Size and SHA-256 of a file as it lies on the disk.
pub fn digest(path: &Path) -> Result<FileEntry> {
    let mut file = open_plain(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut total = 0;
    loop {
        let read = io::Read::read(&mut file, &mut buffer).map_err(|e| TraceError::io(path, e))?;
        if read == 0 {
            break;
        }
        total += read as u64;
        hasher.update(&buffer[..read]);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(FileEntry { name, bytes: total, sha256: hex(&hasher.finalize()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with a flush beside it that fails, as a disk would: once, so that later flushes succeed.
    fn failing(dir: &Path) -> PartialFile {
        let mut file = PartialFile::create(&dir.join("file")).expect("a new directory");
        file.flusher = Some(Flusher::start(|| Err(io::Error::other("the disk is broken"))));
        file.unflushed = FLUSH_BYTES;
        file
    }

    #[test]
    fn a_flush_that_failed_beside_the_writes_is_told_by_a_later_write() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut file = failing(dir.path());
        let error = loop {
            // A write may come before the failure.
            if let Err(error) = file.append(b"x".to_vec()) {
                break error;
            }
            file.unflushed = FLUSH_BYTES;
        };
        assert_eq!(error.to_string(), "the disk is broken");
        file.append(b"x".to_vec()).expect_err("nothing may follow");
        file.seal().expect_err("it is not whole");
        assert!(dir.path().read_dir().expect("still there").next().is_none());
    }

    #[test]
    fn a_flush_that_failed_beside_the_writes_fails_the_seal() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut file = failing(dir.path());
        // Until a flush begins, which sets this back.
        while file.unflushed > 0 {
            file.flush_beside().expect("nothing has failed yet");
        }
        let error = file.seal().expect_err("it is not whole").to_string();
        assert!(error.ends_with("the disk is broken"), "{error}");
    }

    #[test]
    fn flushes_beside_the_writes_change_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        let mut file = PartialFile::create(&path).expect("a new directory");
        let mut flushes = 0;
        while flushes < 3 {
            file.unflushed = FLUSH_BYTES;
            file.append(b"some text".to_vec()).expect("room");
            flushes += u32::from(file.unflushed == 0);
        }
        let entry = file.seal().and_then(SealedFile::publish).expect("sound");
        assert_eq!(entry, digest(&path).expect("there"));
    }
}
