//! Latencies, request counts, cache, lengths, goodput, lag.

use agentgen_replay::records::{Measured, Outcome, Phase, Request};
use agentgen_replay::summary::{Options, Statistics, summarize};
use serde_json::json;

use crate::{MS, failed, request, run, session, summary};

fn options(json: serde_json::Value) -> Options {
    serde_json::from_value(json).unwrap()
}

/// Count, mean and maximum.
fn figures_of(of: Option<&Statistics>) -> (u64, f64, f64) {
    of.map_or((0, 0.0, 0.0), |of| (of.count, of.mean, of.max))
}

#[test]
fn latencies_follow_their_definitions() {
    let mut slow = request(1, 0, 100);
    let answer = slow.answer.as_mut().unwrap();
    (answer.first_token_ns, answer.last_token_ns) = (Some(130 * MS), Some(190 * MS));
    (answer.first_answer_ns, answer.last_byte_ns) = (Some(130 * MS), Some(191 * MS));
    let summary = summary(vec![request(0, 0, 0), slow], vec![session(0, 1, 0, 31), session(1, 1, 100, 191)]);
    assert_eq!(summary.errors, [""; 0]);
    let latency = &summary.run.latency;
    assert_eq!(figures_of(latency.ttft_ms.as_ref()), (2, 20.0, 30.0));
    assert_eq!(figures_of(latency.ttfa_ms.as_ref()), (2, 22.5, 30.0));
    assert_eq!(figures_of(latency.tpot_ms.as_ref()), (2, 10.0, 15.0)); // 20 / 4 and 60 / 4
    assert_eq!(figures_of(latency.e2e_ms.as_ref()), (2, 61.0, 91.0));
    assert_eq!(figures_of(latency.gap_ms.as_ref()), (8, 5.0, 5.0));
    assert_eq!(figures_of(summary.run.sessions.duration_ms.as_ref()), (2, 61.0, 91.0));
    let full = summary.run.full.unwrap();
    assert_eq!((full.requests_in, full.requests_out, full.duration_ms), (2, 0, 191.0));
    assert_eq!((full.requests_per_second, full.output_tokens_per_second), (2.0 / 0.191, 10.0 / 0.191));
    assert_eq!((full.prompt_tokens_per_second, full.input_tokens_per_second), (200.0 / 0.191, 120.0 / 0.191));
    assert_eq!(summary.run.sessions.completed_per_second, Some(2.0 / 0.191));
}

/// Nine answers, nine skipped requests and a timeout: only answers have latencies.
#[test]
fn failures_have_no_latency() {
    let mut requests: Vec<Request> = (0..9).map(|n| request(n, 0, i64::try_from(n).unwrap() * 50)).collect();
    let mut timeout = failed(9, 0, 500, Outcome::TimeoutTotal);
    timeout.answer =
        Some(Measured { last_byte_ns: Some(9_000 * MS), first_token_ns: Some(501 * MS), ..Measured::default() });
    requests.push(timeout);
    let mut sessions: Vec<_> = (0..9).map(|n| session(n, 1, 0, 1000)).collect();
    sessions.push(agentgen_replay::records::Session { skipped: 9, ..session(9, 10, 500, 9_500) });
    let summary = summary(requests, sessions);
    assert_eq!(summary.errors, [""; 0]);
    assert_eq!(figures_of(summary.run.latency.e2e_ms.as_ref()), (9, 31.0, 31.0));
    assert_eq!(figures_of(summary.run.latency.ttft_ms.as_ref()), (9, 10.0, 10.0));
    assert_eq!(summary.run.latency.gap_ms.unwrap().count, 36);
    assert_eq!(summary.run.full.unwrap().requests_in, 9);
    assert_eq!(json!(summary.run.outcomes), json!({"ok": 9, "timeout_total": 1}));
    assert_eq!((summary.run.counters.succeeded, summary.run.counters.failed, summary.run.counters.skipped), (9, 1, 9));
    assert_eq!(summary.run.sessions.completed, 9);
}

