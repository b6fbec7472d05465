//! Responses of servers parse to the same answer however the network cuts their bytes.
#![allow(clippy::unwrap_used)]

mod documents;
mod failures;
mod fragments;
mod hostile;
mod items;
mod reference;

use agentgen_replay::answer::{Answer, Endpoint};
use proptest::prelude::*;
use reference::{Seen, fed, stream};
use serde_json::{Value, json};

fn delta(delta: &Value) -> String {
    json!({"id": "c1", "created": 1, "choices": [{"index": 0, "delta": delta, "finish_reason": null}]}).to_string()
}

fn finish(reason: &str) -> String {
    json!({"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": null}).to_string()
}

/// Events, each with its blank line.
fn body(events: &[String]) -> Vec<u8> {
    events.iter().flat_map(|event| format!("data: {event}\n\n").into_bytes()).collect()
}

fn whole(events: &[String]) -> Answer {
    fed(&body(events), &[], true)
}

const PLAIN: &str = concat!(
    ": hello\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null}}]}\n\n",
    "event: message\nid: 7\nretry: 5\ndata: {\"choices\":[{\"delta\":{\"content\":\"one\"}}]}\n\n",
    "data:{\"choices\":[{\"delta\":\ndata:{\"content\":\" two \u{1f680}\"}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\" three\"}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3}}\n\n",
    "data: [DONE]\n\n",
);

/// Every line ending, with and without a byte order mark, cut once at every byte, and into single bytes.
#[test]
fn line_endings_and_cuts_make_no_difference() {
    for ending in ["\n", "\r\n", "\r"] {
        for mark in ["", "\u{feff}"] {
            let body = (mark.to_owned() + &PLAIN.replace('\n', ending)).into_bytes();
            let single: Vec<usize> = (0..body.len()).collect();
            let cuts = (0..=body.len()).map(|cut| vec![cut]).chain([single]);
            for cut in cuts {
                let seen = Seen::from(&fed(&body, &cut, true));
                assert_eq!(seen.text, "one two \u{1f680} three", "{ending:?} {mark:?} {cut:?}");
                assert_eq!((seen.events, seen.failure), ([7, 3, 0], None), "{ending:?} {mark:?} {cut:?}");
                assert_eq!(seen.tokens, [Some(9), Some(3), None]);
            }
        }
    }
}

/// An event has the stamp of the read that ends it.
#[test]
fn first_token_has_the_stamp_of_its_read() {
    for ending in ["\n", "\r\n", "\r"] {
        let mut answer = Answer::new(Endpoint::Chat, true);
        let event = format!("data: {}{ending}{ending}", delta(&json!({"content": "a"})));
        answer.feed(b": ok", 5);
        answer.feed(format!("{ending}{ending}{event}").as_bytes(), 10);
        assert_eq!(answer.stamps().first_token_ns, Some(10), "{ending:?}");
        answer.feed(event.as_bytes(), 30);
        let stamps = answer.stamps();
        assert_eq!((stamps.first_byte_ns, stamps.last_token_ns, stamps.last_byte_ns), (Some(5), Some(30), Some(30)));
        assert_eq!((stamps.gaps.count(), stamps.gaps.sum()), (1, 20), "{ending:?}");
    }
}

/// Tokens of one read share its stamp, so gaps are between reads.
#[test]
fn gaps_are_between_reads_that_bring_output() {
    let token = body(&[delta(&json!({"content": "a"}))]);
    let role = body(&[delta(&json!({"role": "assistant", "content": ""}))]);
    let mut answer = Answer::new(Endpoint::Chat, true);
    for (data, stamp) in [(role, 1), (token.repeat(3), 10), (b": ping\n\n".to_vec(), 12), (token.repeat(2), 25)] {
        answer.feed(&data, stamp);
    }
    let gaps = &answer.stamps().gaps;
    assert_eq!((gaps.count(), gaps.range()), (1, Some((15, 15))));
    assert_eq!((answer.counts().output_events, answer.counts().reads), (5, 4));
}

#[test]
fn a_last_event_needs_no_blank_line_when_the_body_is_whole() {
    let mut text = body(&[delta(&json!({"content": "a"}))]);
    text.extend(b"data: [DONE]");
    assert_eq!(fed(&text, &[], true).failure(), None);
    assert_eq!(Seen::from(&fed(&text, &[], false)).failure, Some("stream_truncated"));
}

