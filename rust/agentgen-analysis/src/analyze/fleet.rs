//! Number of replicas for a target hit rate: a trace measured on several equal replicas.

use agentgen_trace::{Cancel, Result};

use super::plan_report::{PlanOptions, PlanPoint, Replicas};
use crate::reuse::{self, Curve, Settings};
use agentgen_trace::session::{Session, TraceTiming};

/// The sessions of a trace in memory, measured once for each number of replicas.
pub(super) struct Fleet {
    clock: TraceTiming,
    /// In order of their start.
    sessions: Vec<Session>,
    /// By session number: number of the root session at the start of its chain of parents.
    roots: Vec<u64>,
    settings: Settings,
}

/// Hit rate curves of the caches of all replicas.
struct Caches {
    curves: Vec<Curve>,
    /// Maximum number of open sessions on a replica.
    open_sessions: u64,
}

impl Fleet {
    pub(super) fn new(clock: TraceTiming, sessions: Vec<Session>, settings: Settings) -> Self {
        let mut roots: Vec<u64> = (0..sessions.len() as u64).collect();
        let mut links: Vec<(u64, u64)> = sessions.iter().filter_map(|s| Some((s.number, s.link.parent()?))).collect();
        // A parent's number is below its continuation's.
        links.sort_unstable();
        for (number, parent) in links {
            roots[number as usize] = roots[parent as usize];
        }
        Self { clock, sessions, roots, settings }
    }

    /// The smallest number of replicas with `replica_bytes` each that reach the target; the inner error says why none
    /// does.
    pub(super) fn replicas(
        &self,
        replica_bytes: u64,
        target: &PlanOptions,
        cancel: &Cancel,
    ) -> Result<Result<Replicas, String>> {
        let most = match self.clock {
            TraceTiming::Closed => self.settings.timing.concurrency.min(self.sessions.len()),
            TraceTiming::Arrivals | TraceTiming::Recorded => self.sessions.len(),
        } as u64;
        let need = |replicas: u64| -> Result<Option<PlanPoint>> {
            let caches = self.caches(replicas, cancel)?;
            let session_bytes = target.kv_bytes_per_session.saturating_mul(caches.open_sessions);
            let capacity = caches.capacity_for(target.target_hit_rate);
            let point =
                |capacity| target.point(capacity, caches.hit_rate(capacity), self.settings.block_tokens, session_bytes);
            Ok(capacity.map(point))
        };
        let fits = |point: &PlanPoint| point.capacity_bytes <= replica_bytes;
        // Double the number until it suffices, then bisect.
        let (mut too_few, mut enough) = (0, 1);
        let mut each = need(enough)?;
        while !each.as_ref().is_some_and(fits) && enough < most {
            too_few = enough;
            enough = (2 * enough).min(most);
            each = need(enough)?;
        }
        let mut each = match each {
            Some(point) if fits(&point) => point,
            Some(point) => {
                // The largest unit in which both sizes have different digits.
                let units = [(1e8, "GB"), (1e5, "MB"), (1e2, "kB")];
                let (tenth, unit) =
                    units.into_iter().find(|(tenth, _)| replica_bytes as f64 >= *tenth).unwrap_or(units[2]);
                return Ok(Err(format!(
                    "replica memory: found {:.1} {unit}, expected at least {:.1} {unit}, what it takes with {most} \
                     replicas for a hit rate of {}",
                    (replica_bytes as f64 / tenth).floor() / 10.0,
                    (point.capacity_bytes as f64 / tenth).ceil() / 10.0,
                    target.target_hit_rate
                )));
            }
            None => {
                return Ok(Err(format!(
                    "replica memory: {most} replicas find less than {} whatever their memory, since each holds its own \
                     copy of what all sessions share (lower the target, or raise the memory)",
                    target.target_hit_rate
                )));
            }
        };
        while enough - too_few > 1 {
            let between = too_few + (enough - too_few) / 2;
            match need(between)?.filter(fits) {
                Some(point) => (enough, each) = (between, point),
                None => too_few = between,
            }
        }
        let concurrency_each = (self.clock == TraceTiming::Closed).then(|| self.slots(enough));
        Ok(Ok(Replicas { replica_bytes, replicas: enough, concurrency_each, each }))
    }

    fn slots(&self, replicas: u64) -> usize {
        self.settings.timing.concurrency.div_ceil(replicas as usize)
    }

    /// Measures the trace on `replicas`: replica `i` of `n` has the sessions whose root session has number `i` modulo
    /// `n`, and an equal share of the slots.
    fn caches(&self, replicas: u64, cancel: &Cancel) -> Result<Caches> {
        let mut shares: Vec<Vec<&Session>> = vec![Vec::new(); replicas as usize];
        for session in &self.sessions {
            shares[(self.roots[session.number as usize] % replicas) as usize].push(session);
        }
        let mut settings = self.settings;
        settings.timing.concurrency = self.slots(replicas);
        let mut caches = Caches { curves: Vec::new(), open_sessions: 0 };
        for share in shares {
            let reuse = reuse::measure(self.clock, share.into_iter().map(Ok), &settings, cancel, |_| ())?;
            caches.open_sessions = caches.open_sessions.max(reuse.peak_open_sessions.unwrap_or(0));
            caches.curves.push(reuse.curve);
        }
        Ok(caches)
    }
}

impl Caches {
    /// Blocks found / all blocks of the prompts, over all replicas with this capacity each.
    fn hit_rate(&self, capacity_blocks: u64) -> f64 {
        let hits: u64 = self.curves.iter().map(|curve| curve.hits(capacity_blocks)).sum();
        let blocks: u64 = self.curves.iter().map(Curve::blocks).sum();
        reuse::ratio(hits, blocks)
    }

    /// The smallest capacity per replica with this hit rate over all replicas.
    fn capacity_for(&self, hit_rate: f64) -> Option<u64> {
        let most = self.curves.iter().map(Curve::last_capacity).max()?;
        let (mut too_small, mut enough) = (0, most);
        if self.hit_rate(enough) < hit_rate {
            return None;
        }
        while enough - too_small > 1 {
            let between = too_small + (enough - too_small) / 2;
            if self.hit_rate(between) >= hit_rate { enough = between } else { too_small = between }
        }
        Some(enough)
    }
}