#[test]
fn request_counts_balance_in_every_phase_or_are_an_error() {
    let mut requests = vec![
        request(0, 0, 0),
        failed(0, 1, 40, Outcome::HttpError),
        request(1, 0, 0),
        failed(1, 1, 50, Outcome::Cancelled),
    ];
    requests[1].status = 503;
    requests[1].retries = 2;
    let mut sessions = vec![session(0, 5, 0, 60), session(1, 4, 0, 60)];
    (sessions[0].skipped, sessions[1].cancelled, sessions[1].never_issued) = (3, 1, 2);
    for phase in [Phase::Run, Phase::Warmup] {
        for request in &mut requests {
            request.phase = phase;
        }
        for session in &mut sessions {
            session.phase = phase;
        }
        let summary = summary(requests.clone(), sessions.clone());
        assert_eq!(summary.errors, [""; 0]);
        let figures = if phase == Phase::Run { summary.run } else { summary.warmup.expect("a warm-up") };
        let counters = &figures.counters;
        assert_eq!((counters.planned, counters.succeeded, counters.failed), (9, 2, 1));
        assert_eq!((counters.cancelled, counters.skipped, counters.never_issued, counters.balanced), (1, 3, 2, true));
        assert_eq!((figures.retries, figures.retried_requests), (2, 1));
        assert_eq!(json!(figures.http_errors), json!({"503": 1}));
    }
    sessions[0].skipped = 2;
    let wrong = summary(requests, sessions);
    let counters = wrong.warmup.unwrap().counters;
    assert!(!counters.balanced);
    assert_eq!(wrong.errors.len(), 1);
    assert!(
        wrong.errors[0].starts_with("warmup: request counts: found 8 requests (2 succeeded"),
        "{}",
        wrong.errors[0]
    );
}

#[test]
fn no_figure_of_the_run_includes_the_warm_up() {
    let mut slow = request(7, 0, 0);
    (slow.phase, slow.scheduled_ns) = (Phase::Warmup, -5_000 * MS);
    let mut before = session(7, 1, 0, 31);
    before.phase = Phase::Warmup;
    let alone = summary(vec![request(0, 0, 100)], vec![session(0, 1, 100, 131)]);
    let both = summary(vec![slow, request(0, 0, 100)], vec![before, session(0, 1, 100, 131)]);
    assert_eq!(json!(both.run), json!(alone.run));
    assert_eq!(both.warmup.unwrap().counters.succeeded, 1);
    assert!(alone.warmup.is_none());
}

#[test]
fn a_session_without_an_end_is_a_warning() {
    let summary = summary(vec![request(0, 0, 0), request(1, 0, 0)], vec![session(0, 1, 0, 31)]);
    assert_eq!(summary.errors.len(), 1, "the counters do not balance");
    assert!(summary.warnings.contains(&"run: 1 session without an end: a worker died".to_owned()));
}

/// A request is late because of the client, or because of the request before.
#[test]
fn lag_is_measured_from_the_scheduled_and_the_intended_time() {
    let mut late = request(0, 1, 100);
    (late.scheduled_ns, late.intended_ns) = (98 * MS, 90 * MS);
    let mut again = request(1, 0, 500);
    (again.scheduled_ns, again.intended_ns, again.retries) = (0, 0, 1);
    let sessions = vec![session(0, 2, 0, 200), session(1, 1, 0, 600)];
    let summary = summary(vec![request(0, 0, 0), late, again], sessions);
    let latency = &summary.run.latency;
    assert_eq!(figures_of(latency.lag_ms.as_ref()), (2, 1.0, 2.0));
    assert_eq!(figures_of(latency.intended_lag_ms.as_ref()), (2, 5.0, 10.0));
    assert_eq!(latency.intended_ttft_ms.as_ref().unwrap().p50, 20.0);
    assert_eq!(latency.intended_e2e_ms.as_ref().unwrap().max, 531.0);
}

/// A tenth of the median time to the first token is allowed, more is not.
#[test]
fn a_run_is_client_limited_above_a_share_of_the_first_token() {
    for (lag, limited) in [(MS, false), (MS + 1000, true)] {
        let mut late = request(0, 0, 100);
        late.scheduled_ns -= lag;
        let summary = summary(vec![late], vec![session(0, 1, 90, 131)]);
        assert_eq!(summary.client.client_limited, limited);
        assert_eq!(summary.warnings.iter().any(|text| text.starts_with("client-limited")), limited);
        assert_eq!(summary.client.limit, 0.1);
    }
}

