//! Continuations, linked to what they continue.

use std::collections::HashMap;

use crate::meta::TraceMeta;
use agentgen_core::Layout;

use super::Session;
use super::builder::Parent;

/// A session as its own rows tell of it.
#[derive(Debug)]
pub struct Unlinked {
    pub(super) conversation: Session,
    pub(super) name: Option<String>,
    /// The session that it continues.
    pub(super) parent: Option<String>,
}

impl Unlinked {
    /// The session, of which nothing else is to be known.
    pub(super) fn alone(self) -> Session {
        Session { name: self.name, ..self.conversation }
    }
}

/// Knows the sessions that may be continued.
#[derive(Debug)]
pub struct Linker {
    layout: Layout,
    /// Whether a session is continued at most once, as generated ones are.
    continues_once: bool,
    parents: HashMap<String, Parent>,
}

impl Linker {
    /// A linker that knows no sessions yet.
    #[must_use]
    pub fn new(meta: &TraceMeta) -> Self {
        Self { layout: meta.layout, continues_once: meta.origin.is_some(), parents: HashMap::new() }
    }

    /// The next session in the order of the file.
    pub fn link(&mut self, session: Unlinked) -> Session {
        let Unlinked { mut conversation, name, parent } = session;
        if let Some(parent) = parent {
            if let Some(known) = self.parents.get(&parent) {
                known.pass_on(&mut conversation, self.layout);
            }
            if self.continues_once {
                self.parents.remove(&parent);
            }
        }
        if let Some(name) = &name
            && let Some(parent) = Parent::new(&conversation)
        {
            self.parents.insert(name.clone(), parent);
        }
        conversation.name = name;
        conversation
    }
}
