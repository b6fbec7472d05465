//! The calls of a trace, grouped into conversations: what goodness of fit is measured on.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use agentgen_trace::schema::Column;
use agentgen_trace::source;
use agentgen_trace::{Cancel, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type};
use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch, StringViewArray, UInt32Array};
use xxhash_rust::xxh3::xxh3_64;

use crate::analyze::{Options, located};

/// What caused a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// Text of a person.
    Human,
    /// Result of a tool.
    Tool,
}

/// One call of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// What caused it; `None` if the trace does not say.
    pub trigger: Option<Trigger>,
    /// Tokens of the prompt.
    pub prompt: u32,
    /// Tokens of the output.
    pub output: u32,
    /// Tokens that the prompt shares with the one before; `None` for the first call.
    pub kept: Option<u32>,
    /// Tokens of the previous output that the prompt holds, if not all.
    pub returned: Option<u32>,
    /// Why the prompt does not begin with the one before; empty if the trace does not say.
    pub break_kind: Option<String>,
    /// Time from the end of the previous call, ms.
    pub wait_ms: Option<f64>,
}

/// A sub-agent's calls.
#[derive(Debug, Clone, PartialEq)]
pub struct SubAgent {
    /// The agent's name in the trace.
    pub kind: String,
    /// Whether the session that started it waits for its end.
    pub is_joined: bool,
    /// Name of the session and the turn that started it: agents started together share both.
    pub started_by: (u64, u32),
    /// Its calls.
    pub calls: Vec<Call>,
}

/// The calls of an agent from its first prompt on, across breaks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conversation {
    /// Hash of its name: decides to which half it belongs.
    pub hash: u64,
    /// Time of its first call, ms.
    pub arrival_ms: Option<f64>,
    /// Calls of the main agent.
    pub calls: Vec<Call>,
}

/// All calls of a trace.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    /// Tokens per block of the trace.
    pub block_size: u32,
    /// In the order of their first rows.
    pub conversations: Vec<Conversation>,
    /// Sub-agents of all conversations.
    pub sub_agents: Vec<SubAgent>,
    /// Whether waits are recorded in whole seconds.
    pub whole_seconds: bool,
}

const COLUMNS: [Column; 17] = [
    Column::SessionId,
    Column::TurnIndex,
    Column::ContextLength,
    Column::OutputLength,
    Column::DelayMs,
    Column::TimestampMs,
    Column::IsRestart,
    Column::ParentSessionId,
    Column::Link,
    Column::ParentTurn,
    Column::JoinTurn,
    Column::KeptLength,
    Column::ReturnedLength,
    Column::Agent,
    Column::Trigger,
    Column::RootSessionId,
    Column::BreakKind,
];

/// Share of waits in whole seconds from which all are taken to be rounded.
const WHOLE_SHARE: f64 = 0.95;

impl Calls {
    /// Reads a trace. Sessions after a break belong to the conversation of their parent, a restart session begins another.
    fn read(trace: &Path, options: &Options, cancel: &Cancel) -> Result<Self> {
        let source = options.resolve(&trace.to_path_buf())?;
        let mut reader = Reader::default();
        source::open(&source, &COLUMNS, options.threads, cancel)
            .and_then(|mut batches| batches.try_for_each(|batch| reader.batch(&batch?)))
            .map_err(|error| located(trace, error))?;
        let mut calls = reader.calls;
        calls.block_size = source.meta.block_size;
        calls.whole_seconds = calls.are_waits_whole();
        Ok(calls)
    }

    /// Reads several traces as one. The block size is that of the first.
    pub fn read_all(traces: &[PathBuf], options: &Options, cancel: &Cancel) -> Result<Self> {
        let mut all = Self { whole_seconds: true, ..Self::default() };
        for (index, trace) in traces.iter().enumerate() {
            let calls = Self::read(trace, options, cancel)?;
            if index == 0 {
                all.block_size = calls.block_size;
            }
            all.whole_seconds &= calls.whole_seconds;
            all.conversations.extend(calls.conversations);
            all.sub_agents.extend(calls.sub_agents);
        }
        Ok(all)
    }

    /// The conversations of one half, by the hash of their names; sub-agents are left out.
    #[must_use]
    pub fn half(&self, odd: bool) -> Self {
        let conversations = self.conversations.iter().filter(|c| (c.hash & 1 == 1) == odd).cloned().collect();
        Self { conversations, sub_agents: Vec::new(), ..*self }
    }

    fn are_waits_whole(&self) -> bool {
        let waits = self.conversations.iter().flat_map(|c| &c.calls).filter_map(|call| call.wait_ms);
        let (mut all, mut whole) = (0.0, 0.0);
        for wait in waits {
            all += 1.0;
            whole += f64::from(u8::from(wait % 1_000.0 == 0.0));
        }
        all > 0.0 && whole >= WHOLE_SHARE * all
    }
}

/// Where the rows of a session go.
#[derive(Debug, Clone, Copy)]
enum Place {
    Conversation(usize),
    SubAgent(usize),
}

#[derive(Debug, Default)]
struct Reader {
    calls: Calls,
    /// By the name of the session.
    places: HashMap<String, Place>,
}

