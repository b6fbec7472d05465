//! Sessions of a data set, made one at a time in any order, and the hash ids of their rows.

use crate::agents::{AgentModel, Bundle, Link, Member, StreamIds, Tree, Trigger};
use crate::error::ConfigError;
use crate::ids::{IdRange, IdSpace, push};
use crate::layout::Layout;
use crate::rng::Purpose;
use crate::sampler::Sampler;
use crate::spec::DatasetSpec;
use crate::turns::{EndReason, Turn, TurnSampler};

/// A root session, or the continuation of a root session that a restart split.
#[derive(Debug, Clone, Copy)]
pub struct Session<'a> {
    /// Index of the root session, also for a continuation.
    pub root: u64,
    /// L1.5 group, 0-based.
    pub group: u32,
    /// Whether this is the session after the restart.
    pub is_continuation: bool,
    /// Arrival time, in tenths of a millisecond.
    pub arrival_tenths: u64,
    /// Its turns, at least one.
    pub turns: &'a [Turn],
    /// Turns of the root session, for a continuation; else empty.
    pub origin: &'a [Turn],
    /// Why it ended.
    pub end: EndReason,
    /// How it is linked; `None` in a data set without breaks and sub-agents.
    pub member: Option<MemberView<'a>>,
}

/// A session of a data set with links.
#[derive(Debug, Clone, Copy)]
pub struct MemberView<'a> {
    /// Its place in the bundle.
    pub member: &'a Member,
    /// Its parent.
    pub parent: &'a Member,
    /// What caused each call.
    pub triggers: &'a [Trigger],
    /// Time of each call after the bundle begins, without service times, in tenths of a millisecond.
    pub times: &'a [u64],
}

/// Makes the sessions of a data set; reuses its buffers between sessions.
#[derive(Debug)]
pub struct SessionGenerator<'a> {
    spec: &'a DatasetSpec,
    turns: Vec<Turn>,
    origin: Vec<Turn>,
    bundle: Bundle,
}

impl<'a> SessionGenerator<'a> {
    /// A generator of the sessions of `spec`.
    #[must_use]
    pub fn new(spec: &'a DatasetSpec) -> Self {
        Self { spec, turns: Vec::new(), origin: Vec::new(), bundle: Bundle::default() }
    }

    /// Makes the first root sessions, at most this many, to report the error of [`Self::root`] before anything is
    /// written.
    pub fn check(spec: &DatasetSpec, most: u64) -> Result<(), ConfigError> {
        let Sampler::Turns(sampler) = &spec.sampler else { return Ok(()) };
        if sampler.turn_count().is_none() || sampler.allow_truncation {
            return Ok(());
        }
        let mut generator = SessionGenerator::new(spec);
        (0..spec.sessions().min(most)).try_for_each(|root| generator.root(sampler, root, 0).map(|_| ()))
    }

    /// Makes the bundle of root session `root`, and passes its sessions to `each` in the order of the file. Fails if no
    /// attempt gives the drawn number of turns below the context limit.
    #[inline]
    pub fn root_bundle<E: From<ConfigError>>(
        &mut self,
        root: u64,
        arrival_tenths: u64,
        each: &mut impl FnMut(&Session<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match &self.spec.sampler {
            Sampler::Turns(sampler) => each(&self.root(sampler, root, arrival_tenths)?),
            Sampler::Agents(model) => self.members(model, root, false, arrival_tenths, each),
        }
    }

    /// The same for the restart of root session `root`; there is none if no restart splits it or it ends before its split.
    #[inline]
    pub fn restart_bundle<E>(
        &mut self,
        root: u64,
        arrival_tenths: u64,
        each: &mut impl FnMut(&Session<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match &self.spec.sampler {
            Sampler::Turns(sampler) => self.continuation(sampler, root, arrival_tenths).map_or(Ok(()), |s| each(&s)),
            Sampler::Agents(model) => self.members(model, root, true, arrival_tenths, each),
        }
    }

    fn members<E>(
        &mut self,
        model: &AgentModel,
        root: u64,
        is_restart: bool,
        arrival_tenths: u64,
        each: &mut impl FnMut(&Session<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (spec, group) = (self.spec, self.spec.group(root));
        let (streams, ids, block_size) = (&spec.streams, spec.ids(), spec.config().block_size);
        let tree = Tree { streams, ids, block_size, root, split: spec.split(root) };
        if !self.bundle.make(&tree, model, is_restart) {
            return Ok(());
        }
        self.bundle.set_ids(spec.ids(), spec.layout(), root, group);
        let bundle = &self.bundle;
        for index in &bundle.order {
            let member = &bundle.members[*index];
            each(&Session {
                root,
                group,
                is_continuation: member.link == Link::Restart,
                arrival_tenths,
                turns: bundle.turns(member),
                origin: &[],
                end: member.end,
                member: Some(MemberView {
                    member,
                    parent: &bundle.members[member.parent],
                    triggers: &bundle.calls.triggers[member.calls.clone()],
                    times: &bundle.times[member.calls.clone()],
                }),
            })?;
        }
        Ok(())
    }

    /// Root session `root` of turns that are alike.
    fn root(&mut self, sampler: &TurnSampler, root: u64, arrival_tenths: u64) -> Result<Session<'_>, ConfigError> {
        let spec = self.spec;
        let mut stream = spec.streams.stream(Purpose::Content, root);
        let target = sampler.turn_count().map(|t| t.draw(&mut spec.streams.stream(Purpose::Target, root)));
        let split = spec.split(root);
        for _ in 0..sampler.attempts {
            self.turns.clear();
            self.turns.push(sampler.first_turn(&mut stream));
            let end = sampler.extend(&mut stream, split, target, &mut self.turns).reason;
            if target.is_none() || end == EndReason::TargetTurnCount || sampler.allow_truncation {
                let group = spec.group(root);
                let (turns, origin, member) = (&self.turns[..], &[][..], None);
                return Ok(Session { root, group, is_continuation: false, arrival_tenths, turns, origin, end, member });
            }
        }
        Err(ConfigError::new(
            "turns",
            format!(
                "session {root}: no draw of {} turns stayed below max_prompt_tokens {} in {} attempts (set \
                 allow_truncation, raise max_session_attempts, or lower turns.max)",
                target.unwrap_or_default(),
                spec.config().max_prompt_tokens,
                sampler.attempts
            ),
        ))
    }

    /// The continuation of root session `root`; `None` if no restart splits it or it ends before its split.
    fn continuation(&mut self, sampler: &TurnSampler, root: u64, arrival_tenths: u64) -> Option<Session<'_>> {
        let spec = self.spec;
        let split = spec.split(root)?;
        let mut stream = spec.streams.stream(Purpose::Content, root);
        self.origin.clear();
        self.origin.push(sampler.first_turn(&mut stream));
        let origin_end = sampler.extend(&mut stream, Some(split), None, &mut self.origin).reason;
        if origin_end != EndReason::RestartSplit {
            return None;
        }
        self.turns.clear();
        self.turns.push(sampler.first_turn_after_restart(*self.origin.last()?, &mut stream));
        let end = sampler.extend(&mut stream, None, None, &mut self.turns).reason;
        let (turns, origin, group, member) = (&self.turns[..], &self.origin[..], spec.group(root), None);
        Some(Session { root, group, is_continuation: true, arrival_tenths, turns, origin, end, member })
    }
}

/// Assigns hash ids to the rows of a session, turn by turn.
#[derive(Debug)]
pub struct RowIds<'a> {
    space: &'a IdSpace,
    layout: Layout,
    /// Those of a session with links.
    linked: Option<StreamIds>,
    /// Incremental: the next fresh id. Cumulative: the number of partial blocks so far.
    next: u64,
}

