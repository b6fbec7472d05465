//! The index files of tools, which say more of sessions than their logs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use agentgen_trace::source::Blocks;
use serde_json::{Map, Value};

use super::values::field;

/// Larger files are not read.
const MAX_INDEX_BYTES: u64 = 64 << 20;

/// How far above a session its index may be: the files of sub-agents are in folders of their own.
const FOLDERS_ABOVE: usize = 5;

/// What index files say of sessions, by session id.
type Entries = Arc<HashMap<String, Map<String, Value>>>;

/// The index files near sessions; each is read once.
#[derive(Debug, Default)]
pub(super) struct Indexes(Mutex<HashMap<PathBuf, Entries>>);

impl Indexes {
    /// What `sessions-index.json` of Claude Code says of a session.
    pub fn claude(&self, file: &Path, session: &str) -> Option<Map<String, Value>> {
        self.entry(file, "sessions-index.json", session, claude_entries)
    }

    /// What `sessions.json` of Hermes says of a session.
    pub fn hermes(&self, file: &Path, session: &str) -> Option<Map<String, Value>> {
        self.entry(file, "sessions.json", session, hermes_entries)
    }

    fn entry(
        &self,
        file: &Path,
        name: &str,
        session: &str,
        parse: fn(Value) -> HashMap<String, Map<String, Value>>,
    ) -> Option<Map<String, Value>> {
        file.ancestors().skip(1).take(FOLDERS_ABOVE).find_map(|folder| {
            let path = folder.join(name);
            let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let entries =
                read.entry(path).or_insert_with_key(|path| Arc::new(load(path).map(parse).unwrap_or_default()));
            entries.get(session).cloned()
        })
    }
}

/// A damaged index says nothing.
fn load(path: &Path) -> Option<Value> {
    path.is_file()
        .then(|| Blocks::head(path, MAX_INDEX_BYTES).ok())
        .flatten()
        .and_then(|b| serde_json::from_slice(&b).ok())
}

fn claude_entries(index: Value) -> HashMap<String, Map<String, Value>> {
    let Value::Object(mut index) = index else { return HashMap::new() };
    let Some(Value::Array(entries)) = index.remove("entries") else { return HashMap::new() };
    let named = entries.into_iter().filter_map(|entry| {
        let id = field(&entry, "sessionId")?;
        match entry {
            Value::Object(entry) => Some((id, entry)),
            _ => None,
        }
    });
    named.collect()
}

/// Keys of conversations, each with the id of its session or an object that has it.
fn hermes_entries(index: Value) -> HashMap<String, Map<String, Value>> {
    let Value::Object(index) = index else { return HashMap::new() };
    let named = index.into_iter().filter_map(|(key, entry)| {
        let (id, mut entry) = match entry {
            Value::String(id) => (id, Map::new()),
            Value::Object(entry) => (entry.get("session_id")?.as_str()?.to_owned(), entry),
            _ => return None,
        };
        entry.entry("session_key").or_insert(Value::String(key));
        Some((id, entry))
    });
    named.collect()
}
