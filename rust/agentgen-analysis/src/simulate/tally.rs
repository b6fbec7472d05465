//! Counts the events of a simulation.

use agentgen_engine::kv::{Admitted, Evicted, PrefixCache, Prompt, Released};
use agentgen_engine::serving::{Change, Observer, Replica, Request as _, Service};
use agentgen_trace::session::{Session, TraceTiming};

use super::Settings;
use super::active::{self, ActiveSession};
use super::bound::{BeladyBound, Uses};
use super::figures::{Blocks, Figures, LayerBlocks, Occupancy, Requests, Times, TurnFigures};
use super::seen::{Added, Seen};
use super::series::{Series, State};
use crate::histogram;
use crate::reuse::parts::{LAYERS, Layers, Turns};
use crate::reuse::rates::{self, Counters, Hit};
use crate::reuse::{SharedLayers, TurnRate};

/// Blocks by layer.
type ByLayer = [u64; LAYERS.len()];

/// Counters of one replica.
#[derive(Debug)]
struct ReplicaTally {
    level: Level,
    seen: Seen,
    /// The requests, to compute the bound.
    uses: Option<Uses>,
}

/// Blocks in a cache after its last change.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    resident: u64,
    pinned: u64,
    reserved: u64,
}

/// Counts events and computes the figures.
#[derive(Debug)]
pub(super) struct Tally {
    block_tokens: u32,
    layer_sizes: SharedLayers,
    /// Blocks that begin in L1, and in L1 or L1.5.
    shared_ends: [u32; 2],
    replicas: Vec<ReplicaTally>,
    has_sessions: bool,
    sessions: u64,
    continuations: u64,
    linked_continuations: u64,
    requests: Requests,
    output_tokens: u64,
    counters: Counters,
    layers: Layers,
    turns: Turns,
    /// Sums of time to first token and of queueing time, by turn.
    turn_times: Vec<[f64; 2]>,
    ttft: histogram::Times,
    queueing: histogram::Times,
    latency: histogram::Times,
    added: ByLayer,
    refetched: ByLayer,
    evicted: ByLayer,
    expired: ByLayer,
    state: State,
    peak_blocks: u64,
    peak_running_blocks: u64,
    peak_running: u64,
    peak_queued: u64,
    peak_open_sessions: u64,
    series: Series,
}

impl Tally {
    pub(super) fn new(settings: &Settings) -> Self {
        let ends = [settings.layers.layer1_tokens, settings.layers.tokens()];
        let block = u64::from(settings.block_tokens);
        let replica = |_| ReplicaTally {
            level: Level::default(),
            seen: Seen::new(settings),
            uses: settings.belady_bound.then(|| Uses::new(settings)),
        };
        Self {
            block_tokens: settings.block_tokens,
            layer_sizes: settings.layers,
            shared_ends: ends.map(|tokens| tokens.div_ceil(block) as u32),
            replicas: (0..settings.replicas.max(1)).map(replica).collect(),
            has_sessions: false,
            sessions: 0,
            continuations: 0,
            linked_continuations: 0,
            requests: Requests::default(),
            output_tokens: 0,
            counters: Counters::new(),
            layers: Layers::default(),
            turns: Turns::default(),
            turn_times: Vec::new(),
            ttft: histogram::Times::default(),
            queueing: histogram::Times::default(),
            latency: histogram::Times::default(),
            added: ByLayer::default(),
            refetched: ByLayer::default(),
            evicted: ByLayer::default(),
            expired: ByLayer::default(),
            state: State::default(),
            peak_blocks: 0,
            peak_running_blocks: 0,
            peak_running: 0,
            peak_queued: 0,
            peak_open_sessions: 0,
            series: Series::new(),
        }
    }

    /// Advances time to the next event.
    pub(super) fn advance(&mut self, time_ms: f64) {
        self.series.advance(time_ms, &self.state);
    }

    /// A session starts.
    pub(super) fn start(&mut self, session: &Session) {
        if session.names_its_session() {
            self.has_sessions = true;
            self.sessions += 1;
            self.continuations += u64::from(session.link.is_restart());
            self.linked_continuations += u64::from(session.link.is_restart() && session.link.parent().is_some());
        }
        self.state.open_sessions += 1;
        self.peak_open_sessions = self.peak_open_sessions.max(self.state.open_sessions);
    }

    /// A session ends.
    pub(super) fn end(&mut self, rates: rates::Tally) {
        self.state.open_sessions -= 1;
        if rates != rates::Tally::NEW {
            self.counters.session(rates);
        }
    }

