//! KV-cache bytes per token of a model, from its published geometry.
//!
//! ```
//! use agentgen_engine::models::{self, Geometry, KvDtype};
//!
//! let model = models::find("llama-3.1-8b").expect("in the catalogue");
//! assert_eq!(model.geometry.bytes_per_token(KvDtype::Bf16), 32 * 2 * 8 * 128 * 2);
//!
//! let error = Geometry::from_config_json(r#"{"model_type": "llama"}"#).unwrap_err();
//! assert_eq!(error.to_string(), "num_hidden_layers: missing; expected a whole number from 1 to 4096");
//! ```
//!
//! `docs/models.md` has the table of the catalogue, the formulae, and what is not counted.

mod config;
mod error;
mod fields;
mod geometry;
mod layers;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

pub use error::ModelError;
pub use geometry::{Cached, Geometry, KvDtype};

/// A model of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The name, in lower case.
    pub name: &'static str,
    /// Where the vendor publishes the geometry (URL).
    pub source: &'static str,
    /// Layers, and what they cache.
    pub geometry: Geometry,
}

/// A model in `catalogue.json`.
#[derive(Deserialize)]
struct Entry {
    name: &'static str,
    source: &'static str,
    /// The fields of the vendor's `config.json` that determine the KV cache.
    config: Value,
}

static CATALOGUE: LazyLock<Vec<Model>> = LazyLock::new(|| {
    let entries: Vec<Entry> = serde_json::from_str(include_str!("catalogue.json")).expect("the tests read it");
    let model = |Entry { name, source, config }: Entry| {
        let geometry = config::read(&config).expect("the tests read it");
        Model { name, source, geometry }
    };
    entries.into_iter().map(model).collect()
});

/// The names of the catalogue's models, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    CATALOGUE.iter().map(|model| model.name)
}

/// The catalogue's model of exactly that name, in any case.
#[must_use]
pub fn find(name: &str) -> Option<&'static Model> {
    CATALOGUE.iter().find(|model| model.name.eq_ignore_ascii_case(name))
}
