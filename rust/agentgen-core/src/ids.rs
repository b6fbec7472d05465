//! Names in closed form: hash ids and session ids are functions of the run's index, so that no cursor is shared.

use crate::config::Config;
use crate::error::ConfigError;
use crate::laws::least_growth;
use crate::layout::Layout;
use crate::rng::{Purpose, Streams};
use crate::session::Session;

/// The largest id that every JSON reader keeps exact.
pub const MAX_ID: u64 = (1 << 53) - 1;

/// Consecutive ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The first id.
    pub first: u64,
    /// How many.
    pub count: u64,
}

/// The partition of ids into L1, the groups' L1.5, and one range a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdSpace {
    block_size: u64,
    layer1_blocks: u64,
    layer1_5_blocks: u64,
    groups: u64,
    /// Whole blocks that a run's own tokens can fill at most; its partial tails are numbered from here.
    own_blocks: u64,
    stride: u64,
    runs: u64,
}

impl IdSpace {
    /// The id space of a checked configuration (after overrides) and a number of runs.
    pub fn new(config: &Config, runs: u64) -> Result<Self, ConfigError> {
        let (layer1_blocks, layer1_5_blocks) = config.prefix_blocks();
        let block_size = u64::from(config.block_size);
        let room = u64::from(config.max_prompt_tokens) - 1 - config.prefix_tokens();
        let (new_tokens, output) = least_growth(config);
        let mut turns = 1 + (room - 1) / (new_tokens + output);
        if let Some(explicit) = &config.turns {
            turns = turns.min(u64::from(explicit.max));
        }
        let own_blocks = room.div_ceil(block_size);
        let stride = own_blocks + turns + 1;
        let groups = u64::from(config.cache.layer1_5_groups.num_groups);
        let total = u128::from(layer1_blocks)
            + u128::from(groups) * u128::from(layer1_5_blocks)
            + u128::from(runs) * u128::from(stride);
        if total > u128::from(MAX_ID) {
            return Err(ConfigError::new(
                "sessions",
                format!(
                    "found {runs}, expected fewer: {layer1_blocks} + {groups} groups * {layer1_5_blocks} + {runs} \
                     sessions * {stride} ids is {total}, beyond 2^53 - 1 (lower sessions, or raise block_size)"
                ),
            ));
        }
        Ok(Self { block_size, layer1_blocks, layer1_5_blocks, groups, own_blocks, stride, runs })
    }

    /// Blocks of L1 and L1.5 together.
    #[must_use]
    pub fn prefix_blocks(&self) -> u64 {
        self.layer1_blocks + self.layer1_5_blocks
    }

    /// Blocks of L1.
    #[must_use]
    pub fn layer1_blocks(&self) -> u64 {
        self.layer1_blocks
    }

    /// First id of a run.
    #[must_use]
    pub fn base(&self, run: u64) -> u64 {
        self.layer1_blocks + self.groups * self.layer1_5_blocks + run * self.stride
    }

    /// Ids a run may use.
    #[must_use]
    pub fn stride(&self) -> u64 {
        self.stride
    }

    /// All ids are below this.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.base(self.runs)
    }

    /// The run that owns an id; `None` for shared ids and those beyond the end.
    #[must_use]
    pub fn run_of(&self, id: u64) -> Option<u64> {
        id.checked_sub(self.base(0)).map(|own| own / self.stride).filter(|run| *run < self.runs)
    }

    /// L1, then the group's L1.5.
    fn prefix(&self, group: u32, out: &mut Vec<Extent>) {
        push(out, 0, self.layer1_blocks);
        push(out, self.layer1_blocks + u64::from(group) * self.layer1_5_blocks, self.layer1_5_blocks);
    }

    /// Cumulative layout: the blocks of a prompt of `context` tokens; `tails` counts the run's partial blocks so far.
    pub fn cumulative(&self, run: u64, group: u32, context: u32, tails: &mut u64, out: &mut Vec<Extent>) {
        let context = u64::from(context);
        self.prefix(group, out);
        push(out, self.base(run), (context / self.block_size).saturating_sub(self.prefix_blocks()));
        if context % self.block_size != 0 {
            push(out, self.base(run) + self.own_blocks + *tails, 1);
            *tails += 1;
        }
    }
}

fn push(out: &mut Vec<Extent>, first: u64, count: u64) {
    if count > 0 {
        out.push(Extent { first, count });
    }
}

/// Gives a session's rows their ids, turn by turn.
#[derive(Debug)]
pub struct RowIds<'a> {
    space: &'a IdSpace,
    layout: Layout,
    /// Next fresh id (incremental) or number of partial tails so far (cumulative).
    next: u64,
}

impl<'a> RowIds<'a> {
    /// Starts at a session's first turn.
    #[must_use]
    pub fn new(space: &'a IdSpace, layout: Layout, session: &Session<'_>) -> Self {
        let next = match layout {
            Layout::Incremental => {
                let origin: u64 = (0..session.origin.len()).map(|t| space.fresh(session.origin[t].input, t)).sum();
                space.base(session.run) + origin
            }
            Layout::Cumulative => {
                let partial = |context: u32| u64::from(context) % space.block_size != 0;
                session.origin.iter().filter(|t| partial(t.context)).count() as u64
            }
        };
        Self { space, layout, next }
    }

