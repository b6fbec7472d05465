//! Times are plain numbers: no test waits.

use agentgen_engine::kv::{Policy, PrefixCache};
use agentgen_engine::serving::Routing;

use super::*;

const SECOND: u64 = 1_000_000_000;
const BLOCK: u32 = 4;

fn system(capacity_blocks: u64, prefill_tokens_per_second: f64, decode_tokens_per_second: f64) -> System {
    System {
        replicas: 1,
        routing: Routing::Sticky,
        policy: Policy::Lru,
        capacity_blocks,
        block_tokens: BLOCK,
        id_tokens: BLOCK,
        prefill_tokens_per_second,
        decode_tokens_per_second,
        ttl_ms: None,
    }
}

/// 100 prompt tokens and 10 output tokens per second.
fn engine(capacity_blocks: u64) -> Engine {
    Engine::new(system(capacity_blocks, 100.0, 10.0))
}

fn cache(engine: &Engine) -> &PrefixCache {
    engine.serving.replicas()[0].cache()
}

/// A prompt and its output; prompts with different `first` share no block.
fn request(first: i64, context_tokens: u32, output_tokens: u32) -> EngineRequest {
    let blocks = i64::from((context_tokens + output_tokens) / BLOCK);
    let ids: Vec<_> = (0..blocks).map(|block| first * 1_000_000 + block * 10).collect();
    let mut stream = TokenSeq::new(BLOCK);
    stream.push_ids(&ids, ids.len() as u64 * u64::from(BLOCK));
    EngineRequest { stream, context_tokens, output_tokens }
}

fn admitted(sent: Result<(RequestId, Sent), TooLarge>) -> Admission {
    match sent {
        Ok((_, Sent::Admitted(admission))) => admission,
        other => panic!("not admitted: {other:?}"),
    }
}

fn waiting(sent: Result<(RequestId, Sent), TooLarge>) -> (RequestId, oneshot::Receiver<Admission>) {
    match sent {
        Ok((id, Sent::Waiting(receiver))) => (id, receiver),
        other => panic!("does not wait: {other:?}"),
    }
}

#[test]
fn a_request_takes_exactly_the_modelled_time() {
    let mut engine = engine(1000);
    let first = admitted(engine.send(5, request(1, 50, 20)));
    let expected =
        Admission { sent: 5, admitted: 5, first_token: 5 + SECOND / 2, end: 5 + SECOND * 5 / 2, cached_tokens: 0 };
    assert_eq!(first, expected);
    // A later turn of the same conversation: 70 tokens, of which the last sampled one has no KV.
    let next = admitted(engine.send(10 * SECOND, request(1, 80, 20)));
    assert_eq!(next.cached_tokens, 68);
    assert_eq!(next.first_token, 10 * SECOND + 120_000_000);
}

#[test]
fn rates_of_zero_take_no_time() {
    let mut engine = Engine::new(system(10, 0.0, 0.0));
    for now in 0..100 {
        let admission = admitted(engine.send(now, request(now as i64, 20, 20)));
        assert_eq!((admission.first_token, admission.end), (now, now));
        assert_eq!(engine.load(), (0, 0));
    }
    assert_eq!(engine.used_blocks(), 9, "40 tokens, of which the last has no KV");
}

#[test]
fn prefills_run_one_at_a_time_in_order_of_arrival() {
    let mut engine = engine(1000);
    let first = admitted(engine.send(0, request(1, 100, 10)));
    let (_, mut second) = waiting(engine.send(1, request(2, 50, 10)));
    let (_, mut third) = waiting(engine.send(2, request(3, 10, 10)));
    assert_eq!(engine.load(), (1, 2));
    assert_eq!(engine.advance(first.first_token - 1), Some(first.first_token));
    assert!(second.try_recv().is_err());
    engine.advance(first.first_token);
    let second = second.try_recv().expect("the prefill unit is free");
    assert_eq!((second.sent, second.admitted, second.first_token), (1, SECOND, SECOND * 3 / 2));
    assert!(third.try_recv().is_err());
    // The times do not depend on when the engine is advanced.
    engine.advance(100 * SECOND);
    let third = third.try_recv().expect("the prefill unit is free");
    assert_eq!((third.admitted, third.first_token), (SECOND * 3 / 2, SECOND * 8 / 5));
    assert_eq!(engine.load(), (0, 0));
}

