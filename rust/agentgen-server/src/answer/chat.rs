//! Answers of chat completions and completions.

use super::{Answer, AnswerTemplate, failed};
use crate::chain::{make_id, make_word};
use crate::document::Piece;
use crate::fault::{CallIndex, Faults};
use crate::request::Endpoint;
use crate::steps::{Part, Run, Step, Steps};

impl Answer {
    pub(super) fn chunk_steps(&self, include_usage: bool, faults: &Faults) -> Steps {
        let has_role = self.endpoint == Endpoint::Chat && self.role_sent;
        let events = [
            has_role.then(|| Run::one(Part::Role, 0)),
            Some(Run::tokens(0, self.tokens)),
            (!faults.no_finish).then(|| Run::one(Part::Finish, self.tokens)),
            (include_usage && !faults.no_usage).then(|| Run::one(Part::Usage, self.tokens)),
        ];
        Steps::new(events.into_iter().flatten(), self.tokens, true, faults)
    }

    /// Appends the data of an event.
    pub(super) fn encode_chunk(&self, step: Step, out: &mut Vec<u8>) {
        match step.part {
            Part::Done => out.extend_from_slice(b"[DONE]"),
            Part::Error => {
                let message = failed::MESSAGE;
                let error = format!(
                    r#"{{"error":{{"message":"{message}","type":"InternalServerError","param":null,"code":500}}}}"#
                );
                out.extend_from_slice(error.as_bytes());
            }
            Part::Malformed => out.extend_from_slice(br#"{"id":"malformed","choices":[{"index":0,"delta":{"content":"#),
            Part::Drop | Part::Begin(_) | Part::Open { .. } | Part::Close { .. } => {}
            Part::Usage => {
                out.extend_from_slice(&self.head);
                out.extend_from_slice(b"],");
                self.usage(self.tokens, out);
                out.push(b'}');
            }
            Part::Finish => {
                self.open(out);
                let empty = if self.endpoint == Endpoint::Chat { r#""delta":{}"# } else { r#""text":"""# };
                out.extend_from_slice(empty.as_bytes());
                out.extend_from_slice(br#","finish_reason":""#);
                out.extend_from_slice(self.finish_reason.as_bytes());
                out.extend_from_slice(br#""}]}"#);
            }
            Part::Role => {
                self.open(out);
                let content = if self.null_content { "null" } else { "\"\"" };
                out.extend_from_slice(br#""delta":{"role":"assistant","content":"#);
                out.extend_from_slice(content.as_bytes());
                out.extend_from_slice(br#"},"finish_reason":null}]}"#);
            }
            Part::Token => self.encode_token(step.token, out),
        }
    }

    fn open(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(br#"{"index":0,"#);
    }

    fn encode_token(&self, token: u32, out: &mut Vec<u8>) {
        self.open(out);
        let word = make_word(self.key, token.into());
        if self.endpoint == Endpoint::Completions {
            out.extend_from_slice(br#""text":""#);
            out.extend_from_slice(&word);
            out.push(b'"');
        } else {
            out.extend_from_slice(br#""delta":{"#);
            if token == 0 && !self.role_sent {
                out.extend_from_slice(br#""role":"assistant","#);
            }
            if let Some(index) = self.calls.iter().position(|call| token < call.end) {
                self.encode_call(index, token, out);
            } else {
                let (before, field) = self.reasoning;
                let (first, field) = if token < before { (0, field) } else { (before, "content") };
                let in_parts = self.dialect.content_parts && field == "content";
                out.push(b'"');
                out.extend_from_slice(field.as_bytes());
                out.extend_from_slice(if in_parts { br#"":[{"type":"text","text":""# } else { br#"":""# });
                // The first word of a text has no space before it.
                out.extend_from_slice(&word[usize::from(token == first)..]);
                out.extend_from_slice(if in_parts { br#""}]"# } else { br#"""# });
            }
            out.push(b'}');
        }
        out.extend_from_slice(br#","finish_reason":null"#);
        if self.return_token_ids {
            out.extend_from_slice(br#","token_ids":["#);
            out.extend_from_slice(itoa::Buffer::new().format(make_id(self.key, token.into())).as_bytes());
            out.push(b']');
        }
        out.extend_from_slice(b"}]");
        if self.dialect.usage_each {
            out.push(b',');
            self.usage(token + 1, out);
        }
        out.push(b'}');
    }

    /// Appends a fragment of a tool call.
    fn encode_call(&self, index: usize, token: u32, out: &mut Vec<u8>) {
        let call = &self.calls[index];
        let number = match self.dialect.call_index {
            CallIndex::Counted => format!(r#""index":{index},"#),
            CallIndex::Zero => r#""index":0,"#.to_owned(),
            CallIndex::None => String::new(),
        };
        let fragment = if token == call.first {
            let name = serde_json::Value::from(call.name.as_str());
            let id = &call.id;
            let arguments = if self.dialect.argument_objects {
                (call.first + 1..call.end).map(|token| self.argument(call, token)).collect()
            } else {
                "\"\"".to_owned()
            };
            format!(
                r#""tool_calls":[{{{number}"id":"{id}","type":"function","function":{{"name":{name},"arguments":{arguments}}}}}]"#
            )
        } else if self.dialect.argument_objects {
            r#""content":null"#.to_owned()
        } else {
            let arguments = self.argument(call, token);
            format!(r#""tool_calls":[{{{number}"function":{{"arguments":{}}}}}]"#, serde_json::Value::from(arguments))
        };
        out.extend_from_slice(fragment.as_bytes());
    }

    fn usage(&self, completion: u32, out: &mut Vec<u8>) {
        let (prompt, cached) = (self.prompt_tokens, self.cached_tokens);
        let total = prompt + u64::from(completion);
        out.extend_from_slice(
            format!(
                r#""usage":{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":{cached}}}}}"#
            )
            .as_bytes(),
        );
    }

    /// The answer as one document.
    pub(super) fn chunk_document(&self, faults: &Faults) -> Vec<Piece> {
        let AnswerTemplate { model, created, .. } = &*self.template;
        let object = if self.endpoint == Endpoint::Chat { "chat.completion" } else { "text_completion" };
        let mut pieces = vec![Piece::Text(format!(
            r#"{{"id":"{}","object":"{object}","created":{created},"model":{model},"choices":[{{"index":0,"#,
            self.id
        ))];
        let mut text = |text: &str| pieces.push(Piece::Text(text.to_owned()));
        if self.endpoint == Endpoint::Completions {
            text(r#""text":""#);
            pieces.push(Piece::Words { first: 0, end: self.tokens, spaced: true });
            pieces.push(Piece::Text("\"".to_owned()));
        } else {
            self.message(&mut pieces);
        }
        let mut text = |text: &str| pieces.push(Piece::Text(text.to_owned()));
        if !faults.no_finish {
            text(&format!(r#","finish_reason":"{}""#, self.finish_reason));
        }
        if self.return_token_ids {
            text(r#","token_ids":["#);
            pieces.push(Piece::Ids { first: 0, end: self.tokens });
            pieces.push(Piece::Text("]".to_owned()));
        }
        let mut end = b"}]".to_vec();
        if !faults.no_usage {
            end.push(b',');
            self.usage(self.tokens, &mut end);
        }
        end.push(b'}');
        pieces.push(Piece::Text(String::from_utf8_lossy(&end).into_owned()));
        pieces
    }

    /// `"message":{…}`.
    fn message(&self, pieces: &mut Vec<Piece>) {
        let (before, field) = self.reasoning;
        let before = before.min(self.tokens);
        let words = |first, end| Piece::Words { first, end, spaced: false };
        pieces.push(Piece::Text(r#""message":{"role":"assistant","content":"#.to_owned()));
        if self.calls.is_empty() {
            pieces.extend([Piece::Text("\"".to_owned()), words(before, self.tokens), Piece::Text("\"".to_owned())]);
        } else {
            pieces.push(Piece::Text("null".to_owned()));
        }
        if before > 0 {
            let begin = format!(r#","{field}":""#);
            pieces.extend([Piece::Text(begin), words(0, before), Piece::Text("\"".to_owned())]);
        }
        for (index, call) in self.calls.iter().enumerate() {
            let separator = if index == 0 { r#","tool_calls":["# } else { "," };
            let name = serde_json::Value::from(call.name.as_str());
            let (begin, end) = if self.dialect.argument_objects {
                (r#"{"input":""#, r#""}}}"#)
            } else {
                (r#""{\"input\":\""#, r#"\"}"}}"#)
            };
            pieces.push(Piece::Text(format!(
                r#"{separator}{{"id":"{}","type":"function","function":{{"name":{name},"arguments":{begin}"#,
                call.id
            )));
            pieces.push(words(call.first + 1, call.end));
            pieces.push(Piece::Text(end.to_owned()));
        }
        pieces.push(Piece::Text(if self.calls.is_empty() { "}" } else { "]}" }.to_owned()));
    }
}