    /// The ids of turn `index`, as extents in order. Turns must be asked for in order.
    #[inline]
    pub fn row(&mut self, session: &Session<'_>, index: usize, out: &mut Vec<Extent>) {
        out.clear();
        let turn = session.turns[index];
        match self.layout {
            Layout::Cumulative => {
                self.space.cumulative(session.run, session.group, turn.context, &mut self.next, out);
            }
            Layout::Incremental => {
                let mut blocks = u64::from(turn.input).div_ceil(self.space.block_size);
                if index == 0 {
                    self.space.prefix(session.group, out);
                    blocks -= self.space.prefix_blocks() + self.space.carried(session, out);
                }
                push(out, self.next, blocks);
                self.next += blocks;
            }
        }
    }
}

impl IdSpace {
    /// Fresh chunks of a primary's turn `index` with this many new tokens.
    fn fresh(&self, input: u32, index: usize) -> u64 {
        let shared = if index == 0 { self.prefix_blocks() } else { 0 };
        u64::from(input).div_ceil(self.block_size) - shared
    }

    /// The origin's full chunks, which its continuation's first row repeats; returns how many.
    fn carried(&self, session: &Session<'_>, out: &mut Vec<Extent>) -> u64 {
        let mut first = self.base(session.run);
        let mut carried = 0;
        for (index, turn) in session.origin.iter().enumerate() {
            let shared = if index == 0 { self.prefix_blocks() } else { 0 };
            let full = u64::from(turn.input) / self.block_size - shared;
            push(out, first, full);
            carried += full;
            first += self.fresh(turn.input, index);
        }
        carried
    }
}

/// Session ids: `sess-` and 12 hex digits, a seed-keyed bijection of `2 * run + is_continuation` in 48 bits.
#[derive(Debug, Clone)]
pub struct SessionNames {
    keys: [u64; ROUNDS],
}

/// Rounds of the Feistel network; three already mix both halves fully.
const ROUNDS: usize = 4;
const HALF_BITS: u32 = 24;
const HALF: u64 = (1 << HALF_BITS) - 1;
const PREFIX: &[u8; 5] = b"sess-";

/// Most runs that names exist for.
pub const MAX_RUNS: u64 = 1 << (2 * HALF_BITS - 1);

const NAME_BYTES: usize = 17;

/// A session id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name([u8; NAME_BYTES]);

impl std::ops::Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        // Letters, a dash and digits: always text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl SessionNames {
    /// The names under a seed.
    #[must_use]
    pub fn new(streams: &Streams) -> Self {
        let mut stream = streams.stream(Purpose::SessionIds, 0);
        Self { keys: std::array::from_fn(|_| stream.bits()) }
    }

    /// The name of a run's primary session, or of its continuation.
    #[must_use]
    pub fn name(&self, run: u64, is_continuation: bool) -> Name {
        let number = 2 * run + u64::from(is_continuation);
        let (mut left, mut right) = (number >> HALF_BITS & HALF, number & HALF);
        for key in self.keys {
            (left, right) = (right, left ^ round(right, key));
        }
        let mut name = [0; NAME_BYTES];
        name[..PREFIX.len()].copy_from_slice(PREFIX);
        let mixed = left << HALF_BITS | right;
        for (i, digit) in name[PREFIX.len()..].iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(mixed >> (44 - 4 * i) & 0xF) as usize];
        }
        Name(name)
    }

    /// The run a name belongs to, and whether it names the continuation; `None` for a name of another form.
    #[must_use]
    pub fn run_of(&self, name: &str) -> Option<(u64, bool)> {
        let digits = name.as_bytes().strip_prefix(PREFIX)?;
        if digits.len() != 12 || !digits.iter().all(|d| d.is_ascii_digit() || (b'a'..=b'f').contains(d)) {
            return None;
        }
        let mixed = u64::from_str_radix(&name[PREFIX.len()..], 16).ok()?;
        let (mut left, mut right) = (mixed >> HALF_BITS & HALF, mixed & HALF);
        for key in self.keys.iter().rev() {
            (left, right) = (right ^ round(left, *key), left);
        }
        let number = left << HALF_BITS | right;
        Some((number / 2, number % 2 == 1))
    }
}

fn round(half: u64, key: u64) -> u64 {
    let mixed = (half ^ key).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed ^ (mixed >> 29)).wrapping_mul(0x94D0_49BB_1331_11EB) >> (64 - HALF_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_a_bijection() {
        let names = SessionNames::new(&Streams::new(42));
        let mut seen = std::collections::HashSet::new();
        for run in (0..20_000).chain([MAX_RUNS - 1]) {
            for is_continuation in [false, true] {
                let name = names.name(run, is_continuation);
                assert_eq!(names.run_of(&name), Some((run, is_continuation)));
                assert!(seen.insert(name));
            }
        }
        assert_eq!(names.run_of("sess-0123456789AB"), None);
        assert_eq!(names.run_of("other"), None);
    }
}
