//! Which session each row of a file belongs to: one of the main agents, or one of their sub-agents.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use agentgen_trace::source::Blocks;
use serde::Deserialize;

use super::super::json::{Maybe, Str};
use super::row::{Row, What};
use super::session::Builder;
use crate::import::model::{Agent, Recording};

/// Why rows are left out that occur twice.
const REPEATED: &str = "repeated rows";

/// Why messages are left out that no model made.
const SYNTHETIC: &str = "messages of the client itself";

/// Why a session is left out.
const EMPTY: &str = "sessions without a model call";

/// A file beside that of a sub-agent may say more of it.
const MAX_META_BYTES: u64 = 64 << 10;

/// The file of a sub-agent.
struct AgentFile {
    /// Its id.
    id: String,
    /// The run of several agents that it is part of.
    run: Option<String>,
    meta: Meta,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawMeta<'a> {
    #[serde(borrow)]
    agent_type: Str<'a>,
    parent_agent_id: Str<'a>,
    tool_use_id: Str<'a>,
}

#[derive(Default)]
struct Meta {
    kind: Option<String>,
    parent: Option<String>,
    tool_call: Option<String>,
}

/// Who sent the calls of a row.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Chain {
    Main,
    Agent(String),
    /// A sub-agent without a name: the number of the row that it begins with.
    Unnamed(usize),
}

/// Builds the sessions of a file.
pub fn build(path: &Path, mut rows: Vec<Row>, recording: &mut Recording) {
    let file = agent_file(path);
    recording.leave_out(REPEATED, drop_repeated(&mut rows));
    recording.leave_out(SYNTHETIC, rows.iter().filter(|row| matches!(row.what, What::Synthetic)).count() as u64);
    let fallback = fallback_name(path);
    name_sessions(&mut rows, &fallback);
    sort(&mut rows);
    let mut sessions =
        Sessions { file, builders: Vec::new(), indices: HashMap::new(), unnamed: HashMap::new(), rows: HashMap::new() };
    for (number, row) in rows.into_iter().enumerate() {
        sessions.add(number, row);
    }
    let tool_call = sessions.file.and_then(|file| file.meta.tool_call);
    for builder in sessions.builders {
        let (session, spawns) = builder.finish();
        if session.calls.is_empty() {
            recording.leave_out(EMPTY, 1);
        } else {
            if let Some(call) = &tool_call {
                recording.started_by.insert(session.key.clone(), call.clone());
            }
            recording.sessions.push(session);
            recording.spawns.extend(spawns);
        }
    }
}

/// The stem of a file name, or of the folder that holds the files of its sub-agents.
fn fallback_name(path: &Path) -> String {
    let folder =
        path.ancestors().find(|a| a.file_name().is_some_and(|name| name == "subagents")).and_then(Path::parent);
    let stem = folder.unwrap_or(path).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    stem.split('.').next().unwrap_or_default().to_owned()
}

fn agent_file(path: &Path) -> Option<AgentFile> {
    let name = path.file_name()?.to_str()?;
    let id = name.strip_prefix("agent-")?.split('.').next()?.to_owned();
    let folder = path.parent()?;
    let is_run = folder.parent().and_then(Path::file_name).is_some_and(|name| name == "workflows");
    let run = folder.file_name().filter(|_| is_run).map(|name| name.to_string_lossy().into_owned());
    let meta = read_meta(&folder.join(format!("agent-{id}.meta.json"))).unwrap_or_default();
    Some(AgentFile { id, run, meta })
}

fn read_meta(path: &Path) -> Option<Meta> {
    if !path.is_file() {
        return None;
    }
    let bytes = Blocks::head(path, MAX_META_BYTES).ok()?;
    let raw = serde_json::from_slice::<Maybe<RawMeta>>(&bytes).ok()?.0?;
    let owned = |text: &Str| (!text.is_empty()).then(|| text.to_string());
    Some(Meta { kind: owned(&raw.agent_type), parent: owned(&raw.parent_agent_id), tool_call: owned(&raw.tool_use_id) })
}

