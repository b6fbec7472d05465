//! Simulations of small traces as golden files, which the page's simulator and the server's engine are tested against.
//!
//! `AGENTGEN_BLESS=1 cargo test` rewrites them.

use std::path::Path;

use agentgen_analysis::simulate::{Figures, Routing, Served, Settings};
use agentgen_core::config::{self, Config};
use agentgen_engine::kv::{Content, TokenSeq, TokenSpan};
use agentgen_engine::timeline::{TimedSession as _, TimelineOptions};
use agentgen_testing::Case;
use agentgen_trace::Layout;
use agentgen_trace::session::{Session, TraceTiming};
use serde_json::{Value, json};

const ABOUT: &str = "A trace, a system, and what `agentgen simulate` finds (docs/simulator.md). A session's tokens are \
    `streams`: from turn `first_turn` on its prompts are the first `context_tokens` of them, and the output follows. \
    A run [source, offset, tokens] has the tokens from token `offset` of hash id `source` on through the ids that follow \
    it, `id_tokens` each; a negative source is the session -1 - source itself, whose own tokens are told apart by their \
    offset. Blocks are the same if all runs up to their end are. `parent`: the session that has to be over before. \
    `requests` come in the order of their ends; those that were not served have null times. \
    `series` is left out of all files but one.";

struct Golden {
    name: &'static str,
    config: Value,
    sessions: u64,
    settings: Settings,
}

fn settings(capacity_blocks: u64, concurrency: usize, prefill: f64) -> Settings {
    let timeline = TimelineOptions { concurrency, prefill_tokens_per_second: prefill, decode_tokens_per_second: 60.0 };
    Settings {
        capacity_blocks,
        block_tokens: 16,
        id_tokens: 16,
        cached_outputs: true,
        timeline,
        layers: agentgen_analysis::reuse::SharedLayers::default(),
        replicas: 1,
        routing: Routing::Sticky,
        ttl_ms: None,
        belady_bound: true,
    }
}

/// A preset with restarts, with small prompts.
fn small(changes: &Value) -> Value {
    let mut config: Value = serde_json::from_str(config::preset("aiperf-1k-200k").unwrap()).unwrap();
    let mut change = |with: &Value| {
        for (key, value) in with.as_object().unwrap() {
            config[key] = value.clone();
        }
    };
    change(&json!({
        "max_prompt_tokens": 900,
        "block_size": 16,
        "cache": {
            "layer1_tokens": 64, "layer1_5_tokens": 40,
            "layer1_5_groups": {"num_groups": 3, "zipf_alpha": 0.6},
            "layer2": {"mean": 60, "median": 40, "max": 200}
        },
        "new_tokens_per_turn": {"mean": 60, "median": 40, "max": 300},
        "generation_length": {"mean": 30, "median": 20, "max": 100},
        "restart_initial_probability": 1.0,
        "restart_turn_range": [1, 4]
    }));
    change(changes);
    config
}

fn goldens() -> Vec<Golden> {
    let alone = json!({"restart_initial_probability": 0.0, "reset": {"base_probability": 0.3, "context_scaling": 1.5}});
    vec![
        Golden { name: "one-session", config: small(&alone), sessions: 1, settings: settings(1_000, 1, 20_000.0) },
        Golden {
            name: "groups-and-restarts",
            config: small(&json!({})),
            sessions: 10,
            settings: settings(1_000, 4, 20_000.0),
        },
        Golden { name: "eviction", config: small(&json!({})), sessions: 10, settings: settings(120, 4, 2_000.0) },
        Golden { name: "waiting", config: small(&json!({})), sessions: 10, settings: settings(62, 6, 150.0) },
        Golden { name: "failing", config: small(&json!({})), sessions: 10, settings: settings(40, 3, 500.0) },
        Golden {
            name: "arrivals",
            config: small(&json!({"arrival": {"poisson": {"rate": 0.5}}})),
            sessions: 10,
            settings: settings(90, 1, 400.0),
        },
        Golden {
            name: "no-cached-outputs",
            config: small(&json!({})),
            sessions: 6,
            settings: Settings { cached_outputs: false, block_tokens: 10, ..settings(150, 3, 1_000.0) },
        },
    ]
}

