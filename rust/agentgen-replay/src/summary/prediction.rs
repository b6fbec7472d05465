//! Predicted cached tokens of the requests of a run.

use agentgen_trace::{Cancel, Result};

use super::report::Prediction;
use super::run::Run;
use crate::predict::{self, Cached};
use crate::records::Phase;

/// Predicts the cached tokens of each request of the measured phase; `None` for requests that the trace does not hold.
/// Warm-up prompts have their own salt, so the measured phase reuses nothing of them.
pub fn predicted(run: &Run, from: &Prediction, cancel: &Cancel) -> Result<Vec<Option<u64>>> {
    let measured = || run.requests.iter().enumerate().filter(|(_, sent)| sent.phase == Phase::Run);
    let stamp = |ns: i64| u64::try_from(ns).ok();
    let (numbers, requests): (Vec<usize>, Vec<predict::Sent>) = measured()
        .filter_map(|(number, sent)| {
            let request = predict::Sent {
                session: sent.session,
                turn: sent.turn,
                server: sent.url,
                sent_ns: sent.sent_ns.and_then(stamp)?,
                ended_ns: sent.measured().last_byte_ns.filter(|_| sent.succeeded()).and_then(stamp),
                output_tokens: sent.output_reported().unwrap_or(0),
            };
            Some((number, request))
        })
        .unzip();
    let cached =
        Cached { history: from.history, block_tokens: from.block_tokens, trace_block_size: from.trace_block_size };
    let found = predict::predict(&from.trace, cached, &requests, cancel)?;
    let mut predicted = vec![None; run.requests.len()];
    for (number, tokens) in numbers.into_iter().zip(found) {
        predicted[number] = tokens;
    }
    Ok(predicted)
}
