//! What limits the use of a phase's figures, one line each, with what to do about it.

use std::collections::{HashMap, HashSet};

use agentgen_engine::text::counted;

use super::cache::Predicted;
use super::report::{Clock, Compared, Options, Window};
use super::run::{ReplayedSession, Sent};
use super::statistics::{Statistics, ms};
use crate::records::Outcome;

/// A steady window with a smaller share of the succeeded requests causes a warning,
const MIN_STEADY_SHARE: f64 = 0.5;
/// as do outputs that are longer or shorter than planned by a larger share,
const MAX_DIFFERENCE: f64 = 0.1;
/// and a 99th percentile that the requests of the start raise by a larger factor,
const MAX_START_FACTOR: f64 = 1.25;
/// if there are as many later ones.
const MIN_LATER_REQUESTS: u64 = 50;

/// All warnings of a phase.
pub(super) fn of(
    sent: &[Predicted<'_>],
    held: &[ReplayedSession],
    steady: Option<&Window>,
    outputs: &Compared,
    options: &Options,
) -> Vec<String> {
    let found = [
        without_end(sent, held),
        steady.and_then(narrow_window),
        none_succeeded(sent),
        cancelled(sent),
        empty_answers(sent),
        unread_answers(sent),
        malformed_events(sent),
        answers_in_one_read(sent),
        other_outputs(outputs, options),
        slow_start(sent, held, options),
    ];
    found.into_iter().flatten().collect()
}

/// Warns of sessions with requests but without an end: their worker died.
fn without_end(sent: &[Predicted<'_>], held: &[ReplayedSession]) -> Option<String> {
    let ended: HashSet<u32> = held.iter().map(|session| session.key).collect();
    let open: HashSet<u32> = sent.iter().map(|request| request.sent.key).filter(|key| !ended.contains(key)).collect();
    (!open.is_empty()).then(|| format!("{} without an end: a worker died", counted(open.len() as u64, "session")))
}

fn narrow_window(steady: &Window) -> Option<String> {
    let all = steady.requests_in + steady.requests_out;
    let share = steady.requests_in as f64 / all as f64;
    (all > 0 && share < MIN_STEADY_SHARE).then(|| {
        format!(
            "the steady window holds {} of {} that succeeded ({:.0} %)",
            steady.requests_in,
            counted(all, "request"),
            100.0 * share
        )
    })
}

/// Warns of a phase in which no request succeeded.
fn none_succeeded(sent: &[Predicted<'_>]) -> Option<String> {
    (!sent.iter().any(|request| request.sent.succeeded()))
        .then(|| "no request succeeded: nothing was measured".to_owned())
}

/// Warns of requests that were in flight when the run ended.
fn cancelled(sent: &[Predicted<'_>]) -> Option<String> {
    let count = sent.iter().filter(|request| request.sent.outcome == Outcome::Cancelled).count() as u64;
    (count > 0).then(|| format!("{} in flight at the end and given up: in no figure", counted(count, "request")))
}

/// Warns of successful answers without output.
fn empty_answers(sent: &[Predicted<'_>]) -> Option<String> {
    let succeeded = sent.iter().map(|request| request.sent).filter(|sent| sent.succeeded());
    let (all, wanted) = (succeeded.clone().count() as u64, succeeded.filter(|sent| sent.output_tokens > 0));
    let count =
        wanted.filter(|sent| sent.measured().output_events == 0 && sent.output_reported().unwrap_or(0) == 0).count();
    (count > 0)
        .then(|| format!("no output in {count} of {} that succeeded, though some was expected", counted(all, "answer")))
}

/// Warns of answers whose tokens the server counted, and of which nothing could be read.
fn unread_answers(sent: &[Predicted<'_>]) -> Option<String> {
    let streamed = succeeded(sent).filter(|sent| sent.measured().events > 0);
    let (all, unread) = (streamed.clone().count() as u64, streamed.filter(|sent| is_unread(sent)).count());
    (unread > 0).then(|| {
        format!(
            "{unread} of {} have counted tokens and no text: they have no times to tokens; look at an answer of the server",
            counted(all, "answer")
        )
    })
}

fn is_unread(sent: &Sent) -> bool {
    let measured = sent.measured();
    measured.output_events == 0 && measured.completion_tokens.is_some_and(|tokens| tokens > 0)
}

/// Warns of events that could not be parsed.
fn malformed_events(sent: &[Predicted<'_>]) -> Option<String> {
    let of_answers = sent.iter().map(|request| request.sent.measured().malformed_events).filter(|&events| events > 0);
    let (answers, events) = of_answers.fold((0, 0), |(answers, events), more| (answers + 1, events + more));
    (events > 0).then(|| {
        let events = counted(events, "malformed event");
        format!(
            "{events} in {}: their output is in no figure; look at an answer of the server",
            counted(answers, "answer")
        )
    })
}

/// Warns of answers whose time per output token is unknown.
fn answers_in_one_read(sent: &[Predicted<'_>]) -> Option<String> {
    let (all, unknown) =
        (succeeded(sent).count() as u64, succeeded(sent).filter(|sent| sent.came_in_one_read()).count());
    (unknown > 0).then(|| {
        format!(
            "{unknown} of {} came in one read: their time per further output token is unknown and meets no target (the \
             server or a proxy collects tokens)",
            counted(all, "answer")
        )
    })
}

/// Warns of outputs that are not as long as planned. Lengths of recorded conversations are estimates.
fn other_outputs(outputs: &Compared, options: &Options) -> Option<String> {
    if outputs.planned_tokens == 0 || options.trace["kind"] == "messages" {
        return None;
    }
    let share = outputs.reported_tokens as f64 / outputs.planned_tokens as f64;
    let why = if share < 1.0 - MAX_DIFFERENCE {
        "answers end early (--request-json '{\"ignore_eos\": true}' prevents that on vLLM, SGLang and llama.cpp) or have \
         another limit"
    } else if share > 1.0 + MAX_DIFFERENCE {
        "the server ignores the limit of an answer, or counts tokens several times; then rates and times per token are \
         wrong"
    } else {
        return None;
    };
    Some(format!("outputs have {:.1} % of the planned tokens: {why}", 100.0 * share))
}

/// Warns of a closed loop whose slowest requests are those of the start, when all slots are filled at once: those sent
/// before every slot has the answer to a first turn.
fn slow_start(sent: &[Predicted<'_>], held: &[ReplayedSession], options: &Options) -> Option<String> {
    let slots = options.concurrency.filter(|_| options.clock == Clock::Closed)?;
    let mut opened: Vec<(i64, u32)> = held.iter().map(|session| (session.opened_ns, session.key)).collect();
    opened.sort_unstable();
    let first_turns = succeeded(sent).filter(|sent| sent.turn == 0);
    let ends: HashMap<u32, i64> =
        first_turns.filter_map(|sent| Some((sent.key, sent.measured().last_byte_ns?))).collect();
    let until = opened.iter().take(slots as usize).filter_map(|(_, key)| ends.get(key).copied()).max()?;
    let p99 = |later: bool| {
        let chosen = succeeded(sent).filter(|sent| !later || sent.sent_ns.is_some_and(|stamp| stamp >= until));
        Statistics::of(chosen.filter_map(Sent::ttft_ms))
    };
    let (all, later) = (p99(false)?, p99(true)?);
    let start = ms(until - opened.first()?.0) / 1_000.0;
    (later.count >= MIN_LATER_REQUESTS && all.p99 > MAX_START_FACTOR * later.p99).then(|| {
        format!(
            "the 99th percentile of the time to the first token, {:.0} ms, comes from the first {start:.1} s, when all \
             slots are filled at once; of requests sent later it is {:.0} ms (--ramp-up staggers the start)",
            all.p99, later.p99
        )
    })
}

fn succeeded<'a>(sent: &'a [Predicted<'_>]) -> impl Iterator<Item = &'a Sent> + Clone {
    sent.iter().map(|request| request.sent).filter(|sent| sent.succeeded())
}
