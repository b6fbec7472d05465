//! Hit rates of a prefix cache: the one implementation of every hit rate.
//!
//! Requests are processed in the order of the reference timeline. Each looks up its prompt in the radix tree of all
//! earlier block chains, then inserts its own. `docs/reuse.md` defines the figures.

mod ages;
mod curve;
mod file_order;
mod infinite;
pub(crate) mod parts;
pub(crate) mod rates;
mod recency;
mod report;
mod working_set;

use std::borrow::Borrow;

use agentgen_engine::kv::{PrefixMatch, Prompt};
use agentgen_engine::timeline::{Begin, Request, TimedSession, TimedTurn, Timeline, TimelineOptions};
use agentgen_trace::{Cancel, Result};

use agentgen_trace::session::{Reading, Session, TraceTiming};
use ages::Ages;
use curve::Distances;
use infinite::Infinite;
use parts::{Layers, Turns};
pub(crate) use rates::ratio;
use rates::{Hit, Tally};
use recency::Recency;
use working_set::WorkingSet;

pub use ages::TtlPoint;
pub use curve::{Curve, CurvePoint};
pub use file_order::{FileOrder, InfiniteReuse, Notes};
pub(crate) use parts::{LAYERS, layers_of};
pub use parts::{Layer, LayerRate, SharedLayers, TurnRate};
pub use rates::{HitRates, SessionRates};
pub use report::{Reuse, Size};
pub use working_set::WorkingSetPoint;

/// The assumed cache and timeline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Tokens per block of the cache.
    pub block_tokens: u32,
    /// Tokens per hash id of the trace.
    pub id_tokens: u32,
    /// Whether the KV of outputs stays in the cache.
    pub cached_outputs: bool,
    /// Parameters of the reference timeline.
    pub timing: TimelineOptions,
    /// Sizes of the shared prefix layers.
    pub layers: SharedLayers,
}

/// The last use of a tree node.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    /// Number of the last request that used it, as assigned by [`Recency`].
    request: u32,
    /// Start of that request, ms.
    start_ms: f64,
    /// Latest end of a request that used it, ms.
    end_ms: f64,
}

/// The state of a session in one reading.
#[derive(Debug, Clone, Copy)]
struct Track {
    tally: Tally,
    /// The chain that its last request left in the tree.
    left: PrefixMatch,
}

impl Track {
    const NEW: Self = Self { tally: Tally::NEW, left: PrefixMatch::NOTHING };
}

/// A session on the timeline.
struct Tracked<C> {
    conversation: C,
    linked: Track,
    standalone: Track,
}

impl<C: Borrow<Session>> TimedSession for Tracked<C> {
    fn number(&self) -> u64 {
        self.conversation.borrow().number()
    }

    fn arrival_ms(&self) -> f64 {
        self.conversation.borrow().arrival_ms()
    }

    fn parent(&self) -> Option<u64> {
        TimedSession::parent(self.conversation.borrow())
    }

    fn may_be_continued(&self) -> bool {
        self.conversation.borrow().may_be_continued()
    }

    fn begin(&self) -> Begin {
        self.conversation.borrow().begin()
    }

    fn may_have_members(&self) -> bool {
        self.conversation.borrow().may_have_members()
    }

    fn turn(&self, index: usize) -> Option<TimedTurn> {
        self.conversation.borrow().turn(index)
    }
}

/// Measures the hit rates of a trace. `sessions` must be in the order of their start; `each` is called with each
/// session when its first request is sent.
pub fn measure<C: Borrow<Session>>(
    clock: TraceTiming,
    sessions: impl Iterator<Item = Result<C>>,
    settings: &Settings,
    cancel: &Cancel,
    mut each: impl FnMut(&Session),
) -> Result<Reuse> {
    let each_first = |seen: Seen<'_>| {
        if seen.turn == 0 {
            each(seen.conversation);
        }
    };
    measure_requests(clock, sessions, settings, cancel, each_first)
}

/// A request on the timeline and its hit in an infinite cache (linked).
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Its session.
    pub conversation: &'a Session,
    /// Turn index, 0-based.
    pub turn: usize,
    /// Start, ms.
    pub start_ms: f64,
    /// End, ms.
    pub end_ms: f64,
    /// Cached tokens of the prompt.
    pub hit_tokens: u32,
}

