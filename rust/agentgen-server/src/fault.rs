//! Faults that a request asks for in a header, or that the server injects at random.

use std::time::Duration;

/// The header that asks for faults, several separated by commas: `status=503; retry-after=1, delay-headers=50`.
pub const HEADER: &str = "x-agentgen-fault";

/// Where the connection is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Before the headers.
    BeforeHeaders,
    /// After this many events.
    After(u32),
    /// In the middle of the event after this many.
    Within(u32),
}

/// How the bytes of a stream are split into writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// This many bytes each.
    Every(usize),
    /// 1 to 40 bytes each.
    Random,
}

/// The faults of one answer; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub struct Faults {
    /// Status of an error response, and its `Retry-After` in seconds.
    pub status: Option<(u16, Option<u32>)>,
    /// Delay of the headers.
    pub delay_headers: Duration,
    /// Delay of the first event and of all after it.
    pub delay_first: Duration,
    /// Additional delay between two events.
    pub delay_between: Duration,
    /// Where the connection is dropped.
    pub cut: Option<Cut>,
    /// The event after this many is not JSON.
    pub malformed: Option<u32>,
    /// An error event replaces the event after this many and all later ones except `[DONE]`.
    pub error: Option<u32>,
    /// How the bytes are split into writes.
    pub split: Option<Split>,
    /// Line end, instead of a line feed.
    pub line_end: Option<&'static str>,
    /// Comments between the events.
    pub comments: bool,
    /// A byte order mark at the beginning.
    pub bom: bool,
    /// Events of several lines of data.
    pub multi_line: bool,
    /// All events that are due in one write, whatever the server's setting.
    pub one_write: bool,
    /// No usage.
    pub no_usage: bool,
    /// No `[DONE]`.
    pub no_done: bool,
    /// No finish reason.
    pub no_finish: bool,
    /// Number of reasoning tokens before the text, and their field.
    pub reasoning: Option<(u32, &'static str)>,
    /// An event with the role only comes first.
    pub role_only: bool,
    /// An event with the role and null content comes first.
    pub null_content: bool,
    /// Number of tool calls instead of a text.
    pub tool_calls: Option<u32>,
    /// Fields of a request that are refused.
    pub refused: Vec<String>,
    /// Whether they are refused with 422, as `FastAPI` does, instead of 400.
    pub unprocessable: bool,
    /// Two limits of the output in one request are refused.
    pub one_limit: bool,
    /// There is no list of models.
    pub no_models: bool,
    /// The form of the body of an error.
    pub error_body: ErrorBody,
    /// From the last event to the end of the body.
    pub late_end: Duration,
    /// The body is compressed, although nobody asked for it.
    pub gzip: bool,
    /// A document answers a request for a stream.
    pub one_document: bool,
    /// Contents are lists of parts.
    pub content_parts: bool,
    /// Every event has the usage so far.
    pub usage_each: bool,
    /// The index of all tool calls.
    pub call_index: CallIndex,
    /// An interim response comes before the response, in one write.
    pub interim: bool,
    /// Arguments of tool calls are objects, whole in the first event of the call.
    pub argument_objects: bool,
}

/// The form of the body of an error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ErrorBody {
    /// An object `error`.
    #[default]
    Object,
    /// `FastAPI`'s list `detail`.
    Detail,
    /// A text.
    Text,
    /// A page of a proxy.
    Html,
}

/// How tool calls of a stream are numbered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallIndex {
    /// From 0.
    #[default]
    Counted,
    /// All are number 0.
    Zero,
    /// Not at all.
    None,
}

impl Faults {
    /// Adds the faults in a header value. The error is one line.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        text.split(',').try_for_each(|part| self.add_one(part.trim()))
    }

    /// Whether a field of a request is refused.
    pub fn refuses(&self, field: &str) -> bool {
        self.refused.iter().any(|refused| refused == field)
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
            "refuse" => return self.add_refused(text, value, parameter),
            "late-end" => self.late_end = delay()?,
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
            _ if self.add_dialect(text, name, value)? => {}
            _ => {
                return Err(format!(
                    "{HEADER}: unknown fault {name:?} (the page \"Embedded server\" of the documentation lists all)"
                ));
            }
        }
        if parameter.is_some() {
            return Err(format!("{HEADER}: found {text:?}, expected nothing after {fault:?}"));
        }
        Ok(())
    }

    fn add_refused(&mut self, text: &str, value: Option<&str>, parameter: Option<&str>) -> Result<(), String> {
        let Some(field) = value.filter(|field| !field.is_empty()) else {
            return Err(format!("{HEADER}: found {text:?}, expected refuse=FIELD"));
        };
        self.unprocessable |= match parameter {
            None | Some("status=400") => false,
            Some("status=422") => true,
            Some(_) => return Err(format!("{HEADER}: found {text:?}, expected status=400 or status=422")),
        };
        self.refused.push(field.to_owned());
        Ok(())
    }

    /// Adds a way in which servers differ; false if there is none of this name.
    fn add_dialect(&mut self, text: &str, name: &str, value: Option<&str>) -> Result<bool, String> {
        match name {
            "error-body" => {
                self.error_body = match value {
                    Some("detail") => ErrorBody::Detail,
                    Some("text") => ErrorBody::Text,
                    Some("html") => ErrorBody::Html,
                    _ => return Err(format!("{HEADER}: found {text:?}, expected detail, text or html")),
                };
            }
            "call-index" => {
                self.call_index = match value {
                    Some("0") => CallIndex::Zero,
                    Some("none") => CallIndex::None,
                    _ => return Err(format!("{HEADER}: found {text:?}, expected call-index=0 or call-index=none")),
                };
            }
            "interim" => self.interim = true,
            "argument-objects" => self.argument_objects = true,
            "one-limit" => self.one_limit = true,
            "no-models" => self.no_models = true,
            "gzip" => self.gzip = true,
            "one-document" => self.one_document = true,
            "content-parts" => self.content_parts = true,
            "usage-each" => self.usage_each = true,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn number(text: &str, digits: &str) -> Result<u32, String> {
    digits.parse().map_err(|_| format!("{HEADER}: found {text:?}, expected a whole number in it"))
}
