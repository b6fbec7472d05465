//! Small sources, and what their import gives as text.

use std::fs;
use std::path::{Path, PathBuf};

use agentgen_formats::import::{Agent, Call, RecordedSession, Recording, formats, merge};
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
    RecordedSession::new(key.to_owned(), "", ids.iter().enumerate().map(call).collect())
}

/// The ids of a session's calls.
pub fn ids(session: &RecordedSession) -> Vec<&str> {
    session.calls.iter().map(|call| call.id.as_deref().unwrap_or("-")).collect()
}

/// Reads files with the format that is detected for each, as the caller of an import does, and merges them.
pub fn import(files: &[PathBuf]) -> Recording {
    let mut recording = Recording::default();
    for file in files {
        let format = formats::detect(file).unwrap().unwrap_or_else(|| panic!("{}: no format", file.display()));
        recording.append((format.read)(file).unwrap());
    }
    merge(recording)
}

/// Imports one file with these rows.
pub fn import_text(name: &str, text: &str) -> Recording {
    let folder = Folder::new(&[(name, text.as_bytes())]);
    import(&[folder.path(name)])
}

/// A session as text: a line for it, and one for each call.
pub fn lines(session: &RecordedSession) -> Vec<String> {
    let agent = match &session.agent {
        Agent::Main => String::new(),
        Agent::Sub { kind, parent, spawned_by, joined_by } => {
            let kind = kind.as_deref().unwrap_or("-");
            format!(" {kind} of {parent} {}..{}", number(*spawned_by), number(*joined_by))
        }
    };
    let continues = session.continues.as_ref().map_or_else(String::new, |key| format!(" continues {key}"));
    let mut lines = vec![format!("{}{agent}{continues}", session.key)];
    lines.extend(session.calls.iter().map(call));
    lines
}

/// All sessions as text.
pub fn all_lines(recording: &Recording) -> Vec<String> {
    recording.sessions.iter().flat_map(lines).collect()
}

fn number<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| v.to_string())
}

/// Id, trigger and the user's request, rewrite, tokens, times from the request on, tools.
fn call(call: &Call) -> String {
    let usage = call.usage;
    let since = |time: Option<f64>| time.zip(call.sent_ms).map(|(time, sent)| time - sent);
    let tools = call.tools.iter().map(|tool| {
        let person = if tool.asks_person { "?" } else { "" };
        let error = if tool.is_error == Some(true) { "!" } else { "" };
        let internal = tool.internal_ms.map_or_else(String::new, |ms| format!("({ms:.0})"));
        format!(" {}{person}{error} {}{internal}", tool.name, number(tool.wall_ms))
    });
    format!(
        "{} {}{}{} {}/{}+{}>{} {}..{}{}",
        call.id.as_deref().unwrap_or("-"),
        call.trigger.map_or_else(|| "-".to_owned(), |t| format!("{t:?}")),
        call.human_turn_index,
        call.rewrite.map_or_else(String::new, |r| format!(" {r:?}")),
        number(usage.prompt_tokens),
        number(usage.cached_tokens),
        number(usage.cache_written_tokens),
        number(usage.output_tokens),
        number(since(call.first_output_ms)),
        number(since(call.end_ms)),
        tools.collect::<String>(),
    )
}