#[derive(Debug, Clone)]
struct Piece(String);

fn pieces() -> impl Strategy<Value = Piece> {
    let word = || prop_oneof![3 => " ?[a-zQ]{0,6}", 1 => any::<String>()];
    let event = |json: String| Piece(format!("data: {json}\n\n"));
    let spelling = prop::sample::select(vec!["reasoning", "reasoning_content"]);
    prop_oneof![
        20 => word().prop_map(move |text| event(delta(&json!({"content": text})))),
        6 => (spelling, word()).prop_map(move |(name, text)| event(delta(&json!({name: text, "content": null})))),
        2 => (word(), word()).prop_map(move |(one, two)|
            event(delta(&json!({"reasoning": one, "reasoning_content": one, "content": two})))),
        2 => (word(), word()).prop_map(move |(one, two)|
            event(delta(&json!({"reasoning": one, "reasoning_content": two})))),
        2 => word().prop_map(|text| {
            let json: Value = serde_json::from_str(&delta(&json!({"content": text}))).unwrap();
            let lines = serde_json::to_string_pretty(&json).unwrap().replace('\n', "\ndata:");
            Piece(format!("data:{lines}\n\n"))
        }),
        1 => Just(event(delta(&json!({"role": "assistant", "content": ""})))),
        2 => word().prop_map(move |id| event(delta(&json!({"tool_calls": [
            {"index": 0, "id": format!("x{id}"), "type": "function", "function": {"name": "f", "arguments": ""}}]})))),
        2 => word().prop_map(move |more|
            event(delta(&json!({"tool_calls": [{"index": 0, "function": {"arguments": more}}]})))),
        1 => word().prop_map(move |reason| event(finish(&format!("r{reason}")))),
        1 => (0_u64..9, prop::option::of(0_u64..9)).prop_map(move |(tokens, cached)| event(json!({"choices": [],
            "usage": {"prompt_tokens": tokens, "completion_tokens": 1,
                      "prompt_tokens_details": {"cached_tokens": cached}}}).to_string())),
        1 => (0_u64..9).prop_map(move |cached| event(json!({"usage": {"prompt_cache_hit_tokens": cached}}).to_string())),
        1 => word().prop_map(|text| Piece(format!(": {}\n\n", text.replace(['\r', '\n'], "")))),
        1 => Just(event("{\"choices\": [{".to_owned())),
        1 => Just(event("[1, 2]".to_owned())),
        1 => Just(event(String::new())),
        1 => Just(event("[DONE]".to_owned())),
        1 => Just(Piece("<html>\n".to_owned())),
        1 => Just(Piece("event: ping\n\n".to_owned())),
        1 => prop::sample::select(vec![
            "data: {\"error\": {\"message\": \"no\"}}\n\n", "event: error\ndata: no\n\n", "error: {\"code\": 500}\n\n",
        ]).prop_map(|text| Piece(text.to_owned())),
    ]
}

/// Replaces a letter of a word (no key has a Q) by invalid UTF-8.
fn spoiled(body: &mut [u8], at: Option<prop::sample::Index>) {
    let words: Vec<usize> = (0..body.len()).filter(|&at| body[at] == b'Q').collect();
    if let (Some(index), false) = (at, words.is_empty()) {
        body[*index.get(&words)] = 0xFF;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Buffers, borrowed strings and patterns give the same as the reference, however the bytes are cut.
    #[test]
    fn any_stream_cut_anywhere_parses_like_the_reference(
        pieces in prop::collection::vec(pieces(), 0..40),
        endings in prop::collection::vec(0..3_usize, 1..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
        spoil in prop::option::weighted(0.1, any::<prop::sample::Index>()),
        complete in prop::bool::weighted(0.8),
        mark: bool,
    ) {
        let text: String = pieces.into_iter().map(|piece| piece.0).collect();
        let mut body = if mark { "\u{feff}".as_bytes().to_vec() } else { Vec::new() };
        for (at, line) in text.split_inclusive('\n').enumerate() {
            body.extend(line.trim_end_matches('\n').bytes());
            body.extend(["\n", "\r\n", "\r"][endings[at % endings.len()]].bytes());
        }
        spoiled(&mut body, spoil);
        let cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        let expected = stream(&body, complete);
        prop_assert_eq!(&Seen::from(&fed(&body, &cuts, complete)), &expected);
        prop_assert_eq!(&Seen::from(&fed(&body, &[], complete)), &expected);
    }
}
