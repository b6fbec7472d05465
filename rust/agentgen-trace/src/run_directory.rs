//! The run directory while it is being written.

use std::path::{Path, PathBuf};

use crate::error::{Result, TraceError};
use crate::manifest::FILE_NAME;
use crate::sink::temporary;

/// Names of the data files.
pub const JSONL: &str = "dataset.jsonl";
/// The compressed JSONL.
pub const JSONL_ZSTD: &str = "dataset.jsonl.zst";
/// The Parquet file.
pub const PARQUET: &str = "dataset.parquet";
/// Model calls of an imported run.
pub const CALLS: &str = "calls.parquet";
/// Statistics of a run.
pub const QUALITY: &str = "quality.json";

/// Every name that a file of a run can have besides the manifest: data, statistics, pages.
const FILES: [&str; 10] = [
    JSONL,
    JSONL_ZSTD,
    PARQUET,
    CALLS,
    "statistics.json",
    QUALITY,
    "comparison.txt",
    "report.html",
    "cache_explorer.html",
    "simulation.html",
];

/// A run directory that is removed on failure if this run created it.
#[derive(Debug)]
pub struct NewDirectory {
    path: PathBuf,
    was_created: bool,
}

impl NewDirectory {
    /// Creates the directory if it is missing.
    pub fn create(path: &Path) -> Result<Self> {
        let was_created = !path.exists();
        std::fs::create_dir_all(path).map_err(|e| TraceError::io(path, e))?;
        Ok(Self { path: path.to_owned(), was_created })
    }

    /// Removes an older run: the manifest first, because it describes files that are about to be replaced. The directory
    /// never holds files of two runs.
    pub fn clear(&self) -> Result<()> {
        clear(&self.path)
    }

    /// Keeps the directory: the run is complete.
    pub fn keep(mut self) {
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

fn clear(directory: &Path) -> Result<()> {
    for name in std::iter::once(FILE_NAME).chain(FILES) {
        let path = directory.join(name);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(TraceError::io(&path, e)),
            _ => {}
        }
    }
    temporary::clean(directory);
    Ok(())
}

/// Removes the shards of an older set from a directory, except those to `keep`. Files of others stay, with their directory.
pub fn remove_shards(directory: &Path, keep: &[PathBuf]) -> Result<()> {
    let entries = directory.read_dir().map_err(|e| TraceError::io(directory, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| TraceError::io(directory, e))?;
        // Not through a link, which leads to a directory of others.
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_directory
            && is_shard(&entry.file_name().to_string_lossy())
            && !keep.iter().any(|kept| kept.file_name() == Some(&entry.file_name()))
        {
            clear(&entry.path())?;
            let _ = std::fs::remove_dir(entry.path());
        }
    }
    Ok(())
}

/// Whether a directory has the name of a shard: `shard-I-of-N`.
fn is_shard(name: &str) -> bool {
    let numbers = name.strip_prefix("shard-").and_then(|rest| rest.split_once("-of-"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers.is_some_and(|(index, count)| is_number(index) && is_number(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_set_goes_and_files_of_others_stay() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        for shard in ["shard-0-of-2", "shard-1-of-2", "shard-0-of-3", "shard-x-of-2"] {
            std::fs::create_dir(at(shard)).expect("new");
            std::fs::write(at(shard).join(PARQUET), "rows").expect("room");
        }
        std::fs::write(at("shard-1-of-2").join("notes.txt"), "mine").expect("room");
        remove_shards(dir.path(), &[at("shard-0-of-3")]).expect("removable");
        let left = |shard: &str| at(shard).read_dir().map_or(0, Iterator::count);
        assert!(!at("shard-0-of-2").exists());
        assert_eq!([left("shard-1-of-2"), left("shard-0-of-3"), left("shard-x-of-2")], [1, 1, 1]);
        assert!(at("shard-1-of-2").join("notes.txt").exists());
    }

    #[test]
    fn the_manifest_goes_first() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join(FILE_NAME), "{}").expect("room");
        // A directory in the place of a data file cannot be removed as a file.
        std::fs::create_dir(dir.path().join(JSONL)).expect("new");
        clear(dir.path()).expect_err("not a file");
        assert!(!dir.path().join(FILE_NAME).exists());
    }
}
