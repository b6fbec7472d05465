//! Temporary files beside their targets: exclusive, of random names, locked while somebody writes them.

use std::fs::{File, Metadata, TryLockError};
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;
use xxhash_rust::xxh3::xxh3_64;

use crate::diagnostic::Diagnostic;
use crate::error::{Result, TraceError};

/// End of every temporary name.
const SUFFIX: &str = ".partial";
/// Random characters of a temporary name.
const RANDOM: usize = 8;
/// Bytes that a temporary name may take of its target's: file systems allow names of 255 bytes.
const MAX_STEM: usize = 255 - 2 - RANDOM - SUFFIX.len();
/// Attempts, should another process remove the file between its creation and its lock.
const ATTEMPTS: usize = 16;

/// Creates `.TARGET.RANDOM.partial` beside the target, with a lock that ends with the process. Never opens a file that is
/// there already, nor follows a link. What a killed process left behind for this target is removed.
pub(super) fn create(target: &Path) -> Result<NamedTempFile> {
    let fail = |source| TraceError::io(target, source);
    check_target(target)?;
    let directory = parent(target);
    let prefix = prefix(target)?;
    for _ in 0..ATTEMPTS {
        let mut errno = None;
        let open = |path: &Path| {
            let file = File::options().write(true).create_new(true).open(path);
            file.inspect_err(|error| errno = error.raw_os_error())
        };
        let file = tempfile::Builder::new().prefix(&prefix).suffix(SUFFIX).rand_bytes(RANDOM).make_in(directory, open);
        // The error itself names the temporary path, which would hide the target.
        let file = file.map_err(|error| fail(errno.map_or(error, io::Error::from_raw_os_error)))?;
        // A file system without locks gives another error, and no protection.
        if matches!(file.as_file().try_lock(), Err(TryLockError::WouldBlock)) || !is_at(file.as_file(), file.path()) {
            // Taken for the remains of a killed process, in the moment before the lock.
            continue;
        }
        if remove_abandoned(directory, |name| is_temporary(name, &prefix), Some(file.path())) {
            let found = Diagnostic::unnamed("a file that another process is writing", "a file that nobody writes");
            return Err(found.in_file(target).with_help("wait for its end, or write elsewhere").into());
        }
        return Ok(file);
    }
    Err(TraceError::internal("the temporary file was removed again and again"))
}

/// Gives a complete temporary file its name, also on the disk: a rename can be lost until its directory is flushed.
pub(super) fn publish(file: NamedTempFile, target: &Path) -> Result<()> {
    file.persist(target).map_err(|e| TraceError::io(target, e.error))?;
    flush_directory(parent(target)).map_err(|e| TraceError::io(target, e))
}

#[cfg(unix)]
fn flush_directory(directory: &Path) -> io::Result<()> {
    match File::open(directory)?.sync_all() {
        // Some file systems flush no directories.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        done => done,
    }
}

#[cfg(not(unix))]
fn flush_directory(_: &Path) -> io::Result<()> {
    Ok(()) // a directory cannot be opened there
}

/// Removes what killed processes left behind in a directory, for any target.
pub(crate) fn clean(directory: &Path) {
    remove_abandoned(directory, |name| is_temporary(name, "."), None);
}

/// Refuses a target that cannot become a file, before any work is done.
fn check_target(target: &Path) -> Result<()> {
    let found = match target.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => "a directory",
        // A link is replaced, not followed.
        Ok(metadata) if metadata.is_file() || metadata.is_symlink() => return Ok(()),
        Ok(_) => "a pipe or a device",
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(TraceError::io(target, error)),
    };
    Err(Diagnostic::unnamed(found, "a file or nothing").in_file(target).with_help("choose another name").into())
}

