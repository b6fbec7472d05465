//! A bundle: a root or restart session and all sessions that are linked under it as breaks and sub-agents.

use std::ops::Range;

use super::line::{Calls, Line, SegmentEnd, Trigger};
use super::model::AgentModel;
use super::stream_ids::StreamIds;
use crate::dist::{score, tenths};
use crate::ids::{IdSpace, Name, SessionNames};
use crate::rng::{Purpose, RandomStream, RandomStreams};
use crate::turns::{EndReason, Turn};

/// How a session of a bundle begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// A root session.
    Root,
    /// After a restart, with the whole history of the session before.
    Restart,
    /// After the history of the session before broke.
    Break {
        /// Tokens of the last prompt that the first one keeps.
        kept: u32,
        /// Index of its kind.
        kind: usize,
    },
    /// A sub-agent.
    SubAgent {
        /// Index of its kind.
        kind: usize,
        /// The turn of the parent after whose response it begins.
        parent_turn: u32,
        /// The turn of the parent that waits for its end; `None` if none does.
        join_turn: Option<u32>,
    },
}

impl Link {
    /// The value of `link` in traces.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Root => None,
            Self::Restart => Some("restart"),
            Self::Break { .. } => Some("break"),
            Self::SubAgent { .. } => Some("subagent"),
        }
    }

    /// Whether the session begins in the bundle of its parent.
    #[must_use]
    pub fn is_member(self) -> bool {
        matches!(self, Self::Break { .. } | Self::SubAgent { .. })
    }
}

/// A session of a bundle.
#[derive(Debug, Clone)]
pub struct Member {
    /// How it begins.
    pub link: Link,
    /// Number of its stream in the tree; the first part of the main agent's line has 0.
    pub number: u64,
    /// Index of its parent in the bundle.
    pub parent: usize,
    /// Kind of its agent; `None` for the main agent.
    pub agent: Option<usize>,
    /// Its calls.
    pub(crate) calls: Range<usize>,
    /// Delay between the end of what starts it and its first call, in tenths of a millisecond.
    pub start_delay_tenths: u64,
    /// Why it ends.
    pub end: EndReason,
    pub(crate) ids: StreamIds,
    /// Its first and its last sub-agent, the next of its parent, and the session after its break.
    first_agent: Option<usize>,
    last_agent: Option<usize>,
    next_agent: Option<usize>,
    next_break: Option<usize>,
}

/// The tree of a root session, and what its sessions are made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tree<'a> {
    pub streams: &'a RandomStreams,
    pub ids: &'a IdSpace,
    pub block_size: u32,
    /// Index of the root session.
    pub root: u64,
    /// Calls of the main agent's line before a restart.
    pub split: Option<u32>,
}

impl Tree<'_> {
    fn stream(&self, purpose: Purpose, number: u64) -> RandomStream {
        self.streams.member_stream(purpose, self.root, number)
    }
}

/// Makes bundles; reuses its buffers.
#[derive(Debug, Default)]
pub(crate) struct Bundle {
    pub calls: Calls,
    /// Time of each call after the bundle begins, without service times, in tenths of a millisecond.
    pub times: Vec<u64>,
    pub members: Vec<Member>,
    /// The members to write, in the order of the file.
    pub order: Vec<usize>,
    /// Lines whose calls may still start sub-agents: their members, and their level.
    lines: Vec<(Range<usize>, u32)>,
}

impl Bundle {
    /// Makes the bundle of a tree's root session, or that of the restart of its line; returns whether there is one.
    pub(crate) fn make(&mut self, tree: &Tree<'_>, model: &AgentModel, is_restart: bool) -> bool {
        self.calls.turns.clear();
        self.calls.triggers.clear();
        self.members.clear();
        self.lines.clear();
        let mut stream = tree.stream(Purpose::Content, 0);
        let mut shared = tree.stream(Purpose::Line, 0);
        let mut line = Line::main(model, &mut shared, &mut stream, &mut self.calls);
        self.members.push(Member::new(Link::Root, 0, 0, None, 0));
        let numbers = 0;
        self.follow(tree, &mut line, &mut stream, numbers, tree.split);
        let mut first = 0;
        if is_restart {
            first = self.members.len();
            let parent = first - 1;
            if self.members[parent].end != EndReason::RestartSplit {
                return false;
            }
            let start = self.calls.turns.len();
            line.after_restart(self.calls.turns[start - 1], &mut stream, &mut self.calls);
            let number = self.members[parent].number;
            self.members.push(Member::new(Link::Restart, number, parent, None, start));
            self.follow(tree, &mut line, &mut stream, numbers, None);
        }
        self.start_agents(tree, model, first);
        self.times.clear();
        self.times.resize(self.calls.turns.len(), 0);
        self.set_times(first, 0);
        self.order.clear();
        self.put_in_order(first);
        true
    }

    /// Makes the calls of a line until it is over; its last member has begun. Breaks are numbered from `numbers + 1` on.
    fn follow(
        &mut self,
        tree: &Tree<'_>,
        line: &mut Line<'_>,
        stream: &mut RandomStream,
        numbers: u64,
        split: Option<u32>,
    ) {
        loop {
            let index = self.members.len() - 1;
            let end = line.extend(split, stream, &mut self.calls);
            let member = &mut self.members[index];
            member.calls.end = self.calls.turns.len();
            let (kind, trigger) = match end {
                SegmentEnd::Over(reason) => {
                    member.end = reason;
                    return;
                }
                SegmentEnd::Break(kind, trigger) => (kind, trigger),
            };
            member.end = EndReason::Break;
            let (parent, agent, start) = (member.calls.clone(), member.agent, member.calls.end);
            let number = numbers + u64::from(line.breaks()) + 1;
            *stream = tree.stream(Purpose::Content, number);
            let kept = line.after_break(kind, trigger, parent, tree.block_size, stream, &mut self.calls);
            member.next_break = Some(index + 1);
            let mut next = Member::new(Link::Break { kept, kind }, number, index, agent, start);
            next.start_delay_tenths = std::mem::take(&mut self.calls.turns[start].delay_tenths);
            self.members.push(next);
        }
    }

