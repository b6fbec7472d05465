//! Statistics of a generated data set against its targets, collected while it is generated and mergeable over shards.

mod agents;
mod comparison;
mod observer;
mod report;
mod set;
mod statistics;

pub use agents::{Agents, ByKind, ByTrigger, CapsReached};
pub use report::{Metric, Observed, Quality};
pub use set::merge_runs;
pub use statistics::Statistics;
