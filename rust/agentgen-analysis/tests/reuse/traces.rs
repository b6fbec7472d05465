//! Small random traces, with every token of their requests.

use std::collections::HashMap;
use std::fmt::Write as _;

use agentgen_core::Layout;
use agentgen_engine::timeline::TimelineOptions;
use proptest::prelude::*;

/// A token: equal tokens are the same text.
pub type Token = [u64; 3];

/// L1 and L1.5 of the traces, in whole blocks.
#[derive(Debug, Clone, Copy)]
pub struct Shared {
    pub layer1: usize,
    pub layer1_5: usize,
}

/// A session from which rows are made.
#[derive(Debug, Clone)]
pub struct Session {
    /// The session that it continues, by position in the file.
    pub parent: Option<usize>,
    pub group: usize,
    pub arrival_tenths: u64,
    /// `(new tokens, output tokens, tenths of a millisecond before)`; the first: the whole prompt.
    pub turns: Vec<(usize, usize, u64)>,
    /// Cumulative: a turn whose prompt does not extend the one before, its length, and the tokens from there on.
    pub anew: Option<(usize, usize, Vec<Token>)>,
    /// Its tokens: linked to its parent; of its incremental rows alone; of its cumulative rows alone.
    pub linked: Vec<Token>,
    pub standalone: Vec<Token>,
    pub by_blocks: Vec<Token>,
}

/// A trace of sessions.
#[derive(Debug, Clone)]
pub struct Trace {
    pub id_tokens: usize,
    pub shared: Shared,
    pub sessions: Vec<Session>,
    pub names_parents: bool,
    pub names_ends: bool,
    pub timing: TimelineOptions,
}

/// Whole prompts without sessions: `(ids, prompt, output, timestamp)`.
#[derive(Debug, Clone)]
pub struct Prompts {
    pub id_tokens: usize,
    pub rows: Vec<(Vec<i64>, usize, usize, u64)>,
    pub timing: TimelineOptions,
}

fn times() -> impl Strategy<Value = u64> {
    prop_oneof![3 => Just(0), 3 => 0..30_000_u64, 2 => 0..8_000_000_u64, 1 => Just(3_000_000)]
}

fn timing() -> impl Strategy<Value = TimelineOptions> {
    (1..5_usize).prop_map(|concurrency| TimelineOptions {
        concurrency,
        prefill_tokens_per_second: 8.0,
        decode_tokens_per_second: 4.0,
    })
}

impl Session {
    pub fn contexts(&self) -> Vec<usize> {
        let mut end = 0;
        let context = |(turn, (new, output, _)): (usize, &(usize, usize, u64))| {
            let anew = self.anew.as_ref().filter(|anew| anew.0 == turn);
            let context = anew.map_or(end + new, |anew| anew.1);
            end = context + output;
            context
        };
        self.turns.iter().enumerate().map(context).collect()
    }

    /// The first tokens of a turn's prompt.
    fn prompt(&self, turn: usize, context: usize) -> &[Token] {
        let anew = self.anew.as_ref().filter(|anew| anew.0 <= turn);
        &anew.map_or(&self.linked, |anew| &anew.2)[..context]
    }

    /// Replaces the prompts from `turn` on, except for some of the first blocks.
    fn replace_prompts(&mut self, turn: usize, (blocks, more): (usize, usize), number: usize, id_tokens: usize) {
        let last = self.contexts()[turn - 1];
        // An identical prompt would need an identical output.
        let kept = (blocks * id_tokens).min((last - 1) / id_tokens * id_tokens);
        let is_other = kept + id_tokens <= last;
        // A block of the last prompt is missing, or the prompt is shorter than what came before it.
        let context = if is_other { kept + id_tokens + more } else { kept.max(1) };
        self.anew = Some((turn, context, self.linked[..kept].to_vec()));
        let end = self.contexts()[self.turns.len() - 1] + self.turns[self.turns.len() - 1].1;
        let own = (kept..end).map(|at| [number as u64 + 10, 3, at as u64]);
        if let Some((_, _, tokens)) = &mut self.anew {
            tokens.extend(own);
        }
    }

    /// Tokens up to the end of the last output.
    fn end(&self) -> usize {
        self.turns.iter().map(|(new, output, _)| new + output).sum()
    }

    /// `start`, then tokens that only session `number` has, different for each `reading`.
    fn own(&self, start: &[Token], number: usize, reading: u64) -> Vec<Token> {
        let own = (start.len()..self.end()).map(|at| [number as u64 + 10, reading, at as u64]);
        start.iter().copied().chain(own).collect()
    }
}

