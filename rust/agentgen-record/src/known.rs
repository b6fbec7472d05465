//! All prompts so far, as a tree of pieces: what a prompt shares with an earlier one, and what an infinite cache would have
//! found.

use std::collections::HashMap;

use agentgen_formats::import::formats::request::Section;
use agentgen_formats::import::journal::{PIECE_TOKENS, Piece};

use crate::pieces::{Hashes, is_boundary, next_piece};

/// A piece after those before it.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// The call whose prompt has it; of an answer, the call whose answer it is.
    call: u64,
    is_answer: bool,
}

/// A prompt that ended within a piece.
#[derive(Debug, Clone, Copy)]
struct Tail {
    bytes: usize,
    piece: Piece,
}

/// A prompt without what it shares with an earlier one.
#[derive(Debug, Default)]
struct Stored {
    after: Option<(u64, usize)>,
    own: Vec<Piece>,
    /// As of [`Prompt`].
    head: [usize; 2],
}

/// All prompts so far.
#[derive(Debug, Default)]
pub struct Known {
    hashes: Hashes,
    /// By the identity of the piece and all before it.
    nodes: HashMap<u64, Node>,
    /// By the identity of what is before them.
    tails: HashMap<u64, Vec<Tail>>,
    prompts: HashMap<u64, Stored>,
}

/// A prompt beside all earlier ones.
#[derive(Debug, Default)]
pub struct Prompt {
    /// An earlier call, and how many pieces of its prompt this one begins with.
    pub after: Option<(u64, usize)>,
    /// The other pieces.
    pub own: Vec<Piece>,
    /// Pieces of tools and system prompt, and the same with the first message.
    pub head: [usize; 2],
    /// All its pieces.
    pub length: usize,
    /// Tokens, by estimate.
    pub tokens: u64,
    /// Of them, those that an earlier prompt or its answer begins with.
    pub known_tokens: u64,
    /// Identity of the whole prompt.
    key: u64,
}

impl Known {
    /// What hashes ids.
    pub fn hashes(&self) -> &Hashes {
        &self.hashes
    }

    /// Adds the prompt of a call. `before`: a call and its answer, which the messages of the prompt follow. `grows`: a text
    /// that goes on after the end of an earlier one is cut there.
    pub fn add(&mut self, call: u64, sections: &[Section], before: Option<(u64, &[Piece])>, grows: bool) -> Prompt {
        let context = sections.iter().take_while(|section| matches!(section.role, "tools" | "system")).count();
        let mut walk = Walk::new(self);
        for section in &sections[..context] {
            walk.section(section, false);
        }
        let mut head = [walk.pieces.len(); 2];
        if let Some((before, answer)) = before {
            let [context, first] = self.prompts.get(&before).map_or([0; 2], |stored| stored.head);
            let pieces = self.pieces(before);
            pieces.iter().skip(context).chain(answer).for_each(|piece| walk.step(*piece));
            head[1] += first - context;
        }
        for section in &sections[context..] {
            walk.section(section, grows);
            if head[1] == head[0] {
                head[1] = walk.pieces.len();
            }
        }
        let Walk { key, key_before, last_bytes, pieces, after, tokens, known_tokens, .. } = walk;
        if let Some(last) = pieces.last().filter(|last| grows && last.tokens() < u64::from(PIECE_TOKENS)) {
            let tails = self.tails.entry(key_before).or_default();
            if !tails.iter().any(|tail| tail.piece == *last) {
                tails.push(Tail { bytes: last_bytes, piece: *last });
            }
        }
        self.insert(0, &pieces, Node { call, is_answer: false });
        let own = pieces[after.map_or(0, |after| after.1)..].to_vec();
        self.prompts.insert(call, Stored { after, own: own.clone(), head });
        Prompt { after, own, head, length: pieces.len(), tokens, known_tokens, key }
    }

    /// Adds the answer to a prompt; returns its pieces.
    pub fn add_answer(&mut self, call: u64, prompt: &Prompt, answer: &[Section]) -> Vec<Piece> {
        let mut walk = Walk::new(self);
        for section in answer {
            walk.section(section, false);
        }
        let pieces = walk.pieces;
        self.insert(prompt.key, &pieces, Node { call, is_answer: true });
        pieces
    }

    /// Pieces of a call's prompt.
    pub fn length(&self, call: u64) -> Option<usize> {
        let stored = self.prompts.get(&call)?;
        Some(stored.after.map_or(0, |after| after.1) + stored.own.len())
    }

    fn insert(&mut self, mut key: u64, pieces: &[Piece], node: Node) {
        for piece in pieces {
            key = step(key, *piece);
            let known = self.nodes.entry(key).or_insert(node);
            if known.is_answer && !node.is_answer {
                *known = node;
            }
        }
    }

    /// All pieces of a call's prompt.
    fn pieces(&self, call: u64) -> Vec<Piece> {
        let mut runs: Vec<&[Piece]> = Vec::new();
        let (mut at, mut keep) = (Some(call), usize::MAX);
        while let Some(stored) = at.and_then(|call| self.prompts.get(&call)) {
            let begin = stored.after.map_or(0, |after| after.1);
            if keep > begin {
                runs.push(&stored.own[..stored.own.len().min(keep - begin)]);
                keep = begin;
            }
            at = stored.after.map(|after| after.0);
        }
        runs.reverse();
        runs.concat()
    }
}

/// Goes along the tree of all prompts.
struct Walk<'a> {
    known: &'a Known,
    key: u64,
    /// Before the last piece.
    key_before: u64,
    last_bytes: usize,
    pieces: Vec<Piece>,
    after: Option<(u64, usize)>,
    /// All pieces so far are those of an earlier prompt.
    is_prompt: bool,
    /// All pieces so far are those of an earlier prompt and its answer.
    is_known: bool,
    tokens: u64,
    known_tokens: u64,
}

