//! Cached tokens, as the server reports them and as predicted.

use super::report::{Cache, CacheSource, Options, Rate, ServerCache};
use super::run::Sent;

/// A request with its predicted cached tokens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Predicted<'a> {
    pub sent: &'a Sent,
    pub predicted: Option<u64>,
}

/// Which cached tokens of a phase are available. If both are, figures cover the requests that have both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Available {
    /// The server reports cached tokens. Some servers (vLLM) omit the count if it is zero.
    reported: bool,
    /// They are predicted.
    predicted: bool,
}

/// Tokens of a prompt, and how many of them were cached.
type Found = (u64, u64);

impl Available {
    pub fn of(sent: &[Predicted<'_>]) -> Self {
        let mut succeeded = sent.iter().filter(|request| request.sent.succeeded());
        Self {
            reported: succeeded.clone().any(|request| request.sent.measured().cached_tokens.is_some()),
            predicted: succeeded.any(|request| request.predicted.is_some()),
        }
    }

    /// Reported and predicted tokens of each request, each if the phase has them.
    fn found<'a>(self, sent: &'a [Predicted<'_>]) -> impl Iterator<Item = (Option<Found>, Option<Found>)> + 'a {
        sent.iter().filter(|request| request.sent.succeeded()).filter_map(move |request| {
            let reported = request
                .sent
                .measured()
                .prompt_tokens
                .map(|prompt| (prompt, request.sent.measured().cached_tokens.unwrap_or(0)));
            let expected = request.predicted.map(|cached| (request.sent.context_tokens, cached));
            let has_both = (!self.reported || reported.is_some()) && (!self.predicted || expected.is_some());
            has_both.then_some((reported.filter(|_| self.reported), expected))
        })
    }

    pub fn reported(self, sent: &[Predicted<'_>]) -> Option<Rate> {
        rate(self.found(sent).filter_map(|(reported, _)| reported))
    }

    pub fn predicted(self, sent: &[Predicted<'_>]) -> Option<Rate> {
        rate(self.found(sent).filter_map(|(_, expected)| expected))
    }
}

/// Sums prompts and their cached tokens.
fn rate(prompts: impl Iterator<Item = Found>) -> Option<Rate> {
    let (requests, prompt, cached) = prompts
        .fold((0, 0, 0), |(requests, prompt, cached), (more, found)| (requests + 1, prompt + more, cached + found));
    (requests > 0).then(|| Rate::new(requests, prompt as f64, cached as f64))
}

impl Rate {
    fn new(requests: u64, prompt_tokens: f64, cached_tokens: f64) -> Self {
        let hit_rate = (prompt_tokens > 0.0).then(|| cached_tokens / prompt_tokens);
        Self { requests, prompt_tokens, cached_tokens, hit_rate }
    }
}

/// The cache figures of a phase.
pub(super) fn figures(sent: &[Predicted<'_>], options: &Options) -> Cache {
    let available = Available::of(sent);
    let server = options
        .server_cache
        .map(|ServerCache { before, after }| Rate::new(0, after.queries - before.queries, after.hits - before.hits));
    let differs = |(reported, expected): &(Option<Found>, Option<Found>)| {
        reported.zip(*expected).is_some_and(|((_, found), (_, expected))| found != expected)
    };
    Cache {
        cache_source: match (available.reported, server) {
            (true, _) => CacheSource::Usage,
            (false, Some(_)) => CacheSource::Metrics,
            (false, None) => CacheSource::None,
        },
        reported: available.reported(sent),
        predicted: available.predicted(sent),
        server_tokenizes: options.server_tokenizes,
        differing: available.found(sent).filter(differs).count() as u64,
        server,
    }
}
