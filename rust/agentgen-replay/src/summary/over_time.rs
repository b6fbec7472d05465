//! A phase divided into parts of equal length.

use super::cache::Predicted;
use super::report::Part;
use super::run::{ReplayedSession, Sent};
use super::statistics::{ms, percentile};

/// The most parts of a phase.
const MAX_PARTS: i64 = 120;
/// Possible lengths of a part, milliseconds; longer parts are whole hours.
const LENGTHS_MS: [i64; 14] =
    [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000, 1_800_000];
const HOUR_MS: i64 = 3_600_000;
const NS_PER_MS: i64 = 1_000_000;

#[derive(Default)]
struct Filling<'a> {
    sent: Vec<&'a Sent>,
    succeeded: u64,
    output_tokens: u64,
}

/// The parts from `start` to the last stamp of a request or session.
pub(super) fn parts(sent: &[Predicted<'_>], held: &[ReplayedSession], start: i64) -> Vec<Part> {
    let stamps = sent.iter().flat_map(|request| [request.sent.sent_ns, request.sent.measured().last_byte_ns]).flatten();
    let Some(end) = stamps.chain(held.iter().map(|session| session.closed_ns)).max() else { return Vec::new() };
    let length = length_ms((end - start) / NS_PER_MS) * NS_PER_MS;
    let number = |stamp: i64| usize::try_from((stamp - start) / length).unwrap_or(0);
    let mut parts: Vec<Filling<'_>> = (0..=number(end)).map(|_| Filling::default()).collect();
    for request in sent.iter().map(|request| request.sent) {
        if let Some(stamp) = request.sent_ns {
            parts[number(stamp)].sent.push(request);
        }
        if let Some(stamp) = request.measured().last_byte_ns.filter(|_| request.succeeded()) {
            let part = &mut parts[number(stamp)];
            part.succeeded += 1;
            part.output_tokens += request.output_reported().unwrap_or(0);
        }
    }
    let openings = sorted(held.iter().map(|session| session.opened_ns));
    let closings = sorted(held.iter().map(|session| session.closed_ns));
    (0..)
        .zip(parts)
        .map(|(at, part)| {
            let from = start + at * length;
            let middle = from + length / 2;
            let until = |stamps: &[i64]| stamps.partition_point(|&stamp| stamp <= middle) as u64;
            part.finish(ms(from - start), ms(length), until(&openings).saturating_sub(until(&closings)))
        })
        .collect()
}

fn sorted(stamps: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut stamps: Vec<i64> = stamps.collect();
    stamps.sort_unstable();
    stamps
}

/// The shortest length that gives at most [`MAX_PARTS`].
fn length_ms(whole_ms: i64) -> i64 {
    let enough = |length: i64| whole_ms / length < MAX_PARTS;
    LENGTHS_MS.into_iter().find(|&length| enough(length)).unwrap_or(HOUR_MS * (whole_ms / HOUR_MS / MAX_PARTS + 1))
}

impl Filling<'_> {
    fn finish(self, from_ms: f64, duration_ms: f64, open_sessions: u64) -> Part {
        let of = |figure: fn(&Sent) -> Option<f64>| {
            let mut values: Vec<f64> =
                self.sent.iter().filter(|sent| sent.succeeded()).filter_map(|sent| figure(sent)).collect();
            values.sort_unstable_by(f64::total_cmp);
            values
        };
        let mut lag: Vec<f64> = self.sent.iter().filter_map(|sent| sent.lag_ms()).collect();
        lag.sort_unstable_by(f64::total_cmp);
        let ttft = of(Sent::ttft_ms);
        Part {
            from_ms,
            duration_ms,
            open_sessions,
            sent: self.sent.len() as u64,
            failed: self.sent.iter().filter(|sent| !sent.succeeded()).count() as u64,
            succeeded: self.succeeded,
            output_tokens: self.output_tokens,
            ttft_p50_ms: percentile(&ttft, 500),
            ttft_p99_ms: percentile(&ttft, 990),
            e2e_p50_ms: percentile(&of(Sent::e2e_ms), 500),
            lag_p99_ms: percentile(&lag, 990),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_parts_is_bounded() {
        for whole in [0, 1, 999, 1_199, 1_200, 119_999, 120_000, 86_400_000, 1 << 45] {
            let parts = whole / length_ms(whole) + 1;
            assert!((1..=MAX_PARTS).contains(&parts), "{whole}: {parts}");
        }
        assert_eq!(length_ms(60_000), 1_000);
    }
}
