//! Configurations: the bundled ones, and what one resolves to.

use agentgen_core::config::{self, Config, Overrides};
use agentgen_core::{DatasetSpec, Layout, SessionGenerator};
use agentgen_trace::run::effective;
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;

use crate::error::Failure;

#[pyfunction]
pub(crate) fn preset_names() -> Vec<&'static str> {
    config::preset_names().collect()
}

#[pyfunction]
pub(crate) fn preset(name: &str) -> PyResult<&'static str> {
    config::preset(name).ok_or_else(|| PyKeyError::new_err(name.to_owned()))
}

#[pyfunction]
pub(crate) fn preset_summary(name: &str) -> PyResult<&'static str> {
    config::preset_summary(name).ok_or_else(|| PyKeyError::new_err(name.to_owned()))
}

/// Sessions that are made to find a turn count that does not fit: the default of `agentgen generate`.
const TRIED_SESSIONS: u64 = 1_000;

#[pyfunction]
#[pyo3(signature = (config, *, sessions, seed, max_isl=None, max_osl=None))]
pub(crate) fn resolve(
    py: Python<'_>,
    config: &str,
    sessions: u64,
    seed: u64,
    max_isl: Option<u32>,
    max_osl: Option<u32>,
) -> PyResult<String> {
    py.detach(|| {
        let config = Config::from_json(config)?;
        let spec = DatasetSpec::new(&config, Overrides { max_isl, max_osl }, seed, sessions, Layout::Incremental)?;
        SessionGenerator::check(&spec, TRIED_SESSIONS)?;
        let ids = spec.ids();
        let resolved = serde_json::json!({
            "config": spec.config().to_json(),
            "effective": effective(&spec),
            "drawn_as_stated": spec.drawn_as_stated(),
            "warnings": spec.warnings(),
            "ids": {"first": ids.base(0), "stride": ids.stride(), "end": ids.end()},
        });
        Ok::<_, Failure>(resolved.to_string())
    })
    .map_err(Into::into)
}
