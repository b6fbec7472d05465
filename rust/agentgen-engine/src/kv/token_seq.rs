//! The tokens of a session, identified by their origin.

/// Marks a source as a session rather than a hash id.
const OWN: u64 = 1 << 63;

/// Consecutive tokens from one source: from token `offset` of hash id `source` on, through the ids that follow it (each
/// has the trace's block size), or positions in the own tokens of a session. Two spans that begin with the same token
/// continue with the same tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenSpan {
    source: u64,
    offset: u32,
    /// Number of tokens.
    tokens: u32,
}

/// Content of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Token `offset` of hash id `first`, then the tokens after it, through the next ids.
    Ids {
        /// First hash id.
        first: u64,
        /// Token in that id.
        offset: u32,
    },
    /// Tokens that only one session has, and the sessions that continue it.
    Own {
        /// Number of the session.
        session: u64,
        /// Position in its stream.
        position: u32,
    },
}

impl TokenSpan {
    /// Content of the span.
    #[must_use]
    pub fn content(self) -> Content {
        if self.source & OWN == 0 {
            return Content::Ids { first: self.source, offset: self.offset };
        }
        Content::Own { session: self.source & !OWN, position: self.offset }
    }

    /// Source, offset and length as two words, for hashing.
    pub(super) fn parts(self) -> [u64; 2] {
        [self.source, u64::from(self.offset) << 32 | u64::from(self.tokens)]
    }

    /// Number of tokens.
    #[must_use]
    pub fn tokens(self) -> u32 {
        self.tokens
    }

    /// Source and offset of the token `n` after the first.
    fn token(self, n: u32, id_tokens: u32) -> (u64, u32) {
        if self.source & OWN != 0 {
            return (self.source, self.offset + n);
        }
        let offset = u64::from(self.offset) + u64::from(n);
        (self.source + offset / u64::from(id_tokens), (offset % u64::from(id_tokens)) as u32)
    }

    /// The first `n` tokens.
    pub(super) fn first(self, n: u32) -> Self {
        Self { tokens: n, ..self }
    }

    /// All but the first `n` tokens; `None` if none are left.
    pub(super) fn after(self, n: u32, id_tokens: u32) -> Option<Self> {
        let tokens = self.tokens.checked_sub(n).filter(|left| *left > 0)?;
        let (source, offset) = self.token(n, id_tokens);
        Some(Self { source, offset, tokens })
    }

    /// Whether two spans begin with the same token.
    pub(super) fn begins_like(self, other: Self) -> bool {
        (self.source, self.offset) == (other.source, other.offset)
    }
}

/// Appends a span; consecutive spans are joined, so that equal tokens are equal lists of spans.
pub(super) fn join(spans: &mut Vec<TokenSpan>, span: TokenSpan, id_tokens: u32) {
    if span.tokens == 0 {
        return;
    }
    match spans.last_mut() {
        Some(last) if last.token(last.tokens, id_tokens) == (span.source, span.offset) => last.tokens += span.tokens,
        _ => spans.push(span),
    }
}

/// Length of the common prefix of `a` and `b` in tokens.
pub(super) fn common(
    mut a: impl Iterator<Item = TokenSpan>,
    mut b: impl Iterator<Item = TokenSpan>,
    id_tokens: u32,
) -> u64 {
    let (mut x, mut y) = (a.next(), b.next());
    let mut same = 0;
    while let (Some(p), Some(q)) = (x, y)
        && p.begins_like(q)
    {
        let n = p.tokens.min(q.tokens);
        same += u64::from(n);
        x = p.after(n, id_tokens).or_else(|| a.next());
        y = q.after(n, id_tokens).or_else(|| b.next());
    }
    same
}

/// The tokens of a session from the first on: input by hash id; the first output and all tokens after it by (session,
/// position), since only sessions that continue this one can have them too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSeq {
    /// Tokens of one hash id.
    id_tokens: u32,
    spans: Vec<TokenSpan>,
    /// Position of each span.
    starts: Vec<u64>,
    tokens: u64,
}

impl TokenSeq {
    /// An empty sequence, for a trace whose hash ids stand for `id_tokens` tokens each.
    ///
    /// # Panics
    /// If `id_tokens` is 0.
    #[must_use]
    pub fn new(id_tokens: u32) -> Self {
        assert!(id_tokens > 0, "an id stands for at least one token");
        Self { id_tokens, spans: Vec::new(), starts: Vec::new(), tokens: 0 }
    }

    /// Number of tokens.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Tokens of one hash id.
    #[must_use]
    pub fn id_tokens(&self) -> u32 {
        self.id_tokens
    }

    /// Appends the tokens of hash ids, `tokens` in all: every id but the last is full.
    pub fn push_ids(&mut self, ids: &[i64], tokens: u64) {
        let (mut left, mut rest) = (tokens, ids);
        while let Some(&first) = rest.first() {
            let run = rest.iter().zip(first..).take_while(|(id, expected)| **id == *expected).count();
            let held = left.min(run as u64 * u64::from(self.id_tokens));
            self.push(TokenSpan { source: first as u64, offset: 0, tokens: held as u32 });
            left -= held;
            rest = &rest[run..];
        }
    }

