//! What a model keeps of every token, and the bytes that takes.

use std::fmt;
use std::str::FromStr;

use super::config;
use super::error::ModelError;

/// The numbers that a server keeps its KV cache in; not the model's own `dtype`.
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

/// What one attention layer keeps of one token.
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
    /// Numbers that a layer keeps of a token.
    #[must_use]
    pub const fn values(self) -> u64 {
        match self {
            Self::Heads { kv_heads, head_dim } => 2 * kv_heads * head_dim,
            Self::Latent { kv_lora_rank, qk_rope_head_dim } => kv_lora_rank + qk_rope_head_dim,
        }
    }
}

/// The layers of a model and what they keep. Made from a `config.json`, at least one layer keeps the whole context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// All layers, those that cache nothing (only experts or an MLP) included.
    pub layers: u64,
    /// Layers that keep every token of the context.
    pub full_layers: u64,
    /// Layers that keep the last `window_tokens` tokens.
    pub windowed_layers: u64,
    /// Tokens that a windowed layer keeps; 0 without windowed layers.
    pub window_tokens: u64,
    /// Layers with a state of fixed size (linear attention, Mamba). Its bytes are not counted: they depend on the
    /// server's number format and on how many states it keeps for reuse.
    pub state_layers: u64,
    /// What each full and each windowed layer keeps of a token.
    pub cached: Cached,
}

impl Geometry {
    /// The geometry that a Hugging Face `config.json` describes.
    pub fn from_config_json(text: &str) -> Result<Self, ModelError> {
        let root = serde_json::from_str(text).map_err(|error| {
            ModelError::new("config.json", format!("not JSON: {error}; expected strict JSON, without Infinity or NaN"))
        })?;
        config::read(&root)
    }

    /// Bytes that every further token of a long context costs: its share of the layers that keep everything.
    #[must_use]
    pub const fn bytes_per_token(&self, dtype: KvDtype) -> u64 {
        self.full_layers * self.cached.values() * dtype.bytes()
    }

    /// Bytes that a context costs at most on top of its tokens: the windows of the windowed layers, full. 0 without.
    #[must_use]
    pub const fn bytes_per_sequence(&self, dtype: KvDtype) -> u64 {
        self.windowed_layers * self.window_tokens * self.cached.values() * dtype.bytes()
    }
}