    /// Draws the sub-agents of the members from `first` on, and theirs, level by level.
    fn start_agents(&mut self, tree: &Tree<'_>, model: &AgentModel, first: usize) {
        if model.kinds.is_empty() || model.most_subagents == 0 {
            return;
        }
        let is_restart = first > 0;
        let mut started = 0;
        self.lines.push((first..self.members.len(), 0));
        let mut next = 0;
        while next < self.lines.len() {
            let (line, level) = self.lines[next].clone();
            next += 1;
            for parent in line {
                let purpose = if is_restart { Purpose::SpawnAfterRestart } else { Purpose::Spawn };
                let mut stream = tree.stream(purpose, self.members[parent].number);
                let calls = self.members[parent].calls.clone();
                for turn in 1..calls.len() as u32 {
                    if self.calls.triggers[calls.start + turn as usize] != Trigger::Tool {
                        continue;
                    }
                    let mut sum = 0.0;
                    let u = stream.uniform();
                    let drawn = model.kinds.iter().position(|kind| {
                        sum += kind.spawn_probability;
                        u < sum
                    });
                    let Some(kind) = drawn else { continue };
                    let fan_out = (model.kinds[kind].fan_out.at(score(&mut stream)) as u32).max(1);
                    for _ in 0..fan_out {
                        if started == model.most_subagents {
                            return;
                        }
                        let waits = stream.uniform() >= model.kinds[kind].background_share;
                        let join_turn = waits.then_some(turn);
                        let link = Link::SubAgent { kind, parent_turn: turn - 1, join_turn };
                        let number = tree.ids.agent_number(is_restart, started);
                        self.run_agent(tree, model, link, parent, number);
                        started += 1;
                        let begun = self.members.len();
                        if level + 1 < model.depth {
                            let head = self.members[parent].last_agent.unwrap_or(begun);
                            self.lines.push((head..begun, level + 1));
                        }
                    }
                }
            }
        }
    }

    /// Makes the line of a sub-agent.
    fn run_agent(&mut self, tree: &Tree<'_>, model: &AgentModel, link: Link, parent: usize, number: u64) {
        let Link::SubAgent { kind, .. } = link else { return };
        let mut stream = tree.stream(Purpose::Content, number);
        let mut shared = tree.stream(Purpose::Line, number);
        let (head, start) = (self.members.len(), self.calls.turns.len());
        let mut line = Line::of_subagent(&model.kinds[kind], &mut shared, &mut stream, &mut self.calls);
        let mut member = Member::new(link, number, parent, Some(kind), start);
        member.start_delay_tenths = tenths(model.kinds[kind].start_delay_ms.at(score(&mut shared)));
        self.members.push(member);
        match self.members[parent].last_agent.replace(head) {
            Some(last) => self.members[last].next_agent = Some(head),
            None => self.members[parent].first_agent = Some(head),
        }
        self.follow(tree, &mut line, &mut stream, number, None);
    }

    /// Sets the times of a line that begins with `head`, and of all under it; returns when it is over.
    fn set_times(&mut self, head: usize, begin: u64) -> u64 {
        let (mut index, mut now) = (head, begin);
        loop {
            let calls = self.members[index].calls.clone();
            let mut agent = self.members[index].first_agent;
            self.times[calls.start] = now;
            for turn in 1..calls.len() as u32 {
                let started = now;
                while let Some(child) = agent
                    && let Link::SubAgent { parent_turn, join_turn, .. } = self.members[child].link
                    && parent_turn + 1 == turn
                {
                    let over = self.set_times(child, started + self.members[child].start_delay_tenths);
                    if join_turn == Some(turn) {
                        now = now.max(over);
                    }
                    agent = self.members[child].next_agent;
                }
                let place = calls.start + turn as usize;
                now += self.calls.turns[place].delay_tenths;
                self.times[place] = now;
            }
            match self.members[index].next_break {
                Some(next) => {
                    index = next;
                    now += self.members[next].start_delay_tenths;
                }
                None => return now,
            }
        }
    }

    /// A session, its sub-agents, then the session after its break.
    fn put_in_order(&mut self, head: usize) {
        let mut index = Some(head);
        while let Some(member) = index {
            self.order.push(member);
            let mut agent = self.members[member].first_agent;
            while let Some(child) = agent {
                self.put_in_order(child);
                agent = self.members[child].next_agent;
            }
            index = self.members[member].next_break;
        }
    }

    /// Turns of a member.
    pub(crate) fn turns(&self, member: &Member) -> &[Turn] {
        &self.calls.turns[member.calls.clone()]
    }
}

impl Member {
    /// The name of the session, in the tree of a root session.
    #[must_use]
    pub fn name(&self, names: &SessionNames, root: u64) -> Name {
        match self.link {
            Link::Root => names.name(root, false),
            Link::Restart => names.name(root, true),
            Link::Break { .. } | Link::SubAgent { .. } => names.member(root, self.number),
        }
    }

    fn new(link: Link, number: u64, parent: usize, agent: Option<usize>, start: usize) -> Self {
        Self {
            link,
            number,
            parent,
            agent,
            calls: start..start,
            start_delay_tenths: 0,
            end: EndReason::ForcedRetire,
            ids: StreamIds::default(),
            first_agent: None,
            last_agent: None,
            next_agent: None,
            next_break: None,
        }
    }
}
