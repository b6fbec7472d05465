//! The server's engine against the golden files of `simulate` (`tests/golden/simulation`): the same requests, sent at
//! the same times in ns, are admitted, get their first tokens and end at the same times, and find the same blocks. A
//! server always keeps the KV of outputs, so `no-cached-outputs` is not among them.

use std::path::Path;

use agentgen_engine::kv::{Policy, TokenSeq};
use agentgen_engine::serving::{Routing, System};
use serde_json::Value;

use super::{Admission, Engine, EngineRequest, Sent, nanoseconds};

/// A request of a golden file, in the order of sending.
struct Golden<'a> {
    sent_ms: f64,
    session: u64,
    expected: &'a Value,
    request: EngineRequest,
}

fn integer(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value}: not a whole number"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}: not a number"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The stream of a turn: the last one that begins no later.
fn stream(session: &Value, turn: u64, id_tokens: u32) -> TokenSeq {
    let streams = list(&session["streams"]);
    let last = streams.iter().rfind(|stream| integer(&stream["first_turn"]) <= turn).expect("a first stream");
    let mut tokens = TokenSeq::new(id_tokens);
    for run in list(&last["runs"]) {
        let (source, offset, length) = (run[0].as_i64().expect("an id"), integer(&run[1]), integer(&run[2]));
        if source < 0 {
            tokens.push_own((-1 - source) as u64, length);
        } else {
            // The run begins inside of an id: append what follows `offset`.
            let ids = (offset + length).div_ceil(u64::from(id_tokens)) as i64;
            let mut whole = TokenSeq::new(id_tokens);
            whole.push_ids(&(source..source + ids).collect::<Vec<_>>(), offset + length);
            tokens.append(&whole, offset);
        }
    }
    tokens
}

/// The requests of a file in the order of sending; of those sent at one time, the lower session first.
fn requests<'a>(file: &'a Value) -> Vec<Golden<'a>> {
    let id_tokens = integer(&file["settings"]["id_tokens"]) as u32;
    let golden = |expected: &'a Value| -> Golden<'a> {
        let (number_of, turn) = (integer(&expected["session"]), integer(&expected["turn"]));
        let session = list(&file["sessions"]).iter().find(|session| integer(&session["number"]) == number_of);
        let session = session.expect("a session of the file");
        let lengths = &session["turns"][turn as usize];
        Golden {
            sent_ms: number(&expected["sent_ms"]),
            session: number_of,
            expected,
            request: EngineRequest {
                stream: stream(session, turn, id_tokens),
                context_tokens: integer(&lengths["context_tokens"]) as u32,
                output_tokens: integer(&lengths["output_tokens"]) as u32,
            },
        }
    };
    let mut requests: Vec<_> = list(&file["requests"]).iter().map(golden).collect();
    requests.sort_by(|a, b| a.sent_ms.total_cmp(&b.sent_ms).then(a.session.cmp(&b.session)));
    requests
}

fn system(settings: &Value) -> System {
    System {
        replicas: 1,
        routing: Routing::Sticky,
        policy: Policy::Lru,
        capacity_blocks: integer(&settings["capacity_blocks"]),
        block_tokens: integer(&settings["block_tokens"]) as u32,
        id_tokens: integer(&settings["id_tokens"]) as u32,
        prefill_tokens_per_second: number(&settings["prefill_tokens_per_second"]),
        decode_tokens_per_second: number(&settings["decode_tokens_per_second"]),
        ttl_ms: None,
    }
}

/// Sent times are rounded to ns, so each time that follows from them may be off by one.
fn check_time(name: &str, found: u64, expected: &Value) {
    let expected = nanoseconds(number(expected));
    assert!(found.abs_diff(expected) <= 1, "{name}: found {found} ns, expected {expected} ns");
}

fn check(name: &str, admission: &Admission, expected: &Value) {
    let name = format!("{name}, session {} turn {}", expected["session"], expected["turn"]);
    check_time(&name, admission.sent, &expected["sent_ms"]);
    check_time(&name, admission.admitted, &expected["admitted_ms"]);
    check_time(&name, admission.first_token, &expected["prefill_end_ms"]);
    check_time(&name, admission.end, &expected["end_ms"]);
    assert_eq!(u64::from(admission.cached_tokens), integer(&expected["hit_tokens"]), "{name}: hit tokens");
}

/// Sends the requests of a file to the engine; returns how many were served, waited, and failed.
fn serve(name: &str, file: &Value) -> [usize; 3] {
    let system = system(&file["settings"]);
    let mut engine = Engine::new(system);
    let mut waiting = Vec::new();
    let [mut served, mut failed] = [0, 0];
    for Golden { sent_ms, expected, request, .. } in requests(file) {
        match engine.send(nanoseconds(sent_ms), request) {
            Ok((_, Sent::Admitted(admission))) => {
                check(name, &admission, expected);
                served += 1;
            }
            Ok((_, Sent::Waiting(receiver))) => waiting.push((receiver, expected)),
            Err(error) => {
                assert!(error.needed_blocks > system.capacity_blocks);
                assert!(expected["end_ms"].is_null(), "{name}: {expected} failed");
                failed += 1;
            }
        }
    }
    engine.advance(u64::MAX);
    let waited = waiting.len();
    for (mut receiver, expected) in waiting {
        check(name, &receiver.try_recv().expect("every waiting request is admitted"), expected);
    }
    let figures = &file["figures"];
    assert_eq!(engine.totals().hits, integer(&figures["hit_tokens"]), "{name}");
    assert_eq!(engine.totals().finished, integer(&figures["requests"]["served"]), "{name}");
    assert_eq!(engine.used_blocks(), integer(&figures["blocks"]["resident"]), "{name}");
    [served + waited, waited, failed]
}

#[test]
fn golden_requests_are_served_as_simulate_serves_them() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/simulation");
    let mut sums = [0; 3];
    for name in ["one-session", "groups-and-restarts", "eviction", "waiting", "failing", "arrivals"] {
        let text = std::fs::read_to_string(directory.join(format!("{name}.json"))).expect("checked in");
        let file: Value = serde_json::from_str(&text).expect("JSON");
        for (sum, count) in sums.iter_mut().zip(serve(name, &file)) {
            *sum += count;
        }
    }
    let [served, waited, failed] = sums;
    assert!(served > waited && waited > 0 && failed > 0, "{sums:?}");
}
