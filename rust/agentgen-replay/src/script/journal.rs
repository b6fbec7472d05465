//! Transcripts on disk, for the sessions that continue them.

use std::fs;
use std::path::{Path, PathBuf};

use super::ScriptError;
use super::transcript::Transcript;

/// A directory of transcripts, one file a session.
#[derive(Debug, Clone)]
pub(super) struct Journal(PathBuf);

impl Journal {
    pub(super) fn new(directory: &Path) -> Self {
        Self(directory.to_owned())
    }

    fn path(&self, session: u64) -> PathBuf {
        self.0.join(format!("{session}.transcript"))
    }

    /// Keeps a session's transcript and how many tokens the trace says it has.
    pub(super) fn keep(&self, session: u64, planned_tokens: u64, transcript: &Transcript) -> Result<(), ScriptError> {
        let path = self.path(session);
        // The numbers on a line of their own, the text as it is.
        let mut text = serde_json::to_vec(&(planned_tokens, transcript)).unwrap_or_default();
        text.push(b'\n');
        text.extend_from_slice(&transcript.encoded);
        fs::create_dir_all(&self.0)
            .and_then(|()| fs::write(&path, text))
            .map_err(|source| ScriptError::Journal { path, source })
    }

    /// The planned tokens and the transcript of a session, if it was kept.
    pub(super) fn find(&self, session: u64) -> Result<Option<(u64, Transcript)>, ScriptError> {
        let path = self.path(session);
        let mut text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ScriptError::Journal { path, source }),
        };
        let line = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
        let (planned_tokens, mut transcript): (u64, Transcript) = serde_json::from_slice(&text[..line])
            .map_err(|error| ScriptError::Journal { path, source: error.into() })?;
        transcript.encoded = text.split_off((line + 1).min(text.len()));
        Ok(Some((planned_tokens, transcript)))
    }

    /// Forgets a transcript that nobody asks for again.
    pub(super) fn forget(&self, session: u64) {
        // What cannot be removed now goes with the directory.
        let _ = fs::remove_file(self.path(session));
    }
}
