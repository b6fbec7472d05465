//! What was found in the server's cache, as it says and as it was to be.

use super::report::{Cache, CacheSource, Options, Rate, ServerCache};
use super::run::Sent;

/// A request and the cached tokens that were to be expected of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Predicted<'a> {
    pub sent: &'a Sent,
    pub predicted: Option<u64>,
}

/// Whether the server tells of cached tokens at all. Some do not where they found none (vLLM).
pub(super) fn reporting(sent: &[Predicted<'_>]) -> bool {
    sent.iter().any(|request| request.sent.succeeded() && request.sent.cached_tokens.is_some())
}

/// What a request reports, given that the server does.
fn told(request: &Predicted<'_>) -> Option<(u64, u64)> {
    let prompt = request.sent.prompt_tokens.filter(|_| request.sent.succeeded())?;
    Some((prompt, request.sent.cached_tokens.unwrap_or(0)))
}

fn expected(request: &Predicted<'_>) -> Option<(u64, u64)> {
    let cached = request.predicted.filter(|_| request.sent.succeeded())?;
    Some((request.sent.context_tokens, cached))
}

pub(super) fn reported(sent: &[Predicted<'_>]) -> Option<Rate> {
    rate(sent.iter().filter_map(told))
}

pub(super) fn predicted(sent: &[Predicted<'_>]) -> Option<Rate> {
    rate(sent.iter().filter_map(expected))
}

/// Of prompts and what was found of them.
fn rate(prompts: impl Iterator<Item = (u64, u64)>) -> Option<Rate> {
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
    let reporting = reporting(sent);
    let server = options
        .server_cache
        .map(|ServerCache { before, after }| Rate::new(0, after.queries - before.queries, after.hits - before.hits));
    let differs = |request: &&Predicted<'_>| {
        told(request).zip(expected(request)).is_some_and(|((_, found), (_, expected))| found != expected)
    };
    // What makes a prompt longer on the server (a chat template, words of several tokens) may be found there, too.
    let longer =
        |request: &Predicted<'_>| told(request).is_some_and(|(prompt, _)| prompt > request.sent.context_tokens);
    Cache {
        cache_source: match (reporting, server) {
            (true, _) => CacheSource::Usage,
            (false, Some(_)) => CacheSource::Metrics,
            (false, None) => CacheSource::None,
        },
        reported: if reporting { reported(sent) } else { None },
        predicted: predicted(sent),
        prediction_is_upper_bound: options.prediction_is_upper_bound && !sent.iter().any(longer),
        differing: if reporting { sent.iter().filter(differs).count() as u64 } else { 0 },
        server,
    }
}
