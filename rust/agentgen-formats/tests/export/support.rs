//! Traces on disk, their exports, and both as lines of calls.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use agentgen_formats::export::{ExportOptions, Exported, Target, export};
use agentgen_formats::import::{ImportOptions, NameOptions, Progress, import};
use agentgen_testing::{Blind, Case, run_options};
use agentgen_trace::schema::Column;
use agentgen_trace::session::{Link, Session, sessions};
use agentgen_trace::source::{ReadOptions, Source, open, resolve};
use agentgen_trace::{Cancel, Layout};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with a generated run in it.
pub struct Run {
    pub folder: TempDir,
}

impl Run {
    pub fn new(case: &Case, layout: Layout) -> Self {
        let folder = tempfile::tempdir().unwrap();
        case.write(layout, &run_options(&folder.path().join("run")), || Blind);
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn source(&self) -> Source {
        source(&self.path("run"))
    }

    /// Exports the run.
    pub fn export(&self, format: &str, name: &str, block_size: Option<u32>) -> Exported {
        exported(&self.source(), format, &self.path(name), block_size)
    }

    /// The rows of an export.
    pub fn rows(&self, format: &str, block_size: Option<u32>) -> Vec<Value> {
        let name = format!("{format}.jsonl");
        self.export(format, &name, block_size);
        json_lines(&self.path(&name))
    }

    /// Exports the run, and imports that.
    pub fn again(&self, format: &str, name: &str, block_size: Option<u32>) -> Source {
        self.export(format, name, block_size);
        let options = ImportOptions {
            sources: vec![self.path(name)],
            format: Some(format.to_owned()),
            directory: self.path(&format!("again-{format}")),
            block_size: None,
            names: NameOptions::default(),
            strict: true,
            threads: 2,
            created: "2026-01-01T00:00:00Z".to_owned(),
        };
        let imported = import(&options, &Progress::default(), &Cancel::default()).unwrap();
        assert!(imported.manifest.is_some(), "{:?}", imported.problems);
        source(&options.directory)
    }
}

pub fn source(path: &Path) -> Source {
    resolve(&[path.to_owned()], ReadOptions::default()).unwrap()
}

pub fn options(format: &str, path: &Path) -> ExportOptions {
    ExportOptions {
        format: format.to_owned(),
        target: Target::Path(path.to_owned()),
        block_size: None,
        text: agentgen_formats::export::named(format).unwrap().has_text,
        words: None,
        strict: false,
        threads: 2,
    }
}

pub fn exported(source: &Source, format: &str, path: &Path, block_size: Option<u32>) -> Exported {
    export(source, &ExportOptions { block_size, ..options(format, path) }, &Cancel::default()).unwrap()
}

pub fn json_lines(path: &Path) -> Vec<Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub fn ids(row: &Value) -> Vec<i64> {
    row["hash_ids"].as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect()
}

pub fn all_sessions(source: &Source) -> Vec<Session> {
    let batches = open(source, &Column::ALL, 2, &Cancel::default()).unwrap();
    sessions(&source.meta, batches).collect::<Result<_, _>>().unwrap()
}

/// Tokens of prompt and output, and the delay before the call in tenths of a millisecond.
pub type CallLengths = (u32, u32, u64);

/// Sessions that one agent continues after breaks, as its calls.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    pub calls: Vec<CallLengths>,
    /// Of a sub-agent: its parent, the parent's call that started it, and the one that waits for it.
    pub agent: Option<(usize, usize, Option<usize>)>,
}

/// The lines of a trace in the order of their first sessions. Restarts begin lines.
pub fn lines(source: &Source) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    // Line of each session, and its calls before the session.
    let mut places: HashMap<u64, (usize, usize)> = HashMap::new();
    for session in all_sessions(source) {
        let (mut agent, mut line) = (None, lines.len());
        match session.link {
            Link::Break { parent: Some(parent), .. } => line = places[&parent].0,
            Link::SubAgent { parent: Some(parent), parent_turn, join_turn } => {
                let (of, before) = places[&parent];
                agent = Some((of, before + parent_turn as usize, join_turn.map(|turn| before + turn as usize)));
            }
            _ => {}
        }
        if line == lines.len() {
            lines.push(Line { calls: Vec::new(), agent });
        }
        let before = lines[line].calls.len();
        places.insert(session.number, (line, before));
        let is_arrival = |turn: usize| turn == 0 && matches!(session.link, Link::Root | Link::Restart { .. });
        lines[line].calls.extend(session.turns.iter().enumerate().map(|(turn, of)| {
            let delay = of.delay_ms.filter(|_| !is_arrival(turn)).unwrap_or(0.0);
            (of.context_tokens, of.output_tokens, (delay * 10.0).round() as u64)
        }));
    }
    // A wait for a sub-agent after the last call is none.
    let calls: Vec<usize> = lines.iter().map(|line| line.calls.len()).collect();
    for line in &mut lines {
        if let Some((parent, _, join)) = &mut line.agent {
            *join = join.filter(|join| *join < calls[*parent]);
        }
    }
    lines
}
