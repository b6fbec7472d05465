//! Answers that are lists of items: a text, the reasoning before it, or tool calls.

use serde_json::Value;

use super::{Answer, Call};
use crate::document::Piece;
use crate::fault::Faults;
use crate::request::Endpoint;
use crate::steps::{Part, Run, Steps};

/// Events that end an item repeat its content, if it has at most this many tokens.
pub(super) const REPEATED_TOKENS: u32 = 1 << 16;

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Reasoning,
    Text,
    /// A tool call: its number.
    Call(usize),
}

/// An item with the tokens `first..end`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub kind: Kind,
    pub first: u32,
    pub end: u32,
}

impl Item {
    /// The first token that has an event of its own: the first one of a call is its name, with which the call begins.
    pub fn first_delta(&self) -> u32 {
        self.first + u32::from(matches!(self.kind, Kind::Call(_)))
    }
}

/// The items of an answer of `tokens` tokens, the first `reasoning` of them reasoning, or all of them `calls`.
pub(super) fn items(tokens: u32, reasoning: u32, calls: &[Call]) -> Vec<Item> {
    if !calls.is_empty() {
        let item = |(at, call): (usize, &Call)| Item { kind: Kind::Call(at), first: call.first, end: call.end };
        return calls.iter().enumerate().map(item).collect();
    }
    let before = reasoning.min(tokens);
    let items =
        [Item { kind: Kind::Reasoning, first: 0, end: before }, Item { kind: Kind::Text, first: before, end: tokens }];
    items.into_iter().filter(|item| item.first < item.end).collect()
}

impl Answer {
    /// The item that a token belongs to, and its number.
    pub(super) fn item_of(&self, token: u32) -> Option<(usize, Item)> {
        let at = self.items.iter().position(|item| token < item.end)?;
        Some((at, self.items[at]))
    }

    /// The text or arguments that a token adds to its item.
    pub(super) fn delta(&self, item: Item, token: u32) -> String {
        match item.kind {
            Kind::Call(call) => self.argument(&self.calls[call], token),
            Kind::Reasoning | Kind::Text => {
                let word = self.words(token, token + 1);
                // The first word of a text has no space before it.
                if token == item.first { word.trim_start().to_owned() } else { word }
            }
        }
    }

    /// The content of an item as its closing events repeat it.
    pub(super) fn content(&self, item: Item) -> String {
        if item.end - item.first > REPEATED_TOKENS {
            return String::new();
        }
        match item.kind {
            Kind::Call(call) => {
                (item.first_delta()..item.end).map(|token| self.argument(&self.calls[call], token)).collect()
            }
            Kind::Reasoning | Kind::Text => self.words(item.first, item.end).trim_start().to_owned(),
        }
    }

    pub(super) fn item_steps(&self, faults: &Faults) -> Steps {
        let counts = |kind: Kind| match (self.endpoint, kind) {
            (Endpoint::Messages, Kind::Reasoning) => (1, 2),
            (Endpoint::Messages, _) => (1, 1),
            (_, Kind::Call(_)) => (1, 2),
            (_, Kind::Text | Kind::Reasoning) => (2, 3),
        };
        let mut runs: Vec<_> = (0..2).map(|event| Run::one(Part::Begin(event), 0)).collect();
        for (at, item) in self.items.iter().enumerate() {
            let (opening, closing) = counts(item.kind);
            runs.extend((0..opening).map(|event| Run::one(Part::Open { item: at, event }, item.first)));
            runs.push(Run::tokens(item.first_delta(), item.end));
            // The item is over when its last token is there.
            runs.extend((0..closing).map(|event| Run::one(Part::Close { item: at, event }, item.end)));
        }
        if self.endpoint == Endpoint::Messages && !faults.no_finish {
            runs.push(Run::one(Part::Finish, self.tokens));
        }
        // The Responses API says with the last event why the answer ended.
        let no_done = faults.no_done || (faults.no_finish && self.endpoint == Endpoint::Responses);
        Steps::new(runs, self.tokens, false, &Faults { no_done, ..faults.clone() })
    }

    /// A document: `frame`, and in its member `list` the items, each as `item` makes it without content. Their words are
    /// made as they are sent.
    pub(super) fn pieces(&self, frame: &Value, list: &str, item: impl Fn(usize, Item) -> Value) -> Vec<Piece> {
        let mut frame = frame.clone();
        if let Some(members) = frame.as_object_mut() {
            members.remove(list);
        }
        let mut pieces = Vec::new();
        pieces.push(Piece::Text(format!(r#"{{"{list}":["#)));
        for (at, one) in self.items.iter().enumerate() {
            let empty = item(at, Item { end: one.first, ..*one }).to_string();
            // Where the content goes, and what is around it.
            let places = [
                (r#""text":"""#, r#""text":""#, r#"""#),
                (r#""thinking":"""#, r#""thinking":""#, r#"""#),
                (r#""arguments":"""#, r#""arguments":"{\"input\":\""#, r#"\"}""#),
                (r#""input":{}"#, r#""input":{"input":""#, r#""}"#),
            ];
            let place = places.iter().find_map(|(place, open, close)| Some((empty.split_once(place)?, open, close)));
            let separator = if at > 0 { "," } else { "" };
            let Some(((before, after), open, close)) = place else { continue };
            pieces.push(Piece::Text(format!("{separator}{before}{open}")));
            pieces.push(Piece::Words { first: one.first_delta(), end: one.end, spaced: false });
            pieces.push(Piece::Text(format!("{close}{after}")));
        }
        let rest = frame.to_string();
        pieces.push(Piece::Text(format!("],{}", &rest[1..])));
        pieces
    }
}