#[test]
fn a_request_that_does_not_fit_waits_and_is_not_overtaken() {
    let mut engine = engine(20);
    let first = admitted(engine.send(0, request(1, 40, 20)));
    // 15 blocks are in use; 8 more do not fit, 1 more would.
    let (_, mut large) = waiting(engine.send(SECOND, request(2, 16, 16)));
    let (_, mut small) = waiting(engine.send(SECOND, request(3, 2, 2)));
    assert_eq!(engine.advance(first.end - 1), Some(first.end));
    assert!(large.try_recv().is_err() && small.try_recv().is_err());
    engine.advance(first.end);
    assert_eq!(large.try_recv().expect("there is room").admitted, first.end);
    engine.advance(first.end + SECOND);
    assert!(small.try_recv().is_ok());
}

#[test]
fn a_request_larger_than_the_capacity_fails_at_once() {
    let mut engine = engine(20);
    assert_eq!(engine.send(0, request(1, 61, 20)).err(), Some(TooLarge { needed_blocks: 21 }));
    assert_eq!(admitted(engine.send(0, request(1, 60, 20))).admitted, 0);
}

#[test]
fn cancelling_frees_everything_at_once() {
    let mut engine = engine(20);
    // A waiting request.
    let (first, _) = engine.send(0, request(1, 40, 20)).expect("it fits");
    let (second, _kept) = waiting(engine.send(0, request(2, 40, 20)));
    let (_, mut third) = waiting(engine.send(0, request(3, 12, 4)));
    engine.cancel(1, second);
    assert_eq!(engine.load(), (1, 1));
    // During its prefill: the next prefill begins.
    engine.cancel(SECOND / 10, first);
    assert_eq!(third.try_recv().expect("the prefill unit is free").admitted, SECOND / 10);
    assert_eq!(cache(&engine).reserved_blocks(), 1);
    // A second time: nothing happens.
    engine.cancel(SECOND / 10, first);
    engine.advance(100 * SECOND);
    assert_eq!((engine.load(), cache(&engine).reserved_blocks(), cache(&engine).pinned_blocks()), ((0, 0), 0, 0));
    // While it decodes: the blocks written so far stay.
    let (id, _) = engine.send(200 * SECOND, request(4, 40, 40)).expect("it fits");
    engine.cancel(200 * SECOND + SECOND * 4 / 10 + SECOND, id);
    assert_eq!((engine.load(), cache(&engine).reserved_blocks(), cache(&engine).pinned_blocks()), ((0, 0), 0, 0));
    let again = admitted(engine.send(300 * SECOND, request(4, 80, 0)));
    assert_eq!(again.cached_tokens, 48, "40 of the prompt and 10 of 11 written");
}

#[test]
fn only_the_computed_blocks_of_a_cancelled_prefill_stay() {
    let mut engine = engine(1000);
    engine.send(0, request(1, 40, 0)).expect("it fits");
    // 40 of 100 tokens are in the cache; 30 more are computed in 0.3 s.
    let (id, _) = engine.send(10 * SECOND, request(1, 100, 8)).expect("it fits");
    engine.cancel(10 * SECOND + SECOND * 3 / 10, id);
    assert_eq!((engine.used_blocks(), cache(&engine).pinned_blocks()), (17, 0));
    assert_eq!(admitted(engine.send(20 * SECOND, request(1, 100, 8))).cached_tokens, 68);
    // Cancelled at once: the cache does not change.
    let (id, _) = engine.send(100 * SECOND, request(1, 200, 8)).expect("it fits");
    engine.cancel(100 * SECOND, id);
    assert_eq!(engine.used_blocks(), 26);
}

/// Number of first tokens, queueing times and latencies counted.
fn counted(engine: &Engine) -> [u64; 3] {
    let Times { first_token, queue, end } = engine.times();
    [first_token, queue, end].map(Histogram::count)
}

