//! A call that has ended as a line of the journal.

use std::collections::HashMap;

use agentgen_formats::import::Trigger;
use agentgen_formats::import::journal::{Counts, Entry, Outcome, Piece, Pieces};
use agentgen_replay::answer::{Answer, Endpoint, Failure};
use agentgen_server::proxy::CallEnd;

use crate::known::{Known, Prompt};
use crate::request::{self, Read};
use crate::tap::Ended;

/// Makes lines of calls.
#[derive(Debug, Default)]
pub struct Entries {
    known: Known,
    calls: u64,
    /// Answers that later requests may follow by their ids: the call, and the answer's pieces.
    responses: HashMap<String, (u64, Vec<Piece>)>,
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
        let before = read.as_ref().and_then(|read| self.responses.get(read.names.previous()?)).map(|known| known.0);
        let prompt = read.and_then(|read| self.add_request(&mut entry, &read, ended));
        let extends = entry.after.filter(|(call, pieces)| self.known.length(*call) == Some(*pieces));
        Made { entry, prompt, session, client, extends: extends.map(|extends| extends.0), before }
    }

    /// Adds what the request says; none if it follows an answer that was not recorded.
    fn add_request(&mut self, entry: &mut Entry, read: &Read, ended: &Ended) -> Option<Prompt> {
        entry.model.clone_from(&read.model);
        entry.has_tools = read.has_tools;
        entry.human_turns = read.prompt.human_turns;
        entry.trigger = match read.prompt.trigger {
            Some(Trigger::Human) => Some("human".to_owned()),
            Some(Trigger::Tool) => Some("tool".to_owned()),
            _ => None,
        };
        let before = match read.names.previous() {
            Some(id) => Some(self.responses.get(id).map(|(call, answer)| (*call, &**answer))?),
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
                self.responses.insert(id.to_owned(), (entry.call, pieces));
            }
        }
        Some(prompt)
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
