//! Where records go: a file, standard output, or a directory with a file a record.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::error::{Result, TraceError};
use agentgen_trace::sink::compression::Compression;
use agentgen_trace::sink::file::PartialFile;
use tempfile::TempDir;

use super::order::Sorter;
use super::record::Records;

/// Sorted records are written in parts of this size.
const PART_BYTES: usize = 1 << 20;

/// The target of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A file or directory.
    Path(PathBuf),
    /// Standard output.
    Stdout,
}

impl Target {
    /// Where temporary files can be.
    fn directory(&self) -> PathBuf {
        match self {
            Self::Path(path) => parent(path).to_owned(),
            Self::Stdout => std::env::temp_dir(),
        }
    }

    pub(crate) fn compression(&self) -> Compression {
        match self {
            Self::Path(path) => Compression::of(path),
            Self::Stdout => Compression::None,
        }
    }
}

pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What was written.
#[derive(Debug, Default)]
pub(crate) struct WrittenFiles {
    pub files: u64,
    pub bytes: u64,
    /// Of a single file.
    pub sha256: Option<String>,
}

/// A file of records, or standard output.
#[derive(Debug)]
pub(crate) struct RecordFile {
    /// `None`: standard output.
    file: Option<PartialFile>,
    compression: Compression,
    sorter: Option<Sorter>,
    bytes: u64,
}

impl RecordFile {
    pub(crate) fn create(target: &Target, is_sorted: bool) -> Result<Self> {
        let file = match target {
            Target::Path(path) => Some(PartialFile::create(path)?),
            Target::Stdout => None,
        };
        let sorter = is_sorted.then(|| Sorter::new(&target.directory()));
        Ok(Self { file, compression: target.compression(), sorter, bytes: 0 })
    }

    /// Appends bytes that are compressed already.
    pub(crate) fn append(&mut self, bytes: Vec<u8>) -> Result<()> {
        self.bytes += bytes.len() as u64;
        let Some(file) = &mut self.file else {
            let fail = |error| TraceError::io(Path::new("standard output"), error);
            return std::io::stdout().write_all(&bytes).map_err(fail);
        };
        let path = file.path().to_owned();
        file.append(bytes).map_err(|error| TraceError::io(&path, error))
    }

    /// Compresses and appends bytes.
    pub(crate) fn append_plain(&mut self, bytes: Vec<u8>) -> Result<()> {
        let frame = self.compression.frame(bytes)?;
        self.append(frame)
    }

    /// Takes records that are to be sorted.
    pub(crate) fn add(&mut self, records: &Records) -> Result<()> {
        self.sorter.as_mut().map_or(Ok(()), |sorter| sorter.add(records))
    }

    pub(crate) fn finish(mut self) -> Result<WrittenFiles> {
        if let Some(sorter) = self.sorter.take() {
            let mut part = Vec::with_capacity(PART_BYTES);
            sorter.finish(|record| {
                part.extend_from_slice(record);
                if part.len() >= PART_BYTES { self.append_plain(std::mem::take(&mut part)) } else { Ok(()) }
            })?;
            self.append_plain(part)?;
        }
        let Some(file) = self.file else {
            std::io::stdout().flush().map_err(|error| TraceError::io(Path::new("standard output"), error))?;
            return Ok(WrittenFiles { files: 1, bytes: self.bytes, sha256: None });
        };
        let entry = file.seal()?.publish()?;
        Ok(WrittenFiles { files: 1, bytes: entry.bytes, sha256: Some(entry.sha256) })
    }
}

/// A directory that has its name once it is complete.
#[derive(Debug)]
pub(crate) struct NewFolder {
    path: PathBuf,
    folder: TempDir,
}

impl NewFolder {
    /// Refuses a path that exists, unless it is an empty directory.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let is_free = !path.exists() || path.read_dir().is_ok_and(|mut entries| entries.next().is_none());
        if !is_free {
            let diagnostic = Diagnostic::unnamed("a file or directory", "a new name for a directory");
            return Err(diagnostic.in_file(path).into());
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let builder = tempfile::Builder::new().prefix(&format!(".{name}.")).suffix(".partial").tempdir_in(parent(path));
        let folder = builder.map_err(|error| TraceError::io(path, error))?;
        Ok(Self { path: path.to_owned(), folder })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Gives the directory its name.
    pub(crate) fn publish(self) -> Result<()> {
        let fail = |error| TraceError::io(&self.path, error);
        // `create` made it for its owner alone.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode =
                std::fs::metadata(parent(&self.path)).map_or(0o755, |parent| parent.permissions().mode() & 0o777);
            std::fs::set_permissions(self.folder.path(), std::fs::Permissions::from_mode(mode)).map_err(fail)?;
        }
        if self.path.exists() {
            std::fs::remove_dir(&self.path).map_err(fail)?;
        }
        let folder = self.folder.keep();
        std::fs::rename(&folder, &self.path).map_err(|error| {
            let _ = std::fs::remove_dir_all(&folder);
            TraceError::io(&self.path, error)
        })
    }
}

/// A directory with a file a record.
#[derive(Debug)]
pub(crate) struct RecordFolder {
    folder: NewFolder,
    written: WrittenFiles,
}

impl RecordFolder {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        Ok(Self { folder: NewFolder::create(path)?, written: WrittenFiles::default() })
    }

    pub(crate) fn add(&mut self, records: &Records) -> Result<()> {
        let mut start = 0;
        for (end, _) in &records.ends {
            self.written.files += 1;
            let path = self.folder.path().join(format!("trace_{:06}.json", self.written.files));
            std::fs::write(&path, &records.bytes[start..*end]).map_err(|error| TraceError::io(&path, error))?;
            self.written.bytes += (end - start) as u64;
            start = *end;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<WrittenFiles> {
        self.folder.publish()?;
        Ok(self.written)
    }
}
