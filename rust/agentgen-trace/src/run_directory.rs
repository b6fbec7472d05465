//! The directory of a run while it is being made.

use std::path::{Path, PathBuf};

use crate::error::{Result, TraceError};
use crate::manifest::FILE_NAME;

/// A directory that is removed again if it was made for a run that failed.
pub(crate) struct NewDirectory {
    path: PathBuf,
    made: bool,
}

impl NewDirectory {
    /// Makes it if missing.
    pub(crate) fn make(path: &Path) -> Result<Self> {
        let made = !path.exists();
        std::fs::create_dir_all(path).map_err(|e| TraceError::io(path, e))?;
        Ok(Self { path: path.to_owned(), made })
    }

    /// Takes an older run's manifest away, which must not vouch for files that are about to be replaced.
    pub(crate) fn forget(&self) -> Result<()> {
        let manifest = self.path.join(FILE_NAME);
        match std::fs::remove_file(&manifest) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(TraceError::io(&manifest, e)),
            _ => Ok(()),
        }
    }

    /// The run is whole.
    pub(crate) fn keep(mut self) {
        self.made = false;
    }
}

impl Drop for NewDirectory {
    fn drop(&mut self) {
        if self.made {
            // Only if empty: the partial files have removed themselves; anything else is not ours to delete.
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}