fn session(session: &Session) -> Value {
    let turn = |turn: &agentgen_trace::session::Turn| {
        let delay_ms = turn.delay_ms.unwrap_or(0.0);
        json!({"context_tokens": turn.context_tokens, "output_tokens": turn.output_tokens, "delay_ms": delay_ms})
    };
    let run = |span: TokenSpan| match span.content() {
        Content::Ids { first, offset } => (first as i64, offset, span.tokens()),
        Content::Own { session, position } => (-1 - session as i64, position, span.tokens()),
    };
    let stream = |(first_turn, stream): (usize, &TokenSeq)| json!({"first_turn": first_turn, "runs": stream.spans(0, stream.tokens()).map(run).collect::<Vec<_>>()});
    json!({
        "number": session.number,
        "parent": session.parent(),
        "is_continuation": session.link.is_restart(),
        "start_ms": session.arrival_ms(),
        "turns": session.turns.iter().map(turn).collect::<Vec<_>>(),
        "streams": session.streams().map(stream).collect::<Vec<_>>(),
    })
}

fn request(served: &Served) -> Value {
    let service = served.service;
    json!({
        "session": served.session,
        "turn": served.turn,
        "sent_ms": served.sent_ms,
        "admitted_ms": service.map(|s| s.admitted_ms),
        "prefill_end_ms": service.map(|s| s.prefill_end_ms),
        "end_ms": service.map(|s| s.end_ms),
        "hit_blocks": service.map(|s| s.hit_blocks),
        "hit_tokens": service.map(|s| s.hit_tokens),
    })
}

fn described(
    settings: &Settings,
    clock: TraceTiming,
    sessions: &[Session],
    figures: &Figures,
    served: &[Served],
) -> Value {
    json!({
        "about": ABOUT,
        "settings": {
            "clock": clock,
            "capacity_blocks": settings.capacity_blocks,
            "block_tokens": settings.block_tokens,
            "id_tokens": settings.id_tokens,
            "cached_outputs": settings.cached_outputs,
            "concurrency": settings.timeline.concurrency,
            "prefill_tokens_per_second": settings.timeline.prefill_tokens_per_second,
            "decode_tokens_per_second": settings.timeline.decode_tokens_per_second,
            "layer1_tokens": settings.layers.layer1_tokens,
            "layer1_5_tokens": settings.layers.layer1_5_tokens,
        },
        "sessions": sessions.iter().map(session).collect::<Vec<_>>(),
        "expected": {
            "requests": served.iter().map(request).collect::<Vec<_>>(),
            "figures": figures,
        },
    })
}

/// One line per session and per request.
fn text(value: &Value) -> String {
    let list = |values: &Value| {
        let lines: Vec<String> = values.as_array().unwrap().iter().map(Value::to_string).collect();
        format!("[\n{}\n]", lines.join(",\n"))
    };
    let parts = [
        ("about", value["about"].to_string()),
        ("settings", value["settings"].to_string()),
        ("sessions", list(&value["sessions"])),
        ("requests", list(&value["expected"]["requests"])),
        ("figures", value["expected"]["figures"].to_string()),
    ];
    let parts: Vec<String> = parts.iter().map(|(key, part)| format!("\"{key}\": {part}")).collect();
    format!("{{\n{}\n}}\n", parts.join(",\n"))
}

#[test]
fn golden_files_are_what_the_code_computes() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/simulation");
    for Golden { name, config, sessions: count, mut settings } in goldens() {
        let config = Config::from_json(&config.to_string()).expect("valid");
        settings.layers = agentgen_analysis::reuse::SharedLayers::of(&config);
        let case = Case { config, seed: 7, sessions: count };
        let (clock, sessions) = crate::generated(&case, Layout::Incremental);
        let (mut figures, served) = crate::simulated(clock, &sessions, &settings);
        // Only one file has the series, which is long.
        if name != "eviction" {
            figures.series.clear();
        }
        let found = text(&described(&settings, clock, &sessions, &figures, &served));
        let path = directory.join(format!("{name}.json"));
        if std::env::var_os("AGENTGEN_BLESS").is_some() {
            std::fs::create_dir_all(&directory).expect("writable");
            std::fs::write(&path, &found).expect("writable");
        }
        assert!(
            found == std::fs::read_to_string(&path).expect("checked in"),
            "{name}: the figures differ from the file"
        );
        // Each file covers what its name says.
        let covers = match name {
            "waiting" => figures.occupancy.peak_queued > 1 && figures.blocks.evicted > 0,
            "failing" => figures.requests.failed > 0 && figures.requests.skipped > 0,
            "eviction" | "arrivals" => figures.blocks.evicted > 0 && figures.blocks.refetched > 0,
            "groups-and-restarts" => figures.linked_continuations > 0 && figures.blocks.evicted == 0,
            _ => figures.hit_blocks > 0,
        };
        assert!(covers, "{name}: {:?} {:?}", figures.requests, figures.blocks);
    }
}
