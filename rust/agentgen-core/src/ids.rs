//! Hash ids and session ids in closed form: functions of the root session's index, so shards need no shared counter.

use crate::config::Config;
use crate::error::ConfigError;
use crate::rng::{Purpose, RandomStreams};

/// The largest id that JSON readers represent exactly (2^53 - 1).
pub const MAX_ID: u64 = (1 << 53) - 1;

/// A range of consecutive hash ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// The first id.
    pub first: u64,
    /// Number of ids.
    pub count: u64,
}

/// The partition of the hash ids: L1, then L1.5 of each group, then a range for each root session, which its
/// continuation shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdSpace {
    block_size: u64,
    layer1_blocks: u64,
    layer1_5_blocks: u64,
    groups: u64,
    /// Maximum number of full blocks after the shared layers; ids of partial blocks start at this offset of a range.
    own_blocks: u64,
    stride: u64,
    sessions: u64,
}

impl IdSpace {
    /// The id space of a checked configuration (after overrides) and a number of root sessions.
    pub fn new(config: &Config, sessions: u64) -> Result<Self, ConfigError> {
        let (layer1_blocks, layer1_5_blocks) = config.prefix_blocks();
        let block_size = u64::from(config.block_size);
        let room = u64::from(config.max_prompt_tokens) - 1 - config.prefix_tokens();
        let mut turns = 1 + (room - 1) / config.smallest_growth();
        if let Some(explicit) = &config.turns {
            turns = turns.min(u64::from(explicit.max));
        }
        let own_blocks = room.div_ceil(block_size);
        let stride = own_blocks + turns + 1;
        let groups = u64::from(config.cache.layer1_5_groups.num_groups);
        let total = u128::from(layer1_blocks)
            + u128::from(groups) * u128::from(layer1_5_blocks)
            + u128::from(sessions) * u128::from(stride);
        if total > u128::from(MAX_ID) {
            return Err(ConfigError::new(
                "sessions",
                format!(
                    "found {sessions}, expected fewer: {layer1_blocks} + {groups} groups * {layer1_5_blocks} + {sessions} \
                     sessions * {stride} ids is {total}, beyond 2^53 - 1 (lower sessions, or raise block_size)"
                ),
            ));
        }
        Ok(Self { block_size, layer1_blocks, layer1_5_blocks, groups, own_blocks, stride, sessions })
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

    /// First id of the range of root session `root`.
    #[must_use]
    pub fn base(&self, root: u64) -> u64 {
        self.layer1_blocks + self.groups * self.layer1_5_blocks + root * self.stride
    }

    /// Number of ids in the range of a root session.
    #[must_use]
    pub fn stride(&self) -> u64 {
        self.stride
    }

    /// Upper bound of all ids, exclusive.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.base(self.sessions)
    }

    /// Index of the root session whose range holds `id`; `None` for ids of shared layers and ids out of range.
    #[must_use]
    pub fn root_of(&self, id: u64) -> Option<u64> {
        id.checked_sub(self.base(0)).map(|own| own / self.stride).filter(|root| *root < self.sessions)
    }

    /// Appends the ids of L1 and of the L1.5 of a group.
    pub(crate) fn prefix(&self, group: u32, out: &mut Vec<IdRange>) {
        push(out, 0, self.layer1_blocks);
        push(out, self.layer1_blocks + u64::from(group) * self.layer1_5_blocks, self.layer1_5_blocks);
    }

    /// Cumulative layout: appends the ids of a prompt of `context` tokens. `partial` counts the partial blocks of the
    /// root session and its continuation so far.
    pub fn cumulative(&self, root: u64, group: u32, context: u32, partial: &mut u64, out: &mut Vec<IdRange>) {
        let context = u64::from(context);
        self.prefix(group, out);
        push(out, self.base(root), (context / self.block_size).saturating_sub(self.prefix_blocks()));
        if context % self.block_size != 0 {
            push(out, self.base(root) + self.own_blocks + *partial, 1);
            *partial += 1;
        }
    }

    /// Tokens per block.
    pub(crate) fn block_size(&self) -> u64 {
        self.block_size
    }
}

/// Appends `count` ids from `first` on; an empty range is left out.
pub(crate) fn push(out: &mut Vec<IdRange>, first: u64, count: u64) {
    if count > 0 {
        out.push(IdRange { first, count });
    }
}

/// Session ids: `sess-` and 12 hex digits, a seed-keyed bijection of `2 * root + is_continuation` in 48 bits.
#[derive(Debug, Clone)]
pub struct SessionNames {
    keys: [u64; ROUNDS],
}

/// Rounds of the Feistel network; three mix both halves fully.
const ROUNDS: usize = 4;
const HALF_BITS: u32 = 24;
const HALF: u64 = (1 << HALF_BITS) - 1;
const PREFIX: &[u8; 5] = b"sess-";

/// Maximum number of root sessions that have distinct names.
pub const MAX_SESSIONS: u64 = 1 << (2 * HALF_BITS - 1);

const NAME_BYTES: usize = 17;

/// A session id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name([u8; NAME_BYTES]);

impl std::ops::Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        // Always ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl SessionNames {
    /// The session ids of a data set.
    #[must_use]
    pub fn new(streams: &RandomStreams) -> Self {
        let mut stream = streams.stream(Purpose::SessionIds, 0);
        Self { keys: std::array::from_fn(|_| stream.bits()) }
    }

    /// The id of root session `root`, or of its continuation.
    #[must_use]
    pub fn name(&self, root: u64, is_continuation: bool) -> Name {
        let number = 2 * root + u64::from(is_continuation);
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

    /// Index of the root session that `name` belongs to, and whether `name` is its continuation; `None` if `name` has
    /// another form.
    #[must_use]
    pub fn root_of(&self, name: &str) -> Option<(u64, bool)> {
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
    fn session_names_are_a_bijection() {
        let names = SessionNames::new(&RandomStreams::new(42));
        let mut seen = std::collections::HashSet::new();
        for root in (0..20_000).chain([MAX_SESSIONS - 1]) {
            for is_continuation in [false, true] {
                let name = names.name(root, is_continuation);
                assert_eq!(names.root_of(&name), Some((root, is_continuation)));
                assert!(seen.insert(name));
            }
        }
        assert_eq!(names.root_of("sess-0123456789AB"), None);
        assert_eq!(names.root_of("other"), None);
    }
}
