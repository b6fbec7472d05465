//! The quantities that are compared, each as a list of values.

use super::calls::{Call, Calls, Conversation, Trigger};

/// Share of the previous prompt that a call must keep for its growth to be counted.
const KEPT_SHARE: f64 = 0.5;
/// Share of the previous prompt that a call keeps at least if nothing broke.
const APPENDED: f64 = 0.98;
/// Values of a session from which its mean is counted.
const VALUES_OF_A_MEAN: usize = 5;

/// A quantity, and what it is called in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    /// Calls of a session.
    Calls,
    /// Calls of a session that a person's text caused.
    HumanTurns,
    /// First prompt of a session.
    FirstPrompt,
    /// Last prompt of a session.
    LastPrompt,
    /// Prompt of a call.
    Prompt,
    /// Output of a call.
    Output,
    /// Tokens of a prompt beyond the previous prompt and output.
    NewTool,
    /// The same, after a person's text.
    NewHuman,
    /// The same, whatever caused the call.
    Growth,
    /// Time from the end of the previous call to a call that a tool's result caused.
    WaitTool,
    /// The same, after a person's text.
    WaitHuman,
    /// The same, whatever caused the call.
    Wait,
    /// Calls from one text of a person to the next.
    CallsPerHumanTurn,
    /// Mean of the logarithm of the growths of a session.
    MeanGrowth,
    /// Mean of the logarithm of the outputs of a session.
    MeanOutput,
    /// Mean of the logarithm of the waits of a session.
    MeanWait,
}

impl Quantity {
    /// All, in the order of reports.
    pub const ALL: [Self; 16] = [
        Self::Calls,
        Self::HumanTurns,
        Self::FirstPrompt,
        Self::LastPrompt,
        Self::Prompt,
        Self::Output,
        Self::NewTool,
        Self::NewHuman,
        Self::Growth,
        Self::WaitTool,
        Self::WaitHuman,
        Self::Wait,
        Self::CallsPerHumanTurn,
        Self::MeanGrowth,
        Self::MeanOutput,
        Self::MeanWait,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::HumanTurns => "human_turns",
            Self::FirstPrompt => "first_prompt",
            Self::LastPrompt => "last_prompt",
            Self::Prompt => "prompt",
            Self::Output => "output",
            Self::NewTool => "new_tool",
            Self::NewHuman => "new_human",
            Self::Growth => "growth",
            Self::WaitTool => "wait_tool_s",
            Self::WaitHuman => "wait_human_s",
            Self::Wait => "wait_s",
            Self::CallsPerHumanTurn => "calls_per_human_turn",
            Self::MeanGrowth => "session_mean_log_growth",
            Self::MeanOutput => "session_mean_log_output",
            Self::MeanWait => "session_mean_log_wait",
        }
    }
}

/// Growth of a prompt beyond the previous prompt and output, tokens; `None` where less than half of that prompt is kept.
#[must_use]
pub fn growth(before: &Call, call: &Call) -> Option<u32> {
    let kept = f64::from(call.kept?);
    (kept >= KEPT_SHARE * f64::from(before.prompt))
        .then(|| call.prompt.saturating_sub(before.prompt.saturating_add(before.output)))
}

/// Whether a call keeps less than 98 % of the prompt before it: traces of blocks do not show the last, partial one.
#[must_use]
pub fn is_broken(before: &Call, call: &Call) -> bool {
    call.kept.is_some_and(|kept| f64::from(kept) < APPENDED * f64::from(before.prompt))
}

/// Whether a call keeps less than half of the prompt before it.
#[must_use]
pub fn is_lost(before: &Call, call: &Call) -> bool {
    call.kept.is_some_and(|kept| f64::from(kept) < KEPT_SHARE * f64::from(before.prompt))
}

/// The values of all quantities, ascending; by the index of [`Quantity::ALL`].
#[derive(Debug, Clone, Default)]
pub struct Features {
    values: [Vec<f64>; Quantity::ALL.len()],
}

