//! Links sessions to their parents.

use std::collections::HashMap;

use agentgen_core::{EndReason, Layout};
use agentgen_engine::kv::TokenSeq;

use super::builder::push_own_until;
use super::rows::Row;
use super::{Session, SessionEnd};
use crate::meta::TraceMeta;

/// How a session begins. A parent is `None` if the trace does not hold it before the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// A root session.
    Root,
    /// A restart session. Its first prompt is the parent's whole history.
    Restart {
        /// Number of the parent.
        parent: Option<u64>,
    },
    /// What follows when the history of a session was rewritten. Its first prompt begins with tokens of the parent's last.
    Break {
        /// Number of the parent.
        parent: Option<u64>,
        /// Tokens that are kept.
        kept_tokens: u32,
    },
    /// A session of another agent, which the parent started.
    SubAgent {
        /// Number of the parent.
        parent: Option<u64>,
        /// The parent's turn whose response started it.
        parent_turn: u32,
        /// The parent's turn that waits for its end; `None` if it runs in the background.
        join_turn: Option<u32>,
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
            Self::Restart { parent } | Self::Break { parent, .. } | Self::SubAgent { parent, .. } => parent,
        }
    }

    fn with_parent(self, parent: u64) -> Self {
        let parent = Some(parent);
        match self {
            Self::Root | Self::Restart { .. } => Self::Restart { parent },
            Self::Break { kept_tokens, .. } => Self::Break { parent, kept_tokens },
            Self::SubAgent { parent_turn, join_turn, .. } => Self::SubAgent { parent, parent_turn, join_turn },
        }
    }

    /// As the rows of a session say.
    pub(super) fn of_row(row: &Row<'_>) -> Self {
        let parent = None;
        let Some(link) = row.link else { return if row.is_restart { Self::Restart { parent } } else { Self::Root } };
        match link.kind {
            Some("restart") => Self::Restart { parent },
            Some("break") => Self::Break { parent, kept_tokens: link.kept_tokens.unwrap_or(0) },
            Some("subagent") => {
                Self::SubAgent { parent, parent_turn: link.parent_turn.unwrap_or(0), join_turn: link.join_turn }
            }
            _ => Self::Root,
        }
    }
}

/// A session as its own rows state it.
#[derive(Debug)]
pub struct Unlinked {
    pub(super) session: Session,
    /// Name of its parent.
    pub(super) parent: Option<String>,
    /// Tokens of the parent's last output that its first prompt holds, if not all.
    pub(super) returned_tokens: Option<u32>,
}

/// Links restart sessions to their parents. Holds the tokens of every session that may still be continued.
#[derive(Debug)]
pub struct Linker {
    layout: Layout,
    /// Whether the trace was generated: a session is continued at most once, and breaks and sub-agents follow in its bundle.
    is_generated: bool,
    parents: HashMap<String, Parent>,
    /// Generated traces: the sessions of the bundle that is being read.
    bundle: HashMap<String, Parent>,
}

impl Linker {
    /// A linker that has seen no session.
    #[must_use]
    pub fn new(meta: &TraceMeta) -> Self {
        Self {
            layout: meta.layout,
            is_generated: meta.origin.is_some(),
            parents: HashMap::new(),
            bundle: HashMap::new(),
        }
    }

    /// Links the next session in the order of the file.
    pub fn link(&mut self, unlinked: Unlinked) -> Session {
        let Unlinked { mut session, parent, returned_tokens } = unlinked;
        let mut stated = None;
        let is_head = matches!(session.link, Link::Root | Link::Restart { .. });
        if is_head {
            self.bundle.clear();
        }
        if let Some(parent) = parent {
            if let Some(known) = self.bundle.get(&parent).or_else(|| self.parents.get(&parent)) {
                stated = known.link(&mut session, self.layout, returned_tokens);
            }
            if self.is_generated && is_head {
                self.parents.remove(&parent);
            }
        }
        if let Some(name) = &session.name
            && let Some(parent) = Parent::new(&session, stated, self.is_generated)
        {
            if self.is_generated && session.has_links {
                self.bundle.insert(name.clone(), parent.clone());
            }
            let is_split = matches!(session.end, Some(SessionEnd::Known(EndReason::RestartSplit)));
            if !(self.is_generated && session.has_links) || is_split {
                self.parents.insert(name.clone(), parent);
            }
        }
        session
    }
}

