//! The sessions of a worker, in the order in which they start.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use agentgen_engine::timeline::TimedSession as _;
use agentgen_trace::session::{self, Clock, Session, Sessions};
use agentgen_trace::source::{self, ReadOptions};
use agentgen_trace::transcript::{self, flat};
use agentgen_trace::{Cancel, Result, TraceError};

use super::body::Fields;
use super::hashed::{HashedSession, Stage};
use super::journal::Journal;
use super::messages::{MessagesOptions, MessagesSession};
use super::session::ReplaySession;
use super::words::Words;
use super::{Endpoint, Options, ScriptError};

/// Which of the sessions.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// 0-based.
    pub worker: u64,
    /// How many workers there are.
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
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("share", &self.share).finish_non_exhaustive()
    }
}

enum Kind {
    Hashed(Hashed),
    Messages { conversations: Box<flat::Transcripts>, next: u64, options: Arc<MessagesOptions> },
}

impl Source {
    /// Opens a trace.
    pub fn open(path: &Path, options: Options, share: Share, cancel: &Cancel) -> Result<Self> {
        let kind = if transcript::is_messages(path)? {
            let options = Arc::new(of_messages(path, &options)?);
            Kind::Messages { conversations: Box::new(flat::read(path, cancel)), next: 0, options }
        } else {
            Kind::Hashed(Hashed::open(path, options, cancel)?)
        };
        Ok(Self { share, kind })
    }

    /// The next session of this worker.
    pub fn next_session(&mut self) -> Result<Option<ReplaySession>> {
        let share = self.share;
        match &mut self.kind {
            Kind::Hashed(hashed) => hashed.next(share),
            Kind::Messages { conversations, next, options } => {
                for conversation in conversations {
                    let (conversation, number) = (conversation?, *next);
                    *next += 1;
                    if share.has(number) {
                        let session = Box::new(MessagesSession::new(conversation, options));
                        return Ok(Some(ReplaySession::Messages { number, session }));
                    }
                }
                Ok(None)
            }
        }
    }
}

fn bad(error: &ScriptError) -> TraceError {
    TraceError::Format(error.to_string())
}

fn of_messages(path: &Path, options: &Options) -> Result<MessagesOptions> {
    if options.endpoint == Endpoint::Completions {
        let path = path.display();
        let problem = format!("{path}: holds conversations of messages, expected the chat endpoint to send them to");
        return Err(TraceError::Format(problem));
    }
    options.form().map_err(|error| bad(&error))?;
    let request = serde_json::Value::Object(options.request.clone()).to_string();
    MessagesOptions::new(options.history, &options.salt, &options.model, options.stream, &request)
        .map_err(TraceError::Format)
}

/// A way of reading sessions: [`session::open`], or the one that links none.
type Open = fn(&source::Source, usize, &Cancel) -> Result<(Clock, Sessions<'static>)>;

/// Opens a trace of hash ids for parsing by one thread.
pub(crate) fn open_hashed(
    path: &Path,
    trace_block_size: Option<u32>,
    open: Open,
    cancel: &Cancel,
) -> Result<(source::Source, Clock, Sessions<'static>)> {
    let stated = ReadOptions { layout: None, block_size: trace_block_size };
    let source = source::resolve(&[path.to_owned()], stated)?;
    let (clock, sessions) = open(&source, 1, cancel)?;
    Ok((source, clock, sessions))
}

/// A session that others may continue.
#[derive(Debug)]
struct Root {
    /// The number of the session that its line began with: all of the line is one worker's.
    number: u64,
    owners: Vec<(u64, u64)>,
}

/// Sessions of hash ids. In memory: those that may be continued, a few numbers of each.
struct Hashed {
    sessions: Sessions<'static>,
    stage: Arc<Stage>,
    roots: HashMap<u64, Root>,
}

impl Hashed {
    fn open(path: &Path, options: Options, cancel: &Cancel) -> Result<Self> {
        let form = options.form().map_err(|error| bad(&error))?;
        let fields = Fields::new(&options).map_err(|error| bad(&error))?;
        let words = Words::new(options.words, &options.salt).map_err(|error| bad(&error))?;
        let open: Open = if options.is_linked { session::open } else { session::open_unlinked };
        let (source, _, sessions) = open_hashed(path, options.trace_block_size, open, cancel)?;
        let stage = Stage {
            words,
            fields,
            form,
            stream: options.stream,
            history: options.history,
            journal: options.journal.map(|directory| Journal::new(&directory)),
            id_tokens: source.meta.block_size,
            continues_once: source.meta.origin.is_some(),
        };
        Ok(Self { sessions, stage: Arc::new(stage), roots: HashMap::new() })
    }

    fn next(&mut self, share: Share) -> Result<Option<ReplaySession>> {
        while let Some(conversation) = self.sessions.next().transpose()? {
            if let Some(session) = self.take(conversation, share) {
                return Ok(Some(ReplaySession::Hashed(Box::new(session))));
            }
        }
        Ok(None)
    }

    /// A session, if it is this worker's.
    fn take(&mut self, conversation: Session, share: Share) -> Option<HashedSession> {
        let number = conversation.number;
        let key = conversation.name.clone().unwrap_or_else(|| format!("request-{number}"));
        // A parent that starts later cannot be waited for: its heir's rows are then all that is known.
        let parent = conversation.parent().filter(|parent| self.roots.contains_key(parent));
        let mut owners = vec![(number, self.stage.words.owner(&key))];
        let mut root = number;
        if let Some(known) = parent.and_then(|parent| self.roots.get(&parent)) {
            owners.extend(&known.owners);
            root = known.number;
        }
        if let Some(parent) = parent.filter(|_| self.stage.continues_once) {
            self.roots.remove(&parent);
        }
        if conversation.may_be_continued && self.stage.journal.is_some() {
            self.roots.insert(number, Root { number: root, owners: owners.clone() });
        }
        let session = || HashedSession::new(self.stage.clone(), conversation, key, parent, owners);
        share.has(root).then(session)
    }
}
