//! What was found in the server's cache, as it says and as it was to be.

use super::report::{Cache, CacheSource, Options, Rate, ServerCache};
use super::run::Sent;

/// A request and the cached tokens that were to be expected of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Predicted<'a> {
    pub sent: &'a Sent,
    pub predicted: Option<u64>,
}

/// What is known of a phase's cached tokens. Where both are, figures of both are of the requests that have both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// The server tells of cached tokens. Some do not where they found none (vLLM).
    reported: bool,
    /// They can be predicted.
    predicted: bool,
}

/// A prompt's tokens, and how many of them were found.
type Found = (u64, u64);

impl Known {
    pub fn of(sent: &[Predicted<'_>]) -> Self {
        let mut succeeded = sent.iter().filter(|request| request.sent.succeeded());
        Self {
            reported: succeeded.clone().any(|request| request.sent.cached_tokens.is_some()),
            predicted: succeeded.any(|request| request.predicted.is_some()),
        }
    }

    /// What each request reports and what was predicted of it, as far as either is known of the phase.
    fn found<'a>(self, sent: &'a [Predicted<'_>]) -> impl Iterator<Item = (Option<Found>, Option<Found>)> + 'a {
        sent.iter().filter(|request| request.sent.succeeded()).filter_map(move |request| {
            let told = request.sent.prompt_tokens.map(|prompt| (prompt, request.sent.cached_tokens.unwrap_or(0)));
            let expected = request.predicted.map(|cached| (request.sent.context_tokens, cached));
            let has_both = (!self.reported || told.is_some()) && (!self.predicted || expected.is_some());
            has_both.then_some((told.filter(|_| self.reported), expected))
        })
    }

    pub fn reported(self, sent: &[Predicted<'_>]) -> Option<Rate> {
        rate(self.found(sent).filter_map(|(told, _)| told))
    }

    pub fn predicted(self, sent: &[Predicted<'_>]) -> Option<Rate> {
        rate(self.found(sent).filter_map(|(_, expected)| expected))
    }
}

/// Of prompts and what was found of them.
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

pub(super) fn figures(sent: &[Predicted<'_>], options: &Options) -> Cache {
    let known = Known::of(sent);
    let server = options
        .server_cache
        .map(|ServerCache { before, after }| Rate::new(0, after.queries - before.queries, after.hits - before.hits));
    let differs = |(told, expected): &(Option<Found>, Option<Found>)| {
        told.zip(*expected).is_some_and(|((_, found), (_, expected))| found != expected)
    };
    Cache {
        cache_source: match (known.reported, server) {
            (true, _) => CacheSource::Usage,
            (false, Some(_)) => CacheSource::Metrics,
            (false, None) => CacheSource::None,
        },
        reported: known.reported(sent),
        predicted: known.predicted(sent),
        server_tokenizes: options.server_tokenizes,
        differing: known.found(sent).filter(differs).count() as u64,
        server,
    }
}
