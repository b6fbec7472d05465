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
    if least.1 == most.1 || range.contains(&USUAL_BLOCK_SIZE) {
        return Ok(if least.1 == most.1 { least.1 } else { USUAL_BLOCK_SIZE });
    }
    let range = if most.1 == u32::MAX { format!("{} or more", least.1) } else { format!("{} to {}", least.1, most.1) };
    let diagnostic =
        Diagnostic::unnamed(format!("rows that fit every block size of {range}"), "rows that fit a single one");
    Err(TraceError::usage(TRACE_BLOCK_SIZE, diagnostic.with_help("state it")))
}
