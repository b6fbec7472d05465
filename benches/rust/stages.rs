//! Each stage of the pipeline, in the order of the data.

use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;

use agentgen_analysis::validate::{Options, validate};
use agentgen_benches::{SEED, all_columns, make, measure, sessions, shard, simulate};
use agentgen_core::dist::Lognormal;
use agentgen_core::rng::{Purpose, RandomStreams};
use agentgen_core::{ConfigError, DatasetSpec, Layout, RowIds, Session, SessionGenerator};
use agentgen_trace::Cancel;
use agentgen_trace::batch::BatchBuilder;
use agentgen_trace::generate::Shard;
use agentgen_trace::sink::{jsonl, parquet};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const PRESET: &str = "aiperf-1k-200k";
const SESSIONS: u64 = 2_000;

fn sampler(c: &mut Criterion) {
    let distribution = Lognormal::new(8.0, 0.9, 1.0, 50_000.0).expect("values lie between 1 and 50,000");
    let mut stream = RandomStreams::new(SEED).stream(Purpose::Content, 0);
    let mut group = c.benchmark_group("sampler");
    group.throughput(Throughput::Elements(1));
    group.bench_function("truncated lognormal", |b| b.iter(|| distribution.quantile(stream.uniform())));
    group.finish();
}

fn session(c: &mut Criterion, spec: &DatasetSpec) {
    let mut group = c.benchmark_group("session");
    group.throughput(Throughput::Elements(SESSIONS));
    group.bench_function("turns", |b| {
        let mut generator = SessionGenerator::new(spec);
        b.iter(|| {
            for root in 0..SESSIONS {
                each_session(&mut generator, root, |session| {
                    black_box(session);
                });
            }
        });
    });
    group.finish();
}

fn ids(c: &mut Criterion, spec: &DatasetSpec) {
    let mut generator = SessionGenerator::new(spec);
    let mut longest = (0, 0);
    for root in 0..SESSIONS {
        each_session(&mut generator, root, |session| longest = longest.max((session.turns.len(), root)));
    }
    each_session(&mut generator, longest.1, |session| {
        let mut group = c.benchmark_group("ids");
        group.throughput(Throughput::Elements(session.turns.len() as u64));
        group.bench_function("id ranges of a row", |b| {
            let mut ranges = Vec::new();
            b.iter(|| {
                let mut ids = RowIds::new(spec.ids(), spec.layout(), session);
                for turn in 0..session.turns.len() {
                    ids.row(session, turn, &mut ranges);
                    black_box(&ranges);
                }
            });
        });
        group.finish();
    });
}

/// Calls `each` with the sessions of a root session's bundle.
fn each_session(generator: &mut SessionGenerator<'_>, root: u64, mut each: impl FnMut(&Session<'_>)) {
    let each = &mut |session: &Session<'_>| {
        each(session);
        Ok::<_, ConfigError>(())
    };
    generator.root_bundle(root, 0, each).expect("presets can be generated");
}

fn encode(c: &mut Criterion, shard: &Arc<Shard>) {
    let schema = all_columns(shard.spec());
    let mut builder = BatchBuilder::new(Arc::clone(&schema));
    let batches = make(shard, &mut builder);
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Elements(SESSIONS));
    group.bench_function("batch", |b| b.iter(|| make(shard, &mut builder)));
    group.bench_function("jsonl", |b| {
        let mut text = Vec::new();
        b.iter(|| {
            text.clear();
            for batch in &batches {
                jsonl::write(batch, shard.spec().layout(), &mut text).expect("all columns are there");
            }
            black_box(&text);
        });
    });
    let (_, encoder) = parquet::Writer::start(Vec::new(), &schema).expect("writing to a buffer succeeds");
    group.bench_function("parquet", |b| {
        b.iter(|| {
            let mut row_group = encoder.begin().expect("canonical columns");
            for batch in &batches {
                row_group.add(batch).expect("a canonical batch");
            }
            row_group.finish().expect("canonical batches")
        });
    });
    group.finish();
}

fn check(c: &mut Criterion, shard: &Arc<Shard>) {
    let mut text = Vec::new();
    for batch in make(shard, &mut BatchBuilder::new(all_columns(shard.spec()))) {
        jsonl::write(&batch, shard.spec().layout(), &mut text).expect("all columns are there");
    }
    let mut file = tempfile::NamedTempFile::with_suffix(".jsonl").expect("a temporary file");
    file.write_all(&text).expect("room for a temporary file");
    let paths = [file.path().to_owned()];
    // A JSONL file without a manifest does not record its layout and block size.
    let options = Options {
        trace_layout: Some(Layout::Incremental),
        trace_block_size: Some(512),
        threads: 1,
        ..Options::default()
    };
    let mut group = c.benchmark_group("validate");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("jsonl, one thread", |b| {
        b.iter(|| validate(&paths, &options, &Cancel::default(), &mut |_, _| ()).expect("a readable trace"));
    });
    group.finish();
}

fn reuse(c: &mut Criterion, shard: &Arc<Shard>) {
    let batches = make(shard, &mut BatchBuilder::new(all_columns(shard.spec())));
    let mut group = c.benchmark_group("reuse");
    group.throughput(Throughput::Elements(batches.iter().map(|batch| batch.num_rows() as u64).sum()));
    group.bench_function("requests", |b| b.iter(|| measure(shard.spec(), &batches)));
    group.finish();
}

fn simulator(c: &mut Criterion, shard: &Arc<Shard>) {
    let batches = make(shard, &mut BatchBuilder::new(all_columns(shard.spec())));
    let (clock, sessions) = sessions(shard.spec(), &batches);
    let mut group = c.benchmark_group("simulate");
    group.throughput(Throughput::Elements(batches.iter().map(|batch| batch.num_rows() as u64).sum()));
    // A cache that holds every block, and one that evicts.
    for capacity in [1_000_000, 16_000] {
        group.bench_function(format!("{capacity} blocks"), |b| {
            let again = || sessions.clone();
            b.iter_batched(again, |sessions| simulate(shard.spec(), clock, sessions, capacity), BatchSize::LargeInput);
        });
    }
    group.finish();
}

fn stages(c: &mut Criterion) {
    let shard = shard(PRESET, SESSIONS);
    sampler(c);
    session(c, shard.spec());
    ids(c, shard.spec());
    encode(c, &shard);
    check(c, &shard);
    reuse(c, &shard);
    simulator(c, &shard);
}

criterion_group!(benches, stages);
criterion_main!(benches);
