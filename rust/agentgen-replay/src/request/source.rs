//! The sessions of a worker, in the order in which they start.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use agentgen_engine::timeline::{Begin, Bundles, TimedSession as _};
use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::session::{self, Session, Sessions, TraceTiming};
use agentgen_trace::source::{self, ReadOptions};
use agentgen_trace::transcript::{self, flat};
use agentgen_trace::words::Words;
use agentgen_trace::{Cancel, Result, TraceError};

use super::block_hash::{BlockHashSession, ReplayContext};
use super::body::Members;
use super::messages::{MessagesOptions, MessagesSession};
use super::options::{Endpoint, Options, RequestError};
use super::selection::Selector;
use super::session::ReplaySession;
use super::transcript_store::TranscriptStore;

/// The sessions of one worker: each whose number, divided by the number of workers, leaves the worker's.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// Number of the worker, from 0.
    pub worker: u64,
    /// Number of workers.
    pub workers: u64,
}

impl Share {
    fn has(self, number: u64) -> bool {
        number % self.workers == self.worker
    }
}

/// The sessions of a trace, as a worker replays them.
pub struct Source {
    share: Share,
    kind: Kind,
    /// The next session, if it has been read.
    upcoming: Option<ReplaySession>,
    bundles: Bundles<ReplaySession, u64>,
}

/// What the end of a session sets going.
#[derive(Debug)]
pub struct Over {
    /// Sessions of the same bundle that begin.
    pub begins: Vec<ReplaySession>,
    /// Numbers of sessions that waited and may send their next request.
    pub released: Vec<u64>,
    /// Whether its bundle is over, and the slot is free.
    pub frees_slot: bool,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("share", &self.share).finish_non_exhaustive()
    }
}

enum Kind {
    BlockHash(BlockHash),
    Messages { transcripts: Box<flat::Transcripts>, next: u64, options: Arc<MessagesOptions>, selector: Selector },
}

impl Source {
    /// Opens a trace.
    pub fn open(path: &Path, mut options: Options, share: Share, cancel: &Cancel) -> Result<Self> {
        let selection = std::mem::take(&mut options.selection);
        let kind = if transcript::is_messages(path)? {
            let options = Arc::new(messages_options(path, &options)?);
            let selector = Selector::new(selection);
            Kind::Messages { transcripts: Box::new(flat::read(path, cancel)), next: 0, options, selector }
        } else {
            Kind::BlockHash(BlockHash::open(path, options, Selector::new(selection), cancel)?)
        };
        Ok(Self { share, kind, upcoming: None, bundles: Bundles::default() })
    }

    /// Whether sessions may begin in the bundles of others.
    #[must_use]
    pub fn has_bundles(&self) -> bool {
        matches!(&self.kind, Kind::BlockHash(trace) if trace.has_links)
    }

    /// The next session of the share that has a slot, or an arrival, of its own.
    pub fn next_session(&mut self) -> Result<Option<ReplaySession>> {
        let Some(head) = self.upcoming.take().map_or_else(|| self.read(), |head| Ok(Some(head)))? else {
            return Ok(None);
        };
        if head.may_have_members() {
            self.bundles.begin(head.number());
            while let Some(session) = self.read()? {
                self.upcoming = self.bundles.add(session.number(), session.begin_rule(), session);
                if self.upcoming.is_some() {
                    break;
                }
            }
        }
        Ok(Some(head))
    }

    /// The sub-agents that begin after the response of a turn.
    pub fn responded(&mut self, number: u64, turn: usize) -> Vec<ReplaySession> {
        self.bundles.respond(number, turn)
    }

    /// Whether a session may send a turn; if not, [`Self::over`] names the session later.
    pub fn may_send(&mut self, number: u64, turn: usize) -> bool {
        self.bundles.pass(number, turn, number, 0.0).is_some()
    }

    /// Ends a session after `turns` of its turns.
    pub fn over(&mut self, number: u64, turns: usize, has_failed: bool) -> Over {
        let ended = self.bundles.end(number, turns, 0.0, has_failed);
        Over {
            begins: ended.begins.into_iter().map(|(session, _)| session).collect(),
            released: ended.released.into_iter().map(|(number, _)| number).collect(),
            frees_slot: ended.slot_free_ms.is_some(),
        }
    }

    /// The next session of the share in the order of the trace.
    fn read(&mut self) -> Result<Option<ReplaySession>> {
        let share = self.share;
        match &mut self.kind {
            Kind::BlockHash(trace) => trace.next(share),
            Kind::Messages { transcripts, next, options, selector } => {
                for session in transcripts {
                    let (mut session, number) = (session?, *next);
                    *next += 1;
                    if share.has(number) && selector.take_transcript(&mut session) {
                        let session = Box::new(MessagesSession::new(session, options));
                        return Ok(Some(ReplaySession::Messages { number, session }));
                    }
                }
                Ok(None)
            }
        }
    }
}

