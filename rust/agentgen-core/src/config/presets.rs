//! Bundled configurations, each complete.

const PRESETS: [(&str, &str); 3] = [
    ("default", include_str!("../../presets/default.json")),
    ("aiperf-0.13-default", include_str!("../../presets/aiperf-0.13-default.json")),
    ("aiperf-1k-200k", include_str!("../../presets/aiperf-1k-200k.json")),
];

/// Names of the presets; the first is the default.
pub fn preset_names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

/// The JSON text of a preset.
#[must_use]
pub fn preset(name: &str) -> Option<&'static str> {
    PRESETS.iter().find(|(known, _)| *known == name).map(|(_, json)| *json)
}
