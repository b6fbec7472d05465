//! Distributions. Each draw takes bounded time and gives the same value on every platform.

mod calibrate;
mod delay;
mod discrete;
mod lognormal;
mod moments;
pub mod normal;
mod quantiles;
mod token_count;
mod turn_count;
mod zipf;

pub(crate) use calibrate::{Calibration, Parameters, Transform};
pub use delay::DelayDist;
pub(crate) use delay::tenths;
pub use lognormal::Lognormal;
pub(crate) use normal::score;
pub use quantiles::Quantiles;
pub use token_count::TokenCountDist;
pub(crate) use turn_count::TurnCountDist;
pub use zipf::Zipf;
