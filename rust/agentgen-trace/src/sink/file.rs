//! Files that appear under their names only when they are whole, with the digest of what went in.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use sha2::{Digest as _, Sha256};

use crate::error::{Result, TraceError};
use crate::manifest::FileEntry;

/// Buffers that may wait to be hashed.
const HASH_QUEUE: usize = 2;

/// Buffers that have been written and hashed, for those who fill them: their pages need not be cleared again.
#[derive(Debug, Clone, Default)]
pub struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// An empty buffer, with the room of an old one if there is one.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn put_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

/// A file being written under a temporary name. Hashing runs in a thread of its own, beside the writes. Dropped
/// before [`SealedFile::publish`], it is removed.
#[derive(Debug)]
pub struct PartialFile {
    path: PathBuf,
    partial: PathBuf,
    file: Option<File>,
    bytes: u64,
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
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let partial = path.with_file_name(name);
        let file = locked(&partial)?;
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
            partial,
            file: Some(file),
            bytes: 0,
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
        if let Some(file) = &mut self.file {
            file.write_all(&bytes)?;
        }
        self.bytes += bytes.len() as u64;
        if let Some((sender, _)) = &self.hasher {
            sender.send(bytes).map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Flushes to the disk: nothing more can fail for want of space.
    pub fn seal(mut self) -> Result<SealedFile> {
        if let Some(file) = &self.file {
            file.sync_all().map_err(|e| TraceError::io(&self.path, e))?;
        }
        let Some((sender, thread)) = self.hasher.take() else {
            return Err(TraceError::Format("internal error: a file was sealed twice".into()));
        };
        drop(sender);
        let hasher = thread.join().map_err(|_| TraceError::Format("internal error: hashing panicked".into()))?;
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
        std::fs::rename(&self.file.partial, &self.file.path).map_err(|e| TraceError::io(&self.file.path, e))?;
        Ok(self.entry)
    }
}

/// Opens a temporary file that nobody else is writing. The lock goes with the process, so what a killed one left behind
/// is written over.
fn locked(partial: &Path) -> Result<File> {
    let fail = |e| TraceError::io(partial, e);
    let file = File::options().create(true).truncate(false).write(true).open(partial).map_err(fail)?;
    // A file system without locks gives another error, and no protection.
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        return Err(TraceError::Format(format!(
            "{}: another process is writing it (wait for its end, or write elsewhere)",
            partial.display()
        )));
    }
    file.set_len(0).map_err(fail)?;
    Ok(file)
}

impl Write for PartialFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // From the pool that the hasher fills, so that the pool does not grow by every write.
        let mut buffer = self.buffers.take();
        buffer.extend_from_slice(bytes);
        self.append(buffer)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        // While the lock is still held; after `publish` the name is gone, and that is all right.
        let _ = std::fs::remove_file(&self.partial);
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

/// Size and SHA-256 of a file as it lies on the disk.
pub fn digest(path: &Path) -> Result<FileEntry> {
    let mut file = File::open(path).map_err(|e| TraceError::io(path, e))?;
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
