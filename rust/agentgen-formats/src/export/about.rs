//! What rows say of sessions beside their content: agents, triggers, groups.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use agentgen_trace::error::Result;
use agentgen_trace::links::LinkArrays;
use agentgen_trace::schema::Column;
use arrow_array::cast::AsArray as _;
use arrow_array::types::UInt32Type;
use arrow_array::{Array as _, RecordBatch};

/// What caused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// New text of the user.
    Human,
    /// Results of tools.
    Tool,
}

impl Trigger {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Tool => "tool",
        }
    }
}

/// What the rows of a session say of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    pub group: Option<u32>,
    /// `main`, or the kind of sub-agent.
    pub agent: Option<String>,
    pub break_kind: Option<String>,
    /// Name of the session that it continues or belongs to.
    pub parent: Option<String>,
    /// Of each turn; empty in traces without links.
    pub triggers: Vec<Option<Trigger>>,
}

/// Notes of the sessions whose rows were read, until they are taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<HashMap<String, About>>>);

impl Notes {
    /// Notes what the rows of a batch say; rows without a session have nothing to be noted.
    pub(crate) fn read(&self, batch: &RecordBatch) -> Result<()> {
        let names = Column::SessionId.required(batch)?.as_string_view();
        let turns = Column::TurnIndex.required(batch)?.as_primitive::<UInt32Type>();
        let parents = Column::ParentSessionId.required(batch)?.as_string_view();
        let groups = Column::GroupId.required(batch)?.as_primitive::<UInt32Type>();
        let links = LinkArrays::of(batch)?;
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for row in (0..batch.num_rows()).filter(|row| names.is_valid(*row)) {
            let own = links.as_ref().map(|links| links.row(row));
            if turns.value(row) == 0 {
                let about = About {
                    group: groups.is_valid(row).then(|| groups.value(row)),
                    agent: own.as_ref().and_then(|own| own.agent.clone()),
                    break_kind: own.as_ref().and_then(|own| own.break_kind.clone()),
                    parent: parents.is_valid(row).then(|| parents.value(row).to_owned()),
                    triggers: Vec::new(),
                };
                notes.insert(names.value(row).to_owned(), about);
            }
            if let Some(own) = own
                && let Some(about) = notes.get_mut(names.value(row))
            {
                about.triggers.push(match own.trigger.as_deref() {
                    Some("human") => Some(Trigger::Human),
                    Some("tool") => Some(Trigger::Tool),
                    _ => None,
                });
            }
        }
        Ok(())
    }

    /// Takes the notes of a session.
    pub(crate) fn take(&self, name: Option<&str>) -> About {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        name.and_then(|name| notes.remove(name)).unwrap_or_default()
    }
}
