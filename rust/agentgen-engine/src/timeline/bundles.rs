//! Bundles: a session and those that are linked under it as breaks and sub-agents. A bundle has one slot.

use std::collections::HashMap;

/// How a session begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// On a slot of its own, or at its arrival.
    Slot,
    /// After the last response of another session, in its bundle.
    Break {
        /// Number of that session.
        parent: u64,
    },
    /// After the response of a turn of another session, in its bundle.
    SubAgent {
        /// Number of that session.
        parent: u64,
        /// That turn.
        turn: usize,
        /// The turn of that session that waits for the end of this session and the breaks after it; the number of its
        /// turns stands for the first turn of its break. `None`: nothing waits.
        join: Option<usize>,
    },
}

/// A turn that waits for sub-agents.
#[derive(Debug)]
struct Gate<W> {
    turn: usize,
    /// Sub-agents that are not over.
    open: usize,
    /// The latest end of those that are, ms.
    end_ms: f64,
    /// The session that is ready for the turn, and since when.
    waiting: Option<(W, f64)>,
}

/// A session still to begin.
#[derive(Debug)]
struct Member<S> {
    number: u64,
    begin: Begin,
    session: S,
}

/// The bundles that have started and are not over. `S` is a session that has not begun, `W` stands for one that waits.
#[derive(Debug)]
pub struct Bundles<S, W> {
    /// The first session of each session's bundle.
    heads: HashMap<u64, u64>,
    /// Sessions of a bundle that are not over, and the latest end of the others in ms, by its first session.
    open: HashMap<u64, (usize, f64)>,
    /// Sessions still to begin, by parent.
    members: HashMap<u64, Vec<Member<S>>>,
    /// Turns that wait for sub-agents, by session.
    gates: HashMap<u64, Vec<Gate<W>>>,
    /// The turn that waits for a sub-agent, by the session that its line has reached.
    joins: HashMap<u64, (u64, usize)>,
}

/// What the end of a session sets going, each with its time in ms.
#[derive(Debug)]
pub struct Ended<S, W> {
    /// Sessions of the same bundle that begin.
    pub begins: Vec<(S, f64)>,
    /// Sessions that waited and go on.
    pub released: Vec<(W, f64)>,
    /// When its bundle is over and the slot is free, ms; `None`: sessions of the bundle are not over.
    pub slot_free_ms: Option<f64>,
}

impl<S, W> Default for Bundles<S, W> {
    fn default() -> Self {
        Self {
            heads: HashMap::new(),
            open: HashMap::new(),
            members: HashMap::new(),
            gates: HashMap::new(),
            joins: HashMap::new(),
        }
    }
}

impl<S, W> Bundles<S, W> {
    /// Begins a bundle with session number `head`.
    pub fn begin(&mut self, head: u64) {
        self.heads.insert(head, head);
        self.open.insert(head, (1, 0.0));
    }

    /// Adds a session to the bundle of its parent, before that begins; returns it if no bundle has it.
    pub fn add(&mut self, number: u64, begin: Begin, session: S) -> Option<S> {
        let (parent, join) = match begin {
            Begin::Slot => return Some(session),
            Begin::Break { parent } => (parent, None),
            Begin::SubAgent { parent, turn, join } => (parent, join.filter(|join| *join > turn)),
        };
        let Some(head) = self.heads.get(&parent).copied() else { return Some(session) };
        self.heads.insert(number, head);
        self.open.entry(head).or_default().0 += 1;
        if let Some(turn) = join {
            self.joins.insert(number, (parent, turn));
            let gates = self.gates.entry(parent).or_default();
            match gates.iter_mut().find(|gate| gate.turn == turn) {
                Some(gate) => gate.open += 1,
                None => gates.push(Gate { turn, open: 1, end_ms: 0.0, waiting: None }),
            }
        }
        self.members.entry(parent).or_default().push(Member { number, begin, session });
        None
    }

