//! Published figures, refused configurations, and the table of `docs/models.md`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::config::types;
use super::{Cached, Geometry, KvDtype, Model, ModelError, find, names};

fn geometry(config: &str) -> Geometry {
    Geometry::from_config_json(config).expect("understood")
}

/// `{}` with the fields of a small Llama, and others after them; a later field of the same name wins.
fn llama(more: &str) -> String {
    format!(r#"{{"model_type": "llama", "num_hidden_layers": 4, "num_key_value_heads": 2, "head_dim": 64{more}}}"#)
}

fn refused(config: &str) -> String {
    Geometry::from_config_json(config).expect_err("refused").to_string()
}

fn model(name: &str) -> &'static Model {
    find(name).unwrap_or_else(|| panic!("{name} is in the catalogue"))
}

#[test]
fn bytes_are_the_published_ones() {
    let known = [
        ("llama-3.1-8b", 32 * 2 * 8 * 128 * 2, 131_072),
        ("llama-3.1-70b", 80 * 2 * 8 * 128 * 2, 327_680),
        ("llama-3.1-405b", 126 * 2 * 8 * 128 * 2, 516_096),
        ("deepseek-v3", 61 * (512 + 64) * 2, 70_272),
        ("kimi-k2", 61 * (512 + 64) * 2, 70_272),
        ("qwen3-235b-a22b", 94 * 2 * 4 * 128 * 2, 192_512),
        ("qwen3-coder-480b-a35b", 62 * 2 * 8 * 128 * 2, 253_952),
        ("gpt-oss-120b", 18 * 2 * 8 * 64 * 2, 36_864),
        ("gemma-3-27b", 10 * 2 * 16 * 128 * 2, 81_920),
        ("qwen3-next-80b-a3b", 12 * 2 * 2 * 256 * 2, 24_576),
    ];
    for (name, arithmetic, published) in known {
        assert_eq!(arithmetic, published, "{name}");
        let geometry = model(name).geometry;
        assert_eq!(geometry.bytes_per_token(KvDtype::Bf16), published, "{name}");
        assert_eq!(geometry.bytes_per_token(KvDtype::Fp8), published / 2, "{name}");
    }
    assert_eq!(model("deepseek-r1").geometry.bytes_per_token(KvDtype::Fp8), 35_136);
}

#[test]
fn windows_are_bytes_of_a_sequence() {
    let gemma = model("gemma-3-27b").geometry;
    assert_eq!((gemma.layers, gemma.full_layers, gemma.windowed_layers, gemma.window_tokens), (62, 10, 52, 1_024));
    assert_eq!(gemma.bytes_per_sequence(KvDtype::Bf16), 52 * 1_024 * 2 * 16 * 128 * 2);
    assert_eq!(model("gpt-oss-20b").geometry.bytes_per_sequence(KvDtype::Fp8), 12 * 128 * 2 * 8 * 64);
    assert_eq!(model("llama-3.1-8b").geometry.bytes_per_sequence(KvDtype::Bf16), 0);
}

#[test]
fn names_are_sorted_unique_and_found_in_any_case() {
    let names: Vec<_> = names().collect();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    for name in &names {
        assert_eq!(find(&name.to_ascii_uppercase()).map(|model| model.name), Some(*name));
        assert_eq!(*name, name.to_ascii_lowercase());
        assert!(model(name).source.starts_with("https://huggingface.co/"), "{name}");
        assert!(model(name).geometry.bytes_per_token(KvDtype::Fp8) > 0, "{name}");
    }
    assert_eq!(find("llama-3.1"), None);
}

