//! What a request may ask to go wrong with its answer.

use std::time::Duration;

/// The header that asks for faults, several separated by commas: `status=503; retry-after=1, delay-headers=50`.
pub const HEADER: &str = "x-agentgen-fault";

/// Where a connection is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Without an answer.
    BeforeHeaders,
    /// When so many events have been sent.
    After(u32),
    /// In the middle of the event after so many.
    Within(u32),
}

/// How a stream's bytes are cut into writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// So many bytes each.
    Every(usize),
    /// 1 to 40 bytes each.
    Random,
}

/// What goes wrong with an answer. The default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub struct Faults {
    /// The answer is an error with this status, and says when to come again, in seconds.
    pub status: Option<(u16, Option<u32>)>,
    /// The headers are late.
    pub delay_headers: Duration,
    /// The first event is late, and so are those after it.
    pub delay_first: Duration,
    /// Each later event is this much later than the one before.
    pub delay_between: Duration,
    /// The connection is dropped.
    pub cut: Option<Cut>,
    /// The event after so many is not JSON.
    pub malformed: Option<u32>,
    /// An error takes the place of the event after so many and of all that follow but `[DONE]`.
    pub error: Option<u32>,
    /// Writes that end anywhere.
    pub split: Option<Split>,
    /// What ends a line, if not a line feed.
    pub line_end: Option<&'static str>,
    /// Comments between the events.
    pub comments: bool,
    /// A byte order mark at the beginning.
    pub bom: bool,
    /// Events of several lines of data.
    pub multi_line: bool,
    /// All events that are due in one write, whatever the server's way.
    pub one_write: bool,
    /// No usage.
    pub no_usage: bool,
    /// No `[DONE]`.
    pub no_done: bool,
    /// No reason why it is over.
    pub no_finish: bool,
    /// So many tokens come first, in the field named.
    pub reasoning: Option<(u32, &'static str)>,
    /// The first event has a role only.
    pub role_only: bool,
    /// The first event has a role and a null as its content.
    pub null_content: bool,
    /// Calls instead of a text.
    pub tool_calls: Option<u32>,
}

impl Faults {
    /// Adds what a header asks for. The error is one line.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        text.split(',').try_for_each(|part| self.add_one(part.trim()))
    }

    fn add_one(&mut self, text: &str) -> Result<(), String> {
        let (fault, parameter) = match text.split_once(';') {
            Some((fault, parameter)) => (fault.trim(), Some(parameter.trim())),
            None => (text, None),
        };
        let (name, value) = match fault.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (fault, None),
        };
        let count = |default: u32| match value {
            None => Ok(default),
            Some(value) => number(text, value),
        };
        let delay = || number(text, value.unwrap_or_default()).map(|ms| Duration::from_millis(ms.into()));
        match name {
            "status" => {
                let status = count(500)?;
                if !(400..=599).contains(&status) {
                    return Err(format!("{HEADER}: found {text:?}, expected a status from 400 to 599"));
                }
                let retry_after = parameter.and_then(|p| p.strip_prefix("retry-after="));
                self.status = Some((status as u16, retry_after.map(|s| number(text, s)).transpose()?));
                if parameter.is_some() && retry_after.is_none() {
                    return Err(format!("{HEADER}: found {text:?}, expected status=CODE; retry-after=SECONDS"));
                }
                return Ok(());
            }
            "reasoning" => {
                let field = match parameter {
                    None | Some("field=reasoning_content") => "reasoning_content",
                    Some("field=reasoning") => "reasoning",
                    Some(_) => {
                        return Err(format!(
                            "{HEADER}: found {text:?}, expected field=reasoning_content or field=reasoning"
                        ));
                    }
                };
                self.reasoning = Some((count(1)?, field));
                return Ok(());
            }
            "delay-headers" => self.delay_headers = delay()?,
            "delay-first" => self.delay_first = delay()?,
            "delay-between" => self.delay_between = delay()?,
            "drop-before-headers" => self.cut = Some(Cut::BeforeHeaders),
            "drop-after-headers" => self.cut = Some(Cut::After(0)),
            "drop-after" => self.cut = Some(Cut::After(count(1)?)),
            "drop-mid-event" => self.cut = Some(Cut::Within(count(1)?)),
            "malformed" => self.malformed = Some(count(1)?),
            "error-event" => self.error = Some(count(0)?),
            "split" if value == Some("random") => self.split = Some(Split::Random),
            "split" => self.split = Some(Split::Every(count(1)?.max(1) as usize)),
            "crlf" => self.line_end = Some("\r\n"),
            "cr" => self.line_end = Some("\r"),
            "comments" => self.comments = true,
            "bom" => self.bom = true,
            "multi-line" => self.multi_line = true,
            "one-write" => self.one_write = true,
            "no-usage" => self.no_usage = true,
            "no-done" => self.no_done = true,
            "no-finish" => self.no_finish = true,
            "role-only" => self.role_only = true,
            "null-content" => self.null_content = true,
            "tool-calls" => self.tool_calls = Some(count(1)?),
            _ => return Err(format!("{HEADER}: found {name:?}, which is no fault (docs/serve.md lists them)")),
        }
        if parameter.is_some() {
            return Err(format!("{HEADER}: found {text:?}, expected nothing after {fault:?}"));
        }
        Ok(())
    }
}

fn number(text: &str, digits: &str) -> Result<u32, String> {
    digits.parse().map_err(|_| format!("{HEADER}: found {text:?}, expected a whole number in it"))
}
