//! Bodies of requests to the APIs of models as the sections of their prompts: `messages` (`OpenAI`, Anthropic), `input`
//! (`OpenAI`'s responses), `prompt`, `text_input`.

use serde::Deserialize;
use serde_json::Value;

use super::chat::{Kind, said, tools_section, trigger};
use crate::import::lines::BadLine;
use crate::import::model::Trigger;

pub use super::chat::Section;

/// The members of a body that its prompt follows from.
#[derive(Debug, Deserialize, Default)]
pub struct Body {
    /// The model.
    pub model: Option<String>,
    /// The conversation.
    pub messages: Option<Vec<Value>>,
    /// The prompt of `OpenAI`'s responses: text, or items.
    pub input: Option<Value>,
    /// The system prompt of `OpenAI`'s responses.
    pub instructions: Option<Value>,
    /// The system prompt of Anthropic.
    pub system: Option<Value>,
    /// Tools that the answer may call.
    pub tools: Option<Value>,
    /// What a turn adds to its session.
    pub text_input: Option<String>,
    /// The prompt of completions: text or token ids; also a list of one of either.
    pub prompt: Option<Value>,
    /// Token counts, of recorded bodies.
    pub usage: Option<Value>,
}

/// A prompt as an API renders it: tools, system prompt, messages.
#[derive(Debug, Clone, Default)]
pub struct Sections {
    /// In order; at least one.
    pub list: Vec<Section>,
    /// How many requests of the user it holds.
    pub human_turns: u32,
    /// What caused the call.
    pub trigger: Option<Trigger>,
    /// It is what a turn adds to its session, not the whole prompt.
    pub is_added: bool,
}

impl Body {
    /// Whether it has a prompt.
    #[must_use]
    pub fn has_prompt(&self) -> bool {
        self.messages.is_some() || self.input.is_some() || self.prompt.is_some()
    }

    /// The sections of the prompt.
    pub fn sections(&self) -> Result<Sections, BadLine> {
        let mut list: Vec<Section> = tools_section(self.tools.as_ref()).into_iter().collect();
        let added = self.text_input.as_ref();
        let prompt = added.cloned().map(Ok).or_else(|| self.prompt.as_ref().map(completion_prompt)).transpose()?;
        if let Some(text) = prompt {
            list.push(Section { role: "user", text });
            let trigger = Some(Trigger::Human);
            return Ok(Sections { list, human_turns: 1, trigger, is_added: added.is_some() });
        }
        let system = self.system.as_ref().or(self.instructions.as_ref()).filter(|system| !system.is_null());
        if let Some(system) = system {
            let message = said(&serde_json::json!({ "role": "system", "content": system }))?;
            list.push(message.section());
        }
        let (mut human_turns, mut last) = (0, Kind::Context);
        let text_item;
        let items: &[Value] = match (&self.messages, &self.input) {
            (Some(messages), _) => messages,
            (None, Some(Value::Array(items))) => items,
            (None, Some(Value::String(text))) => {
                text_item = [serde_json::json!({ "role": "user", "content": text })];
                &text_item
            }
            _ => return Err(BadLine::new("none of messages, input, prompt and text_input")),
        };
        for item in items {
            let message = said(item)?;
            human_turns += u32::from(message.kind == Kind::Human && last != Kind::Human);
            last = message.kind;
            list.push(message.section());
        }
        if list.is_empty() {
            return Err(BadLine::new("no message"));
        }
        Ok(Sections { list, human_turns, trigger: trigger(last), is_added: false })
    }
}

/// The text of a prompt of completions.
fn completion_prompt(prompt: &Value) -> Result<String, BadLine> {
    match prompt {
        Value::String(text) => Ok(text.clone()),
        Value::Array(list) if !list.is_empty() && list.iter().all(Value::is_u64) => {
            let ids: Vec<String> = list.iter().map(Value::to_string).collect();
            Ok(ids.join(" "))
        }
        Value::Array(list) if list.len() == 1 && !list[0].is_number() => completion_prompt(&list[0]),
        _ => Err(BadLine::new("a prompt that is neither a text nor token ids")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    fn sections(body: &str) -> Vec<(&'static str, String)> {
        let body: Body = serde_json::from_str(body).unwrap();
        body.sections().unwrap().list.into_iter().map(|section| (section.role, section.text)).collect()
    }

    #[test]
    fn one_conversation_has_one_rendering_in_all_apis() {
        let expected = vec![
            ("system", "be good".to_owned()),
            ("user", "look".to_owned()),
            ("assistant", "ls\n{\"a\":1}".to_owned()),
            ("tool", "ok".to_owned()),
        ];
        let chat = r#"{"messages":[{"role":"system","content":"be good"},{"role":"user","content":"look"},
            {"role":"assistant","content":null,"tool_calls":[{"id":"c","function":{"name":"ls","arguments":"{\"a\":1}"}}]},
            {"role":"tool","tool_call_id":"c","content":"ok"}]}"#;
        let messages = r#"{"system":[{"type":"text","text":"be good","cache_control":{"type":"ephemeral"}}],"messages":[
            {"role":"user","content":[{"type":"text","text":"look","cache_control":{"type":"ephemeral"}}]},
            {"role":"assistant","content":[{"type":"tool_use","id":"c","name":"ls","input":{"a":1}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":"ok"}]}]}"#;
        let responses = r#"{"instructions":"be good","input":[{"role":"user","content":[{"type":"input_text","text":"look"}]},
            {"type":"function_call","call_id":"c","name":"ls","arguments":"{\"a\":1}"},
            {"type":"function_call_output","call_id":"c","output":"ok"}]}"#;
        for body in [chat, messages, responses] {
            assert_eq!(sections(body), expected, "{body}");
        }
    }

    #[test]
    fn prompts_of_completions_are_text_or_ids() {
        for body in [r#"{"prompt":[5,6]}"#, r#"{"prompt":[[5,6]]}"#, r#"{"prompt":"5 6"}"#, r#"{"prompt":["5 6"]}"#] {
            assert_eq!(sections(body), [("user", "5 6".to_owned())], "{body}");
        }
        for body in [r#"{"prompt":["a","b"]}"#, r#"{"prompt":[]}"#, r#"{"prompt":[1.5]}"#, r#"{"prompt":[[[]]]}"#] {
            assert!(serde_json::from_str::<Body>(body).unwrap().sections().is_err(), "{body}");
        }
    }

    #[test]
    fn an_image_is_the_same_wherever_the_cache_control_stands() {
        let image = |more: &str| {
            sections(&format!(
                r#"{{"messages":[{{"role":"user","content":[{{"type":"image","source":{{"data":"x"}}{more}}}]}}]}}"#
            ))
        };
        assert_eq!(image(""), image(r#","cache_control":{"type":"ephemeral"}"#));
    }

    #[test]
    fn items_of_other_types_are_part_of_the_prompt() {
        let body = r#"{"input":[{"role":"user","content":"x"},{"type":"web_search_call","id":"w"},
            {"type":"custom_tool_call","name":"apply","input":"y"},{"type":"custom_tool_call_output","output":"z"}]}"#;
        let roles: Vec<_> = sections(body).into_iter().map(|(role, _)| role).collect();
        assert_eq!(roles, ["user", "assistant", "assistant", "tool"]);
    }
}