impl Features {
    /// Of all conversations. `whole_seconds`: waits are rounded.
    #[must_use]
    pub fn new(calls: &Calls, whole_seconds: bool) -> Self {
        let mut features = Self::default();
        for conversation in &calls.conversations {
            features.conversation(conversation, whole_seconds);
        }
        for values in &mut features.values {
            values.sort_by(f64::total_cmp);
        }
        features
    }

    /// The values of a quantity, ascending.
    #[must_use]
    pub fn of(&self, quantity: Quantity) -> &[f64] {
        &self.values[quantity as usize]
    }

    fn add(&mut self, quantity: Quantity, value: f64) {
        self.values[quantity as usize].push(value);
    }

    fn conversation(&mut self, conversation: &Conversation, whole_seconds: bool) {
        use Quantity as Q;
        let calls = &conversation.calls;
        let (Some(first), Some(last)) = (calls.first(), calls.last()) else { return };
        let human = calls.iter().filter(|call| call.trigger == Some(Trigger::Human)).count();
        self.add(Q::Calls, calls.len() as f64);
        self.add(Q::FirstPrompt, f64::from(first.prompt));
        self.add(Q::LastPrompt, f64::from(last.prompt));
        if human > 0 {
            self.add(Q::HumanTurns, human as f64);
            let mut since = 0.0;
            for call in calls {
                if call.trigger == Some(Trigger::Human) && since > 0.0 {
                    self.add(Q::CallsPerHumanTurn, since);
                    since = 0.0;
                }
                since += 1.0;
            }
            self.add(Q::CallsPerHumanTurn, since);
        }
        for call in calls {
            self.add(Q::Prompt, f64::from(call.prompt));
            self.add(Q::Output, f64::from(call.output));
        }
        let (mut growths, mut waits) = (Mean::default(), Mean::default());
        for pair in calls.windows(2) {
            let (before, call) = (&pair[0], &pair[1]);
            let by_trigger = call.trigger.map(|trigger| match trigger {
                Trigger::Tool => (Q::NewTool, Q::WaitTool),
                Trigger::Human => (Q::NewHuman, Q::WaitHuman),
            });
            if let Some(growth) = growth(before, call) {
                self.add(Q::Growth, f64::from(growth));
                if let Some((new, _)) = by_trigger {
                    self.add(new, f64::from(growth));
                }
                growths.add(f64::from(growth));
            }
            if let Some(ms) = call.wait_ms {
                let seconds = if whole_seconds { (ms / 1_000.0).round_ties_even() } else { ms / 1_000.0 };
                self.add(Q::Wait, seconds);
                if let Some((_, wait)) = by_trigger {
                    self.add(wait, seconds);
                }
                waits.add(seconds);
            }
        }
        let mut outputs = Mean::default();
        for call in calls {
            outputs.add(f64::from(call.output));
        }
        for (quantity, mean) in [(Q::MeanGrowth, growths), (Q::MeanOutput, outputs), (Q::MeanWait, waits)] {
            if mean.count >= VALUES_OF_A_MEAN {
                self.add(quantity, mean.sum / mean.count as f64);
            }
        }
    }
}

/// Mean of the logarithm of 1 + value.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: usize,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value.ln_1p();
        self.count += 1;
    }
}

/// Kolmogorov-Smirnov distance of two ascending lists; `None` if one is empty.
#[must_use]
pub fn ks(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let (mut i, mut j, mut distance) = (0, 0, 0.0_f64);
    while i < a.len() && j < b.len() {
        let x = a[i].min(b[j]);
        while i < a.len() && a[i] <= x {
            i += 1;
        }
        while j < b.len() && b[j] <= x {
            j += 1;
        }
        distance = distance.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    Some(distance)
}

/// The quantile of an ascending list, interpolated linearly; `None` if it is empty.
#[must_use]
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let place = share * last as f64;
    let below = place as usize;
    let above = (below + 1).min(last);
    Some(values[below] + (values[above] - values[below]) * (place - below as f64))
}
