//! Generates the sessions of a spec as batches, chunk by chunk, in order, on several threads.

use std::ops::Range;
use std::sync::Arc;

use agentgen_core::config::Arrival;
use agentgen_core::{ArrivalClock, Continuation, DatasetSpec, Session, SessionGenerator};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::batch::BatchBuilder;
use crate::error::Result;
use crate::ordered::{Cancel, Ordered, stream};

/// Results that may wait, per thread.
const WINDOW: usize = 2;

/// Root sessions scanned between two checks for cancellation.
const SCAN: usize = 1 << 20;

/// Root sessions that are generated together, and all that their generation needs.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// The root sessions.
    pub roots: Range<u64>,
    /// Arrival of each, in tenths of a millisecond; empty if all arrive at 0.
    arrivals: Vec<u64>,
}

/// The sessions of one shard.
#[derive(Debug)]
pub struct Shard {
    spec: Arc<DatasetSpec>,
    roots: Range<u64>,
    continuations: Vec<Continuation>,
}

impl Shard {
    /// Shard `index` of `count`. Finds the continuations that belong to it by scanning all earlier root sessions, in
    /// windows, on several threads.
    pub fn new(spec: Arc<DatasetSpec>, index: u64, count: u64, threads: usize, cancel: &Cancel) -> Result<Self> {
        let roots = spec.shard(index, count);
        let origins = spec.origins_before(roots.end);
        let windows =
            (origins.start..origins.end).step_by(SCAN).map(move |start| start..origins.end.min(start + SCAN as u64));
        let mut continuations = Vec::new();
        for found in Ordered::start(threads, threads * WINDOW, cancel, windows, || {
            let (spec, slots) = (Arc::clone(&spec), roots.clone());
            move |window: Range<u64>| Ok(spec.continuations(window, &slots))
        }) {
            continuations.extend(found?);
        }
        continuations.sort_unstable();
        Ok(Self { spec, roots, continuations })
    }

    /// The spec.
    #[must_use]
    pub fn spec(&self) -> &Arc<DatasetSpec> {
        &self.spec
    }

    /// Its root sessions.
    #[must_use]
    pub fn roots(&self) -> Range<u64> {
        self.roots.clone()
    }

    /// The chunks in order. Their bounds do not depend on shards, so that a session is in the same chunk in every shard.
    pub fn chunks(self: &Arc<Self>, cancel: &Cancel) -> impl Iterator<Item = Chunk> + Send + use<> {
        let (shard, cancel) = (Arc::clone(self), cancel.clone());
        let size = shard.spec.chunk_sessions();
        let mut next = shard.roots.start;
        let timed = shard.spec.config().arrival != Arrival::Closed;
        let mut clock = ArrivalClock::default();
        std::iter::from_fn(move || {
            if next >= shard.roots.end {
                return None;
            }
            // The arrival of a root session is a sum over all earlier ones.
            while timed && clock.root() + (SCAN as u64) < next {
                clock.arrival_tenths(&shard.spec, clock.root() + SCAN as u64);
                if cancel.is_cancelled() {
                    return None;
                }
            }
            let end = ((next / size + 1) * size).min(shard.roots.end);
            let roots = next..end;
            next = end;
            let arrivals = if timed {
                roots.clone().map(|root| clock.arrival_tenths(&shard.spec, root)).collect()
            } else {
                Vec::new()
            };
            Some(Chunk { roots, arrivals })
        })
    }

    /// Generates a chunk's rows.
    pub fn make(
        &self,
        chunk: &Chunk,
        builder: &mut BatchBuilder,
        emit: &mut impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let spec = &*self.spec;
        let mut generator = SessionGenerator::new(spec);
        let first = self.continuations.partition_point(|c| c.slot < chunk.roots.start);
        let mut waiting = self.continuations[first..].iter().peekable();
        for root in chunk.roots.clone() {
            let arrival = chunk.arrivals.get((root - chunk.roots.start) as usize).copied().unwrap_or(0);
            let mut append = |session: &Session<'_>| builder.append(spec, session, emit);
            generator.root_bundle(root, arrival, &mut append)?;
            while let Some(continuation) = waiting.next_if(|c| c.slot == root) {
                generator.restart_bundle(continuation.root, arrival, &mut append)?;
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
    // If a single session can exceed the size of a chunk, batches are passed on one by one.
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
            let mut batches = Vec::new();
            shard.make(&chunk, &mut builder, &mut |batch| {
                batches.push(batch);
                cancel.check()
            })?;
            Ok(batches)
        }
    });
    Box::new(chunks.flat_map(|chunk| match chunk {
        Ok(batches) => batches.into_iter().map(Ok).collect::<Vec<_>>(),
        Err(error) => vec![Err(error)],
    }))
}
