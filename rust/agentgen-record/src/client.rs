//! The session of a request, as its client names it.

use agentgen_server::proxy::Headers;
use serde::Deserialize;
use serde_json::Value;

/// Headers in which agents and clients name their sessions: load balancers' and agentgen's own, Codex, Claude Code, `OpenCode`.
const HEADERS: [&str; 7] = [
    "x-session-id",
    "session_id",
    "session-id",
    "x-claude-code-session-id",
    "conversation_id",
    "x-opencode-session",
    "x-session-affinity",
];
/// Names the session that started this one (`OpenCode`).
const PARENT: &str = "x-parent-session-id";
/// Longest id, bytes.
const MAX_ID_BYTES: usize = 1_024;

/// The members of a body that name its session or the answer that it follows.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Names {
    metadata: Option<Value>,
    conversation: Option<Value>,
    session_id: Option<Value>,
    previous_response_id: Option<Value>,
}

/// The id in the headers; `own` are looked at first.
pub fn of_headers(headers: &Headers<'_>, own: &[String]) -> Option<String> {
    let names = own.iter().map(String::as_str).chain(HEADERS);
    names.filter_map(|name| headers.get(name)).find_map(usable)
}

/// The id of the session that started this one.
pub fn parent_of_headers(headers: &Headers<'_>) -> Option<String> {
    headers.get(PARENT).and_then(usable)
}

impl Names {
    /// The id in the body.
    pub fn session(&self) -> Option<String> {
        let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).and_then(usable);
        let of_metadata = |metadata: &Value| {
            let session = metadata.get("session_id").and_then(Value::as_str).and_then(usable);
            session.or_else(|| metadata.get("user_id").and_then(Value::as_str).and_then(of_user))
        };
        let of_conversation = |conversation: &Value| {
            conversation.as_str().or_else(|| conversation.get("id").and_then(Value::as_str)).and_then(usable)
        };
        text(&self.session_id)
            .or_else(|| self.metadata.as_ref().and_then(of_metadata))
            .or_else(|| self.conversation.as_ref().and_then(of_conversation))
    }

    /// The answer that the prompt follows, which is not in the request.
    pub fn previous(&self) -> Option<&str> {
        self.previous_response_id.as_ref().and_then(Value::as_str)
    }
}

/// Claude Code names its session within the id of the user: `user_…_session_ID`, or JSON with `session_id`.
fn of_user(user: &str) -> Option<String> {
    if let Ok(Value::Object(user)) = serde_json::from_str(user) {
        return user.get("session_id").and_then(Value::as_str).and_then(usable);
    }
    user.rsplit_once("_session_").and_then(|(_, session)| usable(session))
}

fn usable(id: &str) -> Option<String> {
    (1..=MAX_ID_BYTES).contains(&id.len()).then(|| id.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    #[test]
    fn bodies_name_their_sessions() {
        let session = |body: &str| serde_json::from_str::<Names>(body).unwrap().session();
        for (body, expected) in [
            (r#"{"metadata":{"user_id":"user_abc_account__session_0f"}}"#, Some("0f")),
            (r#"{"metadata":{"user_id":"{\"device_id\":\"d\",\"session_id\":\"0f\"}"}}"#, Some("0f")),
            (r#"{"conversation":{"id":"conv_1"}}"#, Some("conv_1")),
            (r#"{"conversation":"conv_1"}"#, Some("conv_1")),
            (r#"{"session_id":"s"}"#, Some("s")),
            // A user has many sessions.
            (r#"{"metadata":{"user_id":"me"}}"#, None),
            (r#"{"metadata":7,"session_id":""}"#, None),
            ("{}", None),
        ] {
            assert_eq!(session(body).as_deref(), expected, "{body}");
        }
    }
}
