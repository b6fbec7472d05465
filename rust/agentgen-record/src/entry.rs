//! A call that has ended as a line of the journal.

use std::collections::HashMap;

use agentgen_formats::import::Trigger;
use agentgen_formats::import::formats::request::Section;
use agentgen_formats::import::journal::{Counts, Entry, Outcome, Piece, Pieces};
use agentgen_replay::answer::{Answer, Endpoint, Failure};
use agentgen_server::proxy::CallEnd;

use crate::known::{Known, Prompt};
use crate::request::{self, Read, without_attribution};
use crate::tap::Ended;

/// Makes lines of calls.
#[derive(Debug, Default)]
pub struct Entries {
    /// The server is Anthropic's, whose cache leaves out the line of attribution.
    is_anthropic: bool,
    known: Known,
    calls: u64,
    /// Answers that later requests may follow by their ids: the call, and the answer's pieces.
    responses: HashMap<String, Response>,
}

/// An answer that a later request may follow by its id.
#[derive(Debug)]
struct Response {
    call: u64,
    /// As of [`Entry`]: that of the conversation.
    first: Option<String>,
    pieces: Vec<Piece>,
}

/// A line, and what is counted of it.
pub struct Made {
    pub entry: Entry,
    pub prompt: Option<Prompt>,
    /// The id of its session, if the client sends one, and its hash.
    pub session: Option<String>,
    pub client: Option<u64>,
    /// The call whose whole prompt its own begins with.
    pub extends: Option<u64>,
    /// The call whose answer its prompt follows by its id.
    pub before: Option<u64>,
}

impl Entries {
    /// No call; `upstream`: the URL of the server.
    pub fn new(upstream: &str) -> Self {
        let host = upstream.split("://").nth(1).and_then(|rest| rest.split(['/', ':']).next());
        let is_anthropic = host.is_some_and(|host| host == "anthropic.com" || host.ends_with(".anthropic.com"));
        Self { is_anthropic, ..Self::default() }
    }

    /// The line of a call.
    pub fn make(&mut self, ended: &Ended) -> Made {
        let call = self.calls;
        self.calls += 1;
        let mut entry = Entry {
            call,
            api: request::name(ended.endpoint).to_owned(),
            outcome: outcome(ended),
            status: ended.status,
            sent_ms: ended.sent_ms,
            first_byte_after_ms: ended.first_byte_ns.map(ms),
            end_after_ms: ms(ended.end_ns),
            ..Entry::default()
        };
        if let Some(answer) = &ended.answer {
            add_answer(&mut entry, answer);
        }
        let body = ended.request.as_ref();
        let read = body.and_then(|body| request::read(body, ended.encoding.as_deref()));
        let session = ended.client.clone().or_else(|| read.as_ref().and_then(|read| read.names.session()));
        let client = session.as_ref().map(|session| self.known.hashes().id(session));
        entry.client = client.map(|client| format!("{client:016x}"));
        let before = read.as_ref().and_then(|read| self.responses.get(read.names.previous()?)).map(|known| known.call);
        let parent = ended.parent.as_ref().map(|parent| self.known.hashes().id(parent));
        entry.parent = parent.map(|parent| format!("{parent:016x}"));
        let prompt = read.and_then(|mut read| self.add_request(&mut entry, &mut read, ended));
        let extends = entry.after.filter(|(call, pieces)| self.known.length(*call) == Some(*pieces));
        Made { entry, prompt, session, client, extends: extends.map(|extends| extends.0), before }
    }

    /// Adds what the request says; none if it follows an answer that was not recorded.
    fn add_request(&mut self, entry: &mut Entry, read: &mut Read, ended: &Ended) -> Option<Prompt> {
        self.identify(entry, &mut read.prompt.list);
        entry.model.clone_from(&read.model);
        entry.has_tools = read.has_tools;
        entry.human_turns = read.prompt.human_turns;
        entry.trigger = match read.prompt.trigger {
            Some(Trigger::Human) => Some("human".to_owned()),
            Some(Trigger::Tool) => Some("tool".to_owned()),
            _ => None,
        };
        let before = match read.names.previous() {
            Some(id) => {
                let Response { call, first, pieces } = self.responses.get(id)?;
                entry.first.clone_from(first);
                Some((*call, &**pieces))
            }
            None => None,
        };
        let grows = ended.endpoint == Endpoint::Completions;
        let mut prompt = self.known.add(entry.call, &read.prompt.list, before, grows);
        entry.after = prompt.after;
        entry.head = prompt.head;
        entry.pieces = Some(Pieces(std::mem::take(&mut prompt.own)));
        if let Some(answer) = ended.answer.as_ref().filter(|_| entry.outcome == Outcome::Answered) {
            let sections = request::answer_sections(ended.endpoint, answer);
            let pieces = self.known.add_answer(entry.call, &prompt, &sections);
            if let (Endpoint::Responses, Some(id)) = (ended.endpoint, answer.id()) {
                let first = entry.first.clone();
                self.responses.insert(id.to_owned(), Response { call: entry.call, first, pieces });
            }
        }
        Some(prompt)
    }
}

