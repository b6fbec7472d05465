//! What a model caches per token, and its bytes.

use std::fmt;
use std::str::FromStr;

use super::error::ModelError;

/// Data type of a server's KV cache; not the `dtype` of the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KvDtype {
    /// Two bytes: bf16 or fp16.
    #[default]
    Bf16,
    /// One byte.
    Fp8,
}

impl KvDtype {
    /// Bytes of one number.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Bf16 => 2,
            Self::Fp8 => 1,
        }
    }
}

impl FromStr for KvDtype {
    type Err = ModelError;

    /// `bf16` or `fp16` (the same size), or `fp8`.
    fn from_str(text: &str) -> Result<Self, ModelError> {
        match text {
            "bf16" | "fp16" => Ok(Self::Bf16),
            "fp8" => Ok(Self::Fp8),
            _ => Err(ModelError::new("kv dtype", format!("found \"{text}\"; expected bf16, fp16 or fp8"))),
        }
    }
}

impl fmt::Display for KvDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bf16 => "bf16",
            Self::Fp8 => "fp8",
        })
    }
}

/// What one attention layer caches per token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cached {
    /// A key and a value for every KV head (multi-head, grouped-query and multi-query attention).
    Heads {
        /// KV heads.
        kv_heads: u64,
        /// Numbers in a key, and in a value.
        head_dim: u64,
    },
    /// One compressed vector and one positional key, shared by all heads (multi-head latent attention).
    Latent {
        /// Numbers in the compressed vector.
        kv_lora_rank: u64,
        /// Numbers in the positional key.
        qk_rope_head_dim: u64,
    },
}

impl Cached {
    /// Numbers that a layer caches per token.
    #[must_use]
    pub const fn values(self) -> u64 {
        match self {
            Self::Heads { kv_heads, head_dim } => 2 * kv_heads * head_dim,
            Self::Latent { kv_lora_rank, qk_rope_head_dim } => kv_lora_rank + qk_rope_head_dim,
        }
    }
}

/// The layers of a model, and what they cache. At least one layer caches the whole context if it is read from a
/// `config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// All layers, including those that cache nothing (only experts or an MLP).
    pub layers: u64,
    /// Layers that cache every token of the context.
    pub full_layers: u64,
    /// Layers that cache the last `window_tokens` tokens.
    pub windowed_layers: u64,
    /// Tokens that a windowed layer caches; 0 without windowed layers.
    pub window_tokens: u64,
    /// Layers with a state of fixed size (linear attention, Mamba). Its bytes are not counted: they depend on the
    /// server's number format and on how many states it keeps for reuse.
    pub state_layers: u64,
    /// What each full and each windowed layer caches per token.
    pub cached: Cached,
}

impl Geometry {
    /// KV bytes per token of a long context: those of the full layers.
    #[must_use]
    pub const fn bytes_per_token(&self, dtype: KvDtype) -> u64 {
        self.full_layers * self.cached.values() * dtype.bytes()
    }

    /// The most KV bytes of a sequence beside those of its tokens: full windows of the windowed layers.
    #[must_use]
    pub const fn bytes_per_sequence(&self, dtype: KvDtype) -> u64 {
        self.windowed_layers * self.window_tokens * self.cached.values() * dtype.bytes()
    }
}
