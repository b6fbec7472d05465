//! What happened, in numbers.

use agentgen_engine::kv::{Evicted, PrefixCache, Prompt};

use super::bound::Bound;
use super::figures::{Blocks, Figures, LayerBlocks, Occupancy, Requests, Times, TurnFigures};
use super::series::{Series, State};
use super::worker::{Added, Worker};
use super::{Served, Service, Settings};
use crate::histogram;
use crate::reuse::TurnRate;
use crate::reuse::parts::{LAYERS, Layers, Turns};
use crate::reuse::rates::{self, Counters, Hit};
use agentgen_trace::session::{Clock, Session};

/// What is to be known of blocks when they go: how many of the chain begin in the session's first prompt, and whether it
/// is a continuation. Lengths have 31 bits.
pub(super) fn tag(conversation: &Session, block_tokens: u32) -> u32 {
    conversation.first_context_tokens().div_ceil(block_tokens) << 1 | u32::from(conversation.link.is_restart())
}

/// What a cache holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    resident: u64,
    pinned: u64,
    reserved: u64,
}

/// Counts of blocks by layer.
type ByLayer = [u64; LAYERS.len()];

#[derive(Debug)]
pub(super) struct Tally {
    /// Blocks that begin in L1, and in L1 or L1.5.
    shared_ends: [u32; 2],
    has_sessions: bool,
    sessions: u64,
    continuations: u64,
    linked_continuations: u64,
    requests: Requests,
    output_tokens: u64,
    counters: Counters,
    layers: Layers,
    turns: Turns,
    /// Sums of time to first token and of time in the queue, by turn.
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
        Self {
            shared_ends: ends.map(|tokens| tokens.div_ceil(block) as u32),
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

    /// Time goes on to the next event.
    pub(super) fn advance(&mut self, time_ms: f64) {
        self.series.advance(time_ms, &self.state);
    }

    /// A session starts.
    pub(super) fn start(&mut self, conversation: &Session) {
        if conversation.names_its_session() {
            self.has_sessions = true;
            self.sessions += 1;
            self.continuations += u64::from(conversation.link.is_restart());
            self.linked_continuations += u64::from(conversation.link.parent().is_some());
        }
        self.state.open_sessions += 1;
        self.peak_open_sessions = self.peak_open_sessions.max(self.state.open_sessions);
    }

    /// A session is over.
    pub(super) fn over(&mut self, tally: rates::Tally) {
        self.state.open_sessions -= 1;
        if tally != rates::Tally::NEW {
            self.counters.session(tally);
        }
    }

    /// A request cannot be served, and so many after it are not sent.
    pub(super) fn failed(&mut self, skipped: u64) {
        self.requests.failed += 1;
        self.requests.skipped += skipped;
    }

    /// A request waits.
    pub(super) fn queued(&mut self) {
        self.state.queued += 1;
        self.peak_queued = self.peak_queued.max(self.state.queued);
    }

    /// A request is admitted.
    pub(super) fn admitted(
        &mut self,
        settings: &Settings,
        conversation: &Session,
        turn: usize,
        prompt: &Prompt<'_>,
        hit: Hit,
    ) {
        self.counters.request(prompt, hit, settings.block_tokens);
        if conversation.names_its_session() {
            self.layers.add(settings.layers, conversation, prompt.context_tokens, hit.tokens);
            self.turns.add(turn, prompt.context_tokens, hit.tokens);
        }
        let flow = self.series.flow();
        flow.requests += 1;
        flow.prompt_tokens += u64::from(prompt.context_tokens);
        flow.hit_tokens += u64::from(hit.tokens);
        self.state.queued -= 1;
        self.state.running += 1;
        self.peak_running = self.peak_running.max(self.state.running);
        self.state.tokens_in_flight +=
            u64::from(prompt.context_tokens) + u64::from(conversation.turns[turn].output_tokens);
    }

    /// A request is over.
    pub(super) fn ended(&mut self, served: &Served, service: &Service) {
        self.requests.served += 1;
        self.output_tokens += u64::from(served.output_tokens);
        self.state.running -= 1;
        self.state.tokens_in_flight -= u64::from(served.context_tokens) + u64::from(served.output_tokens);
        let (ttft, queueing) = (service.prefill_end_ms - served.sent_ms, service.admitted_ms - served.sent_ms);
        self.ttft.add(tenths(ttft));
        self.queueing.add(tenths(queueing));
        self.latency.add(tenths(service.end_ms - served.sent_ms));
        let turn = Turns::index(served.turn as usize);
        if turn >= self.turn_times.len() {
            self.turn_times.resize(turn + 1, [0.0; 2]);
        }
        self.turn_times[turn][0] += ttft;
        self.turn_times[turn][1] += queueing;
    }

    /// Blocks come into a cache.
    pub(super) fn added(&mut self, tag: u32, added: Added) {
        if added.start == added.end {
            return;
        }
        count(&mut self.added, self.shared_ends, tag, added.start, added.end);
        if added.start < added.new {
            count(&mut self.refetched, self.shared_ends, tag, added.start, added.new);
            self.series.flow().refetched_blocks += u64::from(added.new - added.start);
        }
    }

    /// Blocks go because room is needed.
    pub(super) fn evicted(&mut self, gone: Evicted) {
        count(&mut self.evicted, self.shared_ends, gone.tag, gone.start, gone.end);
        self.series.flow().evicted_blocks += u64::from(gone.end - gone.start);
    }

    /// Blocks go because nobody has used them for too long.
    pub(super) fn expired(&mut self, gone: Evicted) {
        count(&mut self.expired, self.shared_ends, gone.tag, gone.start, gone.end);
        let blocks = u64::from(gone.end - gone.start);
        self.series.flow().expired_blocks += blocks;
        self.state.resident_blocks -= blocks;
    }

    /// What a cache held before a change.
    pub(super) fn level(cache: &PrefixCache) -> Level {
        Level { resident: cache.used_blocks(), pinned: cache.pinned_blocks(), reserved: cache.reserved_blocks() }
    }

    /// A cache holds something else than before.
    pub(super) fn changed(&mut self, before: Level, cache: &PrefixCache) {
        let now = Self::level(cache);
        let state = &mut self.state;
        state.resident_blocks = state.resident_blocks + now.resident - before.resident;
        state.pinned_blocks = state.pinned_blocks + now.pinned - before.pinned;
        state.reserved_blocks = state.reserved_blocks + now.reserved - before.reserved;
        self.peak_blocks = self.peak_blocks.max(state.resident_blocks + state.reserved_blocks);
        self.peak_running_blocks = self.peak_running_blocks.max(state.pinned_blocks + state.reserved_blocks);
    }

    /// Everything that was found out.
    pub(super) fn figures(self, workers: &[Worker], clock: Clock, settings: &Settings) -> Figures {
        let named = self.has_sessions;
        let sum = |counts: &ByLayer| counts.iter().sum::<u64>();
        let blocks = Blocks {
            added: sum(&self.added),
            refetched: sum(&self.refetched),
            evicted: sum(&self.evicted),
            expired: sum(&self.expired),
            resident: workers.iter().map(|worker| worker.cache.used_blocks()).sum(),
        };
        let of_layer = |(index, layer)| LayerBlocks {
            layer,
            added: self.added[index],
            refetched: self.refetched[index],
            evicted: self.evicted[index],
            expired: self.expired[index],
        };
        let is_told = |of: &LayerBlocks| named && of.added + of.evicted + of.expired > 0;
        let [resident, pinned, reserved, _, running, _, _] = self.series.means();
        let uses: Option<Vec<_>> = workers.iter().map(|worker| worker.uses.as_ref()).collect();
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
            bound: uses.map(|uses| Bound::of(&uses, self.counters.blocks)),
            times: Times {
                ttft: self.ttft.observed_ms(),
                queueing: self.queueing.observed_ms(),
                latency: self.latency.observed_ms(),
            },
            blocks,
            blocks_by_layer: LAYERS.into_iter().enumerate().map(of_layer).filter(is_told).collect(),
            occupancy: Occupancy {
                capacity_blocks: settings.capacity_blocks.saturating_mul(workers.len() as u64),
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

fn tenths(ms: f64) -> u64 {
    (ms * 10.0).round() as u64
}

/// Counts blocks of a chain by layer.
fn count(counts: &mut ByLayer, [layer1, shared]: [u32; 2], tag: u32, start: u32, end: u32) {
    let first = tag >> 1;
    let own = if tag & 1 == 1 { shared } else { first };
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
