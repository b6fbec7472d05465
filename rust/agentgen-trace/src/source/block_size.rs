//! Infers the block size of a trace from its rows.

use std::ops::RangeInclusive;

use crate::diagnostic::{Diagnostic, TRACE_BLOCK_SIZE};
use crate::error::{Result, TraceError};

/// Rows that are sampled.
pub(super) const SAMPLE_ROWS: usize = 10_000;

/// Chosen where the rows allow several sizes: every published trace uses it.
const USUAL_BLOCK_SIZE: u32 = 512;

/// The error of a file without rows.
pub(super) fn no_rows() -> Diagnostic {
    Diagnostic::new("empty", "no rows", "at least one row")
}

/// The block sizes at which `ids` blocks hold `length` tokens; `None` if there is none.
fn sizes(length: u32, ids: usize) -> Option<RangeInclusive<u32>> {
    let ids = u32::try_from(ids).ok().filter(|n| *n > 0)?;
    let least = length.div_ceil(ids);
    let most = if ids == 1 { u32::MAX } else { length.div_ceil(ids - 1) - 1 };
    (least >= 1 && least <= most).then_some(least..=most)
}

/// The block sizes at which `length` tokens have `ids` full blocks.
fn full_sizes(length: u32, ids: usize) -> Option<RangeInclusive<u32>> {
    let ids = u32::try_from(ids).ok()?;
    let least = length / ids.checked_add(1)? + 1;
    let most = length.checked_div(ids).unwrap_or(u32::MAX);
    (least <= most).then_some(least..=most)
}

/// The block size that most rows (line, tokens, number of ids) fit. The others are errors of their own, with their lines.
pub(super) fn likely_size(rows: &[(u64, u32, usize)]) -> Result<u32> {
    let (range, fitting) = most_frequent(rows.iter().filter_map(|&(_, length, ids)| sizes(length, ids)));
    if let Some(size) = full_blocks(rows, fitting) {
        let found = format!("rows with an id for each full block only: of {size} tokens");
        let expected = "an id for each block, also for one that is not full";
        return Err(Diagnostic::new("id-count", found, expected).with_field("hash_ids").into());
    }
    if 2 * fitting > rows.len() && fitting < rows.len() {
        return single(&range);
    }
    fitting_size(rows.iter().copied())
}

/// The block size that all rows fit if only full blocks have ids, and not otherwise.
fn full_blocks(rows: &[(u64, u32, usize)], fitting: usize) -> Option<u32> {
    let started = rows.iter().filter(|(_, length, ids)| *length == 0 && *ids == 0).count() + fitting;
    let ranges: Option<Vec<_>> = rows.iter().map(|&(_, length, ids)| full_sizes(length, ids)).collect();
    let (range, all) = most_frequent(ranges?.into_iter());
    let is_full = started < rows.len() && all == rows.len() && rows.iter().any(|(_, _, ids)| *ids > 0);
    single(&range).ok().filter(|_| is_full)
}

/// The sizes that are in most of the ranges, and in how many: the smallest such sizes.
fn most_frequent(ranges: impl Iterator<Item = RangeInclusive<u32>>) -> (RangeInclusive<u32>, usize) {
    // Where ranges begin and where they have ended.
    let mut changes = Vec::new();
    for range in ranges {
        changes.push((u64::from(*range.start()), 1));
        changes.push((u64::from(*range.end()) + 1, -1));
    }
    changes.sort_unstable();
    let (mut open, mut most, mut range, mut is_best) = (0_i64, 0, 0..=0, false);
    for (size, change) in changes {
        if is_best && change < 0 {
            range = *range.start()..=(size - 1) as u32;
            is_best = false;
        }
        open += change;
        if open > most {
            (most, is_best) = (open, true);
            range = size as u32..=u32::MAX;
        }
    }
    (range, usize::try_from(most).unwrap_or_default())
}

