//! Numbers that a person can read.

use serde_json::{Value, json};

/// Four significant digits; whole numbers without a point.
pub(super) fn significant(x: f64) -> Value {
    if x == 0.0 || !x.is_finite() {
        return json!(0);
    }
    let digits = 3 - x.abs().log10().floor() as i32;
    let unit = 10f64.powi(digits);
    number((x * unit).round() / unit)
}

/// Four digits after the point.
pub(super) fn four_digits(x: f64) -> Value {
    number((x * 1e4).round() / 1e4)
}

fn number(x: f64) -> Value {
    if x == x.trunc() && x.abs() < 1e15 { json!(x as i64) } else { json!(x) }
}