impl<'a> Walk<'a> {
    fn new(known: &'a Known) -> Self {
        Self {
            known,
            key: 0,
            key_before: 0,
            last_bytes: 0,
            pieces: Vec::new(),
            after: None,
            is_prompt: true,
            is_known: true,
            tokens: 0,
            known_tokens: 0,
        }
    }

    fn section(&mut self, section: &Section, grows: bool) {
        let (text, mut role) = (&*section.text, section.role);
        let mut from = 0;
        loop {
            let (end, tokens) = next_piece(text, from);
            let tail = if grows { self.tail(text, from, role) } else { None };
            let (end, piece) = match tail {
                Some(tail) => (from + tail.bytes, tail.piece),
                None => (end, self.known.hashes.piece(role, &text[from..end], tokens)),
            };
            self.last_bytes = end - from;
            self.step(piece);
            (from, role) = (end, "");
            if from == text.len() {
                return;
            }
        }
    }

    /// The longest end of an earlier prompt after which the text goes on.
    fn tail(&self, text: &str, from: usize, role: &str) -> Option<Tail> {
        let tails = self.known.tails.get(&self.key).filter(|_| self.is_prompt)?;
        let fits = |tail: &&Tail| {
            let end = from + tail.bytes;
            end < text.len()
                && is_boundary(text, end)
                && self.known.hashes.piece(role, &text[from..end], tail.piece.tokens() as u32) == tail.piece
        };
        tails.iter().filter(fits).max_by_key(|tail| tail.bytes).copied()
    }

    fn step(&mut self, piece: Piece) {
        self.key_before = self.key;
        self.key = step(self.key, piece);
        self.pieces.push(piece);
        self.tokens += piece.tokens();
        let node = self.known.nodes.get(&self.key).filter(|_| self.is_known);
        self.is_known = node.is_some();
        self.is_prompt &= node.is_some_and(|node| !node.is_answer);
        if self.is_known {
            self.known_tokens += piece.tokens();
        }
        if let Some(node) = node.filter(|_| self.is_prompt) {
            self.after = Some((node.call, self.pieces.len()));
        }
    }
}

/// The identity of a piece after what is before it.
fn step(key: u64, piece: Piece) -> u64 {
    let bits = (key ^ piece.bits().rotate_left(32)).wrapping_add(0x9E37_79B9_7F4A_7C15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(role: &'static str, words: std::ops::Range<u32>) -> Section {
        let words: Vec<String> = words.map(|word| format!("w{word}")).collect();
        Section { role, text: words.join(" ") }
    }

    #[test]
    fn a_prompt_is_stored_from_where_it_leaves_an_earlier_one() {
        let mut known = Known::default();
        let first = known.add(0, &[section("system", 0..32), section("user", 0..20)], None, false);
        assert_eq!((first.after, first.own.len(), first.head), (None, 4, [2, 4]));
        let answer = known.add_answer(0, &first, &[section("assistant", 50..60)]);
        assert_eq!(answer.len(), 1);
        let grown =
            [section("system", 0..32), section("user", 0..20), section("assistant", 50..60), section("tool", 90..95)];
        let second = known.add(1, &grown, None, false);
        assert_eq!((second.after, second.own.len(), second.known_tokens), (Some((0, 4)), 2, 62));
        // The other session shares the system prompt, and the first 16 words of its message.
        let other = known.add(2, &[section("system", 0..32), section("user", 0..19)], None, false);
        assert_eq!((other.after, other.own.len(), other.known_tokens), (Some((0, 3)), 1, 48));
        assert_eq!(known.pieces(2).len(), 4);
        assert_eq!(known.pieces(1)[..4], known.pieces(0)[..]);
    }

    #[test]
    fn a_text_that_goes_on_is_cut_where_the_earlier_one_ended() {
        let mut known = Known::default();
        let first = known.add(0, &[section("user", 0..20)], None, true);
        assert_eq!(first.own.iter().map(|piece| piece.tokens()).collect::<Vec<_>>(), [16, 4]);
        let second = known.add(1, &[section("user", 0..45)], None, true);
        assert_eq!((second.after, second.known_tokens), (Some((0, 2)), 20));
        assert_eq!(second.own.iter().map(|piece| piece.tokens()).collect::<Vec<_>>(), [16, 9]);
        let third = known.add(2, &[section("user", 0..50)], None, true);
        assert_eq!((third.after, third.own.len()), (Some((1, 4)), 1));
        // "w1" is not the end of a text that goes on with "w10".
        let mut known = Known::default();
        known.add(0, &[Section { role: "user", text: "w1".to_owned() }], None, true);
        let other = known.add(1, &[Section { role: "user", text: "w10 w11".to_owned() }], None, true);
        assert_eq!(other.after, None);
    }

    #[test]
    fn a_response_continues_another_without_its_instructions() {
        let mut known = Known::default();
        let first = known.add(0, &[section("system", 0..10), section("user", 0..20)], None, false);
        let answer = known.add_answer(0, &first, &[section("assistant", 50..60)]);
        let second = known.add(1, &[section("system", 7..9), section("user", 90..95)], Some((0, &answer)), false);
        assert_eq!((second.after, second.tokens), (None, 2 + 20 + 10 + 5));
        let same = known.add(2, &[section("system", 0..10), section("user", 91..95)], Some((0, &answer)), false);
        assert_eq!((same.after, same.known_tokens), (Some((0, 3)), 40));
    }
}
