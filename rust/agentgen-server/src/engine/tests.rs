//! On a clock of numbers: nothing here waits.

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
    engine.engine.replicas()[0].cache()
}

/// A prompt of tokens that begin at `first`, and its output.
fn ask(first: i64, context_tokens: u32, output_tokens: u32) -> EngineRequest {
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
fn an_answer_takes_exactly_the_modelled_time() {
    let mut engine = engine(1000);
    let first = admitted(engine.send(5, ask(1, 50, 20)));
    let expected =
        Admission { sent: 5, admitted: 5, first_token: 5 + SECOND / 2, end: 5 + SECOND * 5 / 2, cached_tokens: 0 };
    assert_eq!(first, expected);
    // Later, the same conversation goes on: 70 tokens, of which the last one sampled has no KV.
    let next = admitted(engine.send(10 * SECOND, ask(1, 80, 20)));
    assert_eq!(next.cached_tokens, 68);
    assert_eq!(next.first_token, 10 * SECOND + 120_000_000);
}

#[test]
fn rates_of_zero_mean_at_once() {
    let mut engine = Engine::new(system(10, 0.0, 0.0));
    for now in 0..100 {
        let admission = admitted(engine.send(now, ask(now as i64, 20, 20)));
        assert_eq!((admission.first_token, admission.end), (now, now));
        assert_eq!(engine.load(), (0, 0));
    }
    assert_eq!(engine.used_blocks(), 9, "40 tokens, of which the last has no KV");
}

#[test]
fn prefill_is_one_after_the_other_in_the_order_of_arrival() {
    let mut engine = engine(1000);
    let first = admitted(engine.send(0, ask(1, 100, 10)));
    let (_, mut second) = waiting(engine.send(1, ask(2, 50, 10)));
    let (_, mut third) = waiting(engine.send(2, ask(3, 10, 10)));
    assert_eq!(engine.load(), (1, 2));
    assert_eq!(engine.advance(first.first_token - 1), Some(first.first_token));
    assert!(second.try_recv().is_err());
    engine.advance(first.first_token);
    let second = second.try_recv().expect("the unit is idle");
    assert_eq!((second.sent, second.admitted, second.first_token), (1, SECOND, SECOND * 3 / 2));
    assert!(third.try_recv().is_err());
    // However late it is looked at, the times are the model's.
    engine.advance(100 * SECOND);
    let third = third.try_recv().expect("the unit is idle");
    assert_eq!((third.admitted, third.first_token), (SECOND * 3 / 2, SECOND * 8 / 5));
    assert_eq!(engine.load(), (0, 0));
}

#[test]
fn what_does_not_fit_waits_and_nobody_overtakes_it() {
    let mut engine = engine(20);
    let first = admitted(engine.send(0, ask(1, 40, 20)));
    // 15 blocks are taken; 8 more are too many, though 1 would fit.
    let (_, mut large) = waiting(engine.send(SECOND, ask(2, 16, 16)));
    let (_, mut small) = waiting(engine.send(SECOND, ask(3, 2, 2)));
    assert_eq!(engine.advance(first.end - 1), Some(first.end));
    assert!(large.try_recv().is_err() && small.try_recv().is_err());
    engine.advance(first.end);
    assert_eq!(large.try_recv().expect("there is room").admitted, first.end);
    engine.advance(first.end + SECOND);
    assert!(small.try_recv().is_ok());
}

#[test]
fn what_is_larger_than_the_memory_fails_at_once() {
    let mut engine = engine(20);
    assert_eq!(engine.send(0, ask(1, 61, 20)).err(), Some(TooLarge { needed_blocks: 21 }));
    assert_eq!(admitted(engine.send(0, ask(1, 60, 20))).admitted, 0);
}

#[test]
fn a_client_that_goes_frees_everything_at_once() {
    let mut engine = engine(20);
    // While it waits.
    let (first, _) = engine.send(0, ask(1, 40, 20)).expect("it fits");
    let (second, _kept) = waiting(engine.send(0, ask(2, 40, 20)));
    let (_, mut third) = waiting(engine.send(0, ask(3, 12, 4)));
    engine.cancel(1, second);
    assert_eq!(engine.load(), (1, 1));
    // In its prefill: the next one begins.
    engine.cancel(SECOND / 10, first);
    assert_eq!(third.try_recv().expect("the unit is idle").admitted, SECOND / 10);
    assert_eq!(cache(&engine).reserved_blocks(), 1);
    // Again: nothing.
    engine.cancel(SECOND / 10, first);
    engine.advance(100 * SECOND);
    assert_eq!((engine.load(), cache(&engine).reserved_blocks(), cache(&engine).pinned_blocks()), ((0, 0), 0, 0));
    // While it writes: what it wrote stays.
    let (id, _) = engine.send(200 * SECOND, ask(4, 40, 40)).expect("it fits");
    engine.cancel(200 * SECOND + SECOND * 4 / 10 + SECOND, id);
    assert_eq!((engine.load(), cache(&engine).reserved_blocks(), cache(&engine).pinned_blocks()), ((0, 0), 0, 0));
    let again = admitted(engine.send(300 * SECOND, ask(4, 80, 0)));
    assert_eq!(again.cached_tokens, 48, "40 of the prompt and 10 of 11 written");
}

#[test]
fn of_a_prefill_that_is_given_up_only_what_was_computed_stays() {
    let mut engine = engine(1000);
    engine.send(0, ask(1, 40, 0)).expect("it fits");
    // 40 of 100 tokens are there; of the others 30 are computed in 0.3 s.
    let (id, _) = engine.send(10 * SECOND, ask(1, 100, 8)).expect("it fits");
    engine.cancel(10 * SECOND + SECOND * 3 / 10, id);
    assert_eq!((engine.used_blocks(), cache(&engine).pinned_blocks()), (17, 0));
    assert_eq!(admitted(engine.send(20 * SECOND, ask(1, 100, 8))).cached_tokens, 68);
    // At once: nothing is lost, nothing is won.
    let (id, _) = engine.send(100 * SECOND, ask(1, 200, 8)).expect("it fits");
    engine.cancel(100 * SECOND, id);
    assert_eq!(engine.used_blocks(), 26);
}

/// Of first tokens, of waits and of whole answers, how many were counted.
fn counted(engine: &Engine) -> [u64; 3] {
    let Times { first_token, queue, end } = engine.times();
    [first_token, queue, end].map(Histogram::count)
}

#[test]
fn times_are_of_what_happened() {
    let mut engine = engine(1000);
    // Given up in the queue, in the prefill, while it writes; and one that ends.
    let (prefilling, _) = engine.send(0, ask(1, 100, 10)).expect("it fits");
    let (queued, _kept) = waiting(engine.send(0, ask(2, 100, 10)));
    engine.cancel(SECOND / 10, queued);
    engine.cancel(SECOND / 5, prefilling);
    assert_eq!(counted(&engine), [0, 0, 0]);
    let (writing, _) = engine.send(10 * SECOND, ask(3, 100, 10)).expect("it fits");
    engine.cancel(10 * SECOND + SECOND * 3 / 2, writing);
    assert_eq!(counted(&engine), [1, 0, 0]);
    engine.send(20 * SECOND, ask(4, 100, 10)).expect("it fits");
    engine.advance(30 * SECOND);
    assert_eq!(counted(&engine), [2, 1, 1]);
}

/// Small numbers without a pattern.
fn draws() -> impl FnMut(u64) -> u64 {
    let mut drawn = 0;
    move |below| {
        drawn += 1;
        xxhash_rust::xxh3::xxh3_64(&u64::to_le_bytes(drawn)) % below
    }
}

#[test]
fn whatever_comes_and_goes_the_books_balance_and_the_order_is_kept() {
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
            _ => match engine.send(now, ask(draw(6) as i64, 1 + draw(120) as u32, 1 + draw(60) as u32)) {
                Ok((id, Sent::Waiting(receiver))) => drop(open.insert(id, receiver)),
                Ok((id, Sent::Admitted(admission))) => {
                    assert!(last_admitted.is_none_or(|last| last.0 <= admission.admitted));
                    last_admitted = Some((admission.admitted, id));
                }
                Err(TooLarge { needed_blocks }) => assert!(needed_blocks > 40),
            },
        }
        let mut told: Vec<_> = open.iter_mut().filter_map(|(id, wait)| Some((wait.try_recv().ok()?, *id))).collect();
        told.sort_by_key(|(_, id)| *id);
        for (admission, id) in told {
            open.remove(&id);
            assert!(last_admitted <= Some((admission.admitted, id)), "in the order of arrival");
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
