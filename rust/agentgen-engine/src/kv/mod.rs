//! KV identity: what a prefix cache can tell apart, and what it holds.
//!
//! `token_seq` (tokens by where they come from) → `block_key` (one chained key a block: the definition, for those who name
//! blocks one by one, as servers and cache events do) or `tree` (the same chains with blocks that always move together
//! held as one extent: what analyses use) → `cache` (a tree with a capacity, for simulators and servers).
//! `docs/reuse.md` defines each.

mod admission;
mod block_key;
mod cache;
mod capacity;
mod prompt;
mod token_seq;
mod tree;

pub use admission::{Admission, Admitted, MatchHint, Released};
pub use block_key::{BlockKey, block_keys};
pub use cache::{Evicted, Inserted, NEVER, Pin, Policy, PrefixCache};
pub use capacity::{CapacityTooSmall, capacity_blocks};
pub use prompt::Prompt;
pub use token_seq::{Content, TokenSeq, TokenSpan};
pub use tree::{NodeId, PrefixMatch, RadixTree};
