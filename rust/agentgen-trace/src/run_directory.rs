//! The run directory while it is being written.

use std::path::{Path, PathBuf};

use crate::error::{Result, TraceError};
use crate::manifest::FILE_NAME;

/// A run directory that is removed on failure if this run created it.
pub(crate) struct NewDirectory {
    path: PathBuf,
    was_created: bool,
}

impl NewDirectory {
    /// Creates the directory if it is missing.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let was_created = !path.exists();
        std::fs::create_dir_all(path).map_err(|e| TraceError::io(path, e))?;
        Ok(Self { path: path.to_owned(), was_created })
    }

    /// Removes the manifest of an older run, whose files are about to be replaced.
    pub(crate) fn remove_manifest(&self) -> Result<()> {
        let manifest = self.path.join(FILE_NAME);
        match std::fs::remove_file(&manifest) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(TraceError::io(&manifest, e)),
            _ => Ok(()),
        }
    }

    /// Keeps the directory: the run is complete.
    pub(crate) fn keep(mut self) {
        self.was_created = false;
    }
}

impl Drop for NewDirectory {
    fn drop(&mut self) {
        if self.was_created {
            // Only if empty: partial files remove themselves, and other files are not ours to delete.
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}