#[test]
fn cached_tokens_reported_beside_predicted_by_turn() {
    let mut first = request(0, 0, 0);
    first.answer.as_mut().unwrap().cached_tokens = None; // vLLM omits the field if it is 0
    let requests = vec![first, request(0, 1, 50), failed(0, 2, 100, Outcome::ServerError)];
    let run = run(requests, vec![session(0, 3, 0, 120)]);
    let summarized = summarize(&run, Some(&[Some(0), Some(60), Some(90)]), &options(json!({"server_tokenizes": true})));
    let cache = json!(summarized.run.cache);
    assert_eq!(
        cache,
        json!({"cache_source": "usage", "differing": 1, "server_tokenizes": true, "server": null,
               "reported": {"requests": 2, "prompt_tokens": 200.0, "cached_tokens": 40.0, "hit_rate": 0.2},
               "predicted": {"requests": 2, "prompt_tokens": 200.0, "cached_tokens": 60.0, "hit_rate": 0.3}})
    );
    let by_turn: Vec<_> =
        summarized.run.by_turn.iter().map(|of| (of.first_turn, of.succeeded, of.reported, of.predicted)).collect();
    assert_eq!(json!(by_turn[1].2.unwrap().hit_rate), json!(0.4));
    assert_eq!(json!(by_turn[1].3.unwrap().hit_rate), json!(0.6));
    assert_eq!((by_turn[2].1, by_turn[2].2, by_turn[2].3), (0, None, None));
}

#[test]
fn without_usage_the_servers_counters_are_reported() {
    let mut silent = request(0, 0, 0);
    silent.answer.as_mut().unwrap().cached_tokens = None;
    let run = run(vec![silent], vec![session(0, 1, 0, 31)]);
    let counters = json!({"before": {"queries": 100.0, "hits": 10.0}, "after": {"queries": 300.0, "hits": 60.0}});
    let summarized = summarize(&run, None, &options(json!({"server_cache": counters})));
    let cache = json!(summarized.run.cache);
    assert_eq!((&cache["cache_source"], &cache["reported"]), (&json!("metrics"), &json!(null)));
    assert_eq!(cache["server"]["hit_rate"], json!(0.25));
    assert_eq!(json!(summarize(&run, None, &Options::default()).run.cache)["cache_source"], json!("none"));
}

#[test]
fn lengths_planned_and_reported() {
    let mut longer = request(0, 1, 50);
    longer.answer.as_mut().unwrap().completion_tokens = Some(9);
    let mut silent = request(0, 2, 100);
    let answer = silent.answer.as_mut().unwrap();
    (answer.prompt_tokens, answer.completion_tokens) = (None, None);
    let summary = summary(vec![request(0, 0, 0), longer, silent], vec![session(0, 3, 0, 131)]);
    let lengths = json!(summary.run.lengths);
    assert_eq!(
        lengths["prompt"],
        json!({"requests": 2, "planned_tokens": 200, "reported_tokens": 200, "differing": 0})
    );
    assert_eq!(lengths["output"], json!({"requests": 2, "planned_tokens": 10, "reported_tokens": 14, "differing": 1}));
    // Without usage, events are counted: 5 + 9 + 5 tokens.
    let full = summary.run.full.unwrap();
    assert_eq!((full.output_tokens_per_second * 0.131).round(), 19.0);
}

/// First token after 10 ms, 5 ms per token, 31 ms in total.
#[test]
fn goodput_counts_requests_that_meet_all_targets() {
    let requests = vec![request(0, 0, 0), failed(0, 1, 50, Outcome::ServerError), failed(1, 0, 50, Outcome::Cancelled)];
    let mut sessions = vec![session(0, 2, 0, 60), session(1, 1, 0, 60)];
    sessions[1].cancelled = 1;
    let run = run(requests, sessions);
    for (slo, kept) in [
        (json!({"ttft_ms": 10.0, "tpot_ms": 5.0, "e2e_ms": 31.0}), 1),
        (json!({"ttft_ms": 9.9}), 0),
        (json!({"tpot_ms": 4.9}), 0),
        (json!({"e2e_ms": 30.0}), 0),
        (json!({}), 1),
    ] {
        let summarized = summarize(&run, None, &options(json!({"slo": slo})));
        let goodput = summarized.run.goodput.unwrap();
        assert_eq!((goodput.requests, goodput.share), (kept, Some(kept as f64 / 2.0)), "{slo}");
        assert_eq!(summarized.run.full.unwrap().good_requests_per_second, Some(kept as f64 / 0.031));
    }
    assert!(summarize(&run, None, &Options::default()).run.goodput.is_none());
}

