//! The tokens of a prompt as ids of its KV blocks.

use std::ops::Range;

use agentgen_engine::kv::TokenSeq;
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

/// Bytes of a generated word, the space before it included.
pub const WORD_BYTES: usize = 13;
/// The alphabet of generated words: twelve letters, 60 bits.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Generated token ids are below this.
const VOCABULARY: u64 = 1 << 17;
/// Initial key of chains of token ids, so that they never equal chains of words.
const OF_IDS: u128 = 1;

/// A sequence of tokens cut into blocks. The id of a block depends on its tokens and on all before it. Words are tokens;
/// the white space between them does not matter.
#[derive(Clone)]
pub struct Chain {
    block_tokens: u32,
    /// Key of the full blocks so far.
    key: u128,
    /// Hash of the partial block at the end.
    open: Box<Xxh3>,
    open_tokens: u32,
    tokens: u64,
    ids: Vec<i64>,
    /// The id of each token, if they are asked for.
    recorded: Option<Vec<u32>>,
}

impl Chain {
    /// An empty chain.
    pub fn new(block_tokens: u32) -> Self {
        Self {
            block_tokens,
            key: 0,
            open: Box::new(Xxh3::new()),
            open_tokens: 0,
            tokens: 0,
            ids: Vec::new(),
            recorded: None,
        }
    }

    /// An empty chain that keeps the id of each token.
    pub fn recording(block_tokens: u32) -> Self {
        Self { recorded: Some(Vec::new()), ..Self::new(block_tokens) }
    }

    /// The ids of the tokens of a chain that keeps them; that of a word depends on the word alone.
    pub fn recorded(&self) -> &[u32] {
        self.recorded.as_deref().unwrap_or_default()
    }

    /// Number of tokens.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Identifies all tokens, those of the partial block included.
    pub fn key(&self) -> u128 {
        if self.open_tokens == 0 { self.key } else { self.open.digest128() }
    }

    /// The full blocks.
    pub fn stream(&self) -> TokenSeq {
        let mut stream = TokenSeq::new(self.block_tokens);
        stream.push_ids(&self.ids, self.ids.len() as u64 * u64::from(self.block_tokens));
        stream
    }

    /// Appends the words of a text, separated by ASCII white space.
    pub fn push_words(&mut self, text: &str) {
        let bytes = text.as_bytes();
        if let Some(ids) = &mut self.recorded {
            let words = bytes.split(|byte| is_space(*byte)).filter(|word| !word.is_empty());
            ids.extend(words.map(|word| (xxh3_64_with_seed(word, 0) % VOCABULARY) as u32));
        }
        let mut at = 0;
        while let Some(skipped) = bytes[at..].iter().position(|byte| !is_space(*byte)) {
            // Words of one block with single spaces between them are hashed at once.
            let start = at + skipped;
            let mut words = 0;
            at = start;
            loop {
                at = bytes[at..].iter().position(|byte| is_space(*byte)).map_or(bytes.len(), |n| at + n);
                words += 1;
                let goes_on = bytes.get(at) == Some(&b' ') && bytes.get(at + 1).is_some_and(|byte| !is_space(*byte));
                if self.open_tokens + words == self.block_tokens || !goes_on {
                    break;
                }
                at += 1;
            }
            self.open(b" ");
            self.open.update(&bytes[start..at]);
            self.count(words);
        }
    }

    /// Appends a token by its id.
    pub fn push_id(&mut self, id: u32) {
        if let Some(ids) = &mut self.recorded {
            ids.push(id);
        }
        if self.tokens == 0 {
            self.key = OF_IDS;
        }
        self.open(b"");
        self.open.update(&id.to_le_bytes());
        self.count(1);
    }

    /// Begins a block with the key of the blocks before it, or continues one after a separator.
    fn open(&mut self, separator: &[u8]) {
        if self.open_tokens == 0 {
            self.open.update(&self.key.to_le_bytes());
        } else {
            self.open.update(separator);
        }
    }

    /// Counts hashed tokens, and closes a block that is full.
    fn count(&mut self, tokens: u32) {
        self.tokens += u64::from(tokens);
        self.open_tokens += tokens;
        if self.open_tokens == self.block_tokens {
            self.key = self.open.digest128();
            self.open.reset();
            self.open_tokens = 0;
            // Positive and far apart: a token sequence treats consecutive ids as one span.
            self.ids.push((self.key as u64 >> 2) as i64);
        }
    }
}

/// Whether it is a space, tab, line feed, vertical tab, form feed or carriage return.
fn is_space(byte: u8) -> bool {
    byte == b' ' || (9..=13).contains(&byte)
}

/// Generated word `index` of the output after a prompt, with the space before it.
pub fn make_word(key: u128, index: u64) -> [u8; WORD_BYTES] {
    let mut bits = draw(key, index);
    let mut word = [b' '; WORD_BYTES];
    for letter in &mut word[1..] {
        *letter = LETTERS[(bits >> 59) as usize];
        bits <<= 5;
    }
    word
}

