//! The formats that can be written.

use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::error::{Result, TraceError};

use super::blocks::Cover;
use super::bundle::Bundle;
use super::holds::{Held, Part};
use super::record::Records;
use super::targets::{agentic, bailian, chat, csv, dag, mlperf, mooncake, weka};
use super::text::Source;

/// A format of another program.
#[derive(Debug)]
pub struct Format {
    /// Its name, for `--to`.
    pub name: &'static str,
    /// What it is, for messages.
    pub title: &'static str,
    /// Programs that read it.
    pub readers: &'static str,
    /// What a file of it consists of.
    pub container: Container,
    /// Whether records are sorted by the times of their requests.
    pub is_sorted: bool,
    /// Whether prompts are text.
    pub has_text: bool,
    /// What its block ids cover; `None`: it has none.
    pub ids: Option<Cover>,
    /// The option of its reader that takes the block size; `{}` stands for the number.
    pub block_size_option: Option<&'static str>,
    /// How it holds each part, in the order of [`Part::ALL`].
    pub holds: [Held; Part::ALL.len()],
    /// Writes the records of a bundle.
    pub(crate) write: fn(&Source, &Bundle, &mut Records),
}

impl Format {
    /// Whether it is a directory of files.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        matches!(self.container, Container::Files | Container::DataSet)
    }
}

/// What a file consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// A record a line, after a first line if there is one.
    Lines {
        /// The first line, without its end.
        header: Option<&'static str>,
    },
    /// Lines, after a header that names the trace.
    LinesOfTrace,
    /// An array of records.
    Array,
    /// A file a record, in a directory.
    Files,
    /// A data set of Hugging Face, in a directory.
    DataSet,
}

const LINES: Container = Container::Lines { header: None };

use Held::{Approximated, Exact, Lost};

const PLANNED: Held = Approximated("times of requests, as if responses took no time");
const OWN_SESSION: Held = Approximated("a session of its own at its planned time");
const OWN_REQUESTS: Held = Approximated("requests at their planned times");
const WHOLE_OUTPUTS: Held = Approximated("histories hold whole outputs: prompts grow longer than in the trace");
const WORDS: Held = Approximated("prompts of words: what is shared has the same words");
const WORDS_WITHOUT_OUTPUTS: Held = Approximated("prompts of words; outputs are those of the server");
const IN_IDS: Held = Approximated("what its prompts share with the parent's");

/// Requests at times, without sessions.
const REQUESTS: [Held; Part::ALL.len()] =
    [Exact, PLANNED, Lost, IN_IDS, IN_IDS, OWN_REQUESTS, PLANNED, PLANNED, Lost, Lost, Exact, Exact, Exact];
/// What each turn of a session adds.
const ADDED: [Held; Part::ALL.len()] =
    [Exact, Exact, Exact, OWN_SESSION, OWN_SESSION, OWN_SESSION, Lost, Lost, Lost, Lost, Exact, WHOLE_OUTPUTS, Exact];
/// Prompts without times or sessions.
const PROMPTS: [Held; Part::ALL.len()] =
    [Lost, Lost, Lost, IN_IDS, IN_IDS, Lost, Lost, Lost, Lost, Lost, Exact, Exact, WORDS];
/// Conversations without times.
const CONVERSATIONS: [Held; Part::ALL.len()] = [
    Lost,
    Lost,
    Exact,
    Lost,
    Lost,
    Lost,
    Lost,
    Lost,
    Lost,
    Lost,
    Approximated("words of the output"),
    WHOLE_OUTPUTS,
    WORDS,
];

/// A table with some of its entries replaced.
const fn with<const N: usize>(
    mut holds: [Held; Part::ALL.len()],
    changes: [(Part, Held); N],
) -> [Held; Part::ALL.len()] {
    let mut at = 0;
    while at < N {
        holds[changes[at].0 as usize] = changes[at].1;
        at += 1;
    }
    holds
}

