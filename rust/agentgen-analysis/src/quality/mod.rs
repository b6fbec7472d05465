//! How well a generated data set meets its targets: collected in the generating pass, mergeable over shards.

mod comparison;
mod observer;
mod report;
mod set;

pub use observer::Statistics;
pub use report::{Metric, Observed, Quality};
pub use set::merge_runs;