#[test]
fn times_are_counted_when_they_are_known() {
    let mut engine = engine(1000);
    // Cancelled while waiting, during prefill, during decoding; and one that ends.
    let (prefilling, _) = engine.send(0, request(1, 100, 10)).expect("it fits");
    let (queued, _kept) = waiting(engine.send(0, request(2, 100, 10)));
    engine.cancel(SECOND / 10, queued);
    engine.cancel(SECOND / 5, prefilling);
    assert_eq!(counted(&engine), [0, 0, 0]);
    let (writing, _) = engine.send(10 * SECOND, request(3, 100, 10)).expect("it fits");
    engine.cancel(10 * SECOND + SECOND * 3 / 2, writing);
    assert_eq!(counted(&engine), [1, 0, 0]);
    engine.send(20 * SECOND, request(4, 100, 10)).expect("it fits");
    engine.advance(30 * SECOND);
    assert_eq!(counted(&engine), [2, 1, 1]);
}

#[test]
fn a_cleared_cache_keeps_what_running_requests_use() {
    let mut engine = engine(1000);
    engine.send(0, request(1, 100, 10)).expect("it fits");
    engine.advance(100 * SECOND);
    engine.send(100 * SECOND, request(2, 40, 10)).expect("it fits");
    let pinned = cache(&engine).pinned_blocks();
    assert!(0 < pinned && pinned < cache(&engine).used_blocks());
    engine.clear_cache();
    assert_eq!(cache(&engine).used_blocks(), pinned);
    engine.advance(200 * SECOND);
    assert!(cache(&engine).used_blocks() >= pinned, "what it computed stays");
    engine.clear_cache();
    assert_eq!(engine.used_blocks(), 0);
    let Ok((_, Sent::Admitted(admission))) = engine.send(300 * SECOND, request(1, 100, 10)) else { panic!("idle") };
    assert_eq!(admission.cached_tokens, 0);
}

/// Pseudo-random numbers below the argument.
fn draws() -> impl FnMut(u64) -> u64 {
    let mut drawn = 0;
    move |below| {
        drawn += 1;
        xxhash_rust::xxh3::xxh3_64(&u64::to_le_bytes(drawn)) % below
    }
}

#[test]
fn counters_add_up_and_the_order_is_kept_under_random_requests() {
    let (mut draw, mut engine) = (draws(), engine(40));
    let mut open: HashMap<RequestId, oneshot::Receiver<Admission>> = HashMap::new();
    let mut last_admitted: Option<(u64, RequestId)> = None;
    let mut now = 0;
    for _ in 0..5000 {
        now += draw(SECOND / 2);
        match draw(4) {
            0 if !open.is_empty() => {
                let ids: Vec<_> = open.keys().copied().collect();
                let id = ids[draw(ids.len() as u64) as usize];
                open.remove(&id);
                engine.cancel(now, id);
            }
            1 => drop(engine.advance(now)),
            _ => match engine.send(now, request(draw(6) as i64, 1 + draw(120) as u32, 1 + draw(60) as u32)) {
                Ok((id, Sent::Waiting(receiver))) => drop(open.insert(id, receiver)),
                Ok((id, Sent::Admitted(admission))) => {
                    assert!(last_admitted.is_none_or(|last| last.0 <= admission.admitted));
                    last_admitted = Some((admission.admitted, id));
                }
                Err(TooLarge { needed_blocks }) => assert!(needed_blocks > 40),
            },
        }
        let mut notified: Vec<_> =
            open.iter_mut().filter_map(|(id, wait)| Some((wait.try_recv().ok()?, *id))).collect();
        notified.sort_by_key(|(_, id)| *id);
        for (admission, id) in notified {
            open.remove(&id);
            assert!(last_admitted <= Some((admission.admitted, id)), "in order of arrival");
            assert!(admission.sent <= admission.admitted && admission.admitted <= admission.first_token);
            last_admitted = Some((admission.admitted, id));
        }
        assert!(engine.used_blocks() <= 40 && cache(&engine).pinned_blocks() <= cache(&engine).used_blocks());
    }
    engine.advance(u64::MAX);
    assert_eq!((engine.load(), cache(&engine).reserved_blocks(), cache(&engine).pinned_blocks()), ((0, 0), 0, 0));
    let (finished, [first_tokens, queue, end]) = (engine.totals().finished, counted(&engine));
    assert!(0 < finished && finished <= first_tokens);
    assert_eq!((queue, end), (finished, finished));
}