#[test]
fn kv_dtypes_are_parsed_and_printed() {
    let read = |text: &str| text.parse::<KvDtype>();
    assert_eq!((read("bf16"), read("fp16"), read("fp8")), (Ok(KvDtype::Bf16), Ok(KvDtype::Bf16), Ok(KvDtype::Fp8)));
    assert_eq!(read("int4").expect_err("refused").to_string(), "kv dtype: found \"int4\"; expected bf16, fp16 or fp8");
    assert_eq!((KvDtype::default().to_string(), KvDtype::Fp8.to_string()), ("bf16".to_owned(), "fp8".to_owned()));
}

#[test]
fn a_missing_head_dim_is_derived_from_the_hidden_size_if_the_type_says_so() {
    let split = r#"{"model_type": "TYPE", "num_hidden_layers": 1, "num_key_value_heads": 8, "head_dim": null,
        "hidden_size": 4096, "num_attention_heads": 32}"#;
    let cached = geometry(&split.replace("TYPE", "llama")).cached;
    assert_eq!(cached, Cached::Heads { kv_heads: 8, head_dim: 128 });
    assert!(refused(&split.replace("TYPE", "qwen3")).starts_with("head_dim: missing; expected a whole number"));
    let uneven = split.replace("TYPE", "llama").replace("4096", "4097");
    assert!(refused(&uneven).starts_with("head_dim: missing, and hidden_size 4097 does not split into 32"));
}

