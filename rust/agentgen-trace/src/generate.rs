//! A spec's sessions as batches, chunk by chunk, in order, on several threads.

use std::ops::Range;
use std::sync::Arc;

use agentgen_core::config::Arrival;
use agentgen_core::{ArrivalClock, Continuation, DatasetSpec, SessionGenerator};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::batch::BatchBuilder;
use crate::error::Result;
use crate::ordered::{Cancel, Ordered, stream};

/// Results that may wait for their turn, for each thread.
const WINDOW: usize = 2;

/// Runs gone over between two looks at whether to stop.
const SCAN: usize = 1 << 20;

/// Primaries that are made together, and what is needed to make them alone.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// The primaries.
    pub primaries: Range<u64>,
    /// Arrival of each, in tenths of a millisecond; empty when all arrive at 0.
    arrivals: Vec<u64>,
}

/// The sessions of one shard.
#[derive(Debug)]
pub struct Shard {
    spec: Arc<DatasetSpec>,
    primaries: Range<u64>,
    continuations: Vec<Continuation>,
}

impl Shard {
    /// Shard `index` of `count`. Finds the continuations that are written in it by going over all runs before, in
    /// windows, on several threads.
    pub fn new(spec: Arc<DatasetSpec>, index: u64, count: u64, threads: usize, cancel: &Cancel) -> Result<Self> {
        let primaries = spec.shard(index, count);
        let origins = spec.origins_before(primaries.end);
        let windows =
            (origins.start..origins.end).step_by(SCAN).map(move |start| start..origins.end.min(start + SCAN as u64));
        let mut continuations = Vec::new();
        for found in Ordered::start(threads, threads * WINDOW, cancel, windows, || {
            let (spec, slots) = (Arc::clone(&spec), primaries.clone());
            move |window: Range<u64>| Ok(spec.continuations(window, &slots))
        }) {
            continuations.extend(found?);
        }
        continuations.sort_unstable();
        Ok(Self { spec, primaries, continuations })
    }

    /// The spec.
    #[must_use]
    pub fn spec(&self) -> &Arc<DatasetSpec> {
        &self.spec
    }

    /// Its primaries.
    #[must_use]
    pub fn primaries(&self) -> Range<u64> {
        self.primaries.clone()
    }

    /// The chunks in order. Their bounds do not depend on shards, so that equal sessions share a chunk everywhere.
    pub fn chunks(self: &Arc<Self>, cancel: &Cancel) -> impl Iterator<Item = Chunk> + Send + use<> {
        let (shard, cancel) = (Arc::clone(self), cancel.clone());
        let size = shard.spec.chunk_sessions();
        let mut next = shard.primaries.start;
        let timed = shard.spec.config().arrival != Arrival::Closed;
        let mut clock = ArrivalClock::default();
        std::iter::from_fn(move || {
            if next >= shard.primaries.end {
                return None;
            }
            // A late shard's clock has all earlier arrivals to go over.
            while timed && clock.root() + (SCAN as u64) < next {
                clock.arrival_tenths(&shard.spec, clock.root() + SCAN as u64);
                if cancel.is_cancelled() {
                    return None;
                }
            }
            let end = ((next / size + 1) * size).min(shard.primaries.end);
            let primaries = next..end;
            next = end;
            let arrivals = if timed {
                primaries.clone().map(|run| clock.arrival_tenths(&shard.spec, run)).collect()
            } else {
                Vec::new()
            };
            Some(Chunk { primaries, arrivals })
        })
    }

    /// Makes a chunk's rows.
    pub fn make(
        &self,
        chunk: &Chunk,
        builder: &mut BatchBuilder,
        emit: &mut impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let spec = &*self.spec;
        let mut simulator = SessionGenerator::new(spec);
        let first = self.continuations.partition_point(|c| c.slot < chunk.primaries.start);
        let mut waiting = self.continuations[first..].iter().peekable();
        for run in chunk.primaries.clone() {
            let arrival = chunk.arrivals.get((run - chunk.primaries.start) as usize).copied().unwrap_or(0);
            builder.append(spec, &simulator.root(run, arrival)?, emit)?;
            while let Some(continuation) = waiting.next_if(|c| c.slot == run) {
                if let Some(session) = simulator.continuation(continuation.root, arrival) {
                    builder.append(spec, &session, emit)?;
                }
            }
        }
        builder.flush()?.map_or(Ok(()), emit)
    }
}

/// All batches of a shard, in order.
#[must_use]
pub fn batches(
    shard: &Arc<Shard>,
    schema: &SchemaRef,
    threads: usize,
    cancel: &Cancel,
) -> Box<dyn Iterator<Item = Result<RecordBatch>> + Send> {
    // Where a session alone can be more than a chunk's worth, no chunk is ever held whole.
    if shard.spec.chunk_sessions() == 1 {
        let (shard, mut builder, cancel) = (Arc::clone(shard), BatchBuilder::new(Arc::clone(schema)), cancel.clone());
        return Box::new(stream(WINDOW, move |emit| {
            let mut emit = |batch| cancel.check().and_then(|()| emit(batch));
            shard.chunks(&cancel).try_for_each(|chunk| shard.make(&chunk, &mut builder, &mut emit))
        }));
    }
    let chunks = Ordered::start(threads, threads * WINDOW, cancel, shard.chunks(cancel), || {
        let (shard, mut builder, cancel) = (Arc::clone(shard), BatchBuilder::new(Arc::clone(schema)), cancel.clone());
        move |chunk: Chunk| {
            let mut made = Vec::new();
            shard.make(&chunk, &mut builder, &mut |batch| {
                made.push(batch);
                cancel.check()
            })?;
            Ok(made)
        }
    });
    Box::new(chunks.flat_map(|chunk| match chunk {
        Ok(batches) => batches.into_iter().map(Ok).collect::<Vec<_>>(),
        Err(error) => vec![Err(error)],
    }))
}
