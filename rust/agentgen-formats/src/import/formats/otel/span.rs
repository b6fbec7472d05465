//! Spans of OTLP (JSON), and of exporters that write one object a span.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::import::lines::BadLine;
use crate::import::model::Usage;
use crate::import::time::iso_ms;

/// A span with its attributes of generative AI.
#[derive(Debug)]
pub struct Span {
    pub trace: String,
    pub id: String,
    pub parent: Option<String>,
    pub start_ms: f64,
    pub end_ms: Option<f64>,
    pub is_error: bool,
    attributes: HashMap<String, Value>,
}

/// Adds the spans of a value: an export with resources and scopes, a list of spans, or one span.
pub fn spans_of(value: &Value, spans: &mut Vec<Span>) -> Result<(), BadLine> {
    for key in ["resourceSpans", "scopeSpans", "instrumentationLibrarySpans", "spans"] {
        if let Some(list) = value.get(key).and_then(Value::as_array) {
            return list.iter().try_for_each(|one| spans_of(one, spans));
        }
    }
    spans.push(Span::of(value).ok_or_else(|| BadLine::new("no span with ids and a start"))?);
    Ok(())
}

impl Span {
    fn of(value: &Value) -> Option<Self> {
        let context = value.get("context").unwrap_or(value);
        let text = |from: &Value, keys: &[&str]| {
            let found = keys.iter().find_map(|key| from.get(key)?.as_str());
            found.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let time = |keys: &[&str]| keys.iter().find_map(|key| time_ms(value.get(key)?));
        let mut attributes = HashMap::new();
        match value.get("attributes") {
            Some(Value::Array(list)) => {
                for one in list {
                    if let (Some(key), Some(value)) = (one.get("key").and_then(Value::as_str), one.get("value")) {
                        attributes.insert(key.to_owned(), any_value(value));
                    }
                }
            }
            Some(Value::Object(map)) => {
                attributes.extend(map.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            _ => {}
        }
        let status = value.get("status").and_then(|status| status.get("code").or(status.get("status_code")));
        let failed = status.is_some_and(|code| code == 2 || code == "STATUS_CODE_ERROR" || code == "ERROR");
        let is_error = failed || attributes.contains_key("error.type");
        attributes.retain(|key, _| key.starts_with("gen_ai."));
        Some(Self {
            trace: text(context, &["traceId", "trace_id"])?,
            id: text(context, &["spanId", "span_id"])?,
            parent: text(value, &["parentSpanId", "parent_span_id", "parent_id"]),
            start_ms: time(&["startTimeUnixNano", "start_time_unix_nano", "start_time"])?,
            end_ms: time(&["endTimeUnixNano", "end_time_unix_nano", "end_time"]),
            is_error,
            attributes,
        })
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.attributes.get(key)?.as_str()
    }

    pub fn is_agent(&self) -> bool {
        self.text("gen_ai.operation.name") == Some("invoke_agent")
    }

    pub fn is_tool(&self) -> bool {
        self.text("gen_ai.operation.name") == Some("execute_tool")
    }

    /// Whether it is a model call. Early writers name no operation.
    pub fn is_call(&self) -> bool {
        match self.text("gen_ai.operation.name") {
            Some(operation) => matches!(operation, "chat" | "text_completion" | "generate_content"),
            None => self.usage().prompt_tokens.is_some() || self.attributes.contains_key("gen_ai.input.messages"),
        }
    }

    pub fn conversation(&self) -> Option<&str> {
        self.text("gen_ai.conversation.id")
    }

    pub fn agent_name(&self) -> Option<&str> {
        self.text("gen_ai.agent.name")
    }

    pub fn tool_name(&self) -> Option<&str> {
        self.text("gen_ai.tool.name")
    }

    pub fn model(&self) -> Option<&str> {
        self.text("gen_ai.response.model").or(self.text("gen_ai.request.model"))
    }

    pub fn usage(&self) -> Usage {
        let count = |keys: &[&str]| {
            keys.iter().find_map(|key| match self.attributes.get(&format!("gen_ai.usage.{key}"))? {
                Value::String(text) => text.parse().ok(),
                value => value.as_u64(),
            })
        };
        Usage {
            prompt_tokens: count(&["input_tokens", "prompt_tokens"]),
            cached_tokens: count(&["cache_read.input_tokens", "cache_read_input_tokens"]),
            cache_written_tokens: count(&["cache_creation.input_tokens", "cache_creation_input_tokens"]),
            output_tokens: count(&["output_tokens", "completion_tokens"]),
            reasoning_tokens: count(&["reasoning.output_tokens", "reasoning_tokens"]),
        }
    }

    /// An attribute that is a list, or a list as JSON text.
    pub fn list(&self, key: &str) -> Option<Value> {
        let list = match self.attributes.get(key)? {
            Value::String(text) => serde_json::from_str(text).ok()?,
            value => value.clone(),
        };
        Some(list).filter(Value::is_array)
    }
}

/// A time: nanoseconds since the Unix epoch, as a number or as text, or ISO 8601.
fn time_ms(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.parse::<f64>().ok().map(|ns| ns / 1e6).or_else(|| iso_ms(text)),
        number => number.as_f64().map(|ns| ns / 1e6),
    }
    .filter(|ms| ms.is_finite() && *ms >= 0.0)
}

/// The value of an attribute of OTLP, without the names of types.
fn any_value(value: &Value) -> Value {
    let Some((kind, inner)) = value.as_object().and_then(|object| object.iter().next()) else { return value.clone() };
    let list = |inner: &Value| inner.get("values").and_then(Value::as_array).cloned().unwrap_or_default();
    match kind.as_str() {
        "arrayValue" => list(inner).iter().map(any_value).collect(),
        "kvlistValue" => {
            let pair = |one: &Value| Some((one.get("key")?.as_str()?.to_owned(), any_value(one.get("value")?)));
            Value::Object(list(inner).iter().filter_map(pair).collect::<Map<_, _>>())
        }
        _ => inner.clone(),
    }
}
