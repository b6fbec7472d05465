//! Links restart sessions to their parents.

use std::collections::HashMap;

use agentgen_core::Layout;
use agentgen_engine::kv::TokenSeq;

use super::Session;
use super::builder::push_own_until;
use crate::meta::TraceMeta;

/// Whether a session continues another session of the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Link {
    /// A root session.
    Root,
    /// A restart session. Its first prompt is the parent's whole history.
    Restart {
        /// Number of the parent; `None` if the trace does not hold it before this session.
        parent: Option<u64>,
    },
}

impl Link {
    /// Whether this is a restart session.
    #[must_use]
    pub fn is_restart(self) -> bool {
        matches!(self, Self::Restart { .. })
    }

    /// Number of the parent session, if the trace holds it.
    #[must_use]
    pub fn parent(self) -> Option<u64> {
        match self {
            Self::Root => None,
            Self::Restart { parent } => parent,
        }
    }
}

/// A session as its own rows state it.
#[derive(Debug)]
pub struct Unlinked {
    pub(super) session: Session,
    /// Name of its parent.
    pub(super) parent: Option<String>,
}

/// Links restart sessions to their parents. Holds the tokens of every session that may still be continued.
#[derive(Debug)]
pub struct Linker {
    layout: Layout,
    /// Whether a session is continued at most once, as in generated traces.
    continues_once: bool,
    parents: HashMap<String, Parent>,
}

impl Linker {
    /// A linker that has seen no session.
    #[must_use]
    pub fn new(meta: &TraceMeta) -> Self {
        Self { layout: meta.layout, continues_once: meta.origin.is_some(), parents: HashMap::new() }
    }

    /// Links the next session in the order of the file.
    pub fn link(&mut self, unlinked: Unlinked) -> Session {
        let Unlinked { mut session, parent } = unlinked;
        let mut stated = None;
        if let Some(parent) = parent {
            if let Some(known) = self.parents.get(&parent) {
                stated = known.link(&mut session, self.layout);
            }
            if self.continues_once {
                self.parents.remove(&parent);
            }
        }
        if let Some(name) = &session.name
            && let Some(parent) = Parent::new(&session, stated)
        {
            self.parents.insert(name.clone(), parent);
        }
        session
    }
}

/// What a restart session needs of its parent.
#[derive(Debug, Clone)]
struct Parent {
    number: u64,
    /// All its tokens, the last output included.
    stream: TokenSeq,
    /// The chunks of its first prompt as its own rows state them, which a continuation repeats; `None`: those of `stream`.
    stated: Option<TokenSeq>,
    first_context_tokens: u32,
}

impl Parent {
    /// `None` if no session can continue this one.
    fn new(session: &Session, stated: Option<TokenSeq>) -> Option<Self> {
        let may_be_continued = session.may_be_continued && session.names_its_session();
        let (_, stream) = session.streams.last().filter(|_| may_be_continued)?;
        let first_context_tokens = session.first_context_tokens();
        Some(Self { number: session.number, stream: stream.clone(), stated, first_context_tokens })
    }

    /// Lets a child's first prompt begin with this session's tokens, unless the child's ids contradict that. Returns the
    /// first prompt as the child's rows state it.
    fn link(&self, child: &mut Session, layout: Layout) -> Option<TokenSeq> {
        let context_tokens = u64::from(child.first_context_tokens());
        let (_, stream) = child.streams.first_mut()?;
        let chunks = u64::from(self.first_context_tokens / stream.id_tokens()) * u64::from(stream.id_tokens());
        let repeated_tokens = chunks.min(context_tokens);
        if self.stated.as_ref().unwrap_or(&self.stream).common_tokens(stream) < repeated_tokens {
            return None;
        }
        let mut stated = stream.clone();
        stated.truncate(context_tokens);
        let end = stream.tokens();
        let mut linked = self.stream.clone();
        linked.truncate(context_tokens);
        linked.append(stream, linked.tokens());
        let mut standalone = std::mem::replace(stream, linked);
        if layout == Layout::Cumulative {
            // What the row would repeat in the incremental layout: the full chunks of the parent's first prompt.
            standalone.clone_from(&self.stream);
            standalone.truncate(repeated_tokens);
            push_own_until(&mut standalone, child.number, end);
        }
        child.standalone = Some(standalone);
        child.link = Link::Restart { parent: Some(self.number) };
        Some(stated)
    }
}