/// Generated words of the output after a prompt, each after a space.
pub fn make_words(key: u128, words: Range<u64>) -> String {
    let bytes: Vec<u8> = words.flat_map(|index| make_word(key, index)).collect();
    String::from_utf8(bytes).unwrap_or_default() // letters and digits
}

/// Generated token id `index` of the output after a prompt.
pub fn make_id(key: u128, index: u64) -> u32 {
    (draw(key, index) % VOCABULARY) as u32
}

fn draw(key: u128, index: u64) -> u64 {
    xxh3_64_with_seed(&key.to_le_bytes(), index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> (Vec<i64>, u64, u128) {
        let mut chain = Chain::new(3);
        for text in texts {
            chain.push_words(text);
        }
        (chain.ids.clone(), chain.tokens(), chain.key())
    }

    #[test]
    fn only_the_words_and_their_order_matter() {
        let one = of(&["a bc d e\u{e9}f g h i"]);
        assert_eq!(one.1, 7);
        assert_eq!(one.0.len(), 2);
        for texts in [&[" a  bc\td\n", "e\u{e9}f", "", " \r\n ", "g\u{b}h\u{c}i "][..], &["a bc", "d e\u{e9}f g h i"]] {
            assert_eq!(of(texts), one);
        }
        assert_ne!(of(&["a bc d e\u{e9}f g h j"]).2, one.2, "the last word");
        assert_ne!(of(&["abc d e\u{e9}f g h i j"]).0, one.0, "where the words are");
        assert_eq!(of(&["a bc d x"]).0[0], one.0[0], "a block knows nothing of what follows");
        assert_ne!(of(&["x bc d", "e\u{e9}f g h"]).0[1], one.0[1], "a block knows all before it");
    }

    #[test]
    fn token_ids_are_never_words() {
        let mut ids = Chain::new(1);
        ids.push_id(u32::from_le_bytes(*b"abcd"));
        let mut words = Chain::new(1);
        words.push_words("abcd");
        assert_eq!(ids.tokens(), words.tokens());
        assert_ne!(ids.ids, words.ids);
    }

    #[test]
    fn generated_words_depend_on_prompt_and_position() {
        let mut seen = std::collections::HashSet::new();
        for key in 0..1000 {
            let text = make_words(key, 0..50);
            assert_eq!(text.len(), 50 * WORD_BYTES);
            assert_eq!(make_words(key, 20..50), text[20 * WORD_BYTES..]);
            assert!(text.split_whitespace().all(|word| seen.insert(word.to_owned())), "one word a token, none twice");
        }
        assert_eq!(seen.len(), 50_000);
    }

    /// Compares cached tokens with a cache that compares prompts word by word.
    #[test]
    fn cached_tokens_are_those_of_a_naive_cache() {
        use crate::engine::{Engine, EngineRequest, Sent};
        use crate::options::Options;
        let rates = Options { prefill_tokens_per_second: 0.0, decode_tokens_per_second: 0.0, ..Options::default() };
        let mut engine = Engine::new(Options { block_tokens: 3, ..rates }.system());
        let mut drawn = 0;
        let mut draw = |below: u64| {
            drawn += 1;
            draw(7, drawn) % below
        };
        let mut there: Vec<Vec<String>> = Vec::new();
        for now in 0..500 {
            // Continues a prefix of an earlier prompt and output, as sessions do.
            let old = there.get(draw(there.len() as u64 + 1) as usize).cloned().unwrap_or_default();
            let mut words = old[..draw(old.len() as u64 + 1) as usize].to_vec();
            words.extend((0..=draw(5)).map(|_| format!("w{}", draw(3))));
            let mut chain = Chain::new(3);
            chain.push_words(&words.join(" "));
            let (context, output) = (words.len(), draw(6) as usize);
            let made = make_words(chain.key(), 0..output as u64);
            chain.push_words(&made);
            let (context_tokens, output_tokens) = (context as u32, output as u32);
            let request = EngineRequest { stream: chain.stream(), context_tokens, output_tokens };
            let Ok((_, Sent::Admitted(admission))) = engine.send(now, request) else { panic!("no limit, no time") };

            let common = |other: &Vec<String>| words.iter().zip(other).take_while(|(a, b)| a == b).count() / 3;
            let blocks = there.iter().map(common).max().unwrap_or(0).min((context - 1) / 3);
            assert_eq!(admission.cached_tokens as usize, 3 * blocks, "{words:?}");
            words.extend(made.split_whitespace().map(str::to_owned));
            words.truncate((context + output.saturating_sub(1)) / 3 * 3);
            there.push(words);
        }
        assert!(engine.totals().hits > 1000);
    }
}