fn refused(error: RequestError) -> TraceError {
    match error {
        RequestError::Options(diagnostic) => TraceError::Usage(diagnostic),
        other => TraceError::internal(other),
    }
}

fn messages_options(path: &Path, options: &Options) -> Result<MessagesOptions> {
    if options.endpoint != Endpoint::Chat {
        let diagnostic = Diagnostic::unnamed("another endpoint for multi-turn messages", "chat").in_file(path);
        return Err(TraceError::usage("endpoint", diagnostic));
    }
    options.encoding().map_err(refused)?;
    MessagesOptions::new(options).map_err(refused)
}

/// [`session::open`] or [`session::open_unlinked`].
type Open = fn(&source::Source, usize, &Cancel) -> Result<(TraceTiming, Sessions<'static>)>;

/// Opens a block-hash trace with one reader thread.
pub(crate) fn open_block_hash(
    path: &Path,
    trace_block_size: Option<u32>,
    open: Open,
    cancel: &Cancel,
) -> Result<(source::Source, TraceTiming, Sessions<'static>)> {
    let read = ReadOptions { trace_layout: None, trace_block_size };
    let source = source::resolve(&[path.to_owned()], read)?;
    let (clock, sessions) = open(&source, 1, cancel)?;
    Ok((source, clock, sessions))
}

/// A session that another may continue.
#[derive(Debug)]
struct Root {
    /// Number of the root session: one worker replays it and all that continue it.
    number: u64,
    owners: Vec<(u64, u64)>,
}

/// Sessions of a block-hash trace. Holds some numbers of each that may be continued.
struct BlockHash {
    sessions: Sessions<'static>,
    context: Arc<ReplayContext>,
    roots: HashMap<u64, Root>,
    /// Whether sessions may begin in the bundles of others.
    has_links: bool,
    /// Number of the root session of the last bundle.
    root: u64,
    /// Owners of the tokens of each session of that bundle, which breaks keep.
    bundle: HashMap<u64, Vec<(u64, u64)>>,
    selector: Selector,
}

impl BlockHash {
    fn open(path: &Path, options: Options, selector: Selector, cancel: &Cancel) -> Result<Self> {
        let encoding = options.encoding().map_err(refused)?;
        let members = Members::new(&options).map_err(refused)?;
        let words = Words::new(options.words, &options.salt)
            .map_err(|found| refused(RequestError::Options(Box::new(found))))?;
        let open: Open = if options.is_linked { session::open } else { session::open_unlinked };
        let (source, _, sessions) = open_block_hash(path, options.trace_block_size, open, cancel)?;
        let context = ReplayContext {
            words,
            members,
            encoding,
            stream: options.stream,
            history: options.history,
            store: options.transcripts.map(|directory| TranscriptStore::new(&directory)),
            id_tokens: source.meta.block_size,
            continues_once: source.meta.origin.is_some(),
        };
        let has_links = source.meta.linked;
        Ok(Self {
            sessions,
            context: Arc::new(context),
            roots: HashMap::new(),
            has_links,
            root: 0,
            bundle: HashMap::new(),
            selector,
        })
    }

    fn next(&mut self, share: Share) -> Result<Option<ReplaySession>> {
        while let Some(mut session) = self.sessions.next().transpose()? {
            if !self.selector.take(&mut session) {
                continue;
            }
            if let Some(session) = self.take(session, share) {
                return Ok(Some(ReplaySession::BlockHash(Box::new(session))));
            }
        }
        Ok(None)
    }

    /// Builds a session if it belongs to the share.
    fn take(&mut self, session: Session, share: Share) -> Option<BlockHashSession> {
        let number = session.number;
        let key = session.name.clone().unwrap_or_else(|| format!("request-{number}"));
        // A parent that starts later cannot be waited for: the session then sends what its own rows state.
        let parent = session.parent().filter(|parent| self.roots.contains_key(parent));
        let mut owners = vec![(number, self.context.words.owner(&key))];
        // The sessions of a bundle follow its first one, and are replayed by the same worker.
        let mut root = if session.begin() == Begin::Slot { number } else { self.root };
        if let Some(known) = parent.and_then(|parent| self.roots.get(&parent)) {
            owners.extend(&known.owners);
            root = known.number;
        }
        self.root = root;
        if self.has_links {
            if session.begin() == Begin::Slot {
                self.bundle.clear();
            }
            owners.extend(session.link.parent().and_then(|parent| self.bundle.get(&parent)).into_iter().flatten());
            self.bundle.insert(number, owners.clone());
        }
        if let Some(parent) = parent.filter(|_| self.context.continues_once) {
            self.roots.remove(&parent);
        }
        if session.may_be_continued && self.context.store.is_some() {
            self.roots.insert(number, Root { number: root, owners: owners.clone() });
        }
        let origin_ms = self.selector.origin_ms();
        let session = || BlockHashSession::new(self.context.clone(), session, origin_ms, key, parent, owners);
        share.has(root).then(session)
    }
}
