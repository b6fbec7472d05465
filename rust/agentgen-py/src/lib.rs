//! `agentgen._native`: arguments in, results out. Nothing is computed here.
#![forbid(unsafe_code)]
// Arguments are converted from Python objects for each call, so there is nothing to borrow from.
#![allow(clippy::needless_pass_by_value)]

use pyo3::prelude::*;

mod analyze;
mod answer;
mod arguments;
mod config;
mod enter;
mod error;
mod export;
mod fit;
mod generate;
mod import;
mod record;
mod records;
mod replay;
mod rollouts;
mod sample;
mod server;
mod simulate;
mod stream;
mod survey;
mod tool_times;
mod trace;
mod validate;

/// The Python module; `_native.pyi` describes it.
#[pymodule(gil_used = false)]
mod _native {
    use agentgen_engine::timeline::TimelineOptions;
    use pyo3::prelude::*;

    #[pymodule_init]
    #[allow(clippy::unnecessary_wraps)] // the signature that pyo3 calls
    fn init(_module: &Bound<'_, PyModule>) -> PyResult<()> {
        agentgen_trace::source::recognise_foreign_with(agentgen_formats::import::formats::foreign);
        Ok(())
    }

    #[pymodule_export]
    use super::analyze::{analyze, capacity_blocks, model, model_names, plan, schema};
    #[pymodule_export]
    use super::answer::{Answer, Secrets};
    #[pymodule_export]
    use super::config::{preset, preset_names, preset_summary, resolve};
    #[pymodule_export]
    use super::export::{export_formats, export_trace};
    #[pymodule_export]
    use super::fit::{compare_traces, fit};
    #[pymodule_export]
    use super::generate::{generate, merge, remove_shards, verify_run, write_file, write_run};
    #[pymodule_export]
    use super::import::{import_formats, import_sessions};
    #[pymodule_export]
    use super::record::RecordingProxy;
    #[pymodule_export]
    use super::records::{Recorder, compare_runs, summarize};
    #[pymodule_export]
    use super::replay::{ReplayRequest, ReplaySession, ReplaySource, describe_replay, replay_probe};
    #[pymodule_export]
    use super::rollouts::{SourceProblems, open_rollouts, rollout_formats, write_rollouts};
    #[pymodule_export]
    use super::sample::simulation_sample;
    #[pymodule_export]
    use super::server::Server;
    #[pymodule_export]
    use super::simulate::simulate;
    #[pymodule_export]
    use super::stream::{Batch, BatchStream};
    #[pymodule_export]
    use super::survey::survey;
    #[pymodule_export]
    use super::tool_times::{agenttrace_frame, agenttrace_times, is_agenttrace, run_tool_times};
    #[pymodule_export]
    use super::trace::{convert, inspect, read};
    #[pymodule_export]
    use super::validate::{check_listed, validate};

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
    #[pymodule_export]
    const FORMAT_VERSION: u32 = agentgen_trace::FORMAT_VERSION;
    #[pymodule_export]
    const MAX_SESSIONS: u64 = agentgen_core::ids::MAX_SESSIONS;
    #[pymodule_export]
    const MAX_TOKENS: u32 = agentgen_core::config::MAX_TOKENS;
    #[pymodule_export]
    const MIN_ISL: u32 = agentgen_core::config::MIN_PROMPT_LIMIT;
    #[pymodule_export]
    const CONCURRENCY: usize = TimelineOptions::REFERENCE.concurrency;
    #[pymodule_export]
    const MAX_BODY_BYTES: u64 = agentgen_replay::answer::MAX_BODY_BYTES;
    #[pymodule_export]
    const PREFILL_TOKENS_PER_SECOND: f64 = TimelineOptions::REFERENCE.prefill_tokens_per_second;
    #[pymodule_export]
    const DECODE_TOKENS_PER_SECOND: f64 = TimelineOptions::REFERENCE.decode_tokens_per_second;
}
