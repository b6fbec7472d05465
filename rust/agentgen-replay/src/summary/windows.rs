//! Throughput windows: the steady part of a load, when it was as high as requested.

use std::collections::BTreeMap;

use super::report::Clock;
use super::run::ReplayedSession;

/// Start and end, nanoseconds, both included.
pub(super) type Span = (i64, i64);

/// The steady window of a load, or why it has none.
pub(super) fn steady(sessions: &[ReplayedSession], clock: Clock, slots: Option<u64>) -> Result<Span, String> {
    match clock {
        Clock::Closed => closed(sessions, slots),
        Clock::Open => open(sessions),
    }
}

/// Closed loop. Each worker has its own slots and sessions. The window starts when all slots of the last worker have
/// turned over once, so that sessions are in different turns: when the sessions that filled them have ended. It ends when the first worker has a free slot and no session for it: when a session closes after its last one opened.
fn closed(sessions: &[ReplayedSession], slots: Option<u64>) -> Result<Span, String> {
    let mut workers: BTreeMap<u32, Vec<ReplayedSession>> = BTreeMap::new();
    // Sessions that balance the counts of a worker that died held no slot.
    for session in sessions.iter().filter(|session| session.opened_ns < session.closed_ns) {
        workers.entry(session.worker).or_default().push(session.clone());
    }
    let (mut from, mut to, mut filled) = (i64::MIN, i64::MAX, 0);
    for held in workers.values() {
        let (most, at) = fullest(held);
        let last_opened = held.iter().map(|session| session.opened_ns).max().unwrap_or(i64::MAX);
        let idle = held.iter().map(|session| session.closed_ns).filter(|&closed| closed > last_opened).min();
        filled += most;
        let filling = held.iter().filter(|session| session.opened_ns <= at && at < session.closed_ns);
        from = from.max(filling.map(|session| session.closed_ns).max().unwrap_or(at));
        to = to.min(idle.unwrap_or(last_opened));
    }
    match slots {
        _ if workers.is_empty() => Err("no session was opened".to_owned()),
        Some(slots) if filled < slots => Err(format!("at most {filled} of {slots} slots were filled")),
        _ if from >= to => Err("no session was waiting once all slots had turned over".to_owned()),
        _ => Ok((from, to)),
    }
}

/// Open loop: from the time at which as many sessions are open as on average during the arrivals, to the last arrival.
fn open(sessions: &[ReplayedSession]) -> Result<Span, String> {
    let none = || Err("sessions do not arrive over any time".to_owned());
    let arrivals = sessions.iter().map(|session| session.opened_ns);
    let (Some(first), Some(last)) = (arrivals.clone().min(), arrivals.max()) else { return none() };
    if first >= last {
        return none();
    }
    let within = |session: &ReplayedSession| (session.closed_ns.min(last) - session.opened_ns) as f64;
    let mean = sessions.iter().map(within).sum::<f64>() / (last - first) as f64;
    let reached = steps(sessions).into_iter().find(|&(_, count)| count as f64 >= mean);
    Ok((reached.map_or(first, |(at, _)| at), last))
}

/// The most sessions open at once, and since when.
fn fullest(sessions: &[ReplayedSession]) -> (u64, i64) {
    let most = steps(sessions).into_iter().max_by_key(|&(at, count)| (count, std::cmp::Reverse(at)));
    most.map_or((0, i64::MAX), |(at, count)| (count as u64, at))
}

/// Open sessions after each time at which one opens or closes; at equal times closing comes first.
fn steps(sessions: &[ReplayedSession]) -> Vec<(i64, i64)> {
    let mut steps: Vec<(i64, i64)> =
        sessions.iter().flat_map(|session| [(session.opened_ns, 1), (session.closed_ns, -1)]).collect();
    steps.sort_unstable();
    let mut open = 0;
    for (_, step) in &mut steps {
        open += *step;
        *step = open;
    }
    steps
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::records::{Phase, Session};

    fn session(worker: u32, opened_ns: i64, closed_ns: i64) -> ReplayedSession {
        let record = Session {
            session: 0,
            key: String::new(),
            phase: Phase::Run,
            planned: 1,
            opened_ns,
            closed_ns,
            skipped: 0,
            cancelled: 0,
            never_issued: 0,
        };
        ReplayedSession { worker, key: 0, record }
    }

    /// Two slots: filled at 5 by sessions that end at 20 and 40; the last session opens at 40; the first slot without a
    /// session is free at 60.
    #[test]
    fn a_closed_loop_is_steady_from_the_turnover_of_all_slots_to_the_first_idle_one() {
        let sessions = [session(0, 0, 20), session(0, 5, 40), session(0, 20, 60), session(0, 40, 90)];
        assert_eq!(steady(&sessions, Clock::Closed, Some(2)), Ok((40, 60)));
        let other = [session(1, 10, 30), session(1, 30, 50)];
        let both = [&sessions[..], &other].concat();
        assert_eq!(
            steady(&both, Clock::Closed, Some(3)),
            Ok((40, 50)),
            "the worker that runs out of sessions first ends it"
        );
    }

    #[test]
    fn a_closed_loop_with_more_slots_than_sessions_is_never_steady() {
        let sessions = [session(0, 0, 20), session(0, 5, 40)];
        let reason = steady(&sessions, Clock::Closed, Some(8)).unwrap_err();
        assert_eq!(reason, "at most 2 of 8 slots were filled");
        let reason = steady(&sessions, Clock::Closed, Some(2)).unwrap_err();
        assert_eq!(reason, "no session was waiting once all slots had turned over");
    }

    /// Arrivals every 10 for 100, each open for 30: 3 at a time but for the beginning; on average 2.7 of the 3.
    #[test]
    fn an_open_loop_is_steady_from_the_mean_to_the_last_arrival() {
        let sessions: Vec<ReplayedSession> = (0..=10).map(|at| session(0, at * 10, at * 10 + 30)).collect();
        assert_eq!(steady(&sessions, Clock::Open, None), Ok((20, 100)));
        assert!(steady(&sessions[..1], Clock::Open, None).is_err());
    }
}