#[test]
fn the_language_model_of_a_multi_modal_model_is_read() {
    let nested = format!(r#"{{"model_type": "llava", "num_hidden_layers": 9, "text_config": {}}}"#, llama(""));
    assert_eq!(geometry(&nested), geometry(&llama("")));
    let latent = r#"{"model_type": "kimi_k25", "text_config":
        {"model_type": "kimi_k2", "num_hidden_layers": 61, "qk_rope_head_dim": 64}}"#;
    assert!(refused(latent).starts_with("text_config.kv_lora_rank: missing"));
    assert!(refused(r#"{"text_config": 1}"#).starts_with("text_config: found 1; expected the object"));
}

#[test]
fn hybrid_models_count_their_attention_layers() {
    let kinds = |model_type: &str, more: &str| {
        let config = format!(
            r#"{{"model_type": "{model_type}", "num_key_value_heads": 2, "head_dim": 64, "num_hidden_layers": 8, {more}}}"#
        );
        let geometry = geometry(&config);
        (geometry.layers, geometry.full_layers, geometry.windowed_layers, geometry.state_layers)
    };
    assert_eq!(kinds("qwen3_next", r#""full_attention_interval": 4"#), (8, 2, 0, 6));
    assert_eq!(kinds("bamba", r#""attn_layer_indices": [1, 7]"#), (8, 2, 0, 6));
    assert_eq!(kinds("jamba", r#""attn_layer_period": 5, "attn_layer_offset": 2"#), (8, 2, 0, 6));
    assert_eq!(kinds("jamba", r#""attn_layer_period": 4, "attn_layer_offset": 0"#), (8, 2, 0, 6));
    assert_eq!(kinds("nemotron_h", r#""hybrid_override_pattern": "ME*M-M*E""#), (8, 2, 0, 3));
    assert_eq!(
        kinds(
            "nemotron_h",
            r#""layers_block_type": ["mamba","moe","attention","mlp","mamba","moe","attention","mlp"]"#
        ),
        (8, 2, 0, 2)
    );
    assert_eq!(kinds("gemma3_text", r#""sliding_window": 9, "sliding_window_pattern": 3"#), (8, 2, 6, 0));
    assert_eq!(kinds("gemma3_text", r#""sliding_window": 9"#), (8, 1, 7, 0), "every sixth is full unless stated");
    let listed = ["linear_attention", "sliding_attention", "full_attention", "full_attention"].repeat(2);
    let listed = format!(r#""sliding_window": 9, "full_attention_interval": 8, "layer_types": {listed:?}"#);
    assert_eq!(kinds("qwen3_next", &listed), (8, 4, 2, 2), "a list wins over an interval");
}

#[test]
fn a_window_must_be_on_or_off() {
    let qwen = |more: &str| llama(more).replace("llama", "qwen2");
    assert_eq!(geometry(&qwen(r#", "sliding_window": 4096, "use_sliding_window": false"#)).full_layers, 4);
    for unsure in [r#", "sliding_window": 4096"#, r#", "sliding_window": 4096, "use_sliding_window": true"#] {
        assert!(refused(&qwen(unsure)).starts_with("sliding_window: found 4096; expected null"), "{unsure}");
    }
    let mistral = |more: &str| llama(more).replace("llama", "mistral");
    assert_eq!(geometry(&mistral(r#", "sliding_window": null"#)).full_layers, 4);
    assert_eq!(refused(&mistral("")), "sliding_window: missing; expected null or a number of tokens");
    let every = refused(&mistral(r#", "sliding_window": 4096"#));
    assert!(every.starts_with("sliding_window: no layer keeps the whole context"), "{every}");
}

#[test]
fn unsupported_configurations_are_errors() {
    let cases = [
        ("", "config.json: not JSON: EOF"),
        ("[]", "config.json: found a list; expected an object"),
        ("{}", "model_type: missing; expected the name of a model type"),
        (
            r#"{"model_type": "mamba3"}"#,
            "model_type: found \"mamba3\", whose layers are not known here; expected one of",
        ),
        (r#"{"model_type": "gpt_oss"}"#, "layer_types: missing; expected a list"),
        (r#"{"model_type": "nemotron_h"}"#, "hybrid_override_pattern: missing; expected a letter a layer"),
    ];
    for (config, start) in cases {
        assert!(refused(config).starts_with(start), "{config}: {}", refused(config));
    }
    let fields = [
        (r#""num_hidden_layers": 0"#, "num_hidden_layers: found 0; expected a whole number from 1 to 4096"),
        (r#""num_key_value_heads": 2.5"#, "num_key_value_heads: found 2.5; expected a whole number"),
        (r#""num_key_value_heads": null"#, "num_key_value_heads: missing; expected a whole number"),
        (r#""head_dim": [64]"#, "head_dim: found a list; expected a whole number"),
        (r#""layer_types": "full""#, "layer_types: found \"full\"; expected a list"),
        (
            r#""layer_types": ["full_attention"]"#,
            "layer_types: found 1 entries; expected 4, as num_hidden_layers states",
        ),
        (
            r#""attn_type_list": [1, 1, 0, 1]"#,
            "attn_type_list: found a list; expected 1 (full attention) for every layer",
        ),
        (r#""index_topk": 2048"#, "index_topk: stands for sparse attention with a cache of its own for the index"),
        (r#""block_configs": [{}]"#, "block_configs: stands for layers that differ"),
        (r#""attention_k_eq_v": true"#, "attention_k_eq_v: stands for"),
    ];
    for (field, start) in fields {
        let error = refused(&llama(&format!(", {field}")));
        assert!(error.starts_with(start), "{field}: {error}");
    }
    for absent in [r#""index_topk": null"#, r#""num_kv_shared_layers": 0"#, r#""attention_k_eq_v": false"#] {
        assert_eq!(geometry(&llama(&format!(", {absent}"))), geometry(&llama("")));
    }
    let chunked = r#", "layer_types": ["full_attention", "chunked_attention", "full_attention", "full_attention"]"#;
    assert!(refused(&llama(chunked)).starts_with("layer_types[1]: found \"chunked_attention\", which is not known"));
    let twice = r#"{"model_type": "bamba", "num_hidden_layers": 4, "attn_layer_indices": [1, 1]}"#;
    assert_eq!(refused(twice), "attn_layer_indices: found 1; expected a list of different layers from 0 to 3");
    let stateful = r#"{"model_type": "bamba", "num_hidden_layers": 4, "attn_layer_indices": []}"#;
    assert!(refused(stateful).starts_with("model_type: no layer keeps the whole context"));
    let none = r#"{"model_type": "nemotron_h", "layers_block_type": []}"#;
    assert_eq!(refused(none), "layers_block_type: found 0 entries; expected 1 to 4096, one a layer");
    let sparse = r#"{"model_type": "deepseek_v32", "index_topk": 2048}"#;
    assert!(refused(sparse).starts_with("index_topk: stands for sparse attention"), "the reason before the type");
    let letter = r#"{"model_type": "nemotron_h", "hybrid_override_pattern": "M*X"}"#;
    assert!(refused(letter).starts_with("hybrid_override_pattern: found the letter X; expected a letter a layer"));
}

#[test]
fn the_largest_geometry_fits_64_bits() {
    let huge = r#"{"model_type": "gemma3_text", "num_hidden_layers": 4096, "num_key_value_heads": 4096,
        "head_dim": 4096, "sliding_window": 16777216, "sliding_window_pattern": 4096}"#;
    let huge = geometry(huge);
    assert_eq!(u128::from(huge.bytes_per_sequence(KvDtype::Bf16)), 4_095 * (1_u128 << (24 + 1 + 12 + 12 + 1)));
    let wider = ModelError::new("sliding_window", "found 16777217; expected a whole number from 1 to 16777216");
    let text = r#"{"model_type": "gemma3_text", "num_hidden_layers": 2, "sliding_window": 16777217}"#;
    assert_eq!(Geometry::from_config_json(text), Err(wider));
}

/// 1234567 as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group)).collect();
    groups.join(",")
}

fn table() -> String {
    let mut table = String::from(
        "| model | layers | cached per layer and token | bytes/token bf16 | bytes/token fp8 | bytes/open session bf16 | source |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for Model { name, source, geometry } in names().map(model) {
        let mut layers = geometry.layers.to_string();
        if geometry.full_layers < geometry.layers {
            write!(layers, ": {} full", geometry.full_layers).expect("memory");
        }
        if geometry.windowed_layers > 0 {
            let window = grouped(geometry.window_tokens);
            write!(layers, ", {} with a window of {window} tokens", geometry.windowed_layers).expect("memory");
        }
        if geometry.state_layers > 0 {
            write!(layers, ", {} with a state", geometry.state_layers).expect("memory");
        }
        let cached = match geometry.cached {
            Cached::Heads { kv_heads, head_dim } => format!("2 x {kv_heads} x {head_dim}"),
            Cached::Latent { kv_lora_rank, qk_rope_head_dim } => format!("{kv_lora_rank} + {qk_rope_head_dim}"),
        };
        let [bf16, fp8] = [KvDtype::Bf16, KvDtype::Fp8].map(|dtype| grouped(geometry.bytes_per_token(dtype)));
        let sequence = grouped(geometry.bytes_per_sequence(KvDtype::Bf16));
        let row = format!("| `{name}` | {layers} | {cached} | {bf16} | {fp8} | {sequence} | [config.json]({source}) |");
        writeln!(table, "{row}").expect("memory");
    }
    table
}

fn page_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/models.md")
}

#[test]
fn every_model_type_is_documented() {
    let page = std::fs::read_to_string(page_path()).expect("checked in");
    assert!(types().is_sorted());
    for name in types() {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

/// `AGENTGEN_BLESS=1 cargo test` rewrites the table.
#[test]
fn the_documented_table_is_the_catalogue() {
    let page = std::fs::read_to_string(page_path()).expect("checked in");
    let [start, end] = ["<!-- catalogue -->\n", "<!-- end of catalogue -->\n"];
    let (before, rest) = page.split_once(start).expect("marked");
    let (found, after) = rest.split_once(end).expect("marked");
    if std::env::var_os("AGENTGEN_BLESS").is_some() {
        std::fs::write(page_path(), format!("{before}{start}{}{end}{after}", table())).expect("writable");
    } else {
        assert_eq!(found, table());
    }
}