impl<'a> RowIds<'a> {
    /// Starts at the first turn of `session`.
    #[must_use]
    pub fn new(space: &'a IdSpace, layout: Layout, session: &Session<'_>) -> Self {
        let next = match layout {
            Layout::Incremental => {
                let of_origin: u64 = session.origin.iter().enumerate().map(|(t, o)| fresh(space, o.input, t)).sum();
                space.base(session.root) + of_origin
            }
            Layout::Cumulative => {
                let is_partial = |context: u32| u64::from(context) % space.block_size() != 0;
                session.origin.iter().filter(|t| is_partial(t.context)).count() as u64
            }
        };
        let linked = session.member.map(|view| view.member.ids.clone());
        Self { space, layout, linked, next }
    }

    /// Writes the ids of turn `index` to `out`, as ranges in order. Call it for each turn in order.
    #[inline]
    pub fn row(&mut self, session: &Session<'_>, index: usize, out: &mut Vec<IdRange>) {
        out.clear();
        let turn = session.turns[index];
        if self.linked.is_some() {
            return self.linked_row(turn, index == 0, out);
        }
        match self.layout {
            Layout::Cumulative => {
                self.space.cumulative(session.root, session.group, turn.context, &mut self.next, out);
            }
            Layout::Incremental => {
                let mut blocks = u64::from(turn.input).div_ceil(self.space.block_size());
                if index == 0 {
                    self.space.prefix(session.group, out);
                    blocks -= self.space.prefix_blocks() + carried(self.space, session, out);
                }
                push(out, self.next, blocks);
                self.next += blocks;
            }
        }
    }

    /// A row of a session with links; apart, so that the others' stay small enough to be inlined.
    #[inline(never)]
    fn linked_row(&mut self, turn: Turn, is_first: bool, out: &mut Vec<IdRange>) {
        let Some(ids) = &mut self.linked else { return };
        match self.layout {
            Layout::Cumulative => ids.cumulative(self.space, turn.context, out),
            Layout::Incremental => ids.incremental(self.space, turn.input, is_first, out),
        }
    }
}

/// Number of fresh chunks of turn `index` of a root session with `input` new tokens.
fn fresh(space: &IdSpace, input: u32, index: usize) -> u64 {
    u64::from(input).div_ceil(space.block_size()) - shared_blocks(space, index)
}

fn shared_blocks(space: &IdSpace, index: usize) -> u64 {
    if index == 0 { space.prefix_blocks() } else { 0 }
}

/// Appends the full chunks of the root session, which the first row of its continuation repeats; returns their number.
fn carried(space: &IdSpace, session: &Session<'_>, out: &mut Vec<IdRange>) -> u64 {
    let mut first = space.base(session.root);
    let mut carried = 0;
    for (index, turn) in session.origin.iter().enumerate() {
        let full = u64::from(turn.input) / space.block_size() - shared_blocks(space, index);
        push(out, first, full);
        carried += full;
        first += fresh(space, turn.input, index);
    }
    carried
}
