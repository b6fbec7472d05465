//! `hot-loops batches|jsonl|reuse|simulate PRESET SESSIONS THREADS`: generate sessions and discard the output. `reuse`
//! also measures reuse on the reference timeline and `simulate` runs the simulator, both always on one thread.
//!
//! Prints one line of JSON: rows, bytes, seconds (`simulate`: without generating the sessions). One thread executes the
//! same instructions in every run; `benches/instructions.py` counts them. The comparison with `AIPerf` times several
//! threads.

use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use agentgen_benches::{all_columns, make, measure, sessions, shard, simulate};
use agentgen_trace::Cancel;
use agentgen_trace::batch::BatchBuilder;
use agentgen_trace::generate::Shard;
use agentgen_trace::sink::jsonl;
use arrow_array::RecordBatch;

/// Rows and bytes generated.
#[derive(Clone, Copy, Default)]
struct Made {
    rows: usize,
    bytes: usize,
}

fn generate(shard: &Arc<Shard>, threads: usize, as_jsonl: bool) -> Made {
    let plan = shard.spec();
    let chunks = Mutex::new(shard.chunks(&Cancel::default()));
    let next = || chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
    let worker = || {
        let mut builder = BatchBuilder::new(all_columns(plan));
        let mut text = Vec::new();
        let mut made = Made::default();
        while let Some(chunk) = next() {
            let done = shard.make(&chunk, &mut builder, &mut |batch| {
                made.rows += batch.num_rows();
                if as_jsonl {
                    text.clear();
                    jsonl::write(&batch, plan.layout(), &mut text)?;
                    made.bytes += text.len();
                }
                black_box((&batch, &text));
                Ok(())
            });
            done.expect("presets can be generated");
        }
        made
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("no panic"))
            .fold(Made::default(), |sum, made| Made { rows: sum.rows + made.rows, bytes: sum.bytes + made.bytes })
    })
}

fn follow(shard: &Arc<Shard>) -> Made {
    let batches = make(shard, &mut BatchBuilder::new(all_columns(shard.spec())));
    black_box(measure(shard.spec(), &batches));
    Made { rows: batches.iter().map(RecordBatch::num_rows).sum(), bytes: 0 }
}

/// Capacity of the simulated cache: the blocks of a few minutes of sessions.
const CAPACITY_BLOCKS: u64 = 16_000;

/// Simulates the sessions; returns when the simulation started.
fn serve(shard: &Arc<Shard>) -> (Made, Instant) {
    let batches = make(shard, &mut BatchBuilder::new(all_columns(shard.spec())));
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    let (clock, sessions) = sessions(shard.spec(), &batches);
    let start = Instant::now();
    black_box(simulate(shard.spec(), clock, sessions, CAPACITY_BLOCKS));
    (Made { rows, bytes: 0 }, start)
}

#[allow(clippy::print_stdout)]
fn main() {
    let usage = "usage: hot-loops batches|jsonl|reuse|simulate PRESET SESSIONS THREADS";
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [loops, preset, sessions, threads] = arguments.as_slice() else { panic!("{usage}") };
    let shard = shard(preset, sessions.parse().expect(usage));
    let threads = threads.parse().expect(usage);
    let start = Instant::now();
    let (Made { rows, bytes }, start) = match loops.as_str() {
        "batches" => (generate(&shard, threads, false), start),
        "jsonl" => (generate(&shard, threads, true), start),
        "reuse" => (follow(&shard), start),
        "simulate" => serve(&shard),
        _ => panic!("{usage}"),
    };
    let seconds = start.elapsed().as_secs_f64();
    println!(r#"{{"rows": {rows}, "bytes": {bytes}, "seconds": {seconds}}}"#);
}
