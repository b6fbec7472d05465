//! Figures of one phase.

use std::collections::{BTreeMap, HashMap};

use agentgen_engine::text::counted;

use super::cache::{self, Available, Predicted};
use super::over_time;
use super::report::{
    ByTurn, Compared, Goodput, Latency, Lengths, Options, Phase, RequestCounts, Sessions, Slo, Window,
};
use super::run::{ReplayedSession, Run, Sent};
use super::statistics::{Statistics, ms};
use super::warnings;
use super::windows::{self, Span};
use crate::records::{self, Outcome};

/// Turns from this one on are grouped in ranges whose length doubles.
const SINGLE_TURNS: u32 = 32;
const NS_PER_S: f64 = 1e9;

/// Figures, errors and warnings of a phase.
pub(super) fn figures(
    run: &Run,
    phase: records::Phase,
    predicted: Option<&[Option<u64>]>,
    options: &Options,
) -> (Phase, Vec<String>, Vec<String>) {
    let of_phase = |&(_, sent): &(usize, &Sent)| sent.phase == phase;
    let numbered = run.requests.iter().enumerate().filter(of_phase);
    let sent: Vec<Predicted<'_>> =
        numbered.map(|(at, sent)| Predicted { sent, predicted: predicted.and_then(|all| all[at]) }).collect();
    let held: Vec<ReplayedSession> = run.sessions.iter().filter(|session| session.phase == phase).cloned().collect();
    let slo = options.slo.as_ref();

    let (counters, errors) = count(&sent, &held);
    let opened = held.iter().map(|session| session.opened_ns);
    let start = opened.chain(sent.iter().filter_map(|request| request.sent.sent_ns)).min().unwrap_or(0);
    let whole = full_window(&sent);
    let window = |span: Span| window(&sent, span, start, slo);
    let full = whole.map(window);
    let (steady, steady_missing) = match windows::steady(&held, options.clock, options.concurrency).map(window) {
        Ok(steady) => (Some(steady), None),
        Err(reason) => (None, Some(reason)),
    };
    let lengths = lengths(&sent);
    let warnings = warnings::of(&sent, &held, steady.as_ref(), &lengths.output, options);
    let retried: Vec<u64> = sent.iter().map(|request| u64::from(request.sent.retries)).filter(|&n| n > 0).collect();
    let figures = Phase {
        counters,
        outcomes: tally(sent.iter().map(|request| request.sent.outcome.name().to_owned())),
        http_errors: tally(
            sent.iter().filter(|request| request.sent.outcome == Outcome::HttpError).map(|request| request.sent.status),
        ),
        retried_requests: retried.len() as u64,
        retries: retried.iter().sum(),
        malformed_events: sent.iter().map(|request| request.sent.measured().malformed_events).sum(),
        latency: latency(&sent, run, phase),
        tpot_unknown: sent.iter().filter(|request| request.sent.succeeded() && request.sent.came_in_one_read()).count()
            as u64,
        by_turn: by_turn(&sent),
        sessions: sessions(&sent, &held, whole),
        over_time: over_time::parts(&sent, &held, start),
        goodput: slo.map(|slo| goodput(&sent, slo)),
        cache: cache::figures(&sent, options),
        lengths,
        full,
        steady,
        steady_missing,
    };
    (figures, errors, warnings)
}

fn tally<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, u64> {
    let mut counts = BTreeMap::new();
    keys.for_each(|key| *counts.entry(key).or_default() += 1);
    counts
}