/// Traces of up to 10 sessions, some of which continue an earlier one; optionally, some replace their prompt.
pub fn traces(may_replace_prompts: bool) -> impl Strategy<Value = Trace> {
    let turn = || (1..9_usize, 1..9_usize, times());
    let session = (
        (0..3_usize, times(), 1..20_usize, 1..9_usize),
        prop::collection::vec(turn(), 0..5),
        proptest::option::weighted(0.4, (any::<prop::sample::Index>(), 0..3_usize)),
        proptest::option::weighted(0.3, (any::<prop::sample::Index>(), (0..6_usize, 0..9_usize))),
    );
    let shared = (0..3_usize, 0..3_usize, 1..5_usize, any::<bool>());
    let names = (any::<bool>(), any::<bool>());
    (shared, prop::collection::vec(session, 1..11), names, timing()).prop_map(move |(shared, made, names, timing)| {
        let (layer1, layer1_5, id_tokens, is_closed) = shared;
        let shared = Shared { layer1, layer1_5 };
        let mut trace =
            Trace { id_tokens, shared, sessions: Vec::new(), names_parents: names.0, names_ends: names.1, timing };
        for ((group, arrival, first, output), turns, parent, anew) in made {
            let arrival_tenths = if is_closed { 0 } else { arrival };
            let turns: Vec<_> = std::iter::once((first, output, 0)).chain(turns).collect();
            let parent = parent.filter(|_| !trace.sessions.is_empty());
            let parent = parent.map(|(which, cut)| (which.index(trace.sessions.len()), cut));
            let session = match parent {
                // At most one continuation per session, and none of a continuation.
                Some((parent, cut)) if trace.may_be_continued(parent) => {
                    trace.continuation(parent, cut, arrival_tenths, turns)
                }
                _ => trace.root(group, arrival_tenths, turns),
            };
            trace.sessions.push(session);
            let number = trace.sessions.len() - 1;
            let session = &mut trace.sessions[number];
            let may_replace_prompts = may_replace_prompts && session.parent.is_none() && session.turns.len() > 1;
            if let Some((turn, kept)) = anew.filter(|_| may_replace_prompts) {
                session.replace_prompts(1 + turn.index(session.turns.len() - 1), kept, number, id_tokens);
            }
        }
        trace
    })
}

impl Trace {
    fn may_be_continued(&self, number: usize) -> bool {
        let session = &self.sessions[number];
        session.parent.is_none() && session.anew.is_none() && !self.is_continued(number)
    }

    fn is_continued(&self, number: usize) -> bool {
        self.sessions.iter().any(|session| session.parent == Some(number))
    }

    fn root(&self, group: usize, arrival_tenths: u64, mut turns: Vec<(usize, usize, u64)>) -> Session {
        let (layer1, layer1_5) = (self.shared.layer1 * self.id_tokens, self.shared.layer1_5 * self.id_tokens);
        turns[0].0 += layer1 + layer1_5;
        let prefix: Vec<Token> = (0..layer1 as u64)
            .map(|at| [0, 0, at])
            .chain((0..layer1_5 as u64).map(|at| [1, group as u64, at]))
            .collect();
        let (linked, standalone, by_blocks) = (Vec::new(), Vec::new(), Vec::new());
        let mut session =
            Session { parent: None, group, arrival_tenths, turns, anew: None, linked, standalone, by_blocks };
        session.linked = session.own(&prefix, self.sessions.len(), 0);
        session.standalone.clone_from(&session.linked);
        session.by_blocks.clone_from(&session.linked);
        session
    }

    /// `cut`: tokens removed by the limit of prompts.
    fn continuation(
        &self,
        number: usize,
        cut: usize,
        arrival_tenths: u64,
        mut turns: Vec<(usize, usize, u64)>,
    ) -> Session {
        let parent = &self.sessions[number];
        let last = parent.turns[parent.turns.len() - 1];
        turns[0].0 = parent.end() - cut.min(last.1);
        let (linked, standalone, by_blocks) = (Vec::new(), Vec::new(), Vec::new());
        let group = parent.group;
        let mut session =
            Session { parent: Some(number), group, arrival_tenths, turns, anew: None, linked, standalone, by_blocks };
        let number = self.sessions.len();
        let whole = |tokens: usize| tokens / self.id_tokens * self.id_tokens;
        let contexts = parent.contexts();
        session.linked = session.own(&parent.linked[..session.turns[0].0], number, 0);
        session.standalone = session.own(&parent.linked[..whole(contexts[0])], number, 1);
        session.by_blocks = session.own(&parent.linked[..whole(contexts[contexts.len() - 1])], number, 2);
        session
    }

