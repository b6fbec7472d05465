//! The beginning that sessions of one client share: its tools and its system prompt.

use std::collections::{BTreeMap, HashMap};

use super::lengths::Lengths;
use super::model::{Agent, Prompt, RecordedSession};

/// Sessions with the same value begin with the same tokens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    format: String,
    version: Option<String>,
    model: Option<String>,
    is_main: bool,
    /// Kind of a sub-agent.
    agent: Option<String>,
}

/// Beginning of one kind of session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prefix {
    /// Number of the kind, in order of first appearance.
    pub kind: usize,
    /// Its length.
    pub tokens: u32,
}

/// The beginnings of sessions whose calls only have counts: per client, version, model and kind of agent, the most frequent
/// number of cached tokens of first calls. A first call that found nothing in the cache begins with the same tokens; it is
/// only not counted. Sessions that continue another, and those whose prompts tell their content, have none.
pub(crate) fn prefixes(sessions: &[RecordedSession], lengths: &[Vec<Lengths>]) -> Vec<Option<Prefix>> {
    let mut kinds: HashMap<Kind, usize> = HashMap::new();
    let mut cached: Vec<BTreeMap<u32, u64>> = Vec::new();
    let mut kind_of = Vec::with_capacity(sessions.len());
    for (session, lengths) in sessions.iter().zip(lengths) {
        let first = lengths.first().map(|first| &session.calls[first.call]);
        let Some(first) = first.filter(|first| matches!(first.prompt, Prompt::Counted)) else {
            kind_of.push(None);
            continue;
        };
        let kind = Kind {
            format: session.client.format.clone(),
            version: session.client.version.clone(),
            model: first.model.clone(),
            is_main: session.agent == Agent::Main,
            agent: match &session.agent {
                Agent::Main => None,
                Agent::Sub { kind, .. } => kind.clone(),
            },
        };
        let number = *kinds.entry(kind).or_insert(cached.len());
        if number == cached.len() {
            cached.push(BTreeMap::new());
        }
        kind_of.push(Some(number));
        let tokens = first.usage.cached_tokens.unwrap_or(0).min(u64::from(lengths[0].prompt));
        if tokens > 0 && session.continues.is_none() {
            *cached[number].entry(tokens as u32).or_default() += 1;
        }
    }
    // Of equally frequent lengths the shortest: the others may hold tokens of a project.
    let most = |counts: &BTreeMap<u32, u64>| {
        counts.iter().fold((0, 0), |best, (tokens, times)| if *times > best.1 { (*tokens, *times) } else { best }).0
    };
    let modes: Vec<u32> = cached.iter().map(most).collect();
    let prefix = |kind: Option<usize>| kind.map(|kind| Prefix { kind, tokens: modes[kind] });
    kind_of.into_iter().map(prefix).collect()
}

#[cfg(test)]
mod tests {
    use super::super::lengths::LengthEstimator;
    use super::super::model::{Call, Client, Usage};
    use super::*;

    fn session(model: &str, cached: Option<u64>) -> RecordedSession {
        let usage = Usage { prompt_tokens: Some(30_000), cached_tokens: cached, ..Usage::default() };
        RecordedSession {
            client: Client { format: "claude-code".into(), version: Some("2".into()) },
            calls: vec![Call { model: Some(model.into()), usage, ..Call::default() }],
            ..RecordedSession::new("x".to_owned(), "test", Vec::new())
        }
    }

    #[test]
    fn a_cold_first_call_shares_the_most_frequent_prefix() {
        let sessions = [
            session("a", Some(27_217)),
            session("a", Some(0)),
            session("a", Some(27_217)),
            session("a", Some(12_000)),
            session("b", Some(400)),
            session("b", Some(300)),
            session("c", None),
        ];
        let mut estimator = LengthEstimator::default();
        let lengths: Vec<_> = sessions.iter().map(|session| estimator.lengths(session)).collect();
        let found = prefixes(&sessions, &lengths);
        let tokens: Vec<_> = found.iter().flatten().map(|prefix| (prefix.kind, prefix.tokens)).collect();
        assert_eq!(tokens, [(0, 27_217), (0, 27_217), (0, 27_217), (0, 27_217), (1, 300), (1, 300), (2, 0)]);
    }
}
