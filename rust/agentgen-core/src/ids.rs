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

/// The partition of the hash ids: L1, then L1.5 of each group, then the prefixes of the kinds of sub-agents, then a range
/// for each root session.
///
/// A root session's range consists of regions, one for each stream of its tree: for the session and its continuation, for
/// each session after a break, for each sub-agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdSpace {
    block_size: u64,
    layer1_blocks: u64,
    layer1_5_blocks: u64,
    groups: u64,
    /// Blocks of the prefix of each kind of sub-agent.
    kinds: Vec<u64>,
    /// Regions of the main agent's streams.
    main: Regions,
    /// Regions of sub-agents: those of a sub-agent, and most sub-agents of a bundle.
    agents: Regions,
    most_agents: u64,
    stride: u64,
    sessions: u64,
}

/// A limit on the sessions under a root session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cap {
    /// `breaks.max_per_line`.
    BreaksOfLine,
    /// `subagents.max_per_bundle`.
    SubagentsOfBundle,
    /// `subagents.max_breaks_per_line`.
    BreaksOfSubagent,
}

/// Regions of equal size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Regions {
    /// Streams of a line: the first, and one after each break.
    streams: u64,
    /// Maximum number of full blocks of a stream's own; ids of partial blocks start at this offset of a region.
    own_blocks: u64,
    /// Ids of a region.
    size: u64,
}

/// Most streams of a tree: their numbers take the bits of a random stream's address above the root session's.
const MAX_STREAMS: u64 = 1 << 16;

impl IdSpace {
    /// The id space of a checked configuration (after overrides) and a number of root sessions.
    pub fn new(config: &Config, sessions: u64) -> Result<Self, ConfigError> {
        let (layer1_blocks, layer1_5_blocks) = config.prefix_blocks();
        let block_size = u64::from(config.block_size);
        let limit = u64::from(config.max_prompt_tokens) - 1;
        let breaks = config.breaks.as_ref().map_or(0, |breaks| breaks.max_per_line);
        let room = if breaks == 0 { limit - config.prefix_tokens() } else { limit };
        let most_turns = config.turns.as_ref().map_or(u64::MAX, |turns| turns.max.into());
        let main = Regions::new(breaks, room, block_size, config.smallest_growth(), most_turns);
        let (mut agents, mut most_agents, mut kinds) = (Regions::new(0, 1, block_size, 1, 1), 0, Vec::new());
        if let Some(subagents) = &config.subagents {
            let (growth, most_calls) = config.smallest_growth_of_subagents();
            agents = Regions::new(subagents.max_breaks_per_line, limit, block_size, growth, most_calls);
            most_agents = u64::from(subagents.max_per_bundle);
            kinds = subagents.kinds.iter().map(|kind| config.kind_prefix_tokens(kind) / block_size).collect();
        }
        // A restart's bundle has sub-agents of its own.
        let bundles = if config.restart_initial_probability > 0.0 { 2 } else { 1 };
        let of_agents = bundles * most_agents * agents.streams;
        if main.streams + of_agents > MAX_STREAMS {
            return Err(ConfigError::new(
                "subagents.max_per_bundle",
                format!(
                    "found {} streams of a tree, expected at most {MAX_STREAMS}: 1 + breaks.max_per_line, and                      max_per_bundle * (1 + max_breaks_per_line) for each bundle (lower one of them)",
                    main.streams + of_agents
                ),
            ));
        }
        let stride = main.streams * main.size + of_agents * agents.size;
        let groups = u64::from(config.cache.layer1_5_groups.num_groups);
        let total = u128::from(layer1_blocks)
            + u128::from(groups) * u128::from(layer1_5_blocks)
            + u128::from(kinds.iter().sum::<u64>())
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
        Ok(Self {
            block_size,
            layer1_blocks,
            layer1_5_blocks,
            groups,
            kinds,
            main,
            agents,
            most_agents,
            stride,
            sessions,
        })
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
        self.shared_ids() + root * self.stride
    }

    /// Ids of all shared prefixes.
    fn shared_ids(&self) -> u64 {
        self.layer1_blocks + self.groups * self.layer1_5_blocks + self.kinds.iter().sum::<u64>()
    }

    /// First id of the region of stream `number` of the tree of root session `root`.
    #[must_use]
    pub fn region(&self, root: u64, number: u64) -> u64 {
        let of_main = number.min(self.main.streams);
        self.base(root) + of_main * self.main.size + (number - of_main) * self.agents.size
    }

    /// Number of ids in the region of a stream.
    #[must_use]
    pub fn region_size(&self, number: u64) -> u64 {
        self.regions(number).size
    }

    /// Ids of partial blocks start at this offset of the region of a stream.
    #[must_use]
    pub fn own_blocks(&self, number: u64) -> u64 {
        self.regions(number).own_blocks
    }

