//! Traces between formats and layouts.
//!
//! `convert` rewrites a trace in another file format, layout or row order. `import` reads what real agents and servers
//! recorded, in formats of others; `export` writes a trace in formats that other programs read. `ARCHITECTURE.md` says
//! where an import or export format goes.
#![forbid(unsafe_code)]

pub mod convert;
pub mod export;
pub mod import;
pub mod rollouts;
pub mod tool_times;

/// The JSON Schema of an output, by its name; none for an unknown name.
#[must_use]
pub fn schema(name: &str) -> Option<String> {
    let schema = match name {
        "export" => schemars::schema_for!(export::Exported),
        "import" => schemars::schema_for!(import::ImportQuality),
        "tool-times" => schemars::schema_for!(tool_times::ToolTimes),
        _ => return None,
    };
    serde_json::to_string_pretty(&schema).ok()
}
