//! What spans files: calls that resumed and forked sessions repeat, and the sub-agents of a session.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::model::{Agent, Part, Prompt, RecordedSession, Recording, Spawn};

/// Why a call is left out that another session has.
const REPEATED: &str = "calls repeated from another session";

/// Why a session is left out.
const EMPTY: &str = "sessions without a call of their own";

/// A call, by the index of its session and its own in there, as read.
type Place = (usize, usize);

/// Puts together what the files of an import hold: each call once, each key once, sub-agents with their parents.
///
/// Of several sessions with one call, the one that ended first keeps it: those that ended later were resumed or forked from
/// it. A sub-agent that repeats calls of its parent never keeps them.
#[must_use]
pub fn merge(mut recording: Recording) -> Recording {
    let read = recording.sessions.len();
    let mut repeated = drop_copies(&mut recording.sessions);
    rename(&mut recording.sessions);
    let places = places(&recording.sessions);
    let keys: Vec<String> = recording.sessions.iter().map(|s| s.key.clone()).collect();
    for (index, session) in recording.sessions.iter_mut().enumerate() {
        repeated += keep_own(session, index, &places[index], &keys);
    }
    let told = Told::new(&recording.spawns, &recording.started_by);
    link(&mut recording.sessions, &told, &places, &keys);
    recording.sessions.retain(|session| !session.calls.is_empty());
    let empty = (read - recording.sessions.len()) as u64;
    cut_circles(&mut recording.sessions);
    recording.spawns.clear();
    recording.started_by.clear();
    recording.leave_out(REPEATED, repeated);
    recording.leave_out(EMPTY, empty);
    recording
}

/// Drops sessions that are the beginning of another one with their key, such as copies in an archive; returns how many calls
/// they had.
fn drop_copies(sessions: &mut Vec<RecordedSession>) -> u64 {
    let mut longest: HashMap<(&str, &str), usize> = HashMap::new();
    let mut is_copy = vec![false; sessions.len()];
    for (index, session) in sessions.iter().enumerate() {
        let name = (session.client.format.as_str(), session.key.as_str());
        let Some(other) = longest.get(&name).copied() else {
            longest.insert(name, index);
            continue;
        };
        let (short, long) =
            if session.calls.len() <= sessions[other].calls.len() { (index, other) } else { (other, index) };
        let mut pairs = sessions[short].calls.iter().zip(&sessions[long].calls);
        if pairs.all(|(a, b)| a.id.is_some() && a.id == b.id) {
            is_copy[short] = true;
            longest.insert(name, long);
        }
    }
    let copies = is_copy.iter().zip(sessions.iter()).filter(|(is_copy, _)| **is_copy);
    let calls = copies.map(|(_, session)| session.calls.len() as u64).sum();
    let mut flags = is_copy.into_iter();
    sessions.retain(|_| !flags.next().unwrap_or(false));
    calls
}

/// Gives sessions of one key different ones, except the first.
fn rename(sessions: &mut [RecordedSession]) {
    let mut seen: HashSet<String> = HashSet::new();
    for session in sessions {
        let key = session.key.clone();
        let mut copies = 1;
        while !seen.insert(session.key.clone()) {
            copies += 1;
            session.key = format!("{key}#{copies}");
        }
    }
}

/// For each call of each session, the place that keeps it.
fn places(sessions: &[RecordedSession]) -> Vec<Vec<Place>> {
    let ends: Vec<f64> = sessions.iter().map(end_ms).collect();
    let mut order: Vec<usize> = (0..sessions.len()).collect();
    order.sort_by(|&a, &b| {
        let is_sub = |i: usize| sessions[i].agent != Agent::Main;
        is_sub(a).cmp(&is_sub(b)).then(ends[a].total_cmp(&ends[b])).then(a.cmp(&b))
    });
    let mut owners: HashMap<(&str, &str), Place> = HashMap::new();
    let mut places: Vec<Vec<Place>> = vec![Vec::new(); sessions.len()];
    for index in order {
        let session = &sessions[index];
        let format = session.client.format.as_str();
        for (call, recorded) in session.calls.iter().enumerate() {
            let own = (index, call);
            let place = recorded.id.as_deref().map_or(own, |id| *owners.entry((format, id)).or_insert(own));
            places[index].push(place);
        }
    }
    places
}

/// When a session ended; infinite if unknown.
fn end_ms(session: &RecordedSession) -> f64 {
    let times = session.calls.iter().filter_map(|call| call.end_ms.or(call.sent_ms));
    times.reduce(f64::max).unwrap_or(f64::INFINITY)
}

