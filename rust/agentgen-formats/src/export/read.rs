//! The bundles of a trace, ready to be written.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use agentgen_engine::timeline::{Begin, TimedSession as _};
use agentgen_trace::error::Result;
use agentgen_trace::ordered::Cancel;
use agentgen_trace::schema::Column;
use agentgen_trace::session::{Link, Session, sessions};
use agentgen_trace::source::{self, Source};

use super::about::Notes;
use super::blocks::Numbering;
use super::bundle::{Bundle, Member};
use super::holds::Counts;
use super::session_blocks::SessionBlocks;
use super::times;

/// What was read so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub sessions: u64,
    pub requests: u64,
    pub counts: Counts,
}

/// Makes the seed of a session's own tokens of its name.
pub(crate) type Seed = Box<dyn Fn(&str) -> u64 + Send>;

/// The bundles of a trace in the order of its rows.
pub(crate) struct Bundles {
    sessions: Box<dyn Iterator<Item = Result<Session>> + Send>,
    notes: Notes,
    numbering: Option<Numbering>,
    /// `None` for formats without text.
    seed: Option<Seed>,
    /// Seeds of the sessions that others may continue, with those of the sessions that they continue.
    continued: HashMap<u64, Vec<(u64, u64)>>,
    upcoming: Option<Member>,
    totals: Arc<Mutex<Totals>>,
}

impl Bundles {
    pub(crate) fn open(
        source: &Source,
        numbering: Option<Numbering>,
        seed: Option<Seed>,
        totals: &Arc<Mutex<Totals>>,
        threads: usize,
        cancel: &Cancel,
    ) -> Result<Self> {
        let notes = Notes::default();
        let noted = notes.clone();
        let batches = source::open(source, &Column::ALL, threads, cancel)?.map(move |batch| {
            let batch = batch?;
            noted.read(&batch)?;
            Ok(batch)
        });
        Ok(Self {
            sessions: Box::new(sessions(&source.meta, batches)),
            notes,
            numbering,
            seed,
            continued: HashMap::new(),
            upcoming: None,
            totals: Arc::clone(totals),
        })
    }

    fn member(&mut self) -> Option<Result<Member>> {
        let session = match self.sessions.next()? {
            Ok(session) => session,
            Err(error) => return Some(Err(error)),
        };
        let about = self.notes.take(session.name.as_deref());
        let name = session.name.clone().unwrap_or_else(|| format!("request-{}", session.number));
        let blocks = SessionBlocks::default();
        Some(Ok(Member { session, about, name, parent: None, times: Vec::new(), blocks }))
    }

    fn bundle(&mut self) -> Result<Option<Bundle>> {
        let Some(head) = self.upcoming.take().map(Ok).or_else(|| self.member()).transpose()? else { return Ok(None) };
        let mut bundle = Bundle::default();
        let mut places = HashMap::from([(head.session.number, 0)]);
        let may_have_members = head.session.may_have_members();
        bundle.members.push(head);
        while may_have_members && let Some(mut member) = self.member().transpose()? {
            if member.session.begin() == Begin::Slot {
                self.upcoming = Some(member);
                break;
            }
            member.parent = member.session.link.parent().and_then(|parent| places.get(&parent).copied());
            places.insert(member.session.number, bundle.members.len());
            bundle.members.push(member);
        }
        self.own(&mut bundle);
        times::plan(&mut bundle);
        if let Some(numbering) = &mut self.numbering {
            numbering.number(&mut bundle);
        }
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        bundle.requests_before = totals.requests;
        totals.sessions += bundle.members.len() as u64;
        totals.requests += bundle.members.iter().map(|member| member.turns() as u64).sum::<u64>();
        totals.counts.add(&bundle);
        Ok(Some(bundle))
    }

    /// Sets the seeds of the tokens that the prompts of a bundle may hold.
    fn own(&mut self, bundle: &mut Bundle) {
        let Some(seed) = &self.seed else { return };
        bundle.owners = bundle.members.iter().map(|member| (member.session.number, seed(&member.name))).collect();
        if let Some(Link::Restart { parent: Some(parent) }) = bundle.members.first().map(|head| head.session.link) {
            bundle.owners.extend(self.continued.get(&parent).into_iter().flatten());
        }
        for member in bundle.members.iter().filter(|member| member.session.may_be_continued) {
            self.continued.insert(member.session.number, bundle.owners.clone());
        }
    }
}

impl Iterator for Bundles {
    type Item = Result<Bundle>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.bundle();
        if next.is_err() {
            self.sessions = Box::new(std::iter::empty());
            self.upcoming = None;
        }
        next.transpose()
    }
}