/// Counts planned requests by what became of them; errors if the counts do not add up.
fn count(sent: &[Predicted<'_>], held: &[ReplayedSession]) -> (RequestCounts, Vec<String>) {
    let of = |figure: fn(&ReplayedSession) -> u32| held.iter().map(|session| u64::from(figure(session))).sum();
    let mut counts = RequestCounts {
        planned: of(|session| session.planned),
        skipped: of(|session| session.skipped),
        never_issued: of(|session| session.never_issued),
        ..RequestCounts::default()
    };
    for request in sent {
        match request.sent.outcome {
            Outcome::Ok => counts.succeeded += 1,
            Outcome::Cancelled => counts.cancelled += 1,
            _ => counts.failed += 1,
        }
    }
    let mut errors = Vec::new();
    let found = counts.succeeded + counts.failed + counts.cancelled + counts.skipped + counts.never_issued;
    if found != counts.planned {
        errors.push(format!(
            "request counts: found {} ({} succeeded, {} failed, {} cancelled, {} skipped, {} never issued), \
             expected the {} that were planned",
            counted(found, "request"),
            counts.succeeded,
            counts.failed,
            counts.cancelled,
            counts.skipped,
            counts.never_issued,
            counts.planned
        ));
    }
    let cancelled: u64 = of(|session| session.cancelled);
    if cancelled != counts.cancelled {
        errors.push(format!(
            "request counts: found {}, expected {cancelled} as sessions say",
            counted(counts.cancelled, "cancelled request")
        ));
    }
    counts.balanced = errors.is_empty();
    (counts, errors)
}

/// The window from the first request sent to the last byte of any.
fn full_window(sent: &[Predicted<'_>]) -> Option<Span> {
    let first = sent.iter().filter_map(|request| request.sent.sent_ns).min()?;
    let last = sent.iter().filter_map(|request| request.sent.measured().last_byte_ns).max()?;
    (first < last).then_some((first, last))
}

/// Statistics of a figure over the requests that succeeded.
fn of_succeeded(sent: &[Predicted<'_>], figure: fn(&Sent) -> Option<f64>) -> Option<Statistics> {
    Statistics::of(sent.iter().filter(|request| request.sent.succeeded()).filter_map(|request| figure(request.sent)))
}

fn latency(sent: &[Predicted<'_>], run: &Run, phase: records::Phase) -> Latency {
    Latency {
        ttft_ms: of_succeeded(sent, Sent::ttft_ms),
        ttfa_ms: of_succeeded(sent, Sent::ttfa_ms),
        tpot_ms: of_succeeded(sent, Sent::tpot_ms),
        gap_ms: run.gaps.get(&phase).and_then(Statistics::of_durations),
        e2e_ms: of_succeeded(sent, Sent::e2e_ms),
        intended_ttft_ms: of_succeeded(sent, Sent::intended_ttft_ms),
        intended_e2e_ms: of_succeeded(sent, Sent::intended_e2e_ms),
        lag_ms: Statistics::of(sent.iter().filter_map(|request| request.sent.lag_ms())),
        intended_lag_ms: Statistics::of(sent.iter().filter_map(|request| request.sent.intended_lag_ms())),
    }
}

/// The range of turns that is grouped with this one.
fn turns(turn: u32) -> (u32, u32) {
    if turn < SINGLE_TURNS {
        return (turn, turn);
    }
    let first = 1 << turn.ilog2();
    (first, first + (first - 1))
}

fn by_turn(sent: &[Predicted<'_>]) -> Vec<ByTurn> {
    let mut groups: BTreeMap<(u32, u32), Vec<Predicted<'_>>> = BTreeMap::new();
    for request in sent {
        groups.entry(turns(request.sent.turn)).or_default().push(*request);
    }
    let available = Available::of(sent);
    groups
        .into_iter()
        .map(|((first_turn, last_turn), group)| ByTurn {
            first_turn,
            last_turn,
            requests: group.len() as u64,
            succeeded: group.iter().filter(|request| request.sent.succeeded()).count() as u64,
            ttft_ms: of_succeeded(&group, Sent::ttft_ms),
            tpot_ms: of_succeeded(&group, Sent::tpot_ms),
            e2e_ms: of_succeeded(&group, Sent::e2e_ms),
            reported: available.reported(&group),
            predicted: available.predicted(&group),
        })
        .collect()
}

fn sessions(sent: &[Predicted<'_>], held: &[ReplayedSession], whole: Option<Span>) -> Sessions {
    let mut succeeded: HashMap<u32, u32> = HashMap::new();
    for request in sent.iter().filter(|request| request.sent.succeeded()) {
        *succeeded.entry(request.sent.key).or_default() += 1;
    }
    let complete = |session: &&ReplayedSession| succeeded.get(&session.key) == Some(&session.planned);
    let durations = held.iter().filter(complete).map(|session| ms(session.closed_ns - session.opened_ns));
    let duration_ms = Statistics::of(durations);
    let completed = duration_ms.as_ref().map_or(0, |of| of.count);
    Sessions {
        opened: held.len() as u64,
        completed,
        duration_ms,
        completed_per_second: whole.map(|span| completed as f64 / seconds(span)),
    }
}

fn seconds((from, to): Span) -> f64 {
    (to - from) as f64 / NS_PER_S
}

fn window(sent: &[Predicted<'_>], span: Span, start: i64, slo: Option<&Slo>) -> Window {
    let within = |stamp: i64| span.0 <= stamp && stamp <= span.1;
    let (inside, outside): (Vec<Predicted<'_>>, Vec<_>) = sent
        .iter()
        .copied()
        .filter(|request| request.sent.succeeded())
        .partition(|request| request.sent.measured().last_byte_ns.is_some_and(within));
    let per_second = |count: u64| count as f64 / seconds(span);
    let tokens = |figure: fn(&Sent) -> u64| per_second(inside.iter().map(|request| figure(request.sent)).sum());
    Window {
        from_ms: ms(span.0 - start),
        duration_ms: ms(span.1 - span.0),
        requests_in: inside.len() as u64,
        requests_out: outside.len() as u64,
        requests_per_second: per_second(inside.len() as u64),
        prompt_tokens_per_second: tokens(|sent| sent.context_tokens),
        input_tokens_per_second: tokens(|sent| sent.input_tokens),
        output_tokens_per_second: tokens(|sent| sent.output_reported().unwrap_or(0)),
        good_requests_per_second: slo
            .map(|slo| per_second(inside.iter().filter(|request| slo.is_met_by(request.sent)).count() as u64)),
        ttft_ms: of_succeeded(&inside, Sent::ttft_ms),
        tpot_ms: of_succeeded(&inside, Sent::tpot_ms),
        e2e_ms: of_succeeded(&inside, Sent::e2e_ms),
    }
}

impl Slo {
    /// Whether a request that succeeded met all targets. An output of one token has no further token; the time per
    /// further token of one that came in one read is unknown, so it does not meet its target.
    pub(super) fn is_met_by(&self, sent: &Sent) -> bool {
        let within =
            |target: Option<f64>, found: Option<f64>| target.is_none_or(|most| found.is_some_and(|it| it <= most));
        let tpot = sent.further_tokens().is_none() || within(self.tpot_ms, sent.tpot_ms());
        within(self.ttft_ms, sent.ttft_ms()) && tpot && within(self.e2e_ms, sent.e2e_ms())
    }
}

fn goodput(sent: &[Predicted<'_>], slo: &Slo) -> Goodput {
    let ended = sent.iter().filter(|request| request.sent.outcome != Outcome::Cancelled).count();
    let requests = sent.iter().filter(|request| request.sent.succeeded() && slo.is_met_by(request.sent)).count() as u64;
    Goodput { slo: *slo, requests, share: (ended > 0).then(|| requests as f64 / ended as f64) }
}

fn lengths(sent: &[Predicted<'_>]) -> Lengths {
    let compared = |planned: fn(&Sent) -> u64, reported: fn(&Sent) -> Option<u64>| {
        let mut compared = Compared::default();
        for request in sent.iter().filter(|request| request.sent.succeeded()) {
            let Some(reported) = reported(request.sent) else { continue };
            let planned = planned(request.sent);
            compared.requests += 1;
            compared.planned_tokens += planned;
            compared.reported_tokens += reported;
            compared.differing += u64::from(planned != reported);
        }
        compared
    };
    Lengths {
        prompt: compared(|sent| sent.context_tokens, |sent| sent.measured().prompt_tokens),
        output: compared(|sent| sent.output_tokens, |sent| sent.measured().completion_tokens),
    }
}