    /// The rows as JSONL; cumulative ones in order of time if `is_sorted`.
    pub fn jsonl(&self, layout: Layout, is_sorted: bool) -> String {
        let mut ids = Ids::new(self.id_tokens);
        let mut rows: Vec<(u64, String)> = Vec::new();
        let mut chunks: Vec<Vec<i64>> = Vec::new();
        for (number, session) in self.sessions.iter().enumerate() {
            let contexts = session.contexts();
            let mut now = session.arrival_tenths;
            let mut full = Vec::new();
            for (turn, (new, output, delay)) in session.turns.iter().enumerate() {
                now += if turn == 0 { 0 } else { *delay };
                let mut row = String::from("{");
                if layout == Layout::Cumulative {
                    let ids = ids.chunks(session.prompt(turn, contexts[turn]), 0);
                    write!(row, r#""conversation_id":"s{number}","input_length":{},"#, contexts[turn]).unwrap();
                    write!(row, r#""output_length":{output},"hash_ids":{ids:?},"timestamp":{}"#, tenths(now)).unwrap();
                } else {
                    let ids = match session.parent.filter(|_| turn == 0) {
                        Some(parent) => ids.repeated(&chunks[parent], *new),
                        None => ids.chunks(&session.linked[..contexts[turn]], contexts[turn] - new),
                    };
                    full.extend(&ids[..new / self.id_tokens]);
                    write!(row, r#""session_id":"s{number}","input_length":{new},"output_length":{output},"#).unwrap();
                    write!(row, r#""hash_ids":{ids:?}"#).unwrap();
                    if turn == 0 {
                        write!(row, r#","timestamp":{}"#, tenths(now)).unwrap();
                    } else {
                        write!(row, r#","delay":{}"#, tenths(*delay)).unwrap();
                    }
                }
                if turn == 0
                    && let Some(parent) = session.parent
                {
                    row += r#","is_restart":true"#;
                    if self.names_parents {
                        write!(row, r#","parent_session_id":"s{parent}""#).unwrap();
                    }
                }
                if turn + 1 == session.turns.len() && self.names_ends(layout) {
                    let reason = if self.is_continued(number) { "restart_split" } else { "forced_retire" };
                    write!(row, r#","end_reason":"{reason}""#).unwrap();
                }
                rows.push((now, row + "}\n"));
            }
            chunks.push(full);
        }
        if is_sorted {
            rows.sort_by_key(|row| row.0);
        }
        rows.into_iter().map(|row| row.1).collect()
    }

    /// Whether rows name the ends of sessions, without which the end of a cumulative session is unknown.
    fn names_ends(&self, layout: Layout) -> bool {
        self.names_ends || layout == Layout::Cumulative
    }
}

/// Whole prompts along the paths of a small tree, with repetitions.
pub fn prompts() -> impl Strategy<Value = Prompts> {
    let path = prop::collection::vec(0..3_usize, 1..7);
    let row = (path, any::<prop::sample::Index>(), 0..8_usize, 0..6_usize, times());
    (1..5_usize, prop::collection::vec(row, 1..25), timing()).prop_map(|(id_tokens, made, timing)| {
        let mut ids: HashMap<Vec<usize>, i64> = HashMap::new();
        let mut rows: Vec<(Vec<i64>, usize, usize, u64)> = Vec::new();
        let mut now = 0;
        for (path, earlier, missing, output, time) in made {
            now += time;
            // Most blocks have the number after that of the block before.
            let fresh = |known: usize| (known + known / 5) as i64;
            let path: Vec<i64> = (1..=path.len())
                .map(|end| {
                    let next = fresh(ids.len());
                    *ids.entry(path[..end].to_vec()).or_insert(next)
                })
                .collect();
            let ids = if missing == 7 && !rows.is_empty() { earlier.get(&rows).0.clone() } else { path };
            let tokens = ids.len() * id_tokens - missing % id_tokens;
            rows.push((ids, tokens, output, now));
        }
        Prompts { id_tokens, rows, timing }
    })
}

impl Prompts {
    pub fn jsonl(&self) -> String {
        let row = |(ids, tokens, output, time): &(Vec<i64>, usize, usize, u64)| {
            format!(
                "{{\"timestamp\":{},\"input_length\":{tokens},\"output_length\":{output},\"hash_ids\":{ids:?}}}\n",
                tenths(*time)
            )
        };
        self.rows.iter().map(row).collect()
    }
}

fn tenths(time: u64) -> String {
    format!("{}.{}", time / 10, time % 10)
}

/// Assigns ids to blocks.
struct Ids {
    id_tokens: usize,
    next: i64,
    /// By all tokens up to the block's end.
    full: HashMap<Vec<Token>, i64>,
}

impl Ids {
    fn new(id_tokens: usize) -> Self {
        Self { id_tokens, next: 0, full: HashMap::new() }
    }

    fn fresh(&mut self) -> i64 {
        // Some ids are skipped.
        self.next += 1 + i64::from(self.next % 5 == 3);
        self.next
    }

    fn full(&mut self, tokens: &[Token]) -> i64 {
        if let Some(id) = self.full.get(tokens) {
            return *id;
        }
        let id = self.fresh();
        self.full.insert(tokens.to_vec(), id);
        id
    }

    /// One id per chunk of a prompt's tokens from `start` on; the partial chunk at the end gets a new id.
    fn chunks(&mut self, prompt: &[Token], start: usize) -> Vec<i64> {
        let size = self.id_tokens;
        let ends = (1..=(prompt.len() - start) / size).map(|chunk| start + chunk * size);
        let mut ids: Vec<i64> = ends.map(|end| self.full(&prompt[..end])).collect();
        if !(prompt.len() - start).is_multiple_of(size) {
            ids.push(self.fresh());
        }
        ids
    }

    /// The parent's full chunks, then new ids.
    fn repeated(&mut self, chunks: &[i64], tokens: usize) -> Vec<i64> {
        let mut ids = chunks.to_vec();
        ids.resize_with(tokens.div_ceil(self.id_tokens), || self.fresh());
        ids
    }
}