/// All formats.
pub const FORMATS: &[Format] = &[
    Format {
        name: "mooncake",
        title: "Mooncake trace of whole prompts",
        readers: "Dynamo, aisimulate, cache simulators",
        container: LINES,
        is_sorted: true,
        has_text: false,
        ids: Some(Cover::Whole),
        block_size_option: Some("--trace-block-size {}"),
        holds: with(REQUESTS, [(Part::Delays, Exact), (Part::Sessions, Exact)]),
        write: mooncake::whole,
    },
    Format {
        name: "mooncake-delta",
        title: "Mooncake trace of what each turn adds",
        readers: "Dynamo",
        container: LINES,
        is_sorted: false,
        has_text: false,
        ids: Some(Cover::Added),
        block_size_option: Some("--trace-block-size {}"),
        holds: ADDED,
        write: mooncake::added,
    },
    Format {
        name: "agentic_mooncake",
        title: "agentic Mooncake trace, version 2",
        readers: "Dynamo, aisimulate",
        container: Container::LinesOfTrace,
        is_sorted: false,
        has_text: false,
        ids: Some(Cover::Whole),
        block_size_option: None,
        holds: with(
            [Exact; Part::ALL.len()],
            [
                (Part::Restarts, Approximated("a play of its own at its arrival; no play shares blocks with another")),
                (Part::Triggers, Lost),
                (Part::Groups, Lost),
                (Part::Blocks, Approximated("ids of the file; Dynamo shares nothing between plays")),
            ],
        ),
        write: agentic::write,
    },
    Format {
        name: "mooncake_trace",
        title: "Mooncake trace of AIPerf",
        readers: "AIPerf",
        container: LINES,
        is_sorted: false,
        has_text: false,
        ids: Some(Cover::Added),
        block_size_option: Some("--isl-block-size {}"),
        holds: with(ADDED, [(Part::Groups, Approximated("groups, which AIPerf ignores; no kinds"))]),
        write: mooncake::aiperf,
    },
    Format {
        name: "weka",
        title: "Weka traces, a file a conversation",
        readers: "kv-cache-tester, inference-perf",
        container: Container::Files,
        is_sorted: false,
        has_text: false,
        ids: Some(Cover::Whole),
        block_size_option: None,
        holds: with(
            [Exact; Part::ALL.len()],
            [
                (Part::Arrivals, Lost),
                (Part::Restarts, Approximated("a conversation of its own that shares its blocks")),
                (Part::LateJoins, Approximated("the call after the sub-agent's entry waits for it")),
                (Part::Groups, Approximated("kinds of agents; no groups")),
            ],
        ),
        write: weka::nested,
    },
    Format {
        name: "weka_trace",
        title: "Weka traces on one clock, a file a conversation",
        readers: "AIPerf, guidellm",
        container: Container::Files,
        is_sorted: false,
        has_text: false,
        ids: Some(Cover::Whole),
        block_size_option: None,
        holds: with(
            [Exact; Part::ALL.len()],
            [
                (Part::Arrivals, Lost),
                (Part::Restarts, Approximated("a conversation of its own, which shares nothing")),
                (Part::SubAgents, Approximated("all in the conversation of the main agent, at their planned times")),
                (Part::Joins, Approximated("the call after the sub-agent's entry waits for it")),
                (Part::LateJoins, Approximated("the call after the sub-agent's entry waits for it")),
                (Part::Groups, Approximated("kinds of agents; no groups")),
                (Part::Blocks, Approximated("within a conversation: AIPerf shares nothing between conversations")),
            ],
        ),
        write: weka::flat,
    },
    Format {
        name: "dag_jsonl",
        title: "conversations of AIPerf with sub-agents",
        readers: "AIPerf",
        container: LINES,
        is_sorted: false,
        has_text: true,
        ids: None,
        block_size_option: None,
        holds: [
            Lost,
            Exact,
            Exact,
            Approximated("a conversation of its own, which repeats the history as text"),
            Approximated("a conversation that the last turn starts; what it keeps of inputs has the same words"),
            Exact,
            Exact,
            Approximated(
                "a join after the parent's last turn is lost; a sub-agent in the background joins the last turn",
            ),
            Lost,
            Lost,
            Exact,
            WHOLE_OUTPUTS,
            WORDS_WITHOUT_OUTPUTS,
        ],
        write: dag::write,
    },
    Format {
        name: "multi_turn",
        title: "conversations of AIPerf",
        readers: "AIPerf",
        container: LINES,
        is_sorted: false,
        has_text: true,
        ids: None,
        block_size_option: None,
        holds: with(ADDED, [(Part::Blocks, WORDS_WITHOUT_OUTPUTS)]),
        write: chat::multi_turn,
    },
    Format {
        name: "bailian",
        title: "Bailian (Qwen) trace",
        readers: "AIPerf (bailian_trace)",
        container: LINES,
        is_sorted: true,
        has_text: false,
        ids: Some(Cover::Whole),
        block_size_option: Some("--isl-block-size {}"),
        holds: with(
            REQUESTS,
            [
                (Part::Sessions, Exact),
                (Part::Breaks, Exact),
                (Part::Restarts, Approximated("a chat that shares its blocks")),
            ],
        ),
        write: bailian::write,
    },
    Format {
        name: "timed_trace",
        title: "timed trace of vLLM",
        readers: "vllm bench serve",
        container: LINES,
        is_sorted: true,
        has_text: false,
        ids: Some(Cover::Whole),
        block_size_option: Some("--timed-trace-chunk-hash-size {}"),
        holds: REQUESTS,
        write: mooncake::seconds,
    },
    Format {
        name: "custom",
        title: "prompts of vLLM",
        readers: "vllm bench serve (custom)",
        container: LINES,
        is_sorted: true,
        has_text: true,
        ids: None,
        block_size_option: None,
        holds: PROMPTS,
        write: chat::prompts,
    },
    Format {
        name: "sharegpt",
        title: "ShareGPT conversations",
        readers: "vllm bench serve, SGLang (the first exchange only)",
        container: Container::Array,
        is_sorted: false,
        has_text: true,
        ids: None,
        block_size_option: None,
        holds: CONVERSATIONS,
        write: chat::sharegpt,
    },
    Format {
        name: "vllm-multi-turn",
        title: "conversations of vLLM's multi-turn benchmark",
        readers: "vLLM (benchmark_serving_multi_turn.py)",
        container: Container::Array,
        is_sorted: false,
        has_text: true,
        ids: None,
        block_size_option: None,
        holds: CONVERSATIONS,
        write: chat::vllm,
    },
    Format {
        name: "sglang-mooncake",
        title: "Mooncake trace of SGLang",
        readers: "SGLang bench_serving (mooncake)",
        container: LINES,
        is_sorted: true,
        has_text: false,
        ids: Some(Cover::Whole),
        block_size_option: None,
        holds: with(
            REQUESTS,
            [(Part::Blocks, Approximated("SGLang makes about 130 tokens of each id, whatever its block size"))],
        ),
        write: mooncake::requests,
    },
    Format {
        name: "sglang-custom",
        title: "prompts of SGLang",
        readers: "SGLang bench_serving (custom)",
        container: LINES,
        is_sorted: true,
        has_text: true,
        ids: None,
        block_size_option: None,
        holds: with(PROMPTS, [(Part::OutputLengths, Approximated("words of the output"))]),
        write: chat::sglang,
    },
    Format {
        name: "guidellm",
        title: "Mooncake trace of guidellm",
        readers: "guidellm (mooncake)",
        container: LINES,
        is_sorted: true,
        has_text: false,
        ids: Some(Cover::Whole),
        block_size_option: Some("hash_id_block_size={}"),
        holds: REQUESTS,
        write: mooncake::seconds,
    },
    Format {
        name: "mlperf",
        title: "multi-turn messages of MLPerf",
        readers: "MLCommons endpoints, agentgen replay",
        container: LINES,
        is_sorted: false,
        has_text: true,
        ids: None,
        block_size_option: None,
        holds: with(CONVERSATIONS, [(Part::Delays, Exact), (Part::Triggers, Exact), (Part::OutputLengths, Exact)]),
        write: mlperf::rows,
    },
    Format {
        name: "mlperf-snapshots",
        title: "snapshots of MLPerf conversations",
        readers: "the converter of MLCommons endpoints",
        container: LINES,
        is_sorted: false,
        has_text: true,
        ids: None,
        block_size_option: None,
        holds: with(CONVERSATIONS, [(Part::Triggers, Exact)]),
        write: mlperf::snapshots,
    },
    Format {
        name: "csv",
        title: "a table of requests",
        readers: "spreadsheets, R, pandas",
        container: Container::Lines { header: Some(csv::HEADER) },
        is_sorted: false,
        has_text: false,
        ids: None,
        block_size_option: None,
        holds: with([Exact; Part::ALL.len()], [(Part::Blocks, Lost)]),
        write: csv::write,
    },
    Format {
        name: "huggingface",
        title: "data set of Hugging Face",
        readers: "datasets.load_dataset",
        container: Container::DataSet,
        is_sorted: false,
        has_text: false,
        ids: None,
        block_size_option: None,
        holds: [Exact; Part::ALL.len()],
        write: |_, _, _| {},
    },
];

/// The format with a name.
pub fn named(name: &str) -> Result<&'static Format> {
    FORMATS.iter().find(|format| format.name == name).ok_or_else(|| {
        let names: Vec<_> = FORMATS.iter().map(|format| format.name).collect();
        TraceError::usage("to", Diagnostic::unnamed(name, format!("one of {}", names.join(", "))))
    })
}
