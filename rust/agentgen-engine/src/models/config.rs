//! Reads the [`Geometry`] from a `config.json`.
//!
//! Only known model types are read, those with every field that determines the cache understood: a new type may give an
//! old field a new meaning, and a wrong number of bytes looks like a right one.

use serde_json::Value;

use super::error::ModelError;
use super::fields::{Fields, MOST};
use super::geometry::{Cached, Geometry};
use super::layers::{self, Rule};

/// Bound of a window, in tokens.
const MOST_WINDOW: u64 = 1 << 24;
/// Bound of `hidden_size`.
const MOST_HIDDEN: u64 = 1 << 20;

/// How a model type states what a layer caches per token.
#[derive(Clone, Copy)]
enum Store {
    /// `num_key_value_heads` and `head_dim`.
    Heads,
    /// The same; without `head_dim` it is `hidden_size` / `num_attention_heads`.
    Split,
    /// `kv_lora_rank` and `qk_rope_head_dim`.
    Latent,
}

/// The supported model types.
const TYPES: [(&str, Rule, Store); 21] = [
    ("bamba", Rule::Indices, Store::Split),
    ("deepseek_v2", Rule::Full, Store::Latent),
    ("deepseek_v3", Rule::Full, Store::Latent),
    ("gemma3_text", Rule::WindowPattern, Store::Heads),
    ("glm4_moe", Rule::Full, Store::Heads),
    ("gpt_oss", Rule::Listed, Store::Heads),
    ("jamba", Rule::Period, Store::Split),
    ("kimi_k2", Rule::Full, Store::Latent),
    ("llama", Rule::Full, Store::Split),
    ("minimax_m2", Rule::Full, Store::Heads),
    ("mistral", Rule::Windowed, Store::Split),
    ("mixtral", Rule::Windowed, Store::Split),
    ("nemotron_h", Rule::Blocks, Store::Heads),
    ("qwen2", Rule::Full, Store::Split),
    ("qwen3", Rule::Full, Store::Heads),
    ("qwen3_5_moe_text", Rule::Interval, Store::Heads),
    ("qwen3_5_text", Rule::Interval, Store::Heads),
    ("qwen3_moe", Rule::Full, Store::Heads),
    ("qwen3_next", Rule::Interval, Store::Heads),
    ("qwen3_vl_moe_text", Rule::Full, Store::Heads),
    ("qwen3_vl_text", Rule::Full, Store::Heads),
];

/// Fields that change what is cached in ways that are not supported, for any model type.
const REFUSED: [(&str, &str); 12] = [
    ("attention_chunk_size", "layers of chunked attention"),
    ("attention_k_eq_v", "layers whose keys are their values"),
    ("block_configs", "layers that differ from each other"),
    ("compress_ratios", "layers that compress the context"),
    ("cross_attention_layers", "layers of cross-attention"),
    ("global_head_dim", "full layers with heads of their own size"),
    ("hybrid_layer_pattern", "windowed layers with heads of their own"),
    ("index_topk", "sparse attention with a cache of its own for the index"),
    ("num_kv_shared_layers", "layers that share a cache"),
    ("sparse_attention_config", "sparse attention with a cache of its own for the index"),
    ("swa_head_dim", "windowed layers with heads of their own size"),
    ("swa_num_key_value_heads", "windowed layers with heads of their own"),
];

/// The names of the supported model types, sorted.
pub(super) fn types() -> [&'static str; TYPES.len()] {
    TYPES.map(|(name, ..)| name)
}

impl Geometry {
    /// The geometry that a Hugging Face `config.json` describes.
    pub fn from_config_json(text: &str) -> Result<Self, ModelError> {
        let root = serde_json::from_str(text).map_err(|error| {
            ModelError::new("config.json", format!("not JSON: {error}; expected strict JSON, without Infinity or NaN"))
        })?;
        read(&root)
    }
}

/// The geometry that a parsed `config.json` describes.
pub(super) fn read(root: &Value) -> Result<Geometry, ModelError> {
    let fields = Fields::of(root)?;
    // Checked before the type: for an unknown type this error is the more useful one.
    if let Some((name, what)) = REFUSED.iter().find(|(name, _)| fields.get(name).is_some_and(is_on)) {
        return Err(fields.error(name, format!("stands for {what}, whose bytes are not known here; expected none")));
    }
    let found = fields.text("model_type", "the name of a model type")?;
    let (_, rule, store) = TYPES.iter().find(|(name, ..)| *name == found).ok_or_else(|| {
        let rule =
            format!("found \"{found}\", whose layers are not known here; expected one of {}", types().join(", "));
        fields.error("model_type", rule)
    })?;
    all_ones(&fields)?;

    let (kinds, explicit) = layers::count(&fields, *rule)?;
    let window_tokens = match kinds.windowed {
        0 if explicit => 0,
        0 => no_window(&fields)?,
        _ => fields.count("sliding_window", MOST_WINDOW)?,
    };
    if kinds.full == 0 {
        let field = if kinds.windowed > 0 { "sliding_window" } else { "model_type" };
        let rule = "no layer keeps the whole context; expected at least one layer of full attention";
        return Err(fields.error(field, rule));
    }
    Ok(Geometry {
        layers: kinds.full + kinds.windowed + kinds.state + kinds.other,
        full_layers: kinds.full,
        windowed_layers: kinds.windowed,
        window_tokens,
        state_layers: kinds.state,
        cached: cached(&fields, *store)?,
    })
}

/// What a layer caches per token.
fn cached(fields: &Fields, store: Store) -> Result<Cached, ModelError> {
    if matches!(store, Store::Latent) {
        let kv_lora_rank = fields.count("kv_lora_rank", MOST)?;
        return Ok(Cached::Latent { kv_lora_rank, qk_rope_head_dim: fields.count("qk_rope_head_dim", MOST)? });
    }
    let kv_heads = fields.count("num_key_value_heads", MOST)?;
    if matches!(store, Store::Heads) || fields.get("head_dim").is_some() {
        return Ok(Cached::Heads { kv_heads, head_dim: fields.count("head_dim", MOST)? });
    }
    let hidden = fields.count("hidden_size", MOST_HIDDEN)?;
    let heads = fields.count("num_attention_heads", MOST)?;
    if !hidden.is_multiple_of(heads) || hidden / heads > MOST {
        let rule = format!("missing, and hidden_size {hidden} does not split into {heads} num_attention_heads");
        return Err(fields.error("head_dim", format!("{rule}; expected a whole number from 1 to {MOST}")));
    }
    Ok(Cached::Heads { kv_heads, head_dim: hidden / heads })
}

/// Returns 0 if no window applies: a window size without windowed layers must be switched off.
fn no_window(fields: &Fields) -> Result<u64, ModelError> {
    let off = fields.get("use_sliding_window").is_some_and(|value| *value == Value::Bool(false));
    if fields.get("sliding_window").is_none() || off {
        return Ok(0);
    }
    let rule = "null, or use_sliding_window false, or layer_types that say which layers are windowed";
    Err(fields.unexpected("sliding_window", rule))
}

/// `MiniMax`'s list of attention types: 1 is full attention; its older models have 0, a linear one.
fn all_ones(fields: &Fields) -> Result<(), ModelError> {
    let name = "attn_type_list";
    let expected = "1 (full attention) for every layer";
    if fields.get(name).is_none() || fields.list(name, expected)?.iter().all(|value| value.as_u64() == Some(1)) {
        return Ok(());
    }
    Err(fields.unexpected(name, expected))
}

/// Whether a value switches a feature on.
fn is_on(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Bool(true) | Value::String(_) => true,
    }
}