/// The block size for which every row (line, tokens, number of ids) has as many ids as blocks.
pub(super) fn fitting_size(rows: impl Iterator<Item = (u64, u32, usize)>) -> Result<u32> {
    // The tightest bounds, each with the line that sets it.
    let (mut least, mut most) = ((0, 1), (0, u32::MAX));
    for (line, length, ids) in rows.filter(|(_, _, ids)| *ids > 0) {
        let Some(fit) = sizes(length, ids) else {
            let diagnostic = Diagnostic::new(
                "id-count",
                format!("{ids} hash_ids for {length} tokens, which fits no block size"),
                "one id for each block of the row",
            );
            return Err(diagnostic.with_field("hash_ids").on_line(line).into());
        };
        if *fit.start() > least.1 {
            least = (line, *fit.start());
        }
        if *fit.end() < most.1 {
            most = (line, *fit.end());
        }
    }
    let range = least.1..=most.1;
    if range.is_empty() {
        let found = format!(
            "no block size that fits all rows: line {} needs at least {}, line {} at most {}",
            least.0, least.1, most.0, most.1
        );
        let diagnostic = Diagnostic::unnamed(found, "one block size for all rows").with_help("state it");
        return Err(TraceError::usage(TRACE_BLOCK_SIZE, diagnostic));
    }
    single(&range)
}

/// The only size of a range, or the usual one.
fn single(range: &RangeInclusive<u32>) -> Result<u32> {
    let (least, most) = (*range.start(), *range.end());
    if least == most || range.contains(&USUAL_BLOCK_SIZE) {
        return Ok(if least == most { least } else { USUAL_BLOCK_SIZE });
    }
    let sizes = if most == u32::MAX { format!("{least} or more") } else { format!("{least} to {most}") };
    let diagnostic =
        Diagnostic::unnamed(format!("rows that fit every block size of {sizes}"), "rows that fit a single one");
    Err(TraceError::usage(TRACE_BLOCK_SIZE, diagnostic.with_help("state it")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    /// Rows of blocks of `size` tokens, one token longer each.
    fn rows(size: u32, count: fn(u32, u32) -> u32) -> Vec<(u64, u32, usize)> {
        (1..=600).map(|line: u32| (u64::from(line), 3 * line, count(3 * line, size) as usize)).collect()
    }

    #[test]
    fn the_size_of_most_rows_is_inferred() {
        for size in [16, 100, 512] {
            let mut rows = rows(size, u32::div_ceil);
            assert_eq!(likely_size(&rows).unwrap(), size);
            for wrong in [0, 1, 300] {
                rows[400].2 = wrong;
                assert_eq!(likely_size(&rows).unwrap(), size, "one wrong row");
            }
            assert!(fitting_size(rows.iter().copied()).is_err());
        }
    }

    #[test]
    fn rows_with_ids_of_full_blocks_are_told_apart() {
        let refused = likely_size(&rows(100, |length, size| length / size)).unwrap_err().to_string();
        assert!(refused.contains("an id for each full block only: of 100 tokens"), "{refused}");
        let refused = likely_size(&[(1, 655, 1), (2, 300, 0), (3, 1100, 2)]).unwrap_err().to_string();
        assert!(refused.contains("full block only: of 512 tokens"), "{refused}");
        assert_eq!(likely_size(&[(1, 1024, 2), (2, 512, 1)]).unwrap(), 512, "both counts are the same");
    }

    #[test]
    fn the_most_frequent_sizes_are_those_in_most_ranges() {
        let of = |ranges: &[RangeInclusive<u32>]| most_frequent(ranges.iter().cloned());
        assert_eq!(of(&[1..=10, 5..=20, 8..=9, 30..=u32::MAX]), (8..=9, 3));
        assert_eq!(of(&[1..=10, 5..=u32::MAX]), (5..=10, 2));
        assert_eq!(of(&[7..=u32::MAX]), (7..=u32::MAX, 1));
        assert_eq!(of(&[1..=2, 3..=4]), (1..=2, 1));
        assert_eq!(of(&[]).1, 0);
    }
}