    /// Appends the tokens of `other` from position `from` on.
    pub fn append(&mut self, other: &Self, from: u64) {
        for span in other.spans_from(from) {
            self.push(span);
        }
    }

    /// Length of the common prefix of two sequences in tokens.
    #[must_use]
    pub fn common_tokens(&self, other: &Self) -> u64 {
        common(self.spans.iter().copied(), other.spans.iter().copied(), self.id_tokens)
    }

    /// Appends tokens that only session number `session` has.
    pub fn push_own(&mut self, session: u64, tokens: u64) {
        self.push(TokenSpan { source: OWN | session, offset: self.tokens as u32, tokens: tokens as u32 });
    }

    /// Keeps the first `tokens` tokens.
    pub fn truncate(&mut self, tokens: u64) {
        while let Some(start) = self.starts.last().copied()
            && self.tokens > tokens
        {
            if start < tokens {
                let last = self.spans.len() - 1;
                self.spans[last] = self.spans[last].first((tokens - start) as u32);
                self.tokens = tokens;
            } else {
                self.spans.pop();
                self.starts.pop();
                self.tokens = start;
            }
        }
    }

    /// The spans of the tokens from position `from` up to `to`.
    pub fn spans(&self, from: u64, to: u64) -> impl Iterator<Item = TokenSpan> {
        take(self.spans_from(from), to.saturating_sub(from))
    }

    fn push(&mut self, span: TokenSpan) {
        join(&mut self.spans, span, self.id_tokens);
        if self.spans.len() > self.starts.len() {
            self.starts.push(self.tokens);
        }
        self.tokens += u64::from(span.tokens);
    }

    /// The spans of the tokens from position `from` on.
    pub(super) fn spans_from(&self, from: u64) -> impl Iterator<Item = TokenSpan> {
        let index = self.starts.partition_point(|start| *start <= from).saturating_sub(1);
        let skipped = from - self.starts.get(index).copied().unwrap_or(from);
        let first = self.spans.get(index).and_then(|span| span.after(skipped as u32, self.id_tokens));
        first.into_iter().chain(self.spans.iter().skip(index + 1).copied())
    }
}

/// Removes the last `tokens` tokens of `spans`.
pub(super) fn drop_last(spans: &mut Vec<TokenSpan>, tokens: u64) {
    let mut left = tokens;
    while let Some(last) = spans.last_mut()
        && left > 0
    {
        let n = u64::from(last.tokens).min(left);
        left -= n;
        last.tokens -= n as u32;
        if last.tokens == 0 {
            spans.pop();
        }
    }
}

/// All but the first `tokens` tokens of `spans`.
pub(super) fn spans_after(spans: &[TokenSpan], tokens: u64, id_tokens: u32) -> impl Iterator<Item = TokenSpan> {
    let mut left = tokens;
    spans.iter().filter_map(move |span| {
        let skipped = left.min(u64::from(span.tokens));
        left -= skipped;
        span.after(skipped as u32, id_tokens)
    })
}

/// The first `tokens` tokens of `spans`.
pub(super) fn take(spans: impl Iterator<Item = TokenSpan>, tokens: u64) -> impl Iterator<Item = TokenSpan> {
    spans.scan(tokens, |left, span| {
        let n = u64::from(span.tokens).min(*left);
        *left -= n;
        (n > 0).then(|| span.first(n as u32))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every token of a stream, one by one.
    fn tokens(stream: &TokenSeq) -> Vec<(u64, u32)> {
        stream.spans.iter().flat_map(|p| (0..p.tokens).map(|n| p.token(n, stream.id_tokens))).collect()
    }

    #[test]
    fn consecutive_ids_are_one_span_and_a_partial_chunk_ends_it() {
        let mut stream = TokenSeq::new(4);
        stream.push_ids(&[7, 8, 9], 10);
        assert_eq!(stream.spans, [TokenSpan { source: 7, offset: 0, tokens: 10 }]);
        stream.push_ids(&[10], 4);
        assert_eq!(stream.spans.len(), 2, "id 9 holds 2 tokens, so 10 does not follow from it");
        assert_eq!(tokens(&stream)[8..], [(9, 0), (9, 1), (10, 0), (10, 1), (10, 2), (10, 3)]);
        stream.push_own(3, 2);
        stream.push_own(3, 5);
        assert_eq!((stream.spans.len(), stream.tokens()), (3, 21));
    }

    #[test]
    fn truncate_and_append_act_on_tokens() {
        let mut whole = TokenSeq::new(4);
        whole.push_ids(&[1, 2, 9, 30, 31], 18);
        whole.push_own(0, 7);
        for n in 0..=25 {
            let mut cut = whole.clone();
            cut.truncate(n);
            assert_eq!(tokens(&cut), tokens(&whole)[..n as usize]);
            let mut rest = TokenSeq::new(4);
            rest.append(&whole, n);
            assert_eq!(tokens(&rest), tokens(&whole)[n as usize..], "from {n}");
            cut.append(&whole, n);
            assert_eq!(cut, whole);
            assert_eq!(take(whole.spans_from(0), n).map(|p| u64::from(p.tokens)).sum::<u64>(), n);
        }
    }
}
