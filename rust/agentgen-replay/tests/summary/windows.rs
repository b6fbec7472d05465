//! Windows, turns and parts of a phase.

use agentgen_replay::records::Request;
use agentgen_replay::summary::{Options, Run, summarize};
use serde_json::json;

use crate::{MS, request, run, session, summary, write};

fn closed(concurrency: u64) -> Options {
    Options { concurrency: Some(concurrency), ..Options::default() }
}

/// Two slots, filled until 40 by short sessions, then a long session in one of them and a short one in the other: the
/// warning gives the share of requests in the window.
#[test]
fn a_narrow_steady_window_is_a_warning() {
    let long = (0..50).map(|turn| request(2, turn, 31 + i64::from(turn) * 40));
    let short = [request(0, 0, 0), request(1, 0, 9), request(3, 0, 40)];
    let requests: Vec<Request> = short.into_iter().chain(long).collect();
    let sessions = [session(0, 1, 0, 31), session(1, 1, 0, 40), session(2, 50, 31, 2022), session(3, 1, 40, 80)];
    let summarized = summarize(&run(requests, sessions.to_vec()), None, &closed(2));
    let steady = summarized.run.steady.as_ref().unwrap();
    assert_eq!((steady.from_ms, steady.duration_ms), (40.0, 40.0));
    assert_eq!((steady.requests_in, steady.requests_out), (3, 50));
    assert_eq!(summarized.run.full.as_ref().unwrap().requests_in, 53);
    assert!(
        summarized.warnings.contains(&"run: the steady window holds 3 of 53 requests that succeeded (6 %)".to_owned())
    );
    let never = summarize(&run(vec![request(0, 0, 0)], vec![session(0, 1, 0, 31)]), None, &closed(8));
    assert_eq!(never.run.steady_missing.as_deref(), Some("at most 1 of 8 slots were filled"));
}

#[test]
fn a_wide_steady_window_is_no_warning() {
    let requests = (0..10).map(|n| request(n, 0, i64::try_from(n).unwrap() * 40)).collect();
    let sessions = (0..10).map(|n| session(n, 1, i64::try_from(n).unwrap() * 40, i64::try_from(n).unwrap() * 40 + 35));
    let summarized = summarize(&run(requests, sessions.collect()), None, &closed(1));
    let steady = summarized.run.steady.unwrap();
    assert_eq!((steady.from_ms, steady.duration_ms, steady.requests_in), (35.0, 360.0, 9));
    assert_eq!(summarized.warnings, [""; 0]);
}

/// Workers fill and drain independently.
#[test]
fn the_steady_window_covers_all_workers() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), 0, vec![request(0, 0, 0)], vec![session(0, 1, 0, 31), session(1, 0, 31, 60)]);
    write(directory.path(), 1, vec![request(2, 0, 10)], vec![session(2, 1, 10, 41), session(3, 0, 41, 50)]);
    let run = Run::read(directory.path()).unwrap();
    let steady = summarize(&run, None, &closed(2)).run.steady.unwrap();
    assert_eq!((steady.from_ms, steady.duration_ms, steady.requests_in), (41.0, 9.0, 1));
}

#[test]
fn late_turns_are_grouped() {
    let requests = (0..70).map(|turn| request(0, turn, i64::from(turn) * 40)).collect();
    let by_turn = summary(requests, vec![session(0, 70, 0, 2800)]).run.by_turn;
    assert_eq!(by_turn.len(), 34);
    assert_eq!((by_turn[31].first_turn, by_turn[31].last_turn, by_turn[31].requests), (31, 31, 1));
    assert_eq!((by_turn[32].first_turn, by_turn[32].last_turn, by_turn[32].requests), (32, 63, 32));
    assert_eq!((by_turn[33].first_turn, by_turn[33].last_turn, by_turn[33].requests), (64, 127, 6));
}

#[test]
fn parts_count_requests_when_sent_and_answers_at_their_last_byte() {
    let requests = vec![request(0, 0, 0), request(0, 1, 1_990)];
    let over_time = summary(requests, vec![session(0, 2, 0, 2_100)]).run.over_time;
    assert_eq!(over_time.len(), 106); // of 20 ms
    let sent: Vec<u64> = over_time.iter().map(|part| part.sent).collect();
    assert_eq!((sent[0], sent[99], sent.iter().sum::<u64>()), (1, 1, 2));
    assert_eq!((over_time[1].succeeded, over_time[101].succeeded, over_time[101].output_tokens), (1, 1, 5));
    assert_eq!((over_time[50].open_sessions, over_time[105].open_sessions), (1, 0));
    assert_eq!(json!(over_time[0])["ttft_p50_ms"], json!(10.0));
}

/// Two slots. The first turns take a second to the first token, all later ones 10 ms.
#[test]
fn a_slow_start_of_all_slots_is_a_warning() {
    let slow = |session: u64| {
        let mut request = request(session, 0, 0);
        let answer = request.answer.as_mut().unwrap();
        answer.first_token_ns = Some(1_000 * MS);
        (answer.last_token_ns, answer.last_byte_ns) = (Some(1_020 * MS), Some(1_021 * MS));
        request
    };
    let warnings = |later: u32| {
        let turns = (1..=later).map(|turn| request(u64::from(turn % 2), turn, 1_100 + i64::from(turn) * 40));
        let requests = [slow(0), slow(1)].into_iter().chain(turns).collect();
        let sessions = vec![session(0, later / 2 + 1, 0, 9_000), session(1, later.div_ceil(2) + 1, 0, 9_000)];
        summarize(&run(requests, sessions), None, &closed(2)).warnings
    };
    let expected = "run: the 99th percentile of the time to the first token, 1000 ms, comes from the first 1.0 s, when all \
                    slots are filled at once; of requests sent later it is 10 ms (--ramp-up staggers the start)";
    assert!(warnings(50).contains(&expected.to_owned()), "{:?}", warnings(50));
    assert!(!warnings(49).iter().any(|text| text.contains("99th")), "too few later requests");
    assert!(!warnings(300).iter().any(|text| text.contains("99th")), "the start is less than a hundredth");
}
