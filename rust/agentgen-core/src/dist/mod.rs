//! Distributions: each exact, in bounded time, and the same on every platform.

mod calibrate;
mod discrete;
mod law;
mod lognormal;
mod moments;
mod normal;
mod zipf;

pub(crate) use calibrate::{Parameters, Shape, Solver};
pub use law::{DelayDist, Effective, TokenCountDist};
pub use lognormal::Lognormal;
pub use zipf::Zipf;
