//! Rollouts of Claude Code: the main agent's rows of a file are one, those of each sub-agent in it another.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use agentgen_trace::error::Result;
use serde_json::{Map, Value, json};

use super::index::Indexes;
use super::model::{Block, Message, Rollout, ToolCall, text_block};
use super::values::{Times, arguments, blocks, field, insert, required, text};
use crate::import::lines::{BadLine, read_lines};
use crate::import::model::Recording;

const KIND: &str = "claude_code";

/// Why rows are left out that occur twice.
const REPEATED: &str = "repeated rows";

/// Why messages are left out that no model made.
const SYNTHETIC: &str = "messages of the client itself";

/// Reads a file.
pub(super) fn read(path: &Path, indexes: &Indexes, recording: &mut Recording) -> Result<Vec<Rollout>> {
    let mut file = File::of(path);
    let (mut repeated, mut synthetic) = (0, 0);
    read_lines(path, recording, |line, _| {
        let row: Value = serde_json::from_str(line)?;
        if !row.is_object() {
            return Err(BadLine::new("not a JSON object"));
        }
        match file.add(&row)? {
            Added::Repeated => repeated += 1,
            Added::Synthetic => synthetic += 1,
            Added::Row => {}
        }
        Ok(())
    })?;
    recording.leave_out(REPEATED, repeated);
    recording.leave_out(SYNTHETIC, synthetic);
    Ok(file.finish(path, indexes))
}

/// What became of a row.
enum Added {
    Row,
    Repeated,
    Synthetic,
}

/// The rows of one agent.
#[derive(Default)]
struct Chain {
    agent: Option<String>,
    is_sidechain: bool,
    cwd: Option<String>,
    branch: Option<String>,
    times: Times,
    versions: BTreeSet<String>,
    types: BTreeSet<String>,
    records: u64,
    messages: Vec<Message>,
    /// The message of each answer, by the answer's id: each block of an answer is a row.
    answers: HashMap<String, usize>,
}

struct File {
    /// The sub-agent whose file this is.
    agent: Option<String>,
    stem: String,
    session: Option<String>,
    chains: Vec<Chain>,
    /// Chains of sub-agents in the file of a main agent, by id.
    named: HashMap<String, usize>,
    /// The chain of each row, by the row's id.
    rows: HashMap<String, usize>,
    seen: HashSet<String>,
}

impl File {
    fn of(path: &Path) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let stem = name.split('.').next().unwrap_or_default().to_owned();
        let agent = stem.strip_prefix("agent-").map(str::to_owned);
        let main = Chain { agent: agent.clone(), is_sidechain: agent.is_some(), ..Chain::default() };
        Self {
            agent,
            stem,
            session: None,
            chains: vec![main],
            named: HashMap::new(),
            rows: HashMap::new(),
            seen: HashSet::new(),
        }
    }

    fn add(&mut self, row: &Value) -> Result<Added, BadLine> {
        self.session = self.session.take().or_else(|| field(row, "sessionId"));
        let index = self.chain(row);
        let id = field(row, "uuid");
        if let Some(id) = &id {
            self.rows.insert(id.clone(), index);
        }
        let chain = &mut self.chains[index];
        chain.records += 1;
        chain.types.insert(text(row.get("type")).unwrap_or_else(|| "unknown".to_owned()));
        chain.times.add(text(row.get("timestamp")));
        chain.cwd = chain.cwd.take().or_else(|| field(row, "cwd"));
        chain.branch = chain.branch.take().or_else(|| field(row, "gitBranch"));
        chain.versions.extend(field(row, "version"));
        if id.is_some_and(|id| !self.seen.insert(id)) {
            return Ok(Added::Repeated);
        }
        chain.row(row)
    }

    /// The chain that a row belongs to. The id of an agent on a row of the main agent is that of a result's.
    fn chain(&mut self, row: &Value) -> usize {
        let is_sidechain = row.get("isSidechain").and_then(Value::as_bool).unwrap_or(false);
        if self.agent.is_some() || !is_sidechain {
            return 0;
        }
        let parent = field(row, "parentUuid").and_then(|parent| self.rows.get(&parent)).copied();
        let agent = field(row, "agentId");
        if let (None, Some(parent)) = (&agent, parent.filter(|parent| *parent > 0)) {
            return parent;
        }
        let agent = agent.unwrap_or_else(|| format!("sidechain-{}", self.chains.len()));
        *self.named.entry(agent.clone()).or_insert_with(|| {
            self.chains.push(Chain { agent: Some(agent), is_sidechain: true, ..Chain::default() });
            self.chains.len() - 1
        })
    }

    fn finish(self, path: &Path, indexes: &Indexes) -> Vec<Rollout> {
        let session = self.session.unwrap_or(self.stem);
        let entry = indexes.claude(path, &session).map(Value::Object).unwrap_or_default();
        let chains = self.chains.into_iter().filter(|chain| chain.records > 0);
        chains.map(|chain| chain.finish(path, &session, &entry)).collect()
    }
}

