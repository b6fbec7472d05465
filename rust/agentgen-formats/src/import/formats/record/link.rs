//! Which calls are of one line: a session of one agent, across its breaks.
//!
//! A call continues the line whose last prompt its own begins with. A client that sends an id of its session has a main line
//! and others, told apart by their tools and system prompts; a prompt of the main line that does not extend the one before is
//! a break of it. Without an id, so is a prompt that still has the first message of a line.

use std::collections::HashMap;

use super::super::ASK_A_PERSON;
use crate::import::journal::{Entry, Outcome, Piece};
use crate::import::model::{Agent, Call, Part, Prompt, RecordedSession, ToolUse, Trigger, Usage};

/// Most lines that a prompt is compared with.
const MAX_CANDIDATES: usize = 64;

/// A line so far.
struct Line {
    /// Hash of the client's id of the session.
    client: Option<String>,
    /// Hash of the id of the session that started it.
    parent: Option<String>,
    /// Identity of tools and system prompt.
    system: u64,
    /// Identity of the first message.
    first: u64,
    /// The last prompt.
    last: Vec<Piece>,
    /// When its answer was complete.
    end_ms: f64,
    calls: Vec<Call>,
}

/// All lines.
pub struct Lines {
    all: Vec<Line>,
    /// The main lines of clients.
    mains: HashMap<String, Main>,
    /// Lines by the identity of their last prompt, within a client.
    ends: HashMap<u64, usize>,
    /// Lines that a prompt may break: by client, or by the beginning up to the first message.
    groups: HashMap<u64, Vec<usize>>,
}

/// The main line of a client, once its first call, which has this number, has been added.
struct Main {
    call: u64,
    line: Option<usize>,
}

impl Lines {
    /// No line; `entries` are all calls in the order in which they were sent.
    pub fn new(entries: &[Entry]) -> Self {
        let mut mains: HashMap<String, (u64, bool)> = HashMap::new();
        for entry in entries {
            let Some(client) = &entry.client else { continue };
            let main = mains.entry(client.clone()).or_insert((entry.call, entry.has_tools));
            // Titles and the like are made by calls without tools.
            if entry.has_tools && !main.1 {
                *main = (entry.call, true);
            }
        }
        let mains = mains.into_iter().map(|(client, (call, _))| (client, Main { call, line: None }));
        Self { all: Vec::new(), mains: mains.collect(), ends: HashMap::new(), groups: HashMap::new() }
    }

    /// Adds a call with its prompt.
    pub fn add(&mut self, entry: &Entry, pieces: Vec<Piece>) {
        let chain = chain(entry.client.as_deref(), &pieces);
        let named = |name: &Option<String>, end: usize| {
            name.as_ref().map_or(chain[end], |name| xxhash_rust::xxh3::xxh3_64(name.as_bytes()))
        };
        let (system, first) = (named(&entry.agent, entry.head[0]), named(&entry.first, entry.head[1]));
        let group = if entry.client.is_some() { chain[0] } else { mix(system ^ mix(first)) };
        let whole = self.whole(entry, &pieces, &chain);
        let line = whole.or_else(|| self.broken(entry, &pieces, group, (system, first)));
        let mut call = call(entry);
        let (line, known) = match (line, whole) {
            (Some(line), Some(_)) => (line, Some(self.all[line].last.len())),
            (Some(line), None) => (line, None),
            (None, _) => (self.begin(entry, group, (system, first)), None),
        };
        call.prompt = match known {
            Some(known) => Prompt::Appended(parts(&pieces[known..])),
            None => Prompt::Parts(parts(&pieces)),
        };
        let own = &mut self.all[line];
        if let (Some(before), Some(Trigger::Tool)) = (own.calls.last_mut(), call.trigger) {
            let wall_ms = before.end_ms.zip(call.sent_ms).map(|(end, sent)| sent - end);
            before.tools.iter_mut().for_each(|tool| tool.wall_ms = wall_ms);
        }
        own.end_ms = call.end_ms.unwrap_or(entry.sent_ms);
        own.calls.push(call);
        own.last = pieces;
        self.ends.insert(chain[chain.len() - 1], line);
    }

    /// The line with the longest last prompt that this one begins with and is longer than.
    fn whole(&mut self, entry: &Entry, pieces: &[Piece], chain: &[u64]) -> Option<usize> {
        (1..pieces.len()).rev().find_map(|length| {
            let line = *self.ends.get(&chain[length])?;
            let found = &self.all[line];
            let continues = found.last[..] == pieces[..length] && found.end_ms <= entry.sent_ms;
            continues.then(|| {
                self.ends.remove(&chain[length]);
                line
            })
        })
    }

    /// The line that shares most with a prompt that does not extend it.
    fn broken(&self, entry: &Entry, pieces: &[Piece], group: u64, (system, first): (u64, u64)) -> Option<usize> {
        // Without an id, a prompt of one message begins a session.
        if entry.client.is_none() && pieces.len() == entry.head[1] {
            return None;
        }
        let main = entry.client.as_ref().and_then(|client| self.mains.get(client)).and_then(|main| main.line);
        let candidates = self.groups.get(&group).into_iter().flatten().rev().take(MAX_CANDIDATES);
        let shares = candidates.filter_map(|at| {
            let line = &self.all[*at];
            let shared = line.last.iter().zip(pieces).take_while(|(a, b)| a == b).count();
            // A sub-agent with another task is another one; the main agent stays what it is after a compaction.
            let is_same = line.system == system && (main == Some(*at) || line.first == first);
            (is_same && line.end_ms <= entry.sent_ms).then_some((shared, *at))
        });
        shares.max().map(|(_, line)| line)
    }

