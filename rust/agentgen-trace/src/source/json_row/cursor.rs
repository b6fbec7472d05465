//! The fast path's reader of keys, strings and numbers.

use memchr::memchr2;

use crate::source::json_key::{KEYS, Key, MAX_ID};

/// Bytes of a `u128`.
const WORD: usize = 16;

/// The first bytes of each name of [`KEYS`] and of the quote after it, as one word, and the mask of its used bits.
/// Comparing words is much faster than comparing strings.
const KEY_WORDS: [(u128, u128); KEYS.len()] = {
    let mut words = [(0, 0); KEYS.len()];
    let mut index = 0;
    while index < KEYS.len() {
        let (name, mut at) = (KEYS[index].1, 0);
        while at < WORD && at <= name.len() {
            let byte = if at < name.len() { name[at] } else { b'"' };
            words[index].0 |= (byte as u128) << (8 * at);
            words[index].1 |= 0xFF << (8 * at);
            at += 1;
        }
        index += 1;
    }
    words
};

/// A position in a line of JSON. Every method returns `None` for input that the fast path does not handle.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Whether only white space follows.
    pub fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.at == self.bytes.len()
    }

    /// The next byte; 0 at the end, which is never valid in JSON.
    #[inline]
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    pub fn skip_space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\r' | b'\n') {
            self.at += 1;
        }
    }

    /// Consumes and returns the next byte that is not white space.
    #[inline]
    pub fn delimiter(&mut self) -> u8 {
        self.skip_space();
        let byte = self.peek();
        self.at += 1;
        byte
    }

    #[inline]
    pub fn expect(&mut self, byte: u8) -> Option<()> {
        (self.delimiter() == byte).then_some(())
    }

    /// The next key, if it is known; tries [`KEYS`] from index `usually_next` on.
    pub fn key(&mut self, usually_next: usize) -> Option<Key> {
        self.expect(b'"')?;
        let (rest, word) = (self.bytes.get(self.at..)?, self.word(self.at));
        let is_next = |index: usize| {
            let ((_, name), (text, mask)) = (KEYS[index], KEY_WORDS[index]);
            let may_be = word.is_none_or(|word| (word ^ text) & mask == 0);
            let is_decided = word.is_some() && name.len() < WORD;
            may_be && (is_decided || rest.starts_with(name) && rest.get(name.len()) == Some(&b'"'))
        };
        let index = (usually_next..KEYS.len()).chain(0..usually_next).find(|index| is_next(*index))?;
        let (key, name) = KEYS[index];
        self.at += name.len() + 1;
        Some(key)
    }

    /// The bytes of a non-empty string without escapes.
    pub fn text(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let rest = self.bytes.get(self.at..)?;
        let text = &rest[..memchr2(b'"', b'\\', rest)?];
        // A search for the first control character ends early, so it would not be vectorized.
        let lowest = text.iter().copied().fold(u8::MAX, u8::min);
        if text.is_empty() || lowest < b' ' || rest[text.len()] == b'\\' {
            return None;
        }
        self.at += text.len() + 1;
        Some(text)
    }

    pub fn boolean(&mut self) -> Option<bool> {
        let rest = self.bytes.get(self.at..)?;
        let value = rest.starts_with(b"true");
        if !value && !rest.starts_with(b"false") {
            return None;
        }
        self.at += if value { 4 } else { 5 };
        Some(value)
    }

    /// Reads digits and appends them to `value`; returns the new value and the number of digits.
    #[inline]
    fn digits(&mut self, mut value: u64) -> (u64, usize) {
        let mut count = 0;
        for byte in self.bytes.get(self.at..).unwrap_or_default() {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            // Wraps only in numbers that are longer than callers accept.
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            count += 1;
        }
        self.at += count;
        (value, count)
    }

    #[inline]
    pub fn integer(&mut self, max: u64) -> Option<u64> {
        let leading_zero = self.peek() == b'0';
        let (value, digits) = self.digits(0);
        let usual = digits > 0 && digits <= 16 && !(leading_zero && digits > 1);
        (usual && value <= max).then_some(value)
    }

    /// A decimal whose digits and power of ten are exact in `f64`, so that one division gives the exact result.
    pub fn decimal(&mut self) -> Option<f64> {
        const POWERS: [f64; 17] =
            [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16];
        let whole = self.integer(MAX_ID)?;
        if self.peek() != b'.' {
            return Some(whole as f64);
        }
        self.at += 1;
        let (value, places) = self.digits(whole);
        let usual = places > 0 && whole.checked_ilog10().map_or(1, |d| d as usize + 1) + places <= 16;
        (usual && value <= MAX_ID).then(|| value as f64 / POWERS[places])
    }

    pub fn ids(&mut self, ids: &mut Vec<i64>) -> Option<()> {
        self.expect(b'[')?;
        self.skip_space();
        if self.peek() == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.skip_space();
            let start = self.at;
            let id = self.integer(MAX_ID)?;
            ids.push(id as i64);
            self.successors(start, id, ids);
            match self.delimiter() {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Reads the ids after the one at `start` while each is one more than the id before it, which most are. It compares
    /// texts: incrementing the last two digits is much cheaper than parsing all of them. It stops where a third digit
    /// would change.
    fn successors(&mut self, start: usize, id: u64, ids: &mut Vec<i64>) {
        // The digits, first in the lowest byte, and a comma.
        let len = self.at - start + 1;
        let Some(word) = self.word(start).filter(|_| len <= WORD && self.peek() == b',') else { return };
        let (mask, one) = (u128::MAX >> (8 * (WORD - len)), 1 << (8 * (len - 2)));
        let (mut text, mut last) = (word & mask, id);
        // A number of one digit cannot carry.
        let (mut ones, mut tens) = (id % 10, if id < 10 { 9 } else { id / 10 % 10 });
        loop {
            if ones < 9 {
                (text, ones) = (text + one, ones + 1);
            } else if tens < 9 {
                (text, ones, tens) = (text + (one >> 8) - 9 * one, 0, tens + 1);
            } else {
                break;
            }
            let Some(word) = self.word(self.at + 1) else { break };
            let difference = (word ^ text) & mask;
            // After the last id of the list comes neither a comma nor a digit.
            let is_last = difference != 0;
            if is_last && (difference & (mask >> 8) != 0 || ((word >> (8 * (len - 1))) as u8).is_ascii_digit()) {
                break;
            }
            (self.at, last) = (self.at + len, last + 1);
            if is_last {
                break;
            }
        }
        ids.extend(id as i64 + 1..=last as i64);
    }

    /// The next [`WORD`] bytes from a position on, first in the lowest byte; `None` near the end of the line.
    fn word(&self, at: usize) -> Option<u128> {
        self.bytes.get(at..)?.first_chunk::<WORD>().map(|bytes| u128::from_le_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The ids of a list, and the text after it.
    fn ids(text: &str) -> Option<(Vec<i64>, &str)> {
        let (mut cursor, mut ids) = (Cursor::new(text.as_bytes()), Vec::new());
        cursor.ids(&mut ids)?;
        Some((ids, &text[cursor.at..]))
    }

    /// Text after the list, so that [`Cursor::word`] works for every id.
    const REST: &str = ",\"delay\":1234567.8}";

    #[test]
    fn numbers_that_only_begin_like_the_next_id_are_not_taken_for_it() {
        for (text, expected) in [
            ("[1,20]", Some(vec![1, 20])),
            ("[1,2,30,4]", Some(vec![1, 2, 30, 4])),
            ("[8,9,10,11]", Some(vec![8, 9, 10, 11])),
            ("[98,99,100]", Some(vec![98, 99, 100])),
            ("[18,19,20,21,219]", Some(vec![18, 19, 20, 21, 219])),
            ("[198,199,200,20]", Some(vec![198, 199, 200, 20])),
            ("[19,20.0]", None),
            ("[19,200]", Some(vec![19, 200])),
            ("[99,99,98,999]", Some(vec![99, 99, 98, 999])),
            ("[1 ,2, 3\t,\n4]", Some(vec![1, 2, 3, 4])),
            ("[9007199254740990,9007199254740991]", Some(vec![MAX_ID as i64 - 1, MAX_ID as i64])),
            ("[9007199254740991,9007199254740992]", None),
            (
                "[999999999999998,999999999999999,1000000000000000]",
                Some((0..3).map(|i| 999_999_999_999_998 + i).collect()),
            ),
            ("[9,:]", None),
            ("[9,:,1]", None),
            ("[1,2.0]", None),
            ("[1,2e0]", None),
            ("[1,2", None),
            ("[1,2,]", None),
            ("[1,,2]", None),
            ("[0,01]", None),
        ] {
            let text = format!("{text}{REST}");
            assert_eq!(ids(&text), expected.map(|ids| (ids, REST)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn ids_are_read_as_written(
            runs in prop::collection::vec((0u32..54, any::<u64>(), 1i64..40), 1..5),
            rest in prop::sample::select(vec!["", REST]),
        ) {
            let first = |(bits, id, len): &(u32, u64, i64)| (id & ((1 << bits) - 1)) as i64 - len;
            let written: Vec<i64> = runs.iter().flat_map(|r| (first(r)..first(r) + r.2).filter(|id| *id >= 0)).collect();
            let text = format!("{}{rest}", serde_json::to_string(&written).expect("a list"));
            prop_assert_eq!(ids(&text), Some((written, rest)));
        }
    }
}
