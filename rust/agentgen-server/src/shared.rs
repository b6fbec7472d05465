//! State shared by all connections, and a request's claim on it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use agentgen_engine::serving::{RequestId, System, TooLarge};
use futures_timer::Delay;
use tokio::sync::Notify;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::answer::AnswerTemplate;
use crate::engine::{Admission, Engine, EngineRequest, Sent};
use crate::fault::Faults;
use crate::metrics::{Metrics, Outcome};
use crate::options::Options;
use crate::records::Records;

/// State shared by all connections.
pub struct Shared {
    /// Options of the server.
    pub options: Options,
    /// What all answers share.
    pub template: Arc<AnswerTemplate>,
    /// Counters.
    pub metrics: Metrics,
    /// The last requests, if they are kept.
    pub records: Option<Records>,
    /// The modelled system.
    pub system: System,
    engine: Mutex<Engine>,
    /// Notified when an event may be due earlier than the one the driver waits for.
    changed: Notify,
    started: Instant,
    next_number: AtomicU64,
}

impl Shared {
    /// The state of a server that starts now.
    pub fn new(options: Options) -> Self {
        let created = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let model = serde_json::Value::from(options.model.as_str()).to_string();
        let system = options.system();
        Self {
            template: Arc::new(AnswerTemplate {
                model_name: options.model.clone(),
                model,
                block_tokens: options.block_tokens,
                created,
            }),
            metrics: Metrics::new(),
            records: options.debug.then(Records::default),
            engine: Mutex::new(Engine::new(system)),
            system,
            changed: Notify::new(),
            started: Instant::now(),
            next_number: AtomicU64::new(0),
            options,
        }
    }

    /// Time since the server started, ns.
    pub fn now(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    /// The number of the next request.
    pub fn number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// The engine, advanced to now.
    pub fn engine(&self) -> MutexGuard<'_, Engine> {
        let mut engine = self.lock();
        engine.advance(self.now());
        engine
    }

    /// Sends a request to the engine; its body was read at `now`.
    pub fn send(&self, now: u64, request: EngineRequest) -> Result<(RequestId, Sent), TooLarge> {
        let mut engine = self.lock();
        let sent = engine.send(now, request);
        if engine.next_event().is_some() {
            self.changed.notify_one();
        }
        sent
    }

    /// Injects random faults into the answer of a request.
    pub fn inject(&self, number: u64, faults: &mut Faults) {
        for (index, random) in self.options.faults.iter().enumerate() {
            let draw = xxh3_64_with_seed(&[number, index as u64].map(u64::to_le_bytes).concat(), self.options.seed);
            if ((draw >> 11) as f64) < random.probability * (1u64 << 53) as f64 {
                faults.add(&random.fault).expect("checked when the server started");
            }
        }
    }

    /// Advances the engine when an event is due, so that waiting requests are notified at once.
    pub async fn drive(&self) {
        loop {
            let next = self.lock().advance(self.now());
            let mut changed = pin!(self.changed.notified());
            let Some(next) = next else {
                changed.await;
                continue;
            };
            let mut delay = self.delay_until(next);
            poll_fn(|context| {
                if changed.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
                Pin::new(&mut delay).poll(context)
            })
            .await;
        }
    }

    /// Completes at `time`.
    pub fn delay_until(&self, time: u64) -> Delay {
        Delay::new(Duration::from_nanos(time.saturating_sub(self.now())))
    }

    fn lock(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is being answered. Dropping it cancels a request that was not answered.
pub struct Ticket {
    /// State shared by all connections.
    pub shared: Arc<Shared>,
    number: u64,
    id: Option<RequestId>,
    outcome: Option<Outcome>,
}

impl Ticket {
    /// Request number `number`, which is not in the engine yet.
    pub fn new(shared: Arc<Shared>, number: u64) -> Self {
        Self { shared, number, id: None, outcome: None }
    }

    /// Number of the request.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Records that the request is in the engine.
    pub fn entered(&mut self, id: RequestId) {
        self.id = Some(id);
    }

    /// Records the admission.
    pub fn admitted(&self, admission: &Admission) {
        if let Some(records) = &self.shared.records {
            records.admitted(self.number, admission.cached_tokens);
        }
    }

    /// Sets the outcome, unless it is set; without one, the client has disconnected.
    pub fn finish(&mut self, outcome: Outcome) {
        self.outcome.get_or_insert(outcome);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let now = self.shared.now();
        let outcome = self.outcome.unwrap_or(Outcome::Disconnected);
        if outcome != Outcome::Answered
            && let Some(id) = self.id
        {
            self.shared.lock().cancel(now, id);
            self.shared.changed.notify_one();
        }
        self.shared.metrics.ended(outcome);
        if let Some(records) = &self.shared.records {
            records.ended(self.number, now, outcome);
        }
    }
}
