//! Counts in messages.

/// `1 session`, `20 sessions`.
#[must_use]
pub fn counted(count: u64, noun: &str) -> String {
    format!("{count} {}", plural(count, noun))
}

/// The noun in singular for 1, in plural otherwise: `session`, `sessions`.
#[must_use]
pub fn plural(count: u64, noun: &str) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}
