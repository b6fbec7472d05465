//! KV memory as blocks.

use crate::text::counted;

/// Memory that holds no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "capacity: found {}, expected at least {block_bytes}, one block of {}",
    counted(*bytes, "byte"),
    counted(u64::from(*block_tokens), "token")
)]
pub struct CapacityTooSmall {
    /// What there is.
    pub bytes: u64,
    /// What a block takes.
    pub block_bytes: u64,
    /// Tokens of it.
    pub block_tokens: u32,
}

/// Blocks that so many bytes of KV memory hold; at least one.
pub fn capacity_blocks(bytes: u64, kv_bytes_per_token: u64, block_tokens: u32) -> Result<u64, CapacityTooSmall> {
    let block_bytes = kv_bytes_per_token.saturating_mul(u64::from(block_tokens));
    if block_bytes == 0 || bytes < block_bytes {
        return Err(CapacityTooSmall { bytes, block_bytes, block_tokens });
    }
    Ok(bytes / block_bytes)
}
