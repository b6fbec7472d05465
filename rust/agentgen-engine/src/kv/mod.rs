//! KV blocks: which prompts share them, and which of them a prefix cache holds.
//!
//! A [`TokenSeq`] names the tokens of a prompt by their origin. [`block_keys`] gives each full block one chained key:
//! the definition, for servers and cache events that name blocks one by one. [`RadixTree`] holds the same chains as
//! nodes of consecutive blocks, which is what analyses use. [`PrefixCache`] is a tree with a capacity: [`Policy`]
//! decides which block is evicted first, [`Destination`] where it goes. `docs/reuse.md` defines each term.

mod admission;
mod block_key;
mod cache;
mod capacity;
mod policy;
mod prompt;
mod tiers;
mod token_seq;
mod tree;

pub use admission::{Admission, AdmissionRequest, Admitted, MatchHint, Released};
pub use block_key::{BlockKey, block_keys};
pub use cache::{Evicted, PrefixCache};
pub use capacity::{CapacityTooSmall, capacity_blocks};
pub use policy::Policy;
pub use prompt::Prompt;
pub use tiers::Destination;
pub use token_seq::{Content, TokenSeq, TokenSpan};
pub use tree::{NodeId, PrefixMatch, RadixTree};
