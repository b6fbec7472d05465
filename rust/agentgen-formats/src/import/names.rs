//! Names that are written: well-known ones as they are, all others as numbers in order of first appearance.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use super::model::{Agent, Call, RecordedSession, ToolUse};

/// The value of `agent` for main agents.
const MAIN: &str = "main";
/// The same for sub-agents of which the source does not tell the kind.
const SUBAGENT: &str = "subagent";

/// Tools that come with the clients.
const TOOLS: &[&str] = &[
    // Claude Code
    "Agent",
    "AskUserQuestion",
    "Bash",
    "BashOutput",
    "Edit",
    "EnterPlanMode",
    "EnterWorktree",
    "ExitPlanMode",
    "Glob",
    "Grep",
    "KillBash",
    "KillShell",
    "LS",
    "LSP",
    "ListMcpResourcesTool",
    "MultiEdit",
    "NotebookEdit",
    "NotebookRead",
    "Read",
    "ReadMcpResourceTool",
    "Skill",
    "SlashCommand",
    "StructuredOutput",
    "Task",
    "TaskCreate",
    "TaskGet",
    "TaskList",
    "TaskOutput",
    "TaskStop",
    "TaskUpdate",
    "TodoRead",
    "TodoWrite",
    "ToolSearch",
    "WebFetch",
    "WebSearch",
    "Write",
    // Codex
    "apply_patch",
    "close_agent",
    "exec_command",
    "list_mcp_resource_templates",
    "list_mcp_resources",
    "local_shell",
    "read_mcp_resource",
    "request_user_input",
    "send_input",
    "shell",
    "shell_command",
    "spawn_agent",
    "update_plan",
    "view_image",
    "wait",
    "wait_agent",
    "web_search",
    "write_stdin",
    // Pi, SWE-agent, OpenHands, Hermes and other agents
    "bash",
    "browser",
    "create",
    "delegate_task",
    "edit",
    "execute_bash",
    "execute_code",
    "execute_ipython_cell",
    "find",
    "find_file",
    "finish",
    "goto",
    "grep",
    "ls",
    "memory",
    "open",
    "patch",
    "process",
    "python",
    "python_interpreter",
    "read",
    "read_file",
    "run_terminal_cmd",
    "scroll_down",
    "scroll_up",
    "search_dir",
    "search_file",
    "search_files",
    "str_replace_editor",
    "submit",
    "terminal",
    "think",
    "todo",
    "web_extract",
    "web_fetch",
    "write",
    "write_file",
];

/// Kinds of sub-agents that come with the clients.
const AGENTS: &[&str] = &[
    "Explore",
    "Plan",
    "claude-code-guide",
    "default",
    "explorer",
    "general-purpose",
    "output-style-setup",
    "statusline-setup",
    "worker",
];

/// Names of models and versions are at most this long.
const MAX_NAME_BYTES: usize = 80;

/// What kinds of names are hidden although they are well-known.
#[derive(Debug, Clone, Default)]
pub struct NameOptions {
    /// Names that stay as they are: tools, kinds of sub-agents.
    pub keep: BTreeSet<String>,
    /// Number all tools.
    pub hide_tools: bool,
    /// Number all kinds of sub-agents.
    pub hide_agents: bool,
    /// Number all models.
    pub hide_models: bool,
}

/// The written names of one kind.
#[derive(Debug, Default)]
struct Written {
    by_name: HashMap<String, String>,
    numbered: usize,
}

impl Written {
    fn learn(&mut self, name: &str, prefix: &str, stays: bool) {
        if self.by_name.contains_key(name) {
            return;
        }
        let written = if stays {
            name.to_owned()
        } else {
            self.numbered += 1;
            format!("{prefix}-{}", self.numbered)
        };
        self.by_name.insert(name.to_owned(), written);
    }

    /// The written name; none for a name that was not learned.
    fn of(&self, name: &str) -> &str {
        self.by_name.get(name).map_or("", String::as_str)
    }

    fn sorted(&self) -> Vec<String> {
        let mut names: Vec<String> = self.by_name.values().cloned().collect();
        names.sort_unstable();
        names
    }
}

/// The names of an import.
#[derive(Debug, Default)]
pub(crate) struct Names {
    options: NameOptions,
    tools: Written,
    agents: Written,
    models: Written,
    projects: HashMap<String, u32>,
}