    /// A request fails; `skipped` later turns of its session are never sent.
    pub(super) fn failed(&mut self, skipped: u64) {
        self.requests.failed += 1;
        self.requests.skipped += skipped;
    }

    /// Counts blocks `start..end` of a request's chain that came into the cache of its replica; returns their end in the
    /// tree of all chains.
    fn add(&mut self, change: &Change<'_, Box<ActiveSession>>, start: u32, end: u32) {
        let Change { request, prompt, replica, state, .. } = change;
        let kept = &mut self.replicas[*replica];
        let mut hint = request.hint.get().at(*replica);
        let added = kept.seen.add(prompt, &mut hint.seen, start, end);
        request.hint.set(hint);
        let before = kept.level;
        kept.level = Level::of(state.cache());
        let now = kept.level;
        self.count_added(request.tag(), added);
        let state = &mut self.state;
        state.resident_blocks = state.resident_blocks + now.resident - before.resident;
        state.pinned_blocks = state.pinned_blocks + now.pinned - before.pinned;
        state.reserved_blocks = state.reserved_blocks + now.reserved - before.reserved;
        self.peak_blocks = self.peak_blocks.max(state.resident_blocks + state.reserved_blocks);
        self.peak_running_blocks = self.peak_running_blocks.max(state.pinned_blocks + state.reserved_blocks);
    }

    fn count_added(&mut self, tag: u32, added: Added) {
        if added.start == added.end {
            return;
        }
        count(&mut self.added, self.shared_ends, tag, added.start, added.end);
        if added.start < added.new {
            count(&mut self.refetched, self.shared_ends, tag, added.start, added.new);
            self.series.flow().refetched_blocks += u64::from(added.new - added.start);
        }
    }

    /// The figures of the whole simulation.
    pub(super) fn figures(self, replicas: &[Replica], clock: TraceTiming, settings: &Settings) -> Figures {
        let named = self.has_sessions;
        let sum = |counts: &ByLayer| counts.iter().sum::<u64>();
        let blocks = Blocks {
            added: sum(&self.added),
            refetched: sum(&self.refetched),
            evicted: sum(&self.evicted),
            expired: sum(&self.expired),
            resident: replicas.iter().map(|replica| replica.cache().used_blocks()).sum(),
        };
        let of_layer = |(index, layer)| LayerBlocks {
            layer,
            added: self.added[index],
            refetched: self.refetched[index],
            evicted: self.evicted[index],
            expired: self.expired[index],
        };
        let has_blocks = |of: &LayerBlocks| named && of.added + of.evicted + of.expired > 0;
        let [resident, pinned, reserved, _, running, _, _] = self.series.means();
        let uses: Option<Vec<_>> = self.replicas.iter().map(|replica| replica.uses.as_ref()).collect();
        Figures {
            clock,
            duration_ms: self.series.duration_ms(),
            sessions: self.sessions,
            continuations: self.continuations,
            linked_continuations: self.linked_continuations,
            requests: self.requests,
            hit_rates: self.counters.rates(named),
            prompt_tokens: self.counters.prompt_tokens,
            hit_tokens: self.counters.hit_tokens,
            output_tokens: self.output_tokens,
            hit_blocks: self.counters.hit_blocks,
            belady_bound: uses.map(|uses| BeladyBound::of(&uses, self.counters.blocks)),
            times: Times {
                ttft: self.ttft.observed_ms(),
                queueing: self.queueing.observed_ms(),
                latency: self.latency.observed_ms(),
            },
            blocks,
            blocks_by_layer: LAYERS.into_iter().enumerate().map(of_layer).filter(has_blocks).collect(),
            occupancy: Occupancy {
                capacity_blocks: settings.capacity_blocks.saturating_mul(replicas.len() as u64),
                mean_resident_blocks: resident,
                mean_pinned_blocks: pinned,
                mean_reserved_blocks: reserved,
                peak_blocks: self.peak_blocks,
                peak_running_blocks: self.peak_running_blocks,
                mean_running: running,
                peak_running: self.peak_running,
                peak_queued: self.peak_queued,
                peak_open_sessions: self.peak_open_sessions,
            },
            by_layer: self.layers.rates(),
            by_turn: turns(self.turns, &self.turn_times),
            series: self.series.points(),
        }
    }
}

impl Observer<Box<ActiveSession>> for Tally {
    fn queued(&mut self, _: &Box<ActiveSession>) {
        self.state.queued += 1;
        self.peak_queued = self.peak_queued.max(self.state.queued);
    }

