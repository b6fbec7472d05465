//! Groups rows into conversations and checks the rules over the rows of each conversation.

use std::collections::{HashMap, HashSet};

use xxhash_rust::xxh3::xxh3_128;

use super::parse::{Parsed, RequestOptions, Row};
use super::rules;
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::transcript::model::{
    History, Message, Parameters, Part, Request, Role, ToolCall, ToolResult, Transcript, Trigger, Usage,
};

/// Groups rows in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    /// Hashes of the names of all conversations so far; 128 bits rule out collisions.
    seen: HashSet<u128>,
    open: Option<Open>,
    /// Number of conversations so far.
    pub conversations: u64,
}

/// The conversation whose rows are being read.
#[derive(Debug)]
struct Open {
    id: String,
    rows: Vec<(Place, Parsed)>,
    /// Whether the conversation was split, or a row within it names no conversation. Its turns are then not checked.
    is_broken: bool,
}

impl Assembler {
    /// Adds a row; returns the conversation that ends before it, if that is valid.
    pub fn push(&mut self, place: Place, mut row: Parsed, diagnostics: &mut Vec<Diagnostic>) -> Option<Transcript> {
        let Some(id) = row.id.take() else {
            self.push_unnamed();
            return None;
        };
        let mut ended = None;
        if self.open.as_ref().is_none_or(|open| open.id != id) {
            ended = self.finish(diagnostics);
            let is_new = self.seen.insert(xxh3_128(id.as_bytes()));
            self.conversations += u64::from(is_new);
            if !is_new {
                let found = format!("conversation {id:?} again, after rows of another one");
                diagnostics.push(
                    Diagnostic::new(rules::CONVERSATION_SPLIT, found, "all rows of a conversation together").at(place),
                );
            }
            self.open = Some(Open { id, rows: Vec::new(), is_broken: !is_new });
        }
        if let Some(open) = &mut self.open {
            open.rows.push((place, row));
        }
        ended
    }

    /// Notes a row that names no conversation: it may belong to the open one.
    pub fn push_unnamed(&mut self) {
        if let Some(open) = &mut self.open {
            open.is_broken = true;
        }
    }

    /// Ends the open conversation.
    pub fn finish(&mut self, diagnostics: &mut Vec<Diagnostic>) -> Option<Transcript> {
        self.open.take().and_then(|open| open.close(diagnostics))
    }
}

impl Open {
    fn close(mut self, diagnostics: &mut Vec<Diagnostic>) -> Option<Transcript> {
        self.rows.sort_by_key(|(_, row)| row.turn);
        let mut check = RowChecks { id: &self.id, diagnostics: Vec::new() };
        if !self.is_broken && self.rows.iter().all(|(_, row)| row.turn.is_some()) {
            check.turns(&self.rows);
        }
        check.roles(&self.rows);
        check.ids(&self.rows);
        let system = check.system(&self.rows);
        let found = check.diagnostics;
        let is_valid = !self.is_broken && found.iter().all(|diagnostic| diagnostic.severity == Severity::Warning);
        diagnostics.extend(found);
        let rows = self.rows.into_iter().map(|(_, row)| row.row).collect::<Option<Vec<_>>>()?;
        is_valid.then(|| transcript(self.id, system, rows))
    }
}

/// Builds the requests of valid rows.
fn transcript(id: String, system: Option<String>, rows: Vec<Row>) -> Transcript {
    let mut system = system.map(|text| Message { role: Role::System, name: None, parts: vec![Part::Text(text)] });
    let mut requests: Vec<Request> = Vec::new();
    // The parameters of the first row apply to the whole conversation.
    let mut shared = None;
    for Row { message, options } in rows {
        let Some(RequestOptions { delay_ms, parameters }) = options else {
            if let Some(request) = requests.last_mut() {
                request.answer = Some(message);
            }
            continue;
        };
        let trigger = if message.role == Role::Tool { Trigger::Tool } else { Trigger::Human };
        let history = match requests.len().checked_sub(1) {
            None => History::Spawn { agent: None },
            Some(after) => History::Continue { after },
        };
        let messages = system.take().into_iter().chain([message]).collect();
        let parameters = match shared {
            None => {
                shared = Some(parameters);
                Parameters::default()
            }
            Some(_) => parameters,
        };
        requests.push(Request {
            history,
            messages,
            answer: None,
            parameters,
            trigger: Some(trigger),
            model: None,
            usage: Usage::default(),
            delay_ms: Some(delay_ms),
            start_ms: None,
            end_ms: None,
        });
    }
    Transcript { id, parameters: shared.unwrap_or_default(), requests }
}

/// Checks the rules over the rows of one conversation, sorted by turn.
struct RowChecks<'a> {
    id: &'a str,
    diagnostics: Vec<Diagnostic>,
}

