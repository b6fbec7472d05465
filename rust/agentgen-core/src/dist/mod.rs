//! Distributions. Each draw takes bounded time and gives the same value on every platform.

mod calibrate;
mod delay;
mod discrete;
mod lognormal;
mod moments;
mod normal;
mod token_count;
mod turn_count;
mod zipf;

pub(crate) use calibrate::{Calibration, Parameters, Transform};
pub use delay::DelayDist;
pub use lognormal::Lognormal;
pub use token_count::TokenCountDist;
pub(crate) use turn_count::TurnCountDist;
pub use zipf::Zipf;