    fn begin(&mut self, entry: &Entry, group: u64, (system, first): (u64, u64)) -> usize {
        let line = self.all.len();
        if let Some(main) = entry.client.as_ref().and_then(|client| self.mains.get_mut(client))
            && main.call == entry.call
        {
            main.line = Some(line);
        }
        self.groups.entry(group).or_default().push(line);
        let (client, parent) = (entry.client.clone(), entry.parent.clone());
        self.all.push(Line { client, parent, system, first, last: Vec::new(), end_ms: 0.0, calls: Vec::new() });
        line
    }

    /// The sessions; `session` makes one of a line's number and its calls.
    pub fn finish(self, session: impl Fn(usize, Vec<Call>) -> RecordedSession) -> Vec<RecordedSession> {
        let agents: Vec<Option<Sub>> = (0..self.all.len()).map(|line| self.sub_agent(line)).collect();
        let mut sessions: Vec<RecordedSession> =
            self.all.into_iter().enumerate().map(|(number, line)| session(number, line.calls)).collect();
        let keys: Vec<String> = sessions.iter().map(|session| session.key.clone()).collect();
        for (session, sub) in sessions.iter_mut().zip(agents) {
            let Some(sub) = sub else { continue };
            session.agent = Agent::Sub {
                kind: sub.kind,
                parent: keys[sub.parent].clone(),
                spawned_by: Some(sub.spawned_by),
                joined_by: sub.joined_by,
            };
        }
        sessions
    }

    /// How a line was started that is not its client's main one, or whose client names the session that started it: by the
    /// last answer of that main line before it.
    fn sub_agent(&self, line: usize) -> Option<Sub> {
        let Line { client, parent, system, calls, end_ms, .. } = &self.all[line];
        let main_of = |client: &String| self.mains.get(client).and_then(|main| main.line).filter(|main| *main != line);
        let parent = main_of(client.as_ref()?).or_else(|| main_of(parent.as_ref()?))?;
        let begin = calls.first()?.sent_ms?;
        let of_parent = &self.all[parent].calls;
        let ended = of_parent.iter().take_while(|call| call.end_ms.is_some_and(|end| end <= begin)).count();
        let spawned_by = ended.checked_sub(1)?;
        // The parent waits if its next call has results of tools, and comes after all calls of the line.
        let next = of_parent.get(ended).filter(|next| next.trigger == Some(Trigger::Tool));
        let joined_by = next.filter(|next| next.sent_ms.is_some_and(|sent| sent >= *end_ms)).map(|_| ended);
        let kind = (*system != self.all[parent].system).then(|| format!("{system:016x}"));
        Some(Sub { parent, kind, spawned_by, joined_by })
    }
}

struct Sub {
    parent: usize,
    kind: Option<String>,
    spawned_by: usize,
    joined_by: Option<usize>,
}

fn parts(pieces: &[Piece]) -> Vec<Part> {
    pieces.iter().map(|piece| piece.part()).collect()
}

/// The identity of each beginning of a prompt, from the empty one on, within a client.
fn chain(client: Option<&str>, pieces: &[Piece]) -> Vec<u64> {
    let mut key = client.map_or(0, |client| xxhash_rust::xxh3::xxh3_64(client.as_bytes()));
    let mut chain = Vec::with_capacity(pieces.len() + 1);
    chain.push(key);
    for piece in pieces {
        key = mix(key ^ mix(piece.bits()));
        chain.push(key);
    }
    chain
}

/// The finalizer of `SplitMix64` after a step, so that it does not keep 0.
fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

fn call(entry: &Entry) -> Call {
    let at = |after: f64| entry.sent_ms + after;
    let tool = |name: &String| ToolUse {
        asks_person: ASK_A_PERSON.contains(&name.as_str()),
        name: name.clone(),
        ..ToolUse::default()
    };
    let usage = entry.usage;
    // The count of an answer that was cut is that of what came until then, if the server counts as it goes.
    let is_whole = entry.outcome == Outcome::Answered;
    Call {
        model: entry.model.clone(),
        trigger: match entry.trigger.as_deref() {
            Some("human") => Some(Trigger::Human),
            Some("tool") => Some(Trigger::Tool),
            _ => None,
        },
        human_turn_index: entry.human_turns.saturating_sub(1),
        usage: Usage {
            prompt_tokens: usage.prompt,
            cached_tokens: usage.cached,
            cache_written_tokens: usage.written,
            output_tokens: usage.output.filter(|_| is_whole),
            reasoning_tokens: usage.reasoning,
        },
        sent_ms: Some(entry.sent_ms),
        sent_is_recorded: true,
        first_output_ms: entry.first_token_after_ms.or(entry.first_byte_after_ms).map(at),
        end_ms: Some(at(entry.end_after_ms)),
        output_bytes: Some(entry.output_bytes),
        tools: entry.tools.iter().map(tool).collect(),
        ..Call::default()
    }
}
