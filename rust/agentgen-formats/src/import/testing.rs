//! Sessions for tests.

use super::model::{Agent, Client, RecordedSession};

/// A session without calls.
pub(crate) fn session(key: &str) -> RecordedSession {
    RecordedSession {
        key: key.to_owned(),
        client: Client { format: "test".to_owned(), version: None },
        project: None,
        agent: Agent::Main,
        continues: None,
        context_window: None,
        human_turn_ms: Vec::new(),
        calls: Vec::new(),
    }
}