    fn regions(&self, number: u64) -> Regions {
        if number < self.main.streams { self.main } else { self.agents }
    }

    /// The cap after which nothing more is drawn, if the session of a break or sub-agent with this number reaches one.
    #[must_use]
    pub fn cap_reached(&self, number: u64) -> Option<Cap> {
        let Some(of_agents) = number.checked_sub(self.main.streams) else {
            return (number + 1 == self.main.streams).then_some(Cap::BreaksOfLine);
        };
        let (agent, part) = (of_agents / self.agents.streams, of_agents % self.agents.streams);
        if part == 0 {
            return ((agent + 1).is_multiple_of(self.most_agents)).then_some(Cap::SubagentsOfBundle);
        }
        (part + 1 == self.agents.streams).then_some(Cap::BreaksOfSubagent)
    }

    /// Number of the stream of sub-agent `index` of a root session's bundle, or of its restart's.
    pub(crate) fn agent_number(&self, is_restart: bool, index: u32) -> u64 {
        let before = if is_restart { self.most_agents } else { 0 };
        self.main.streams + (before + u64::from(index)) * self.agents.streams
    }

    /// Appends the ids of the prefix of a kind of sub-agent.
    pub(crate) fn kind_prefix(&self, kind: usize, out: &mut Vec<IdRange>) {
        let before: u64 = self.kinds[..kind].iter().sum();
        push(out, self.layer1_blocks + self.groups * self.layer1_5_blocks + before, self.kinds[kind]);
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
            push(out, self.base(root) + self.main.own_blocks + *partial, 1);
            *partial += 1;
        }
    }

    /// Tokens per block.
    pub(crate) fn block_size(&self) -> u64 {
        self.block_size
    }
}

impl Regions {
    /// Regions for streams of at most `room` own tokens whose calls add at least `growth` tokens each.
    fn new(breaks: u32, room: u64, block_size: u64, growth: u64, most_turns: u64) -> Self {
        let turns = (1 + (room - 1) / growth).min(most_turns);
        let own_blocks = room.div_ceil(block_size);
        // A restart adds one row.
        Self { streams: 1 + u64::from(breaks), own_blocks, size: own_blocks + turns + 1 }
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

/// Bytes of the name of a session after a break or of a sub-agent: a dot and a number of 16 bits follow the root's.
const MEMBER_BYTES: usize = NAME_BYTES + 6;

/// A session id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name {
    bytes: [u8; MEMBER_BYTES],
    len: u8,
}

impl std::ops::Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        // Always ASCII.
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
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
        let mut name = [0; MEMBER_BYTES];
        name[..PREFIX.len()].copy_from_slice(PREFIX);
        let mixed = left << HALF_BITS | right;
        for (i, digit) in name[PREFIX.len()..NAME_BYTES].iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(mixed >> (44 - 4 * i) & 0xF) as usize];
        }
        Name { bytes: name, len: NAME_BYTES as u8 }
    }

    /// The id of the session that begins stream `number` of the tree of root session `root`: after a break, or of a
    /// sub-agent.
    #[must_use]
    pub fn member(&self, root: u64, number: u64) -> Name {
        let mut name = self.name(root, false);
        name.bytes[NAME_BYTES] = b'.';
        let mut digits = [0; MEMBER_BYTES - NAME_BYTES - 1];
        let (mut rest, mut count) = (number, 0);
        while count == 0 || (rest > 0 && count < digits.len()) {
            digits[count] = b'0' + (rest % 10) as u8;
            (rest, count) = (rest / 10, count + 1);
        }
        for (place, digit) in digits[..count].iter().rev().enumerate() {
            name.bytes[NAME_BYTES + 1 + place] = *digit;
        }
        name.len += 1 + count as u8;
        name
    }

    /// Index of the root session and number of the stream of a name that [`Self::member`] makes.
    #[must_use]
    pub fn member_of(&self, name: &str) -> Option<(u64, u64)> {
        let (root, number) = name.split_once('.')?;
        let (root, is_continuation) = self.root_of(root)?;
        let number = number.parse().ok().filter(|number| (1..MAX_STREAMS).contains(number))?;
        (!is_continuation && *self.member(root, number) == *name).then_some((root, number))
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
        for number in [1, 9, 10, 65_535] {
            let name = names.member(7, number);
            assert_eq!(&*name, format!("{}.{number}", &*names.name(7, false)));
            assert_eq!(names.member_of(&name), Some((7, number)));
            assert_eq!(names.root_of(&name), None);
        }
        assert_eq!(names.member_of(&format!("{}.01", &*names.name(7, false))), None);
        assert_eq!(names.root_of("sess-0123456789AB"), None);
        assert_eq!(names.root_of("other"), None);
    }
}