    /// The sub-agents that begin after the response of a turn.
    pub fn respond(&mut self, number: u64, turn: usize) -> Vec<S> {
        let Some(members) = self.members.get_mut(&number) else { return Vec::new() };
        let is_next =
            |member: &mut Member<S>| matches!(member.begin, Begin::SubAgent { turn: after, .. } if after == turn);
        members.extract_if(.., is_next).map(|member| member.session).collect()
    }

    /// When a session that is ready for a turn may send it; `None` if it waits for sub-agents.
    pub fn pass(&mut self, number: u64, turn: usize, session: W, ready_ms: f64) -> Option<(W, f64)> {
        let gate = self.gates.get_mut(&number).and_then(|gates| gates.iter_mut().find(|gate| gate.turn == turn));
        match gate {
            Some(gate) if gate.open > 0 => {
                gate.waiting = Some((session, ready_ms));
                None
            }
            gate => Some((session, gate.map_or(ready_ms, |gate| ready_ms.max(gate.end_ms)))),
        }
    }

    /// Ends a session after `turns` of its turns. One that failed begins none of those under it.
    pub fn end(&mut self, number: u64, turns: usize, end_ms: f64, has_failed: bool) -> Ended<S, W> {
        let mut ended = Ended { begins: Vec::new(), released: Vec::new(), slot_free_ms: Some(end_ms) };
        let Some(head) = self.heads.remove(&number) else { return ended };
        let mut members = self.members.remove(&number).unwrap_or_default();
        let next = members.extract_if(.., |m| !has_failed && matches!(m.begin, Begin::Break { .. })).next();
        // Those under it whose turn never came.
        for member in members {
            self.skip(member.number, head, end_ms, &mut ended.released);
        }
        let gates = self.gates.remove(&number).unwrap_or_default();
        match next {
            Some(next) => {
                let waits = gates.into_iter().find(|gate| gate.turn == turns);
                if let Some(gate) = waits {
                    self.joined_by(number, turns, next.number);
                    self.gates.entry(next.number).or_default().push(Gate { turn: 0, ..gate });
                }
                if let Some(join) = self.joins.remove(&number) {
                    self.joins.insert(next.number, join);
                }
                ended.begins.push((next.session, end_ms));
            }
            None => self.end_line(number, end_ms, &mut ended.released),
        }
        ended.slot_free_ms = self.close(head, end_ms);
        ended
    }

    /// Lets sub-agents be joined by the first turn of the break in place of its parent's turn.
    fn joined_by(&mut self, parent: u64, turn: usize, next: u64) {
        for join in self.joins.values_mut().filter(|join| **join == (parent, turn)) {
            *join = (next, 0);
        }
    }

    /// The line of a session is over: the turn that waits for it may go on.
    fn end_line(&mut self, number: u64, end_ms: f64, released: &mut Vec<(W, f64)>) {
        let Some((parent, turn)) = self.joins.remove(&number) else { return };
        let gates = self.gates.get_mut(&parent);
        let Some(gate) = gates.and_then(|gates| gates.iter_mut().find(|gate| gate.turn == turn)) else { return };
        gate.open -= 1;
        gate.end_ms = gate.end_ms.max(end_ms);
        if gate.open == 0
            && let Some((session, ready_ms)) = gate.waiting.take()
        {
            released.push((session, ready_ms.max(gate.end_ms)));
        }
    }

    /// Ends a session that never began, and all under it.
    fn skip(&mut self, number: u64, head: u64, end_ms: f64, released: &mut Vec<(W, f64)>) {
        self.heads.remove(&number);
        self.gates.remove(&number);
        for below in self.members.remove(&number).unwrap_or_default() {
            self.skip(below.number, head, end_ms, released);
        }
        self.end_line(number, end_ms, released);
        self.close(head, end_ms);
    }

    /// Counts a session of a bundle as over; if it was the last, the end of the bundle. Sessions need not end in the order
    /// of these calls.
    fn close(&mut self, head: u64, end_ms: f64) -> Option<f64> {
        let (open, latest_ms) = self.open.get_mut(&head)?;
        *open -= 1;
        *latest_ms = latest_ms.max(end_ms);
        if *open > 0 {
            return None;
        }
        self.open.remove(&head).map(|(_, latest_ms)| latest_ms)
    }
}
