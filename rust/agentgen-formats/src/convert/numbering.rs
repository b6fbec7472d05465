//! Numbers the blocks of whole prompts.

use std::collections::HashMap;

use agentgen_core::ids::IdRange;
use agentgen_core::{DatasetSpec, EndReason, Session, SessionGenerator, Turn};

use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::error::Result;
use agentgen_trace::meta::{Layout, Origin};

/// The fields of a row that determine its ids.
pub(super) struct Row<'a> {
    pub session: Option<&'a str>,
    pub parent: Option<&'a str>,
    pub group: Option<u32>,
    pub turn: u32,
    pub context: u32,
    /// Hash ids of the new tokens.
    pub chunks: &'a [i64],
    pub end_reason: Option<&'a str>,
}

/// Numbers the blocks of rows' whole prompts, session by session.
pub(super) trait Numbering: Send {
    fn append(&mut self, row: &Row, out: &mut Vec<i64>) -> Result<(), Diagnostic>;
}

/// Ids of a generated trace, in closed form.
pub(super) struct Generated {
    spec: DatasetSpec,
    root: u64,
    group: u32,
    tails: u64,
    id_ranges: Vec<IdRange>,
}

impl Generated {
    pub(super) fn new(origin: &Origin) -> Result<Self> {
        let Origin { config, overrides, seed, sessions } = origin;
        let spec = DatasetSpec::new(config, *overrides, *seed, *sessions, Layout::Cumulative)?;
        Ok(Self { spec, root: 0, group: 0, tails: 0, id_ranges: Vec::new() })
    }

    fn begin(&mut self, row: &Row) -> Result<(), Diagnostic> {
        let known = row.session.and_then(|name| self.spec.names().root_of(name));
        let Some((root, is_continuation)) = known.filter(|(root, _)| *root < self.spec.sessions()) else {
            let expected = "a session_id that follows from the trace's configuration and seed";
            let diagnostic = Diagnostic::unnamed("another session_id", expected);
            return Err(diagnostic.with_field("session_id").with_help("restore the metadata of the trace"));
        };
        self.root = root;
        self.group = row.group.unwrap_or_else(|| self.spec.group(root));
        self.tails = 0;
        if is_continuation {
            // The parent may be in another shard; generating it again is cheap.
            let (mut generator, block_size) = (SessionGenerator::new(&self.spec), self.spec.config().block_size);
            let mut tails = None;
            let of_origin = &mut |session: &Session<'_>| {
                let is_partial = |turn: &&Turn| !turn.context.is_multiple_of(block_size);
                tails = Some(session.origin.iter().filter(is_partial).count() as u64);
                Ok::<_, Diagnostic>(())
            };
            generator.restart_bundle(root, 0, of_origin)?;
            self.tails = tails.ok_or_else(|| {
                Diagnostic::unnamed(
                    "a continuation of a session without a restart",
                    "a continuation of a session that a restart split",
                )
            })?;
        }
        Ok(())
    }
}

impl Numbering for Generated {
    fn append(&mut self, row: &Row, out: &mut Vec<i64>) -> Result<(), Diagnostic> {
        if row.turn == 0 {
            self.begin(row)?;
        }
        self.id_ranges.clear();
        self.spec.ids().cumulative(self.root, self.group, row.context, &mut self.tails, &mut self.id_ranges);
        for range in &self.id_ranges {
            out.extend(range.first as i64..(range.first + range.count) as i64);
        }
        Ok(())
    }
}

/// Ids in the order in which blocks first appear.
pub(super) struct FirstSeenIds {
    block_size: u32,
    next: i64,
    /// Blocks of first prompts, by the block before and by chunk: equal prefixes get equal ids.
    known: HashMap<(Option<i64>, i64), i64>,
    /// Full blocks of the current session.
    chain: Vec<i64>,
    /// Its name, if a later session may continue it.
    parent_to_be: Option<String>,
    /// Full blocks of sessions that may be continued.
    parents: HashMap<String, Vec<i64>>,
}

impl FirstSeenIds {
    pub(super) fn new(block_size: u32) -> Self {
        let (known, parents) = (HashMap::new(), HashMap::new());
        Self { block_size, next: 0, known, chain: Vec::new(), parent_to_be: None, parents }
    }

    fn fresh(&mut self) -> i64 {
        self.next += 1;
        self.next - 1
    }

    fn begin(&mut self, row: &Row, full: usize) -> Result<(), Diagnostic> {
        let last = std::mem::take(&mut self.chain);
        if let Some(name) = self.parent_to_be.take() {
            self.parents.insert(name, last);
        }
        if let Some(chain) = row.parent.and_then(|name| self.parents.remove(name)) {
            // The whole context so far, truncated to the length of the prompt.
            self.chain = chain;
            self.chain.truncate(full);
            return Ok(());
        }
        let Some(chunks) = row.chunks.get(..full) else {
            let (found, tokens) = (row.chunks.len(), row.context);
            let found = format!("{found} hash_ids for {tokens} tokens");
            return Err(Diagnostic::unnamed(found, format!("{full} full blocks")).with_field("hash_ids"));
        };
        for chunk in chunks {
            let key = (self.chain.last().copied(), *chunk);
            let next = self.next;
            let id = *self.known.entry(key).or_insert(next);
            self.next += i64::from(id == next);
            self.chain.push(id);
        }
        Ok(())
    }
}

impl Numbering for FirstSeenIds {
    fn append(&mut self, row: &Row, out: &mut Vec<i64>) -> Result<(), Diagnostic> {
        let full = (row.context / self.block_size) as usize;
        if row.turn == 0 {
            self.begin(row, full)?;
        }
        // Blocks filled by outputs or by several turns.
        while self.chain.len() < full {
            let id = self.fresh();
            self.chain.push(id);
        }
        out.extend_from_slice(&self.chain);
        if !row.context.is_multiple_of(self.block_size) {
            out.push(self.fresh());
        }
        // Without end reasons, any session may be continued.
        let may_go_on = row.end_reason.is_none_or(|reason| reason == EndReason::RestartSplit.name());
        self.parent_to_be = row.session.filter(|_| may_go_on).map(str::to_owned);
        Ok(())
    }
}