    fn admitted(&mut self, change: &Change<'_, Box<ActiveSession>>, admitted: &Admitted) {
        let Change { request, ref prompt, replica, service, .. } = *change;
        let hit = Hit { blocks: service.hit_blocks, tokens: service.hit_tokens };
        let session = &request.session;
        self.add(change, admitted.found_blocks, admitted.held_blocks);
        if let Some(uses) = &mut self.replicas[replica].uses {
            uses.add(prompt);
        }
        let mut rates = request.rates.get();
        rates.add(prompt, hit);
        request.rates.set(rates);
        self.counters.request(prompt, hit, self.block_tokens);
        if session.names_its_session() {
            self.layers.add(self.layer_sizes, session, prompt.context_tokens, hit.tokens);
            self.turns.add(request.turn, prompt.context_tokens, hit.tokens);
        }
        let flow = self.series.flow();
        flow.requests += 1;
        flow.prompt_tokens += u64::from(prompt.context_tokens);
        flow.hit_tokens += u64::from(hit.tokens);
        self.state.queued -= 1;
        self.state.running += 1;
        self.peak_running = self.peak_running.max(self.state.running);
        self.state.tokens_in_flight += in_flight(request, prompt);
    }

    fn ended(&mut self, change: &Change<'_, Box<ActiveSession>>, released: &Released) {
        let Change { request, ref prompt, sent_ms, ref service, .. } = *change;
        self.add(change, released.found_blocks, released.kept_blocks);
        let hint = request.hint.get();
        request.hint.set(active::SessionHint { cached: released.hint, ..hint });
        self.requests.served += 1;
        let output_tokens = request.session.turns[request.turn].output_tokens;
        self.output_tokens += u64::from(output_tokens);
        self.state.running -= 1;
        self.state.tokens_in_flight -= in_flight(request, prompt);
        let Service { admitted_ms, prefill_end_ms, end_ms, .. } = *service;
        let (ttft, queueing) = (prefill_end_ms - sent_ms, admitted_ms - sent_ms);
        self.ttft.add(tenths(ttft));
        self.queueing.add(tenths(queueing));
        self.latency.add(tenths(end_ms - sent_ms));
        let turn = Turns::index(request.turn);
        if turn >= self.turn_times.len() {
            self.turn_times.resize(turn + 1, [0.0; 2]);
        }
        self.turn_times[turn][0] += ttft;
        self.turn_times[turn][1] += queueing;
    }

    fn evicted(&mut self, _: usize, evicted: Evicted) {
        count(&mut self.evicted, self.shared_ends, evicted.tag, evicted.start, evicted.end);
        self.series.flow().evicted_blocks += u64::from(evicted.end - evicted.start);
    }

    fn expired(&mut self, replica: usize, expired: Evicted) {
        count(&mut self.expired, self.shared_ends, expired.tag, expired.start, expired.end);
        let blocks = u64::from(expired.end - expired.start);
        self.series.flow().expired_blocks += blocks;
        self.state.resident_blocks -= blocks;
        self.replicas[replica].level.resident -= blocks;
    }
}

impl Level {
    fn of(cache: &PrefixCache) -> Self {
        Self { resident: cache.used_blocks(), pinned: cache.pinned_blocks(), reserved: cache.reserved_blocks() }
    }
}

/// Tokens of a running request: its prompt and its output.
fn in_flight(request: &ActiveSession, prompt: &Prompt<'_>) -> u64 {
    u64::from(prompt.context_tokens) + u64::from(request.session.turns[request.turn].output_tokens)
}

fn tenths(ms: f64) -> u64 {
    (ms * 10.0).round() as u64
}

/// Adds blocks `start..end` of a chain to the counts of their layers.
fn count(counts: &mut ByLayer, [layer1, shared]: [u32; 2], tag: u32, start: u32, end: u32) {
    let (first, is_continuation) = active::parts(tag);
    let own = if is_continuation { shared } else { first };
    let mut from = start;
    for (count, until) in counts.iter_mut().zip([layer1, shared, own, first, u32::MAX]) {
        let until = until.clamp(from, end);
        *count += u64::from(until - from);
        from = until;
    }
}

fn turns(turns: Turns, times: &[[f64; 2]]) -> Vec<TurnFigures> {
    let figures = |(turn, [ttft, queueing]): (TurnRate, &[f64; 2])| TurnFigures {
        turn_index: turn.turn_index,
        requests: turn.requests,
        prompt_tokens: turn.prompt_tokens,
        hit_tokens: turn.hit_tokens,
        hit_rate: turn.hit_rate,
        mean_ttft_ms: ttft / turn.requests as f64,
        mean_queueing_ms: queueing / turn.requests as f64,
    };
    turns.rates().into_iter().zip(times).map(figures).collect()
}
