//! Capacity planning: the smallest cache, and the smallest number of replicas, with a target hit rate.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use agentgen_trace::meta::PROGRAM;
use agentgen_trace::{Cancel, Result};

use super::fleet::Fleet;
use super::plan_report::{Plan, PlanOptions, SCHEMA_VERSION};
use super::{Options, TimelineFacts, located};
use crate::reuse;
use agentgen_trace::session::{self, Session};

/// Why no capacity or number of replicas reaches the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impossible(pub String);

/// Hit rates of `Plan::points`, as shares of the limit.
const SHARES: [f64; 7] = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0];

/// Plans the KV memory for a trace. `done` counts sessions.
pub fn plan(
    trace: &PathBuf,
    options: &Options,
    target: &PlanOptions,
    cancel: &Cancel,
    done: &AtomicU64,
) -> Result<Result<Plan, Impossible>> {
    let source = options.resolve(trace)?;
    let settings = options.settings(&source);
    let impossible = |why: String| Ok(Err(Impossible(format!("{}: {why}", trace.display()))));
    let (clock, sessions) = session::open(&source, options.threads, cancel).map_err(|error| located(trace, error))?;
    options.check_concurrency(clock).map_err(|error| located(trace, error))?;
    // The search for replicas reads the sessions several times; one cache reads them once.
    let mut kept = Vec::new();
    let mut counted = 0;
    let sessions = sessions.inspect(|session| {
        if let (Some(_), Ok(session)) = (target.replica_bytes, session) {
            kept.push(session.clone());
        }
        done.fetch_add(1, Ordering::Relaxed);
    });
    let each = |session: &Session| counted += u64::from(session.names_its_session());
    let reuse = reuse::measure(clock, sessions, &settings, cancel, each).map_err(|error| located(trace, error))?;
    let curve = &reuse.curve;
    let session_bytes = target.session_bytes(reuse.peak_open_sessions);
    let point = |hit_rate: f64| {
        let capacity = curve.capacity_for(hit_rate)?;
        Some(target.point(capacity, curve.hit_rate(capacity), settings.block_tokens, session_bytes))
    };
    let Some(capacity) = point(target.target_hit_rate) else {
        return impossible(format!(
            "target hit rate: found {}, expected at most {:.4}, what an infinite cache finds of all block references",
            target.target_hit_rate,
            (curve.limit() * 1e4).floor() / 1e4
        ));
    };
    let replicas = match target.replica_bytes {
        None => None,
        Some(_) if counted == 0 => {
            return impossible(
                "replica memory: the trace names no sessions, so its requests cannot be kept together on a replica \
                 (leave it out: the plan is then of one cache)"
                    .to_owned(),
            );
        }
        Some(bytes) => match Fleet::new(clock, kept, settings).replicas(bytes, target, cancel)? {
            Ok(replicas) => Some(replicas),
            Err(why) => return impossible(why),
        },
    };
    Ok(Ok(Plan {
        schema_version: SCHEMA_VERSION,
        program: PROGRAM.to_owned(),
        trace: trace.display().to_string(),
        sessions: counted,
        trace_block_size: settings.id_tokens,
        block_size: settings.block_tokens,
        cached_outputs: settings.cached_outputs,
        timeline: TimelineFacts::new(&reuse, &settings.timing),
        model: target.model.clone(),
        kv_dtype: target.kv_dtype.clone(),
        kv_bytes_per_token: target.kv_bytes_per_token,
        kv_bytes_per_session: target.kv_bytes_per_session,
        session_bytes,
        target_hit_rate: target.target_hit_rate,
        limit_hit_rate: curve.limit(),
        capacity,
        points: SHARES.iter().filter_map(|share| point(share * curve.limit())).collect(),
        replicas,
    }))
}
