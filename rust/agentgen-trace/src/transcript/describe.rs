//! Totals of a replay of recorded conversations.

use super::model::{Message, Transcript};
use crate::Result;
use crate::totals::{RequestSize, Totals};

/// Adds up conversations; the first that cannot be read is the error. Tokens are estimates of the recorded history.
pub fn describe(transcripts: impl IntoIterator<Item = Result<Transcript>>) -> Result<Totals> {
    let mut totals = Totals::default();
    for transcript in transcripts {
        let transcript = transcript?;
        totals.add_session((0..transcript.requests.len()).map(|at| transcript.size(at)));
    }
    Ok(totals)
}

impl Transcript {
    /// Size of a request; tokens are estimates.
    #[must_use]
    pub fn size(&self, at: usize) -> RequestSize {
        let request = &self.requests[at];
        let messages: u64 = self.prompt(at).into_iter().map(|(_, message)| Message::tokens(message)).sum();
        let context_tokens = messages + self.tools_tokens(at);
        RequestSize {
            context_tokens,
            input_tokens: if request.history.after().is_none() { context_tokens } else { request.new_tokens() },
            output_tokens: self.planned_output(at, None),
            delay_ms: request.delay_ms.unwrap_or(0.0),
        }
    }
}
