//! Values as files of traces write them: whole numbers as `655.0`, names as numbers, ids as text.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use xxhash_rust::xxh3::xxh3_64;

use crate::import::lines::BadLine;

/// A count of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Tokens(pub u64);

impl TryFrom<f64> for Tokens {
    type Error = &'static str;

    fn try_from(value: f64) -> Result<Self, Self::Error> {
        let is_count = value.fract() == 0.0 && (0.0..=f64::from(i32::MAX)).contains(&value);
        if is_count { Ok(Self(value as u64)) } else { Err("not a number of tokens") }
    }
}

/// The tokens of an optional field.
pub fn tokens(field: Option<Tokens>) -> Option<u64> {
    field.map(|Tokens(count)| count)
}

/// A name: text or a number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(untagged)]
pub enum Name {
    /// Text.
    Text(String),
    /// A number, by its digits.
    Number(serde_json::Number),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// The id of a block: any integer (negative ones wrap around), or text, which counts by its number or else by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockId(pub u64);

impl<'de> Deserialize<'de> for BlockId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BlockIdVisitor)
    }
}

struct BlockIdVisitor;

impl Visitor<'_> for BlockIdVisitor {
    type Value = BlockId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a block id")
    }

    fn visit_u64<E>(self, id: u64) -> Result<BlockId, E> {
        Ok(BlockId(id))
    }

    fn visit_i64<E>(self, id: i64) -> Result<BlockId, E> {
        Ok(BlockId(id as u64))
    }

    fn visit_f64<E: de::Error>(self, id: f64) -> Result<BlockId, E> {
        // Doubles of 2^53 and more stand for several integers.
        let is_id = id.fract() == 0.0 && id.abs() < 9_007_199_254_740_992.0;
        if is_id { Ok(BlockId(id as i64 as u64)) } else { Err(E::custom("not a block id")) }
    }

    fn visit_str<E>(self, id: &str) -> Result<BlockId, E> {
        Ok(BlockId(id.parse().unwrap_or_else(|_| xxh3_64(id.as_bytes()))))
    }
}

/// The ids of a list.
pub fn ids(list: Vec<BlockId>) -> Vec<u64> {
    list.into_iter().map(|BlockId(id)| id).collect()
}

/// A time or duration in ms, given in units of `unit_ms`, that is not negative.
pub fn ms(value: Option<f64>, unit_ms: f64) -> Result<Option<f64>, BadLine> {
    match value.map(|v| v * unit_ms) {
        Some(ms) if ms < 0.0 || !ms.is_finite() => Err(BadLine::new("a time below 0")),
        ms => Ok(ms),
    }
}

/// Sizes of blocks in use, the most usual first.
const USUAL_BLOCK_TOKENS: [u32; 9] = [512, 16, 64, 128, 256, 32, 1024, 2048, 4096];

/// The tokens of a block, for rows of (tokens, ids) with an id for each block: `preferred` or a usual size if all rows fit
/// it, else a size that all rows fit, else the usual size that most rows fit. `None` if it fits no row, or without rows.
pub fn block_tokens(rows: impl Iterator<Item = (u64, usize)> + Clone, preferred: u32) -> Option<u32> {
    let rows = rows.filter(|(_, ids)| *ids > 0);
    let total = rows.clone().count();
    let fitting = |size: u32| rows.clone().filter(|(tokens, ids)| fits(*tokens, *ids, size)).count();
    let (mut best, mut most) = (None, 0);
    for size in [preferred].into_iter().chain(USUAL_BLOCK_TOKENS) {
        let count = fitting(size);
        if count > most {
            (best, most) = (Some(size), count);
        }
        if most == total {
            return best;
        }
    }
    let least = rows.clone().map(|(tokens, ids)| tokens.div_ceil(ids as u64)).max()?;
    let least = u32::try_from(least).ok().filter(|size| *size > 0)?;
    if fitting(least) > most { Some(least) } else { best }
}

/// Whether so many ids are one for each block of so many tokens.
pub fn fits(tokens: u64, ids: usize, block_tokens: u32) -> bool {
    tokens.div_ceil(u64::from(block_tokens)) == ids as u64
}
