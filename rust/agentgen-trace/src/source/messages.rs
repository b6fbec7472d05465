//! Tells files of multi-turn messages from block-hash traces.

use std::path::Path;

use super::blocks::{Blocks, MAX_LINE_BYTES};
use super::json_object::members;
use crate::error::Result;

/// Whether a file holds multi-turn messages. The first line that is a JSON object decides.
///
/// A row of messages has a `role`, or `_type` if it describes the file; a row of a block-hash trace has `hash_ids`.
pub fn is_messages(path: &Path) -> Result<bool> {
    if !path.is_file() {
        return Ok(false);
    }
    let Some(block) = Blocks::open(path, MAX_LINE_BYTES)?.next().transpose()? else { return Ok(false) };
    let first = block.lines().find_map(|line| members(line.bytes, &mut Vec::new()));
    let Some(first) = first else { return Ok(false) };
    let has = |name| first.iter().any(|(key, _)| key == name);
    Ok((has("role") || has("_type")) && !has("hash_ids"))
}
