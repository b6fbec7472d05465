//! `ShareGPT`: conversations as lists of `from` and `value`.

use std::path::Path;

use agentgen_trace::error::Result;
use serde::Deserialize;

use super::chat::{Conversation, Kind, Message};
use super::support::{key, read_values};
use super::values::Name;
use super::{Format, Head, no_folders};
use crate::import::lines::BadLine;
use crate::import::model::{Part, RecordedSession, Recording};

const NAME: &str = "sharegpt";

pub const FORMAT: Format = Format {
    name: NAME,
    title: "conversations of ShareGPT",
    extensions: &["json", "jsonl"],
    recognises: |head: &Head| head.any(|o| o.has_array("conversations")),
    read,
    default_folders: no_folders,
};

#[derive(Deserialize)]
struct Entry {
    id: Option<Name>,
    model: Option<String>,
    conversations: Vec<Said>,
}

#[derive(Deserialize)]
struct Said {
    from: String,
    value: Option<String>,
}

fn read(path: &Path) -> Result<Recording> {
    let (mut recording, mut sessions) = (Recording::default(), Vec::new());
    let (mut index, mut unanswered) = (0, 0);
    read_values(path, &mut recording, |text, _| {
        let one: Entry = serde_json::from_str(text)?;
        index += 1;
        let mut conversation = Conversation::default();
        for said in one.conversations {
            conversation.push(said.message()?);
        }
        let mut calls = conversation.finish();
        if calls.is_empty() {
            unanswered += 1;
            return Ok(());
        }
        for call in &mut calls {
            call.model.clone_from(&one.model);
        }
        let name = one.id.map_or_else(|| format!("conversation {index}"), |id| id.to_string());
        sessions.push(RecordedSession::new(key(path, name), NAME, calls));
        Ok(())
    })?;
    recording.sessions = sessions;
    recording.leave_out("conversations without a request", unanswered);
    Ok(recording)
}

impl Said {
    fn message(self) -> Result<Message, BadLine> {
        let (kind, role) = match self.from.as_str() {
            "system" => (Kind::Context, "system"),
            "human" | "user" => (Kind::Human, "user"),
            "gpt" | "assistant" | "chatgpt" | "bing" | "bard" | "model" | "function_call" => {
                (Kind::Answer, "assistant")
            }
            "tool" | "observation" | "function_response" => (Kind::Result, "tool"),
            _ => return Err(BadLine::new("`from` that is none of human, gpt, system and tool")),
        };
        let text = self.value.unwrap_or_default();
        Ok(Message { kind, part: Part::new(role, &text), tools: Vec::new() })
    }
}