/// Removes the calls that another place keeps; returns how many.
fn keep_own(session: &mut RecordedSession, index: usize, places: &[Place], keys: &[String]) -> u64 {
    let is_own = |call: usize| places[call] == (index, call);
    let repeated = (0..places.len()).filter(|call| !is_own(*call)).count();
    if repeated == 0 {
        return 0;
    }
    let first_own = (0..places.len()).find(|call| is_own(*call));
    if let Some(last_copied) = first_own.and_then(|call| call.checked_sub(1)) {
        let owner = places[last_copied].0;
        if owner != index {
            session.continues = Some(keys[owner].clone());
        }
    }
    let mut history: Vec<Part> = Vec::new();
    let (mut number, mut after_copy) = (0, false);
    session.calls.retain_mut(|call| {
        if let Prompt::Appended(parts) = &call.prompt {
            history.extend_from_slice(parts);
        } else if let Prompt::Parts(parts) = &call.prompt {
            history.clone_from(parts);
        }
        let keep = is_own(number);
        if keep && after_copy && matches!(call.prompt, Prompt::Appended(_)) {
            // What the copied calls before it appended is part of its prompt.
            call.prompt = Prompt::Parts(history.clone());
        }
        after_copy = !keep;
        number += 1;
        keep
    });
    let first_turn = session.calls.first().map_or(0, |call| call.human_turn_index);
    for call in &mut session.calls {
        call.human_turn_index = call.human_turn_index.saturating_sub(first_turn);
    }
    session.human_turn_ms.drain(..session.human_turn_ms.len().min(first_turn as usize));
    repeated as u64
}

/// What logs tell of the sub-agents that their sessions started.
struct Told<'a> {
    by_key: HashMap<&'a str, &'a Spawn>,
    by_call: HashMap<&'a str, &'a Spawn>,
    started_by: &'a BTreeMap<String, String>,
}

impl<'a> Told<'a> {
    fn new(spawns: &'a [Spawn], started_by: &'a BTreeMap<String, String>) -> Self {
        let mut told = Self { by_key: HashMap::new(), by_call: HashMap::new(), started_by };
        for spawn in spawns.iter().filter(|s| s.agent.as_ref() != Some(&s.parent)) {
            if let Some(agent) = &spawn.agent {
                told.by_key.entry(agent).or_insert(spawn);
            }
            if let Some(call) = &spawn.tool_call {
                told.by_call.entry(call).or_insert(spawn);
            }
        }
        told
    }

    fn spawn(&self, key: &str) -> Option<&'a Spawn> {
        // Several agents may have been started as one run, whose name begins their keys.
        let run = key.rsplit_once('/').map_or("", |(run, _)| run);
        let by_call = || self.by_call.get(self.started_by.get(key)?.as_str()).filter(|s| s.parent != key);
        self.by_key.get(key).or_else(|| self.by_key.get(run)).or_else(by_call).copied()
    }
}

/// Gives sub-agents what the logs of their parents say, and makes indices count the calls that were kept.
fn link(sessions: &mut [RecordedSession], told: &Told, places: &[Vec<Place>], keys: &[String]) {
    let indices: HashMap<&str, usize> = keys.iter().enumerate().map(|(i, key)| (key.as_str(), i)).collect();
    let kept: Vec<Vec<usize>> = places
        .iter()
        .enumerate()
        .map(|(session, calls)| {
            let mut next = 0;
            let index = |(call, place): (usize, &Place)| {
                let index = next;
                next += usize::from(*place == (session, call));
                index
            };
            calls.iter().enumerate().map(index).collect()
        })
        .collect();
    // Where a call of a session is now: its session and index.
    let find = |parent: &str, call: usize| -> Option<Place> {
        let (session, index) = *places.get(*indices.get(parent)?)?.get(call)?;
        Some((session, kept[session][index]))
    };
    for (key, session) in keys.iter().zip(sessions) {
        if let (Agent::Main, Some(spawn)) = (&session.agent, told.by_key.get(key.as_str())) {
            // Its own log does not say that another session started it.
            session.agent = Agent::Sub { kind: None, parent: spawn.parent.clone(), spawned_by: None, joined_by: None };
        }
        let Agent::Sub { kind, parent, spawned_by, joined_by } = &mut session.agent else { continue };
        if let Some(spawn) = told.spawn(key) {
            parent.clone_from(&spawn.parent);
            *kind = kind.take().or_else(|| spawn.kind.clone());
            (*spawned_by, *joined_by) = (Some(spawn.spawned_by), spawn.joined_by);
        }
        let spawned = spawned_by.and_then(|call| find(parent, call));
        let joined = joined_by.and_then(|call| find(parent, call));
        if let Some((session, call)) = spawned {
            *spawned_by = Some(call);
            // A result that only another session has: the wait for it is none of the parent's.
            *joined_by = joined.filter(|(joiner, _)| *joiner == session).map(|(_, call)| call);
            parent.clone_from(&keys[session]);
        } else {
            (*spawned_by, *joined_by) = (None, None);
            // All calls of a parent may have been copies of those of another session.
            let replaced = indices.get(parent.as_str()).and_then(|i| places[*i].last()).map(|(session, _)| *session);
            if let Some(session) = replaced {
                parent.clone_from(&keys[session]);
            }
        }
    }
}

/// Makes main agents of sub-agents that would be their own ancestors.
fn cut_circles(sessions: &mut [RecordedSession]) {
    let parents: HashMap<String, String> = sessions
        .iter()
        .filter_map(|s| match &s.agent {
            Agent::Sub { parent, .. } => Some((s.key.clone(), parent.clone())),
            Agent::Main => None,
        })
        .collect();
    let is_circular = |key: &str| {
        let mut seen = HashSet::from([key]);
        let mut at = parents.get(key);
        while let Some(parent) = at {
            if !seen.insert(parent) {
                return parent == key;
            }
            at = parents.get(parent);
        }
        false
    };
    for session in sessions {
        if is_circular(&session.key) {
            session.agent = Agent::Main;
        }
    }
}
