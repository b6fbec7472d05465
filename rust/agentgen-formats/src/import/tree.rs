//! Puts sessions into the order of the file: each one, its sub-agents, then the session after its break.

use std::collections::HashMap;

use super::model::{Agent, RecordedSession};
use super::split::Segment;

/// Sub-agents of sub-agents are linked up to this depth.
const MAX_DEPTH: usize = 64;

/// A session of the trace: a part of a recorded one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Session {
    /// Index of the recorded session.
    pub line: usize,
    /// Index of its segment.
    pub segment: usize,
    pub link: Link,
    /// Place of the first session of the tree.
    pub root: usize,
    /// Number in the tree, from 0.
    pub number: usize,
}

/// How a session begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Root,
    /// The parent is the session at this place.
    Break {
        parent: usize,
    },
    Subagent {
        parent: usize,
        parent_turn: u32,
        join_turn: Option<u32>,
    },
}

/// Which calls of its parent start a sub-agent and wait for it, as positions among the calls that became turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spawn {
    /// Index of the parent.
    pub parent: usize,
    pub start: usize,
    pub join: Option<usize>,
}

/// All sessions of the trace in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub sessions: Vec<Session>,
    /// Of each recorded session, where it was started; `None` for one that begins a tree.
    pub spawns: Vec<Option<Spawn>>,
    /// Of each recorded session, its sub-agents in the order in which they start.
    pub children: Vec<Vec<usize>>,
    /// Of each recorded session, the one that it continues.
    pub continues: Vec<Option<usize>>,
}

/// Links sessions; `lines` are their segments, none for a session without a usable call.
pub(crate) fn link(recorded: &[RecordedSession], lines: &[Vec<Segment>]) -> Tree {
    let known: HashMap<&str, usize> = recorded.iter().enumerate().map(|(at, session)| (&*session.key, at)).collect();
    let usable = |key: &str, child: usize| {
        known.get(key).copied().filter(|parent| *parent != child && !lines[*parent].is_empty())
    };
    let mut tree = Tree { children: vec![Vec::new(); recorded.len()], ..Tree::default() };
    for (at, session) in recorded.iter().enumerate() {
        let spawn = match &session.agent {
            Agent::Sub { parent, spawned_by, joined_by, .. } if !lines[at].is_empty() => {
                usable(parent, at).map(|parent| {
                    let first = lines[at].first().and_then(|segment| segment.turns.first());
                    let begin = first.and_then(|turn| session.calls[turn.lengths.call].sent_ms);
                    spawn(parent, *spawned_by, *joined_by, begin, &recorded[parent], &lines[parent])
                })
            }
            _ => None,
        };
        if let Some(spawn) = spawn {
            tree.children[spawn.parent].push(at);
        }
        tree.spawns.push(spawn);
        tree.continues.push(session.continues.as_deref().and_then(|key| usable(key, at)));
    }
    for children in &mut tree.children {
        children.sort_by_key(|child| tree.spawns[*child].map(|spawn| spawn.start));
    }
    let mut is_placed = vec![false; recorded.len()];
    // Sub-agents that no main agent leads to begin trees of their own, after all others.
    let roots = (0..recorded.len()).filter(|at| tree.spawns[*at].is_none()).chain(0..recorded.len());
    for root in roots.collect::<Vec<_>>() {
        // What a session continues comes before it.
        let mut chain = vec![root];
        while let Some(earlier) = chain.last().and_then(|last| tree.continues[*last]).map(|line| tree.root_of(line))
            && !is_placed[earlier]
            && !chain.contains(&earlier)
        {
            chain.push(earlier);
        }
        for line in chain.into_iter().rev() {
            if !is_placed[line] && !lines[line].is_empty() {
                tree.place(line, lines, &mut is_placed);
            }
        }
    }
    tree
}

impl Tree {
    /// The recorded session whose tree holds `line`.
    fn root_of(&self, mut line: usize) -> usize {
        for _ in 0..MAX_DEPTH {
            match self.spawns[line] {
                Some(spawn) => line = spawn.parent,
                None => break,
            }
        }
        line
    }

    /// Places the tree that begins with `root`.
    fn place(&mut self, root: usize, lines: &[Vec<Segment>], is_placed: &mut [bool]) {
        self.spawns[root] = None;
        is_placed[root] = true;
        let first = self.sessions.len();
        let mut next = vec![(root, 0, Link::Root, 0)];
        while let Some((line, segment, link, depth)) = next.pop() {
            let place = self.sessions.len();
            self.sessions.push(Session { line, segment, link, root: first, number: place - first });
            if segment + 1 < lines[line].len() {
                next.push((line, segment + 1, Link::Break { parent: place }, depth));
            }
            let begin: usize = lines[line][..segment].iter().map(|segment| segment.turns.len()).sum();
            let turns = lines[line][segment].turns.len();
            for child in self.children[line].iter().rev() {
                let Some(spawn) = self.spawns[*child].filter(|spawn| (begin..begin + turns).contains(&spawn.start))
                else {
                    continue;
                };
                if is_placed[*child] || depth == MAX_DEPTH {
                    continue;
                }
                is_placed[*child] = true;
                // A join after this session is one of the session after its break.
                let join_turn = spawn.join.map(|join| (join - begin).min(turns) as u32);
                let join_turn = join_turn.filter(|join| *join < turns as u32 || segment + 1 < lines[line].len());
                let link = Link::Subagent { parent: place, parent_turn: (spawn.start - begin) as u32, join_turn };
                next.push((*child, 0, link, depth + 1));
            }
        }
    }
}

/// Where a sub-agent starts and joins. `begin` is the time of its first call.
fn spawn(
    parent: usize,
    spawned_by: Option<usize>,
    joined_by: Option<usize>,
    begin: Option<f64>,
    recorded: &RecordedSession,
    segments: &[Segment],
) -> Spawn {
    let calls: Vec<usize> = segments.iter().flat_map(|segment| &segment.turns).map(|turn| turn.lengths.call).collect();
    let start = match (spawned_by, begin) {
        // A call that was left out: the one before it.
        (Some(call), _) => calls.partition_point(|other| *other <= call),
        (None, Some(begin)) => {
            let has_ended = |call: &&usize| {
                let call = &recorded.calls[**call];
                call.end_ms.or(call.sent_ms).is_some_and(|end| end <= begin)
            };
            calls.iter().take_while(has_ended).count()
        }
        (None, None) => 0,
    };
    let start = start.saturating_sub(1);
    let join = joined_by.map(|call| calls.partition_point(|other| *other < call));
    Spawn { parent, start, join: join.filter(|join| *join > start && *join < calls.len()) }
}
