//! The prompt of a request, rebuilt from the requests before it.

use super::model::{History, Message, Request, Transcript};

/// Where a message of a prompt comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageId {
    /// Index of the request that added the message, or that was answered with it.
    pub request: usize,
    /// Index among the request's messages; their number for its answer.
    pub index: usize,
}

impl Transcript {
    /// All messages of a request's prompt, in order, each with where it comes from.
    #[must_use]
    pub fn prompt(&self, request: usize) -> Vec<(MessageId, &Message)> {
        // From the last request back to the one whose prompt begins with nothing.
        let (mut chain, mut at) = (Vec::new(), Some(request));
        while let Some(current) = at {
            chain.push(current);
            at = self.requests[current].history.after().filter(|after| *after < current);
        }
        let mut messages = Vec::new();
        for (place, &current) in chain.iter().enumerate().rev() {
            let own = &self.requests[current];
            if let History::Break { kept, .. } = own.history {
                messages.truncate(kept);
            }
            let answer = own.answer.as_ref().filter(|_| place > 0);
            let indexed = own.messages.iter().chain(answer).enumerate();
            messages.extend(indexed.map(|(index, message)| (MessageId { request: current, index }, message)));
        }
        messages
    }

    /// The first request that continues another one, or rewrites its history.
    #[must_use]
    pub fn next_after(&self, request: usize) -> Option<usize> {
        let consecutive = |next: &Request| next.history.after() == Some(request);
        self.requests[request + 1..].iter().position(consecutive).map(|at| request + 1 + at)
    }
}

impl History {
    /// The request whose prompt and answer this one begins with.
    #[must_use]
    pub fn after(&self) -> Option<usize> {
        match self {
            Self::Continue { after } | Self::Break { after, .. } => Some(*after),
            Self::Spawn { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{Parameters, Part, Role, SubAgent, Usage};
    use super::*;

    fn message(role: Role, text: &str) -> Message {
        Message { role, name: None, parts: vec![Part::Text(text.to_owned())] }
    }

    fn request(history: History, texts: &[&str], answer: &str) -> Request {
        Request {
            history,
            messages: texts.iter().map(|text| message(Role::User, text)).collect(),
            answer: Some(message(Role::Assistant, answer)),
            parameters: Parameters::default(),
            trigger: None,
            model: None,
            usage: Usage::default(),
            delay_ms: None,
            start_ms: None,
            end_ms: None,
        }
    }

    /// A main agent that starts a sub-agent, waits for it, is compacted and continues.
    fn transcript() -> Transcript {
        let explorer = SubAgent { parent: 0, join: Some(3), kind: Some("explorer".to_owned()) };
        let mut requests = vec![
            request(History::Spawn { agent: None }, &["system", "task"], "delegate"),
            request(History::Spawn { agent: Some(explorer) }, &["explorer's system", "look"], "looking"),
            request(History::Continue { after: 1 }, &["listing"], "found"),
            request(History::Continue { after: 0 }, &["result: found"], "edit"),
            request(History::Break { after: 3, kept: 1 }, &["summary"], "done"),
            request(History::Continue { after: 4 }, &["thanks"], "welcome"),
        ];
        requests[3].usage = Usage { prompt: Some(900), cached: Some(800), output: Some(70), ..Usage::default() };
        Transcript { id: "c".to_owned(), parameters: Parameters::default(), requests }
    }

    #[test]
    fn a_prompt_follows_continued_spawned_and_broken_histories() {
        let transcript = transcript();
        let texts = |request: usize| -> Vec<String> {
            let text = |(_, message): (MessageId, &Message)| match &message.parts[..] {
                [Part::Text(text)] => text.clone(),
                other => format!("{other:?}"),
            };
            transcript.prompt(request).into_iter().map(text).collect()
        };
        assert_eq!(texts(0), ["system", "task"]);
        assert_eq!(texts(1), ["explorer's system", "look"]);
        assert_eq!(texts(2), ["explorer's system", "look", "looking", "listing"]);
        assert_eq!(texts(3), ["system", "task", "delegate", "result: found"]);
        assert_eq!(texts(4), ["system", "summary"]);
        assert_eq!(texts(5), ["system", "summary", "done", "thanks"]);
        let ids: Vec<_> = transcript.prompt(5).into_iter().map(|(id, _)| (id.request, id.index)).collect();
        assert_eq!(ids, [(0, 0), (4, 0), (4, 1), (5, 0)]);
        let next: Vec<_> = (0..6).map(|request| transcript.next_after(request)).collect();
        assert_eq!(next, [Some(3), Some(2), None, Some(4), Some(5), None]);
    }

    #[test]
    fn counted_outputs_go_before_estimates() {
        let transcript = transcript();
        assert_eq!(transcript.planned_output(3, None), 70);
        assert_eq!(transcript.planned_output(4, None), 1, "four bytes");
    }

    #[test]
    fn a_history_that_names_a_later_request_begins_with_nothing() {
        let mut transcript = transcript();
        transcript.requests[0].history = History::Continue { after: 3 };
        assert_eq!(transcript.prompt(3).len(), 4);
    }
}