/// Drops rows with the id of an earlier one. Answers stay: one of them may count more tokens than the other.
fn drop_repeated(rows: &mut Vec<Row>) -> u64 {
    let (mut seen, mut repeated) = (HashSet::new(), 0);
    rows.retain_mut(|row| {
        let is_new = row.uuid.is_none_or(|uuid| seen.insert(uuid));
        repeated += u64::from(!is_new);
        if let (false, What::Answer(answer)) = (is_new, &mut row.what) {
            (answer.bytes, answer.tools) = (0, Vec::new());
            return true;
        }
        is_new
    });
    repeated
}

/// Rows without a session belong to that of the row before, or of the first row that names one.
fn name_sessions(rows: &mut [Row], fallback: &str) {
    let first = rows.iter().find_map(|row| row.session.clone());
    let mut current = first.unwrap_or_else(|| fallback.to_owned());
    for row in rows {
        match &row.session {
            Some(session) => current.clone_from(session),
            None => row.session = Some(current.clone()),
        }
    }
}

/// By time; rows without a time stay behind the one before them.
fn sort(rows: &mut Vec<Row>) {
    let mut last = f64::NEG_INFINITY;
    let mut timed: Vec<(f64, Row)> = Vec::with_capacity(rows.len());
    for row in rows.drain(..) {
        last = row.time_ms.unwrap_or(last);
        timed.push((last, row));
    }
    timed.sort_by(|a, b| a.0.total_cmp(&b.0));
    rows.extend(timed.into_iter().map(|(_, row)| row));
}

/// The sessions of a file, in order of their first rows.
struct Sessions {
    file: Option<AgentFile>,
    builders: Vec<Builder>,
    indices: HashMap<(String, Chain), usize>,
    /// The unnamed sub-agent that a row belongs to.
    unnamed: HashMap<u128, usize>,
    /// The session that a row belongs to.
    rows: HashMap<u128, usize>,
}

impl Sessions {
    fn add(&mut self, number: usize, row: Row) {
        let chain = self.chain(number, &row);
        let session = row.session.clone().unwrap_or_default();
        let id = (session, chain);
        let index = if let Some(index) = self.indices.get(&id) {
            *index
        } else {
            self.builders.push(self.builder(&id.0, &id.1));
            self.indices.insert(id, self.builders.len() - 1);
            self.builders.len() - 1
        };
        // The history of a session may begin with rows of another one.
        let parent = row.parent.filter(|_| !row.is_sidechain).and_then(|parent| self.rows.get(&parent));
        if let Some(origin) = parent.filter(|origin| **origin != index) {
            let origin = self.builders[*origin].key().to_owned();
            self.builders[index].continue_from(origin);
        }
        if let Some(uuid) = row.uuid {
            self.rows.insert(uuid, index);
        }
        self.builders[index].add(row);
    }

    fn chain(&mut self, number: usize, row: &Row) -> Chain {
        if let Some(file) = &self.file {
            return Chain::Agent(file.id.clone());
        }
        match (&row.agent, row.is_sidechain) {
            (_, false) => Chain::Main,
            (Some(agent), true) => Chain::Agent(agent.clone()),
            (None, true) => {
                let root = row.parent.and_then(|parent| self.unnamed.get(&parent)).copied().unwrap_or(number);
                if let Some(uuid) = row.uuid {
                    self.unnamed.insert(uuid, root);
                }
                Chain::Unnamed(root)
            }
        }
    }

    fn builder(&self, session: &str, chain: &Chain) -> Builder {
        let sub = |kind: Option<String>, parent: Option<&str>| Agent::Sub {
            kind,
            parent: parent.map_or_else(|| session.to_owned(), |parent| format!("{session}/{parent}")),
            spawned_by: None,
            joined_by: None,
        };
        let (key, agent) = match (chain, &self.file) {
            (Chain::Main, _) => (session.to_owned(), Agent::Main),
            (Chain::Agent(id), Some(file)) => {
                let run = file.run.as_ref().map_or_else(String::new, |run| format!("{run}/"));
                (format!("{session}/{run}{id}"), sub(file.meta.kind.clone(), file.meta.parent.as_deref()))
            }
            (Chain::Agent(id), None) => (format!("{session}/{id}"), sub(None, None)),
            (Chain::Unnamed(row), _) => (format!("{session}/sidechain-{row}"), sub(None, None)),
        };
        Builder::new(session.to_owned(), key, agent)
    }
}
