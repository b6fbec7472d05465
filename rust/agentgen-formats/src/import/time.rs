//! Times as formats write them, in milliseconds since the Unix epoch.

use chrono::{DateTime, NaiveDateTime};

/// A time in ISO 8601; without an offset it is UTC. `None` if it is not a time.
#[must_use]
pub fn iso_ms(text: &str) -> Option<f64> {
    let micros = match DateTime::parse_from_rfc3339(text) {
        Ok(time) => time.timestamp_micros(),
        Err(_) => NaiveDateTime::parse_from_str(&text.replacen(' ', "T", 1), "%Y-%m-%dT%H:%M:%S%.f")
            .ok()?
            .and_utc()
            .timestamp_micros(),
    };
    epoch_ms(Some(micros as f64 / 1000.0))
}

/// A time in ms since the Unix epoch as RFC 3339, to the ms.
#[must_use]
pub fn iso(ms: f64) -> Option<String> {
    Some(format!("{:?}Z", DateTime::from_timestamp_millis(ms as i64)?.naive_utc()))
}

/// A duration if it is one: `to - from`, unless the order is wrong.
#[must_use]
pub fn elapsed(from: Option<f64>, to: Option<f64>) -> Option<f64> {
    Some(to? - from?).filter(|ms| *ms >= 0.0)
}

/// A time in ms since the Unix epoch, if it can be one: before the year 2200.
#[must_use]
pub fn epoch_ms(ms: Option<f64>) -> Option<f64> {
    ms.filter(|ms| (0.0..=7.26e12).contains(ms))
}

/// A duration in ms, if it can be one: up to a century.
#[must_use]
pub fn duration_ms(ms: Option<f64>) -> Option<f64> {
    ms.filter(|ms| (0.0..=3.16e12).contains(ms))
}