impl Entries {
    /// Adds what tells agents and tasks apart.
    fn identify(&self, entry: &mut Entry, sections: &mut [Section]) {
        let is_context = |section: &&Section| matches!(section.role, "tools" | "system");
        let context: Vec<&str> = sections.iter().take_while(is_context).map(without_attribution).collect();
        let first = sections.get(context.len()).map(|section| self.known.hashes().id(&section.text));
        entry.agent = Some(format!("{:016x}", self.known.hashes().id(&context.join("\n"))));
        entry.first = first.map(|first| format!("{first:016x}"));
        if self.is_anthropic {
            for section in sections {
                section.text = without_attribution(section).to_owned();
            }
        }
    }
}

fn outcome(ended: &Ended) -> Outcome {
    let Some(status) = ended.status else {
        return if ended.end == CallEnd::Cancelled { Outcome::Cancelled } else { Outcome::Unreachable };
    };
    let failure = ended.answer.as_ref().and_then(Answer::failure);
    let is_complete = ended.answer.as_ref().is_some_and(Answer::is_complete);
    match (ended.end, failure) {
        _ if !(200..300).contains(&status) => Outcome::Refused,
        (_, Some(Failure::ServerError)) => Outcome::Refused,
        // A client may leave after the last event.
        _ if is_complete => Outcome::Answered,
        (CallEnd::Cancelled, _) => Outcome::Cancelled,
        (CallEnd::Lost, _) | (_, Some(Failure::StreamTruncated | Failure::BadResponse)) => Outcome::Truncated,
        _ => Outcome::Answered,
    }
}

fn add_answer(entry: &mut Entry, answer: &Answer) {
    let counts = answer.counts();
    entry.usage = Counts {
        prompt: counts.prompt_tokens,
        cached: counts.cached_tokens,
        written: counts.cache_written_tokens,
        output: counts.completion_tokens,
        reasoning: counts.reasoning_tokens,
    };
    entry.first_token_after_ms = answer.stamps().first_token_ns.map(|ns| ms(ns as u64));
    let calls = answer.tool_calls();
    let arguments: usize = calls.iter().map(|call| call.function.name.len() + call.function.arguments.len()).sum();
    entry.output_bytes = (answer.text().len() + answer.reasoning().len() + arguments) as u64;
    entry.tools = calls.iter().map(|call| call.function.name.clone()).collect();
}

/// ms, to the microsecond.
fn ms(ns: u64) -> f64 {
    (ns / 1_000) as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_attribution_does_not_tell_agents_apart() {
        let agent = |entries: &Entries, text: &str| {
            let mut entry = Entry::default();
            let mut sections = [Section { role: "system", text: text.to_owned() }];
            entries.identify(&mut entry, &mut sections);
            (entry.agent, sections[0].text.clone())
        };
        let (one, other) =
            ("x-anthropic-billing-header: cch=1;\nbe good", "x-anthropic-billing-header: cch=2;\nbe good");
        let local = Entries::new("http://127.0.0.1:8000");
        assert_eq!(agent(&local, one).0, agent(&local, other).0);
        assert_eq!(agent(&local, one).0, agent(&local, "be good").0);
        assert_ne!(agent(&local, one).0, agent(&local, "be bad").0);
        // A server that does not know it has it in its prompts.
        assert_eq!(agent(&local, one).1, one);
        assert_eq!(agent(&Entries::new("https://api.anthropic.com/v1"), one).1, "be good");
        assert_eq!(agent(&Entries::new("https://anthropic.com.example"), one).1, one);
    }
}
