//! Builds the columns of links.

use std::sync::Arc;

use agentgen_core::agents::{ALL, Link};
use agentgen_core::{DatasetSpec, MemberView, Session, Turn};
use arrow_array::{ArrayRef, UInt32Array};

use super::columns::Names;
use super::take;
use crate::error::{Result, TraceError};
use crate::schema::Column;

/// The name of the main agent.
const MAIN: &str = "main";

/// Builders of the columns that only traces with links have.
#[derive(Debug, Default)]
pub(super) struct LinkBuilders {
    link: Names,
    parent_turn: Vec<Option<u32>>,
    join_turn: Vec<Option<u32>>,
    kept_length: Vec<Option<u32>>,
    returned_length: Vec<Option<u32>>,
    agent: Names,
    trigger: Names,
    root_session_id: Names,
    break_kind: Names,
}

impl LinkBuilders {
    /// Appends turns `start .. end` of a session.
    pub(super) fn append(&mut self, spec: &DatasetSpec, session: &Session<'_>, start: usize, end: usize) {
        let Some(MemberView { member, triggers, .. }) = session.member else { return };
        let (rows, config) = (end - start, spec.config());
        let breaks_of = |agent: Option<usize>| match agent {
            Some(kind) => config.subagents.as_ref().map_or(&[][..], |agents| &agents.kinds[kind].breaks),
            None => config.breaks.as_ref().map_or(&[][..], |breaks| &breaks.kinds),
        };
        self.link.repeat_option(member.link.name(), rows);
        let (mut parent_turn, mut join_turn, mut kept_length, mut break_kind) = (None, None, None, None);
        match member.link {
            Link::Root | Link::Restart => {}
            Link::Break { kept, kind } => {
                kept_length = Some(kept);
                break_kind = breaks_of(member.agent).get(kind).map(|kind| kind.name.as_str());
            }
            Link::SubAgent { parent_turn: turn, join_turn: join, .. } => (parent_turn, join_turn) = (Some(turn), join),
        }
        self.parent_turn.resize(self.parent_turn.len() + rows, parent_turn);
        self.join_turn.resize(self.join_turn.len() + rows, join_turn);
        self.kept_length.resize(self.kept_length.len() + rows, kept_length);
        self.break_kind.repeat_option(break_kind, rows);
        let returned = |turn: &Turn| (turn.returned != ALL).then_some(turn.returned);
        self.returned_length.extend(session.turns[start..end].iter().map(returned));
        let kind = member.agent.and_then(|kind| config.subagents.as_ref()?.kinds.get(kind));
        self.agent.repeat(kind.map_or(MAIN, |kind| &kind.name), rows);
        for same in triggers[start..end].chunk_by(|a, b| a == b) {
            self.trigger.repeat_option(same[0].name(), same.len());
        }
        self.root_session_id.repeat(&spec.names().name(session.root, false), rows);
    }

    pub(super) fn column(&mut self, column: Column) -> Result<ArrayRef> {
        let numbers = |values: &mut Vec<Option<u32>>| Arc::new(UInt32Array::from(take(values))) as ArrayRef;
        Ok(match column {
            Column::Link => self.link.finish()?,
            Column::ParentTurn => numbers(&mut self.parent_turn),
            Column::JoinTurn => numbers(&mut self.join_turn),
            Column::KeptLength => numbers(&mut self.kept_length),
            Column::ReturnedLength => numbers(&mut self.returned_length),
            Column::Agent => self.agent.finish()?,
            Column::Trigger => self.trigger.finish()?,
            Column::RootSessionId => self.root_session_id.finish()?,
            Column::BreakKind => self.break_kind.finish()?,
            other => return Err(TraceError::internal(format!("{} is no column of links", other.name()))),
        })
    }
}
