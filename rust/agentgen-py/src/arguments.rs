//! Arguments of Python functions as Rust options, and results as JSON.

use agentgen_analysis::analyze::{Capacity, Options, Target};
use agentgen_analysis::simulate::Routing;
use agentgen_core::Layout;
use agentgen_trace::manifest::Shard;
use agentgen_trace::schema::Column;
use agentgen_trace::source::ReadOptions;
use pyo3::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::bad_argument;

/// The arguments that `analyze`, `plan`, `simulate` and the pages share, as a Python dictionary.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Assumptions {
    trace_layout: Option<String>,
    trace_block_size: Option<u32>,
    block_size: Option<u32>,
    cached_outputs: bool,
    concurrency: Option<usize>,
    prefill_tokens_per_second: f64,
    decode_tokens_per_second: f64,
    threads: Option<usize>,
}

impl Assumptions {
    pub(crate) fn options(self) -> PyResult<Options> {
        Ok(Options {
            trace_layout: optional_layout(self.trace_layout.as_deref())?,
            trace_block_size: self.trace_block_size,
            block_size: self.block_size,
            cached_outputs: self.cached_outputs,
            concurrency: self.concurrency,
            prefill_tokens_per_second: self.prefill_tokens_per_second,
            decode_tokens_per_second: self.decode_tokens_per_second,
            threads: threads(self.threads),
        })
    }
}

/// Layout and block size of a trace that does not state them.
pub(crate) fn read_options(trace_layout: Option<&str>, trace_block_size: Option<u32>) -> PyResult<ReadOptions> {
    Ok(ReadOptions { trace_layout: optional_layout(trace_layout)?, trace_block_size })
}

pub(crate) fn optional_layout(name: Option<&str>) -> PyResult<Option<Layout>> {
    name.map(layout).transpose()
}

pub(crate) fn layout(name: &str) -> PyResult<Layout> {
    Layout::named(name)
        .ok_or_else(|| bad_argument(format!("layout: found {name:?}, expected incremental or cumulative")))
}

/// Columns by name; all by default.
pub(crate) fn columns(names: Option<Vec<String>>) -> PyResult<Vec<Column>> {
    let Some(names) = names else { return Ok(Column::ALL.to_vec()) };
    let column =
        |name: &String| Column::named(name).ok_or_else(|| bad_argument(format!("columns: found unknown {name:?}")));
    names.iter().map(column).collect()
}

pub(crate) fn shard((index, count): (u64, u64)) -> PyResult<Shard> {
    if index < count {
        return Ok(Shard { index, count });
    }
    Err(bad_argument(format!("shard: found index {index}, expected less than the count {count}")))
}

/// Worker threads; one per core by default.
pub(crate) fn threads(count: Option<usize>) -> usize {
    count.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1)
}

pub(crate) fn capacities(sizes: Vec<u64>, unit: &str) -> PyResult<Vec<Capacity>> {
    let capacity = match unit {
        "bytes" => Capacity::Bytes,
        "blocks" => Capacity::Blocks,
        "tokens" => Capacity::Tokens,
        _ => return Err(bad_argument(format!("unit: found {unit:?}, expected bytes, blocks or tokens"))),
    };
    Ok(sizes.into_iter().map(capacity).collect())
}

/// Metric, statistic and limit in ms.
pub(crate) fn target((metric, statistic, limit_ms): &(String, String, f64)) -> PyResult<Target> {
    let expected = "ttft or e2e, and mean, p50, p75, p95 or p99";
    Target::named(metric, statistic, *limit_ms)
        .ok_or_else(|| bad_argument(format!("slo: found {metric}:{statistic}, expected {expected}")))
}

pub(crate) fn routing(name: &str) -> PyResult<Routing> {
    match name {
        "sticky" => Ok(Routing::Sticky),
        "round-robin" => Ok(Routing::RoundRobin),
        _ => Err(bad_argument(format!("routing: found {name:?}, expected sticky or round-robin"))),
    }
}

/// Options that cross as a JSON object.
pub(crate) fn from_json<T: DeserializeOwned>(options: &str) -> PyResult<T> {
    serde_json::from_str(options).map_err(|error| bad_argument(format!("options: {error}")))
}

/// A structured result as JSON.
pub(crate) fn json(value: &impl Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(|error| bad_argument(error.to_string()))
}