impl RowChecks<'_> {
    fn error(
        &mut self,
        place: Place,
        rule: &'static str,
        row: &Parsed,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) {
        let diagnostic = Diagnostic::new(rule, found, expected);
        self.diagnostics.push(located(place, self.id, row.turn, diagnostic));
    }

    fn turns(&mut self, rows: &[(Place, Parsed)]) {
        let mut last = 0;
        for (place, row) in rows {
            let turn = row.turn.unwrap_or_default();
            if turn == last {
                self.error(*place, rules::TURN_NUMBER, row, "the turn again", "every turn once");
            } else if turn > last + 1 {
                let found = if last == 0 { "the first turn".to_owned() } else { format!("the turn after {last}") };
                self.error(
                    *place,
                    rules::TURN_NUMBER,
                    row,
                    found,
                    format!("turn {} (1, 2, 3, … without gaps)", last + 1),
                );
            }
            last = turn;
        }
    }

    fn roles(&mut self, rows: &[(Place, Parsed)]) {
        if let Some((place, row)) = rows.first()
            && row.turn == Some(1)
            && let Some(role @ (Role::Assistant | Role::Tool)) = row.role
        {
            self.error(*place, rules::ROLE_ORDER, row, format!("{} first", role.name()), "user");
        }
        for ((_, before), (place, row)) in consecutive(rows) {
            let (Some(from), Some(to)) = (before.role, row.role) else { continue };
            let (what, next): (_, &[Role]) = match from {
                Role::System => continue, // no row has this role
                Role::User => ("user", &[Role::Assistant]),
                Role::Assistant if before.calls => ("an assistant that calls tools", &[Role::Tool]),
                Role::Assistant => ("an assistant that calls no tool", &[Role::User]),
                Role::Tool => ("tool", &[Role::Assistant, Role::User]),
            };
            if !next.contains(&to) {
                let next: Vec<_> = next.iter().map(|role| role.name()).collect();
                self.error(*place, rules::ROLE_ORDER, row, format!("{} after {what}", to.name()), next.join(" or "));
            }
        }
    }

    fn ids(&mut self, rows: &[(Place, Parsed)]) {
        let mut known: HashMap<&str, u32> = HashMap::new();
        for (place, row) in rows {
            for call in calls(row) {
                if let Some(first) = known.insert(&call.id, row.turn.unwrap_or_default()) {
                    let found = format!("the call {:?} again, first in turn {first}", call.id);
                    self.error(*place, rules::TOOL_CALL_ID, row, found, "every call's id once in its conversation");
                }
            }
        }
        for ((_, before), (place, row)) in consecutive(rows) {
            let calls: Vec<&ToolCall> = calls(before).collect();
            let has_results = row.row.as_ref().is_some_and(|row| row.message.role == Role::Tool);
            if has_results && !calls.is_empty() {
                self.pairs(*place, row, &calls, &results(row).collect::<Vec<_>>());
            }
        }
    }

    /// Checks that there is exactly one result for every call.
    fn pairs(&mut self, place: Place, row: &Parsed, calls: &[&ToolCall], results: &[&ToolResult]) {
        let expected = "one result for every call of the row before";
        for (index, result) in results.iter().enumerate() {
            let found = if !calls.iter().any(|call| call.id == result.tool_call_id) {
                format!("tool_results[{index}] of {:?}, which was not called", result.tool_call_id)
            } else if results[..index].iter().any(|other| other.tool_call_id == result.tool_call_id) {
                format!("tool_results[{index}] of {:?} again", result.tool_call_id)
            } else {
                continue;
            };
            self.error(place, rules::TOOL_CALL_ID, row, found, expected);
        }
        for call in calls.iter().filter(|call| !results.iter().any(|result| result.tool_call_id == call.id)) {
            self.error(place, rules::TOOL_CALL_ID, row, format!("no result of the call {:?}", call.id), expected);
        }
    }

    /// The system prompt: the first that is not empty. Warns about others.
    fn system(&mut self, rows: &[(Place, Parsed)]) -> Option<String> {
        let mut prompts = rows.iter().filter_map(|(place, row)| Some((place, row, row.system.as_ref()?)));
        let (_, first, system) = prompts.next()?;
        if let Some((place, row, _)) = prompts.find(|(_, _, other)| *other != system) {
            let found = format!("another system prompt than in turn {}", first.turn.unwrap_or_default());
            let diagnostic =
                Diagnostic::new(rules::SYSTEM, found, "one system prompt per conversation (this one is not used)");
            self.diagnostics
                .push(Diagnostic { severity: Severity::Warning, ..located(*place, self.id, row.turn, diagnostic) });
        }
        Some(system.clone())
    }
}

/// Pairs of rows with consecutive turns.
fn consecutive(rows: &[(Place, Parsed)]) -> impl Iterator<Item = (&(Place, Parsed), &(Place, Parsed))> {
    let pairs = rows.iter().zip(rows.iter().skip(1));
    pairs.filter(|((_, a), (_, b))| a.turn.is_some_and(|turn| turn.checked_add(1) == b.turn))
}

fn calls(row: &Parsed) -> impl Iterator<Item = &ToolCall> {
    row.row.iter().flat_map(|row| row.message.tool_calls())
}

fn results(row: &Parsed) -> impl Iterator<Item = &ToolResult> {
    row.row.iter().flat_map(|row| row.message.tool_results())
}

/// Adds the conversation and turn to a diagnostic.
pub(super) fn located(place: Place, id: &str, turn: Option<u32>, diagnostic: Diagnostic) -> Diagnostic {
    let found = match turn {
        Some(turn) => format!("conversation {id:?}, turn {turn}: {}", diagnostic.found),
        None => format!("conversation {id:?}: {}", diagnostic.found),
    };
    Diagnostic { found, ..diagnostic }.at(place)
}
