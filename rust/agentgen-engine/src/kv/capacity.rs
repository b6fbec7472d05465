//! KV memory in blocks.

use crate::text::counted;

/// The memory is too small for one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "capacity: found {}, expected at least {block_bytes}, one block of {}",
    counted(*bytes, "byte"),
    counted(u64::from(*block_tokens), "token")
)]
pub struct CapacityTooSmall {
    /// Bytes of the memory.
    pub bytes: u64,
    /// Bytes of one block.
    pub block_bytes: u64,
    /// Tokens of one block.
    pub block_tokens: u32,
}

/// Number of blocks in this many bytes of KV memory; at least one.
pub fn capacity_blocks(bytes: u64, kv_bytes_per_token: u64, block_tokens: u32) -> Result<u64, CapacityTooSmall> {
    let block_bytes = kv_bytes_per_token.saturating_mul(u64::from(block_tokens));
    if block_bytes == 0 || bytes < block_bytes {
        return Err(CapacityTooSmall { bytes, block_bytes, block_tokens });
    }
    Ok(bytes / block_bytes)
}
