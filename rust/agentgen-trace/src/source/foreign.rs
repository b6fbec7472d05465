//! Files of formats that must be imported first: they are named as what they are, not read as rows of a trace.

use std::path::Path;
use std::sync::OnceLock;

use crate::diagnostic::Diagnostic;
use crate::error::Result;

/// What a file is, if it must be imported first: `a Weka trace`.
pub type Recognise = fn(&Path) -> Option<&'static str>;

/// The crate that imports depends on this one, so it cannot be called from here.
static RECOGNISE: OnceLock<Recognise> = OnceLock::new();

/// Sets how files are recognised that must be imported first; the first call counts. Without it, none is.
pub fn recognise_foreign_with(recognise: Recognise) {
    RECOGNISE.get_or_init(|| recognise);
}

/// What a file is, if it must be imported first.
pub(super) fn foreign(path: &Path) -> Option<&'static str> {
    RECOGNISE.get().and_then(|recognise| recognise(path))
}

/// Refuses a file that must be imported first.
pub(super) fn refuse_foreign(path: &Path) -> Result<()> {
    let Some(title) = foreign(path) else { return Ok(()) };
    let diagnostic = Diagnostic::unnamed(title, "a block-hash trace (rows with hash_ids)");
    Err(diagnostic.with_help(import(path)).in_file(path).into())
}

/// What to do with a file or folder that must be imported first.
pub(super) fn import(path: &Path) -> String {
    format!("agentgen import {} makes a run of it", path.display())
}
