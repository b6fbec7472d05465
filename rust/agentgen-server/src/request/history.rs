//! Whether each tool result of a conversation belongs to a call before it.

use std::collections::HashSet;

use crate::chain::Chain;

/// The names of an endpoint, for messages.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// The list of messages or items.
    pub list: &'static str,
    /// Where an element of the list has the ids of calls.
    pub calls: &'static str,
    /// Where a result has the id of its call.
    pub result: &'static str,
    /// An element with calls.
    pub caller: &'static str,
    /// A result.
    pub kind: &'static str,
}

/// A message or an item of a conversation.
pub trait Element {
    /// How errors name its parts.
    const NAMES: Names;

    /// Appends its words.
    fn push_words(&self, chain: &mut Chain);

    /// Adds it to a conversation. The error is one line.
    fn add_to(&self, history: &mut History) -> Result<(), String>;
}

/// Checks that every tool call is followed by its result.
#[derive(Debug)]
pub struct History {
    names: Names,
    elements: usize,
    /// Ids of the last calls, while only results have followed them.
    calls: HashSet<String>,
    /// Those of them without a result, in order.
    open: Vec<String>,
}

impl History {
    /// An empty conversation.
    pub fn new(names: Names) -> Self {
        Self { names, elements: 0, calls: HashSet::new(), open: Vec::new() }
    }

    /// Begins the next element of the list.
    pub fn begin(&mut self) {
        self.elements += 1;
    }

    /// Whether a result has followed the last calls.
    pub fn has_results(&self) -> bool {
        self.open.len() < self.calls.len()
    }

    /// Adds a message that is no result. The error is one line.
    pub fn message(&mut self) -> Result<(), String> {
        self.end()?;
        self.calls.clear();
        Ok(())
    }

    /// Adds a call. The error is one line.
    pub fn call(&mut self, id: &str) -> Result<(), String> {
        if id.is_empty() || !self.calls.insert(id.to_owned()) {
            let place = self.place(self.names.calls);
            return Err(format!("{place}: found id {id:?}, expected a non-empty id that no other call has"));
        }
        self.open.push(id.to_owned());
        Ok(())
    }

    /// Adds a result. The error is one line.
    pub fn result(&mut self, id: Option<&str>) -> Result<(), String> {
        let place = self.place(self.names.result);
        let Some(id) = id else { return Err(format!("{place}: missing, expected the id of a tool call")) };
        if !self.calls.contains(id) {
            let caller = self.names.caller;
            return Err(format!("{place}: found {id:?}, expected the id of a tool call of the {caller} before it"));
        }
        let Some(open) = self.open.iter().position(|open| open == id) else {
            return Err(format!("{place}: found {id:?} twice, expected one result for each tool call"));
        };
        self.open.remove(open);
        Ok(())
    }

    /// Ends a sequence of results. The error is one line.
    pub fn end(&self) -> Result<(), String> {
        if self.open.is_empty() {
            return Ok(());
        }
        let Names { list, calls, caller, kind, .. } = self.names;
        Err(format!(
            "{list}[{}]: an {caller} with {calls} must be followed by a {kind} for each call; missing: {}",
            self.at(),
            self.open.join(", ")
        ))
    }

    /// Position of the last element.
    fn at(&self) -> usize {
        self.elements.saturating_sub(1)
    }

    /// A field of the last element.
    pub fn place(&self, field: &str) -> String {
        format!("{}[{}].{field}", self.names.list, self.at())
    }
}