fn parent(target: &Path) -> &Path {
    target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `.TARGET.`; of a name that is too long, its start and its hash.
fn prefix(target: &Path) -> Result<String> {
    let Some(name) = target.file_name() else {
        return Err(Diagnostic::unnamed("no file name", "one").in_file(target).into());
    };
    let name = name.to_string_lossy();
    if name.len() <= MAX_STEM {
        return Ok(format!(".{name}."));
    }
    let hash = format!("-{:016x}", xxh3_64(name.as_bytes()));
    let ends = name.char_indices().map(|(at, _)| at);
    let end = ends.take_while(|at| *at <= MAX_STEM - hash.len()).last().unwrap_or(0);
    Ok(format!(".{}{hash}.", &name[..end]))
}

fn is_temporary(name: &str, prefix: &str) -> bool {
    let stem = name.strip_suffix(SUFFIX).filter(|stem| stem.starts_with(prefix));
    let Some((target, random)) = stem.and_then(|stem| stem.rsplit_once('.')) else { return false };
    !target.is_empty() && random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Removes the wanted files that nobody holds locked; whether somebody does. `own` is left alone.
fn remove_abandoned(directory: &Path, is_wanted: impl Fn(&str) -> bool, own: Option<&Path>) -> bool {
    let Ok(entries) = directory.read_dir() else { return false };
    let mut is_held = false;
    for entry in entries.flatten() {
        let path = entry.path();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if !is_file
            || !entry.file_name().to_str().is_some_and(&is_wanted)
            || own.is_some_and(|own| same_name(own, &path))
        {
            continue;
        }
        // Opened for reading and unlinked: whatever takes its place meanwhile is not written to.
        let Ok(file) = File::open(&path) else { continue };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => is_held = true,
            // It may have been published and its name given to another since it was opened.
            Ok(()) if is_at(&file, &path) => drop(std::fs::remove_file(&path)),
            // Without locks nobody can tell whether it is abandoned.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
    }
    is_held
}

fn same_name(a: &Path, b: &Path) -> bool {
    a.file_name() == b.file_name()
}

/// Whether the name still belongs to the open file.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), path.symlink_metadata()) else { return false };
    same_file(&open, &named)
}

#[cfg(unix)]
fn same_file(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn same_file(_: &Metadata, named: &Metadata) -> bool {
    named.is_file() // an open file keeps its name there
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn temporaries(directory: &Path) -> Vec<PathBuf> {
        let files = directory.read_dir().expect("a directory").map(|entry| entry.expect("an entry").path());
        files.filter(|path| path.to_string_lossy().ends_with(SUFFIX)).collect()
    }

    #[test]
    fn a_planted_link_is_neither_followed_nor_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let (victim, target) = (dir.path().join("victim"), dir.path().join("o.jsonl"));
        std::fs::write(&victim, "precious").expect("room");
        for name in ["o.jsonl.partial", ".o.jsonl.partial", ".o.jsonl.aaaaaaaa.partial"] {
            #[cfg(unix)]
            std::os::unix::fs::symlink(&victim, dir.path().join(name)).expect("a link");
        }
        let file = create(&target).expect("a new name");
        std::fs::write(file.path(), "new").expect("room");
        file.persist(&target).expect("a rename");
        assert_eq!(std::fs::read_to_string(&victim).expect("still there"), "precious");
        assert_eq!(std::fs::read_to_string(&target).expect("published"), "new");
        #[cfg(unix)]
        assert_eq!(temporaries(dir.path()).len(), 3);
    }

    #[test]
    fn a_link_at_the_target_is_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let (victim, target) = (dir.path().join("victim"), dir.path().join("o.jsonl"));
        std::fs::write(&victim, "precious").expect("room");
        #[cfg(unix)]
        std::os::unix::fs::symlink(&victim, &target).expect("a link");
        create(&target).expect("a new name").persist(&target).expect("a rename");
        assert_eq!(std::fs::read_to_string(&victim).expect("still there"), "precious");
        assert!(target.symlink_metadata().expect("published").is_file());
    }

    #[test]
    fn remains_of_the_dead_go_and_those_of_the_living_are_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let target = dir.path().join("o.jsonl");
        let dead = create(&target).expect("a new name").keep().expect("kept").1;
        let other = create(&dir.path().join("p.jsonl")).expect("a new name").keep().expect("kept").1;
        let living = create(&target).expect("a new name");
        assert!(!dead.exists() && other.exists());
        let error = create(&target).expect_err("somebody writes it").to_string();
        assert!(error.ends_with(
            "o.jsonl: found a file that another process is writing, expected a file that nobody writes (wait for its \
             end, or write elsewhere)"
        ));
        assert!(living.path().exists());
        clean(dir.path());
        assert!(living.path().exists() && !other.exists());
        drop(living);
        assert_eq!(temporaries(dir.path()), [] as [PathBuf; 0]);
    }

    #[test]
    fn names_as_long_as_the_file_system_allows_can_be_targets() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["n".repeat(255), "ä".repeat(127)] {
            let target = dir.path().join(&name);
            create(&target).expect("a shorter name").persist(&target).expect("a rename");
            assert!(target.exists());
        }
        let error = create(&dir.path().join("n".repeat(256))).expect_err("too long").to_string();
        assert!(error.contains("File name too long"), "{error}");
    }

    #[test]
    fn an_error_names_the_target() {
        let error = create(Path::new("no/such/directory/o.jsonl")).expect_err("no directory").to_string();
        assert!(error.starts_with("no/such/directory/o.jsonl: ") && !error.contains("partial"), "{error}");
    }

    #[test]
    fn only_files_can_be_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let error = create(dir.path()).expect_err("a directory").to_string();
        assert!(error.ends_with("found a directory, expected a file or nothing (choose another name)"), "{error}");
        let error = create(Path::new("/dev/null")).expect_err("a device").to_string();
        assert!(error.starts_with("/dev/null: found a pipe or a device, expected"), "{error}");
    }
}