/// Two answers of five tokens: one in one read, one whose time per further token is 5 ms.
#[test]
fn an_answer_in_one_read_has_no_time_per_further_token_and_meets_no_target_for_it() {
    let mut at_once = request(1, 0, 0);
    let answer = at_once.answer.as_mut().unwrap();
    answer.last_token_ns = answer.first_token_ns;
    let run = run(vec![request(0, 0, 0), at_once], vec![session(0, 1, 0, 31), session(1, 1, 0, 31)]);
    let summarized = summarize(&run, None, &options(json!({"slo": {"tpot_ms": 5.0}})));
    assert_eq!(figures_of(summarized.run.latency.tpot_ms.as_ref()), (1, 5.0, 5.0));
    assert_eq!((summarized.run.tpot_unknown, summarized.run.goodput.unwrap().requests), (1, 1));
    let warning =
        "run: 1 of 2 answers came in one read: their time per further output token is unknown and meets no target";
    assert!(summarized.warnings[0].starts_with(warning), "{:?}", summarized.warnings);
}

#[test]
fn outputs_far_from_the_plan_are_a_warning() {
    for (tokens, warned) in [(4, "80.0 %"), (5, ""), (15, "300.0 %")] {
        let mut other = request(0, 0, 0);
        other.answer.as_mut().unwrap().completion_tokens = Some(tokens);
        let run = run(vec![other], vec![session(0, 1, 0, 31)]);
        let warnings = summarize(&run, None, &Options::default()).warnings;
        let found = warnings.iter().find(|text| text.contains("of the planned tokens")).map_or("", String::as_str);
        assert_eq!(found.is_empty(), warned.is_empty(), "{warnings:?}");
        assert!(found.contains(warned), "{found}");
        let estimated = options(json!({"trace": {"kind": "messages"}}));
        assert!(!summarize(&run, None, &estimated).warnings.iter().any(|text| text.contains("planned")));
    }
}

#[test]
fn output_that_cannot_be_read_is_a_warning() {
    let mut unread = request(0, 0, 0);
    let answer = unread.answer.as_mut().unwrap();
    (answer.output_events, answer.malformed_events) = (0, 3);
    (answer.first_token_ns, answer.first_answer_ns, answer.last_token_ns) = (None, None, None);
    let warnings = summary(vec![unread], vec![session(0, 1, 0, 31)]).warnings;
    assert!(warnings[0].starts_with("run: 1 of 1 answer have counted tokens and no text"), "{warnings:?}");
    assert!(warnings[1].starts_with("run: 3 malformed events in 1 answer: "), "{warnings:?}");
}

/// A document has no first token, only a last byte.
#[test]
fn answers_without_a_stream_have_no_token_times() {
    let mut document = request(0, 0, 0);
    let answer = document.answer.as_mut().unwrap();
    (answer.first_token_ns, answer.first_answer_ns, answer.last_token_ns) = (None, None, None);
    let summary = summary(vec![document], vec![session(0, 1, 0, 31)]);
    let latency = &summary.run.latency;
    assert!(latency.ttft_ms.is_none() && latency.tpot_ms.is_none());
    assert_eq!(figures_of(latency.e2e_ms.as_ref()), (1, 31.0, 31.0));
    assert_eq!(summary.client.share_of_ttft, Some(0.0));
}

/// An empty phase is a warning, and causes no division by zero.
#[test]
fn an_empty_run_is_no_error() {
    let summary = summary(vec![], vec![]);
    assert_eq!(summary.errors, [""; 0]);
    assert!(summary.run.full.is_none() && summary.run.steady.is_none() && summary.run.over_time.is_empty());
    assert!(!json!(summary).to_string().contains("NaN"));
}
