//! Prefix reuse within conversations: with a cache that keeps everything, and with one that forgets.

use super::calls::{Call, Calls};

/// Times to live, minutes.
pub const TTL_MINUTES: [u32; 5] = [1, 5, 10, 30, 60];

/// The time that a server takes for a call. The constants were fitted to recorded sessions of Claude Code: start-to-start
/// times need it, because traces hold the time between calls only.
#[must_use]
pub fn service_s(call: &Call) -> f64 {
    let (prompt, output) = (f64::from(call.prompt), f64::from(call.output));
    let uncached = f64::from(call.prompt - call.kept.unwrap_or(0).min(call.prompt));
    1.18 + 0.0159 * output + 12.4e-6 * uncached + 10.4e-6 * prompt
}

/// Shares of all prompt tokens that a cache finds, 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Reuse {
    /// Nothing is forgotten.
    pub infinite: f64,
    /// Blocks not used for longer than the time to live are forgotten, by the index of [`TTL_MINUTES`].
    pub by_ttl: [f64; TTL_MINUTES.len()],
}

impl Reuse {
    /// Of all conversations: each prompt finds the whole blocks that it shares with the prompt before.
    #[must_use]
    pub fn new(calls: &Calls) -> Self {
        let block = calls.block_size.max(1);
        let (mut prompts, mut infinite, mut by_ttl) = (0.0, 0.0, [0.0; TTL_MINUTES.len()]);
        for conversation in &calls.conversations {
            for (index, call) in conversation.calls.iter().enumerate() {
                prompts += f64::from(call.prompt);
                let Some(before) = index.checked_sub(1).map(|before| &conversation.calls[before]) else { continue };
                let found = f64::from(call.kept.unwrap_or(0) / block * block);
                infinite += found;
                let since_s = service_s(before) + call.wait_ms.unwrap_or(0.0) / 1_000.0;
                for (share, minutes) in by_ttl.iter_mut().zip(TTL_MINUTES) {
                    if since_s <= 60.0 * f64::from(minutes) {
                        *share += found;
                    }
                }
            }
        }
        if prompts == 0.0 {
            return Self::default();
        }
        Self { infinite: infinite / prompts, by_ttl: by_ttl.map(|found| found / prompts) }
    }
}
