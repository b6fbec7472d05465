//! Parsing of streamed answers of 64 tokens: time per event.

use std::hint::black_box;

use agentgen_replay::answer::{Answer, End, Endpoint};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const TOKENS: usize = 64;

/// An event in the form that vLLM sends, 245 bytes.
fn event(text: &str, more: &str) -> Vec<u8> {
    let model = "meta-llama/Llama-3.1-8B-Instruct";
    format!(
        "data: {{\"id\":\"chatcmpl-8f3c0d1e2a9b4c5d8f3c0d1e2a9b4c5d\",\"object\":\"chat.completion.chunk\",\
         \"created\":1760000000,\"model\":\"{model}\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\
         \"logprobs\":null,\"finish_reason\":null}}]{more}}}\n\n"
    )
    .into_bytes()
}

/// Parses a stream to its end.
fn read(reads: &[Vec<u8>]) -> Answer {
    let mut answer = Answer::new(Endpoint::Chat, true);
    let mut now = 0;
    for read in reads {
        now += 1_000;
        answer.feed(read, now);
    }
    answer.feed(b"data: [DONE]\n\n", now);
    answer.end(End::Complete, now);
    answer
}

fn answers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("answers");
    group.throughput(Throughput::Elements(TOKENS as u64));
    let usage = ",\"usage\":{\"prompt_tokens\":512,\"completion_tokens\":3}";
    let cases = [
        ("one_event_a_read", "", "", 1),
        ("16_events_a_read", "", "", 16),
        ("parsed_escapes", "\\n", "", 1),
        ("parsed_usage", "", usage, 1),
    ];
    for (name, end, more, events) in cases {
        let stream: Vec<_> = (0..TOKENS).map(|at| event(&format!(" word{at}{end}"), more)).collect();
        let reads: Vec<_> = stream.chunks(events).map(<[_]>::concat).collect();
        group.bench_function(name, |bencher| bencher.iter(|| read(black_box(&reads))));
    }
    group.finish();
}

criterion_group!(benches, answers);
criterion_main!(benches);