/// The columns of a batch; traces without links lack some.
struct Columns<'a> {
    session: Option<&'a StringViewArray>,
    turn_index: &'a UInt32Array,
    prompt: &'a UInt32Array,
    output: &'a UInt32Array,
    delay: Option<&'a Float64Array>,
    timestamp: Option<&'a Float64Array>,
    parent: Option<&'a StringViewArray>,
    link: Option<&'a StringViewArray>,
    parent_turn: Option<&'a UInt32Array>,
    join_turn: Option<&'a UInt32Array>,
    kept: Option<&'a UInt32Array>,
    returned: Option<&'a UInt32Array>,
    agent: Option<&'a StringViewArray>,
    trigger: Option<&'a StringViewArray>,
    break_kind: Option<&'a StringViewArray>,
}

impl<'a> Columns<'a> {
    fn new(batch: &'a RecordBatch) -> Result<Self> {
        let numbers = |column: Column| column.of(batch).map(|values: &ArrayRef| values.as_primitive::<UInt32Type>());
        let times = |column: Column| column.of(batch).map(|values: &ArrayRef| values.as_primitive::<Float64Type>());
        let names = |column: Column| column.of(batch).map(|values: &ArrayRef| values.as_string_view());
        let required = |column: Column| column.required(batch).map(AsArray::as_primitive::<UInt32Type>);
        Ok(Self {
            session: names(Column::SessionId),
            turn_index: required(Column::TurnIndex)?,
            prompt: required(Column::ContextLength)?,
            output: required(Column::OutputLength)?,
            delay: times(Column::DelayMs),
            timestamp: times(Column::TimestampMs),
            parent: names(Column::ParentSessionId),
            link: names(Column::Link),
            parent_turn: numbers(Column::ParentTurn),
            join_turn: numbers(Column::JoinTurn),
            kept: numbers(Column::KeptLength),
            returned: numbers(Column::ReturnedLength),
            agent: names(Column::Agent),
            trigger: names(Column::Trigger),
            break_kind: names(Column::BreakKind),
        })
    }
}

fn name(column: Option<&StringViewArray>, row: usize) -> Option<&str> {
    column.filter(|values| values.is_valid(row)).map(|values| values.value(row))
}

fn number(column: Option<&UInt32Array>, row: usize) -> Option<u32> {
    column.filter(|values| values.is_valid(row)).map(|values| values.value(row))
}

fn time(column: Option<&Float64Array>, row: usize) -> Option<f64> {
    column.filter(|values| values.is_valid(row)).map(|values| values.value(row))
}

impl Reader {
    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = Columns::new(batch)?;
        for row in 0..batch.num_rows() {
            self.row(&columns, row);
        }
        Ok(())
    }

    fn row(&mut self, columns: &Columns<'_>, row: usize) {
        let session = name(columns.session, row);
        let is_first = columns.turn_index.value(row) == 0 || session.is_none();
        let link = name(columns.link, row);
        let place = match session.and_then(|session| self.places.get(session)) {
            Some(place) if !is_first => *place,
            _ => self.begin(columns, row, link, session),
        };
        // A restart's first row repeats its parent's history: it is a prompt of the new conversation all the same.
        let calls = match place {
            Place::Conversation(at) => &mut self.calls.conversations[at].calls,
            Place::SubAgent(at) => &mut self.calls.sub_agents[at].calls,
        };
        let before = calls.last();
        let is_break = is_first && link == Some("break");
        let kept = before.map(|before| {
            let most = before.prompt.min(columns.prompt.value(row));
            if is_break { number(columns.kept, row).unwrap_or(0).min(most) } else { most }
        });
        let call = Call {
            trigger: match name(columns.trigger, row) {
                Some("human") => Some(Trigger::Human),
                Some("tool") => Some(Trigger::Tool),
                _ => None,
            },
            prompt: columns.prompt.value(row),
            output: columns.output.value(row),
            kept,
            returned: number(columns.returned, row),
            break_kind: is_break.then(|| name(columns.break_kind, row).unwrap_or_default().to_owned()),
            wait_ms: time(columns.delay, row),
        };
        calls.push(call);
    }

    /// Begins a session: a conversation, a sub-agent, or the rest of one after a break.
    fn begin(&mut self, columns: &Columns<'_>, row: usize, link: Option<&str>, session: Option<&str>) -> Place {
        let parent = name(columns.parent, row);
        let of_parent = parent.and_then(|parent| self.places.get(parent)).copied();
        let place = match (link, of_parent) {
            (Some("break"), Some(place)) => place,
            (Some("subagent"), _) => {
                let started_by =
                    (xxh3_64(parent.unwrap_or_default().as_bytes()), number(columns.parent_turn, row).unwrap_or(0));
                self.calls.sub_agents.push(SubAgent {
                    kind: name(columns.agent, row).unwrap_or("agent").to_owned(),
                    is_joined: number(columns.join_turn, row).is_some(),
                    started_by,
                    calls: Vec::new(),
                });
                Place::SubAgent(self.calls.sub_agents.len() - 1)
            }
            _ => {
                let count = self.calls.conversations.len();
                let hash = session.map_or(count as u64, |session| xxh3_64(session.as_bytes()));
                let arrival_ms = time(columns.timestamp, row);
                self.calls.conversations.push(Conversation { hash, arrival_ms, calls: Vec::new() });
                Place::Conversation(count)
            }
        };
        if let Some(session) = session {
            self.places.insert(session.to_owned(), place);
        }
        place
    }
}
