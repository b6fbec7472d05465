//! Bundled configurations, each complete. `presets/README.md` says where their numbers come from.

/// A bundled configuration.
struct Preset {
    name: &'static str,
    json: &'static str,
    /// What it is, in one line.
    summary: &'static str,
}

const PRESETS: [Preset; 7] = [
    Preset {
        name: "default",
        json: include_str!("../../presets/default.json"),
        summary: "turn = AIPerf's request; solved for the stated means",
    },
    Preset {
        name: "aiperf-0.13-default",
        json: include_str!("../../presets/aiperf-0.13-default.json"),
        summary: "turn = AIPerf's request; its default, as AIPerf draws it",
    },
    Preset {
        name: "aiperf-1k-200k",
        json: include_str!("../../presets/aiperf-1k-200k.json"),
        summary: "turn = AIPerf's request; example with restarts, groups",
    },
    Preset {
        name: "weka-claude-code",
        json: include_str!("../../presets/weka-claude-code.json"),
        summary: "turn = model call; 350 conversations of Claude Code (Weka)",
    },
    Preset {
        name: "tracelab-claude",
        json: include_str!("../../presets/tracelab-claude.json"),
        summary: "turn = model call; TraceLab's figures of Claude Code",
    },
    Preset {
        name: "tracelab-codex",
        json: include_str!("../../presets/tracelab-codex.json"),
        summary: "turn = model call; TraceLab's figures of Codex",
    },
    Preset {
        name: "swe-bench",
        json: include_str!("../../presets/swe-bench.json"),
        summary: "turn = model call; 20 SWE-bench trajectories (MLPerf)",
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
