//! Small sources, and what their import gives as text.

use std::fs;
use std::path::{Path, PathBuf};

use agentgen_formats::import::{Call, RecordedSession};
use tempfile::TempDir;

/// A folder with files.
pub struct Folder(pub TempDir);

impl Folder {
    pub fn new(files: &[(&str, &[u8])]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, bytes) in files {
            folder.write(name, bytes);
        }
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Paths below the folder as text.
    pub fn names<'a>(&self, paths: impl IntoIterator<Item = &'a Path>) -> Vec<String> {
        paths.into_iter().map(|p| p.strip_prefix(self.0.path()).unwrap().to_str().unwrap().replace('\\', "/")).collect()
    }
}

/// A session with calls of these ids, a second apart.
pub fn session(key: &str, ids: &[&str]) -> RecordedSession {
    let call = |(index, id): (usize, &&str)| Call {
        id: Some((*id).to_owned()),
        human_turn_index: index as u32,
        end_ms: Some(1000.0 * index as f64),
        ..Call::default()
    };
    RecordedSession {
        key: key.to_owned(),
        client: agentgen_formats::import::Client::default(),
        project: None,
        agent: agentgen_formats::import::Agent::Main,
        continues: None,
        context_window: None,
        human_turn_ms: vec![],
        calls: ids.iter().enumerate().map(call).collect(),
    }
}

/// The ids of a session's calls.
pub fn ids(session: &RecordedSession) -> Vec<&str> {
    session.calls.iter().map(|call| call.id.as_deref().unwrap_or("-")).collect()
}