/// Like [`measure`], but `each` is called with every request.
pub fn measure_requests<C: Borrow<Session>>(
    clock: TraceTiming,
    sessions: impl Iterator<Item = Result<C>>,
    settings: &Settings,
    cancel: &Cancel,
    mut each: impl FnMut(Seen<'_>),
) -> Result<Reuse> {
    let sessions = sessions.map(|conversation| {
        let session = |conversation| Tracked { conversation, linked: Track::NEW, standalone: Track::NEW };
        conversation.map(session)
    });
    let mut timeline = Timeline::new(settings.timing, clock.start(), sessions);
    let mut measure = Measure::new(*settings);
    while let Some(request) = timeline.next() {
        let mut request = request?;
        if request.turn == 0 {
            cancel.check()?;
        }
        let hit_tokens = measure.request(&mut request);
        let Request { turn, start_ms, end_ms, .. } = request;
        each(Seen { conversation: request.session.conversation.borrow(), turn, start_ms, end_ms, hit_tokens });
    }
    Ok(measure.finish(clock, timeline.peak_open_sessions()))
}

struct Measure {
    settings: Settings,
    linked: Infinite<Used>,
    /// `None` until the first restart session: up to then, both readings are equal.
    standalone: Option<Infinite<Used>>,
    has_sessions: bool,
    layers: Layers,
    turns: Turns,
    ages: Ages,
    recency: Recency,
    distances: Distances,
    working_set: WorkingSet,
}

impl Measure {
    fn new(settings: Settings) -> Self {
        Self {
            settings,
            linked: Infinite::new(settings.id_tokens, settings.block_tokens),
            standalone: None,
            has_sessions: false,
            layers: Layers::default(),
            turns: Turns::default(),
            ages: Ages::default(),
            recency: Recency::new(),
            distances: Distances::default(),
            working_set: WorkingSet::new(),
        }
    }

    /// Processes a request; returns its cached tokens.
    fn request<C: Borrow<Session>>(&mut self, request: &mut Request<'_, Tracked<C>>) -> u32 {
        let Settings { block_tokens, cached_outputs, layers, .. } = self.settings;
        let Tracked { conversation, linked, standalone } = &mut *request.session;
        let conversation: &Session = (*conversation).borrow();
        self.working_set.advance(request.start_ms);
        self.has_sessions |= conversation.names_its_session();
        if conversation.link.is_restart() && self.standalone.is_none() {
            self.standalone = Some(self.linked.clone());
        }
        if !conversation.extends_previous(request.turn) {
            (linked.left, standalone.left) = (PrefixMatch::NOTHING, PrefixMatch::NOTHING);
        }
        if let Some(infinite) = &mut self.standalone {
            let prompt = conversation.prompt(request.turn, Reading::Standalone, block_tokens, cached_outputs);
            let (left, hit) = infinite.request(&prompt, standalone.left);
            standalone.left = left;
            standalone.tally.add(&prompt, hit);
            if request.is_last {
                infinite.counters.session(standalone.tally);
            }
        }
        let prompt = conversation.prompt(request.turn, Reading::Linked, block_tokens, cached_outputs);
        let (found, hit) = self.linked.look_up(&prompt, linked.left);
        linked.tally.add(&prompt, hit);
        if request.is_last {
            self.linked.counters.session(linked.tally);
        }
        if conversation.names_its_session() {
            self.layers.add(layers, conversation, prompt.context_tokens, hit.tokens);
            self.turns.add(request.turn, prompt.context_tokens, hit.tokens);
        }
        self.use_again(&prompt, found, hit, request.start_ms);
        linked.left = self.keep(&prompt, found, request.start_ms, request.end_ms);
        if self.standalone.is_none() {
            *standalone = *linked;
        }
        hit.tokens
    }

    /// Records the reuse distances and ages of the blocks that a request finds.
    fn use_again(&mut self, prompt: &Prompt<'_>, found: PrefixMatch, hit: Hit, now_ms: f64) {
        let block = u64::from(self.settings.block_tokens);
        let tree = &self.linked.tree;
        let mut path = tree.path(found.node).peekable();
        // Blocks last used by the same request are adjacent in the order of use; `last` is the end of such a group.
        let mut last = hit.blocks;
        while let Some(node) = path.next() {
            let (start, end) = tree.span(node);
            let used = *tree.data(node);
            if start >= hit.blocks {
                continue;
            }
            let end_token = (u64::from(end.min(hit.blocks)) * block).min(u64::from(prompt.context_tokens));
            self.ages.add((now_ms - used.end_ms).max(0.0), end_token - u64::from(start) * block);
            if path.peek().is_none_or(|before| tree.data(*before).request != used.request) {
                self.distances.add(self.recency.after(used.request), u64::from(last - start));
                last = start;
            }
        }
    }

    /// Inserts the chain of a request into the tree and marks its nodes as used by this request.
    fn keep(&mut self, prompt: &Prompt<'_>, found: PrefixMatch, start_ms: f64, end_ms: f64) -> PrefixMatch {
        let tree = &mut self.linked.tree;
        if self.recency.is_full() {
            self.recency.renumber(|number| {
                tree.for_each(|(start, end), used| used.request = number(used.request, u64::from(end - start)));
            });
        }
        let request = self.recency.next();
        let common = found.blocks.min(prompt.kept_blocks);
        let new = Used { request, start_ms, end_ms };
        let last = tree.grow(found, prompt.stream, common, new, true);
        for node in tree.path(last) {
            let (start, end) = tree.span(node);
            let used = tree.data(node);
            self.recency.remove(used.request, u64::from(end - start));
            self.working_set.next_use(used.start_ms, start_ms, u64::from(end - start));
        }
        self.recency.add(request, u64::from(prompt.kept_blocks));
        self.working_set.first_use(start_ms, u64::from(prompt.kept_blocks - common));
        // New blocks extend the last node only if it is not in use longer than they are.
        let extend = tree.data(last).end_ms <= end_ms;
        let found = PrefixMatch { node: last, blocks: common };
        let end = tree.grow(found, prompt.stream, prompt.kept_blocks, new, extend);
        tree.touch(end, |_, used| *used = Used { end_ms: used.end_ms.max(end_ms), ..new });
        PrefixMatch { node: end, blocks: prompt.kept_blocks }
    }

    fn finish(mut self, clock: TraceTiming, peak_open_sessions: usize) -> Reuse {
        let working_set = &mut self.working_set;
        self.linked.tree.for_each(|(start, end), used| working_set.last_use(used.start_ms, u64::from(end - start)));
        Reuse::new(self, clock, peak_open_sessions)
    }
}