/// What a restart session needs of its parent.
#[derive(Debug, Clone)]
struct Parent {
    number: u64,
    /// Whether it was generated: after a restart, prompts begin with outputs, whose tokens ids of whole prompts do not name.
    is_generated: bool,
    /// All its tokens, the last output included.
    stream: TokenSeq,
    /// Tokens of its last prompt.
    last_context_tokens: u32,
    /// The chunks of its first prompt as its own rows state them, which a continuation repeats; `None`: those of `stream`.
    stated: Option<TokenSeq>,
    first_context_tokens: u32,
}

impl Parent {
    /// `None` if no session can continue this one.
    fn new(session: &Session, stated: Option<TokenSeq>, is_generated: bool) -> Option<Self> {
        let may_be_continued = (session.may_be_continued || session.has_links) && session.names_its_session();
        let (_, stream) = session.streams.last().filter(|_| may_be_continued)?;
        let first_context_tokens = session.first_context_tokens();
        let last_context_tokens = session.turns.last().map_or(0, |turn| turn.context_tokens);
        let (number, stream) = (session.number, stream.clone());
        Some(Self { number, is_generated, stream, last_context_tokens, stated, first_context_tokens })
    }

    /// Lets a child's first prompt begin with this session's tokens, unless the child's ids contradict that. Returns the
    /// first prompt as the child's rows state it.
    ///
    /// `returned`: tokens of the last output that it holds, if not all.
    fn link(&self, child: &mut Session, layout: Layout, returned: Option<u32>) -> Option<TokenSeq> {
        if let Link::Break { .. } | Link::SubAgent { .. } = child.link {
            child.link = child.link.with_parent(self.number);
            let stated = child.streams.first().map(|(_, stream)| stream.clone());
            self.keep(child, layout);
            let is_break = matches!(child.link, Link::Break { .. });
            return stated.filter(|_| is_break && layout == Layout::Incremental);
        }
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
        let mut standalone = stream.clone();
        let mut begin = self.stream.clone();
        // An output that does not come back whole lacks its first tokens.
        let known = if returned.is_some() { self.last_context_tokens } else { u32::MAX };
        begin.truncate(context_tokens.min(known.into()));
        begin_with(&begin, child);
        if layout == Layout::Cumulative {
            // What the row would repeat in the incremental layout: the full chunks of the parent's first prompt.
            standalone.clone_from(&self.stream);
            standalone.truncate(repeated_tokens);
            push_own_until(&mut standalone, child.number, end);
        }
        child.standalone = Some(standalone);
        child.link = child.link.with_parent(self.number);
        Some(stated)
    }

    /// Lets the prompts of a break begin with the tokens that it keeps. Ids of whole prompts say this themselves.
    fn keep(&self, child: &mut Session, layout: Layout) {
        let Link::Break { kept_tokens, .. } = child.link else { return };
        if layout == Layout::Cumulative && !self.is_generated {
            return;
        }
        let kept = u64::from(kept_tokens.min(self.last_context_tokens).min(child.first_context_tokens()));
        let mut begin = self.stream.clone();
        begin.truncate(kept);
        begin_with(&begin, child);
    }
}

/// Lets all prompts of a session begin with these tokens in place of as many of their own.
fn begin_with(begin: &TokenSeq, child: &mut Session) {
    for (_, stream) in &mut child.streams {
        let mut whole = begin.clone();
        whole.append(stream, begin.tokens());
        *stream = whole;
    }
}