/// All names that an import has written, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WrittenNames {
    /// Tools.
    pub tools: Vec<String>,
    /// Kinds of agents.
    pub agents: Vec<String>,
    /// Models.
    pub models: Vec<String>,
}

impl Names {
    pub(crate) fn new(options: NameOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Learns the names of a session's calls, in order.
    pub(crate) fn learn<'a>(&mut self, session: &RecordedSession, calls: impl Iterator<Item = &'a Call>) {
        let NameOptions { keep, hide_tools, hide_agents, hide_models } = &self.options;
        if let Agent::Sub { kind: Some(kind), .. } = &session.agent {
            let stays = keep.contains(kind) || (!hide_agents && AGENTS.contains(&&**kind));
            self.agents.learn(kind, "agent", stays);
        }
        if let Some(project) = &session.project {
            let next = self.projects.len() as u32;
            self.projects.entry(project.clone()).or_insert(next);
        }
        for call in calls {
            if let Some(model) = &call.model {
                let stays = keep.contains(model) || (!hide_models && is_identifier(model));
                self.models.learn(model, "model", stays);
            }
            for ToolUse { name, .. } in &call.tools {
                let stays = keep.contains(name) || (!hide_tools && TOOLS.contains(&&**name));
                self.tools.learn(name, "tool", stays);
            }
        }
    }

    pub(crate) fn tool(&self, name: &str) -> &str {
        self.tools.of(name)
    }

    pub(crate) fn model(&self, name: &str) -> &str {
        self.models.of(name)
    }

    /// The value of `agent`.
    pub(crate) fn agent<'a>(&'a self, agent: &'a Agent) -> &'a str {
        match agent {
            Agent::Main => MAIN,
            Agent::Sub { kind: None, .. } => SUBAGENT,
            Agent::Sub { kind: Some(kind), .. } => self.agents.of(kind),
        }
    }

    /// The number of a project.
    pub(crate) fn project(&self, name: &str) -> Option<u32> {
        self.projects.get(name).copied()
    }

    /// All names, by kind.
    pub(crate) fn written(&self) -> WrittenNames {
        WrittenNames { tools: self.tools.sorted(), agents: self.agents.sorted(), models: self.models.sorted() }
    }
}

/// Whether a name can be one of a model or a version: no text that a user wrote.
pub(crate) fn is_identifier(name: &str) -> bool {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/@+-[]".contains(&byte);
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(options: NameOptions) -> WrittenNames {
        let sub = |kind: &str| Agent::Sub {
            kind: Some(kind.to_owned()),
            parent: "a".into(),
            spawned_by: None,
            joined_by: None,
        };
        let session = |agent, model: &str, tools: &[&str]| {
            let tools = tools.iter().map(|name| ToolUse { name: (*name).to_owned(), ..ToolUse::default() }).collect();
            let calls = vec![Call { model: Some(model.to_owned()), tools, ..Call::default() }];
            RecordedSession {
                agent,
                project: Some(model.to_owned()),
                calls,
                ..RecordedSession::new("x".to_owned(), "test", Vec::new())
            }
        };
        let sessions = [
            session(Agent::Main, "claude-opus-4-5", &["Read", "mcp__secret__x", "mine"]),
            session(sub("Explore"), "my private model", &["mcp__secret__x"]),
            session(sub("main"), "claude-opus-4-5", &[]),
        ];
        let mut names = Names::new(options);
        for session in &sessions {
            names.learn(session, session.calls.iter());
        }
        assert_eq!(names.project("claude-opus-4-5"), Some(0));
        assert_eq!(names.project("my private model"), Some(1));
        names.written()
    }

    #[test]
    fn custom_names_become_numbers() {
        let found = names(NameOptions::default());
        assert_eq!(found.tools, ["Read", "tool-1", "tool-2"]);
        assert_eq!(found.agents, ["Explore", "agent-1"]);
        assert_eq!(found.models, ["claude-opus-4-5", "model-1"]);
    }

    #[test]
    fn options_keep_and_hide_names() {
        let keep = BTreeSet::from(["mine".to_owned()]);
        let found = names(NameOptions { keep, hide_tools: true, hide_models: true, hide_agents: true });
        assert_eq!(found.tools, ["mine", "tool-1", "tool-2"]);
        assert_eq!(found.agents, ["agent-1", "agent-2"]);
        assert_eq!(found.models, ["model-1", "model-2"]);
    }
}
