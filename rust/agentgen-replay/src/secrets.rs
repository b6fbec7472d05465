//! Secrets of the client's own requests, kept out of everything of a server's that is stored or shown.

use std::fmt::Write as _;

/// Longest text that is read for a message, bytes.
pub const MAX_TEXT_BYTES: usize = 64 << 10;
/// Most characters of a message.
const MAX_CHARS: usize = 500;
/// Shorter values are no secrets, and occur in other words.
const MIN_SECRET_BYTES: usize = 4;
/// Shortest word of a value that is a secret of its own: the key in `Bearer KEY`, but not `Bearer`.
const MIN_WORD_BYTES: usize = 8;
const REDACTED: &str = "[redacted]";

/// API keys and header values, in every form in which a server may repeat them.
#[derive(Debug, Default)]
pub struct Secrets {
    /// Longest first, so that no secret is left in part.
    forms: Vec<String>,
}

impl Secrets {
    /// The secrets in these header values.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms = Vec::new();
        for value in values {
            let words = value.split_whitespace().filter(|word| word.len() >= MIN_WORD_BYTES);
            for secret in words.chain([value.trim()]).filter(|secret| secret.len() >= MIN_SECRET_BYTES) {
                forms.extend([secret.to_owned(), json(secret), percent_encoded(secret), html(secret)]);
            }
        }
        forms.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        Self { forms }
    }

    /// The text without secrets.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let found = self.forms.iter().filter(|form| text.contains(form.as_str()));
        found.fold(text.to_owned(), |text, form| text.replace(form, REDACTED))
    }

    /// The first 64 KiB of a body as text without secrets, nor the beginning of one where it is cut.
    #[must_use]
    pub fn text(&self, body: &[u8]) -> String {
        let mut text = self.redact(&String::from_utf8_lossy(&body[..body.len().min(MAX_TEXT_BYTES)]));
        if body.len() >= MAX_TEXT_BYTES {
            let unfinished = |form: &String| {
                (1..form.len()).rev().find(|&length| text.as_bytes().ends_with(&form.as_bytes()[..length]))
            };
            text.truncate(text.len() - self.forms.iter().filter_map(unfinished).max().unwrap_or(0));
        }
        text
    }

    /// Text of a server as one line of at most 500 characters, without secrets and control characters.
    ///
    /// Secrets are removed before the text is cut, so that no part of one is left.
    #[must_use]
    pub fn line(&self, text: &str) -> String {
        let text = self.text(text.as_bytes());
        let visible: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        let words = visible.split_whitespace().collect::<Vec<_>>().join(" ");
        words.chars().take(MAX_CHARS).collect()
    }
}

fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}"); // writing to a string cannot fail
        }
    }
    encoded
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_secret_is_redacted() {
        let secrets = Secrets::new(["Bearer sk-a/b+c=d\"e", "internal", "v1"]);
        for (text, shown) in [
            ("bad key Bearer sk-a/b+c=d\"e.", "bad key [redacted]."),
            ("bad key sk-a/b+c=d\"e", "bad key [redacted]"),
            (r#"{"key": "sk-a/b+c=d\"e"}"#, r#"{"key": "[redacted]"}"#),
            ("/v1?key=sk-a%2Fb%2Bc%3Dd%22e", "/v1?key=[redacted]"),
            ("<b>sk-a/b+c=d&quot;e</b>", "<b>[redacted]</b>"),
            ("Bearer of v1: internal\n error", "Bearer of v1: [redacted] error"),
        ] {
            assert_eq!(secrets.line(text), shown);
        }
    }

    #[test]
    fn no_part_of_a_secret_is_left_where_a_text_is_cut() {
        let secret = "sk-0123456789abcdef";
        let secrets = Secrets::new([secret]);
        for before in 480..510 {
            let shown = secrets.line(&format!("{} {secret} {secret}", "x".repeat(before)));
            assert!(shown.len() <= MAX_CHARS && !shown.contains("sk-"), "{before}: {shown}");
        }
        for before in MAX_TEXT_BYTES - 30..MAX_TEXT_BYTES + 5 {
            let text = format!("{}{secret}{}", " ".repeat(before), "y".repeat(100));
            assert!(!secrets.line(&text).contains("sk-"), "{before}");
        }
    }

    #[test]
    fn a_line_is_cut_between_characters() {
        let text = "\u{1f680}".repeat(MAX_TEXT_BYTES);
        assert_eq!(Secrets::default().line(&text).chars().count(), MAX_CHARS);
    }
}
