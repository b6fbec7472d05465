//! Bundled configurations, each complete. `presets/README.md` says where their numbers come from.

/// A bundled configuration.
struct Preset {
    name: &'static str,
    json: &'static str,
    /// What it is, in one line.
    summary: &'static str,
}

const PRESETS: [Preset; 4] = [
    Preset {
        name: "default",
        json: include_str!("../../presets/default.json"),
        summary: "AIPerf's parameters, solved for the stated means",
    },
    Preset {
        name: "aiperf-0.13-default",
        json: include_str!("../../presets/aiperf-0.13-default.json"),
        summary: "AIPerf 0.13's default, as AIPerf draws it",
    },
    Preset {
        name: "aiperf-1k-200k",
        json: include_str!("../../presets/aiperf-1k-200k.json"),
        summary: "AIPerf's example with restarts and groups",
    },
    Preset {
        name: "weka-claude-code",
        json: include_str!("../../presets/weka-claude-code.json"),
        summary: "fitted to 350 real conversations of Claude Code",
    },
];

/// Names of the presets; the first is the default.
pub fn preset_names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|preset| preset.name)
}

fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// The JSON text of a preset.
#[must_use]
pub fn preset(name: &str) -> Option<&'static str> {
    find(name).map(|preset| preset.json)
}

/// What a preset is, in one line.
#[must_use]
pub fn preset_summary(name: &str) -> Option<&'static str> {
    find(name).map(|preset| preset.summary)
}
