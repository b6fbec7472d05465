//! JSON Schemas of what is told, from the types that tell it.

use schemars::schema_for;

use super::{Analysis, Plan};

/// The schema of `analysis` or `plan`, as JSON text.
#[must_use]
pub fn schema(name: &str) -> Option<String> {
    let schema = match name {
        "analysis" => schema_for!(Analysis),
        "plan" => schema_for!(Plan),
        _ => return None,
    };
    serde_json::to_string_pretty(&schema).ok()
}
