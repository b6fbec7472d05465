//! Transcripts on disk, for the restart sessions that continue them.

use std::fs;
use std::path::{Path, PathBuf};

use super::encoded::EncodedTranscript;
use super::options::RequestError;

/// A directory of transcripts, one file per session.
#[derive(Debug, Clone)]
pub(super) struct TranscriptStore(PathBuf);

impl TranscriptStore {
    pub(super) fn new(directory: &Path) -> Self {
        Self(directory.to_owned())
    }

    fn path(&self, session: u64) -> PathBuf {
        self.0.join(format!("{session}.transcript"))
    }

    /// Writes a session's transcript and its length in the trace, tokens.
    pub(super) fn keep(
        &self,
        session: u64,
        planned_tokens: u64,
        transcript: &EncodedTranscript,
    ) -> Result<(), RequestError> {
        let path = self.path(session);
        // The first line holds the numbers, the rest is the encoded text.
        let mut text = serde_json::to_vec(&(planned_tokens, transcript)).unwrap_or_default();
        text.push(b'\n');
        text.extend_from_slice(&transcript.encoded);
        fs::create_dir_all(&self.0)
            .and_then(|()| fs::write(&path, text))
            .map_err(|source| RequestError::Store { path, source })
    }

    /// Reads the planned tokens and the transcript of a session; `None` if it was not kept.
    pub(super) fn find(&self, session: u64) -> Result<Option<(u64, EncodedTranscript)>, RequestError> {
        let path = self.path(session);
        let mut text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(RequestError::Store { path, source }),
        };
        let line = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
        let (planned_tokens, mut transcript): (u64, EncodedTranscript) = serde_json::from_slice(&text[..line])
            .map_err(|error| RequestError::Store { path, source: error.into() })?;
        transcript.encoded = text.split_off((line + 1).min(text.len()));
        Ok(Some((planned_tokens, transcript)))
    }

    /// Removes a transcript that no other session needs.
    pub(super) fn forget(&self, session: u64) {
        // The replay removes the whole directory at its end.
        let _ = fs::remove_file(self.path(session));
    }
}
