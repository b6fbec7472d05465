//! What the text of a tool's result says about its run.

use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::json::{Maybe, Str, text_bytes};
use crate::import::time::duration_ms;

/// Where a result tells of the run: at its beginning, or, in earlier versions, in the JSON at its end.
const HEAD_BYTES: usize = 512;
const TAIL_BYTES: usize = 256;

/// A tool's result.
#[derive(Debug, Default)]
pub struct ToolResult {
    /// Id of the tool call.
    pub call: String,
    pub bytes: u64,
    pub internal_ms: Option<f64>,
    pub is_error: Option<bool>,
    /// The sub-agent that was started.
    pub agent: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Started<'a> {
    #[serde(borrow)]
    agent_id: Str<'a>,
}

/// Reads a result.
pub fn parse(call: &str, output: Option<&RawValue>) -> ToolResult {
    let mut result = ToolResult { call: call.to_owned(), ..ToolResult::default() };
    let Some(output) = output else { return result };
    result.bytes = text_bytes(output);
    let json = output.get().as_bytes();
    let (head, tail) = (&json[..json.len().min(HEAD_BYTES)], &json[json.len().saturating_sub(TAIL_BYTES)..]);
    let seconds = number_after(head, "Wall time: ").or_else(|| number_after(tail, r#"\"duration_seconds\":"#));
    result.internal_ms = duration_ms(seconds.map(|seconds| seconds * 1000.0));
    let code = number_after(head, "exited with code ")
        .or_else(|| number_after(head, "Exit code: "))
        .or_else(|| number_after(tail, r#"\"exit_code\":"#));
    result.is_error = code.map(|code| code != 0.0);
    if json.len() <= HEAD_BYTES && memmem::find(json, b"agent_id").is_some() {
        let text = serde_json::from_str::<Str>(output.get()).unwrap_or_default();
        let started = serde_json::from_str::<Maybe<Started>>(&text).unwrap_or_default().0;
        result.agent = started.map(|s| s.agent_id.to_string()).filter(|id| !id.is_empty());
    }
    result
}

/// The number that follows a text.
fn number_after(json: &[u8], text: &str) -> Option<f64> {
    let rest = json.get(memmem::find(json, text.as_bytes())? + text.len()..)?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-')).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}