impl Chain {
    fn row(&mut self, row: &Value) -> Result<Added, BadLine> {
        let message = row.get("message");
        // Rows of early versions have no type, but a role.
        let kind = field(row, "type").or_else(|| field(message?, "role")).unwrap_or_default();
        match &*kind {
            "assistant" | "user" if !message.is_some_and(Value::is_object) => {
                return Err(BadLine::new("no message object"));
            }
            "assistant" => return self.answer(row, message.unwrap_or(&Value::Null)),
            "user" => self.input(row, message.and_then(|message| message.get("content")))?,
            "attachment" => self.queued(row.get("attachment")),
            _ => {}
        }
        Ok(Added::Row)
    }

    fn answer(&mut self, row: &Value, message: &Value) -> Result<Added, BadLine> {
        let is_error = row.get("isApiErrorMessage").and_then(Value::as_bool).unwrap_or(false);
        if is_error || message.get("model").and_then(Value::as_str) == Some("<synthetic>") {
            return Ok(Added::Synthetic);
        }
        let (mut part, mut results, mut reasoning) = (Message::new("assistant", Vec::new()), Vec::new(), Vec::new());
        for block in blocks(message.get("content")) {
            match block.kind() {
                "thinking" => reasoning.extend(block_text(&block, "thinking").or_else(|| block_text(&block, "text"))),
                "tool_use" => part.tool_calls.push(tool_use(&block)?),
                "tool_result" => results.push(result(&block)?),
                _ => part.content.push(normalized(block)),
            }
        }
        if !reasoning.is_empty() {
            part.reasoning = Some(reasoning.join("\n\n"));
        }
        if !part.content.is_empty() || part.reasoning.is_some() || !part.tool_calls.is_empty() {
            self.add_part(field(message, "id"), part);
        }
        self.messages.extend(results);
        Ok(Added::Row)
    }

    fn add_part(&mut self, id: Option<String>, part: Message) {
        if let Some(known) = id.as_ref().and_then(|id| self.answers.get(id)) {
            return self.messages[*known].extend(part);
        }
        if let Some(id) = id {
            self.answers.insert(id, self.messages.len());
        }
        self.messages.push(part);
    }

    /// Results of tools come before text: they must follow the answer that called the tools.
    fn input(&mut self, row: &Value, content: Option<&Value>) -> Result<(), BadLine> {
        let is_summary = row.get("isCompactSummary").and_then(Value::as_bool).unwrap_or(false);
        let role = if is_summary { "system" } else { "user" };
        let parts = blocks(content);
        let has_parts = content.is_some_and(|content| content.is_array() || content.is_object());
        let (results, others): (Vec<_>, Vec<_>) = parts.into_iter().partition(|block| block.kind() == "tool_result");
        for block in &results {
            self.messages.push(result(block)?);
        }
        if !others.is_empty() || !has_parts {
            self.messages.push(Message::new(role, others.into_iter().map(normalized).collect()));
        }
        Ok(())
    }

    /// A prompt that was typed while the agent worked.
    fn queued(&mut self, attachment: Option<&Value>) {
        let Some(queued) = attachment.filter(|a| a.get("type").and_then(Value::as_str) == Some("queued_command"))
        else {
            return;
        };
        let content = blocks(queued.get("prompt"));
        if !content.is_empty() {
            self.messages.push(Message::new("user", content));
        }
    }

    fn finish(self, path: &Path, session: &str, entry: &Value) -> Rollout {
        let mut rollout = Rollout::new(KIND, path, session.to_owned());
        if let Some(agent) = &self.agent {
            rollout.trace_id = format!("{session}:{agent}");
        }
        let mut meta = Map::new();
        meta.insert("record_count".to_owned(), json!(self.records));
        meta.insert("record_types".to_owned(), json!(self.types));
        insert(&mut meta, "claude_versions", (!self.versions.is_empty()).then(|| json!(self.versions)));
        insert(&mut meta, "summary", field(entry, "summary"));
        insert(&mut meta, "first_prompt", field(entry, "firstPrompt"));
        Rollout {
            agent_id: self.agent,
            is_sidechain: self.is_sidechain,
            project_path: field(entry, "projectPath").or_else(|| self.cwd.clone()),
            cwd: self.cwd,
            git_branch: self.branch,
            started_at: self.times.first(),
            ended_at: self.times.last(),
            messages: self.messages,
            source_meta: meta,
            ..rollout
        }
    }
}

fn block_text(block: &Block, key: &str) -> Option<String> {
    text(block.0.get(key)).filter(|text| !text.is_empty())
}

/// All kinds of text are one.
fn normalized(block: Block) -> Block {
    match (block.kind(), block.0.get("text")) {
        ("text" | "input_text" | "output_text", Some(value)) => text_block(&text(Some(value)).unwrap_or_default()),
        _ => block,
    }
}

fn tool_use(block: &Block) -> Result<ToolCall, BadLine> {
    let block = Value::Object(block.0.clone());
    let (id, name) = (required(&block, "id")?, required(&block, "name")?);
    Ok(ToolCall { id, name, arguments: arguments(block.get("input")) })
}

fn result(block: &Block) -> Result<Message, BadLine> {
    let id = block_text(block, "tool_use_id").ok_or_else(|| BadLine::new("no tool_use_id"))?;
    Ok(Message::tool(blocks(block.0.get("content")), Some(id)))
}
