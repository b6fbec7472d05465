//! Computes every reuse figure block by block: each block is a number, each prompt a list of numbers.

use std::collections::{HashMap, HashSet};

use agentgen_analysis::reuse::{HitRates, Layer, Reuse};
use agentgen_engine::timeline::TimelineOptions;
use proptest::prelude::*;

use crate::jobs::{Job, Names, Send, Turn};
use crate::traces::Shared;

/// A request at its time.
#[derive(Debug, Clone, Copy)]
struct Request {
    start: f64,
    end: f64,
    job: usize,
    turn: usize,
}

/// All requests in order. `slots`: number of sessions open at once, without arrivals.
fn timeline(jobs: &[Job], slots: Option<usize>, timing: &TimelineOptions) -> Vec<Request> {
    let mut free = vec![0.0_f64; slots.unwrap_or(0)];
    let mut ends: Vec<f64> = Vec::new();
    let mut requests = Vec::new();
    for (number, job) in jobs.iter().enumerate() {
        free.sort_by(f64::total_cmp);
        let parent_end = job.parent.map_or(0.0, |parent| ends[parent]);
        let mut ready = job.arrival_ms.max(parent_end).max(free.first().copied().unwrap_or(0.0));
        let mut sent = ready;
        for (index, turn) in job.turns.iter().enumerate() {
            sent = match turn.send {
                Send::After(delay) => ready + delay,
                Send::At(time) => time.max(sent),
            };
            let prefill = turn.new as f64 / timing.prefill_tokens_per_second;
            ready = sent + (prefill + turn.output as f64 / timing.decode_tokens_per_second) * 1_000.0;
            requests.push(Request { start: sent, end: ready, job: number, turn: index });
        }
        if let Some(first) = free.first_mut() {
            *first = ready;
        }
        ends.push(ready);
    }
    requests.sort_by(|a, b| a.start.total_cmp(&b.start).then((a.job, a.turn).cmp(&(b.job, b.turn))));
    requests
}

/// A request as a cache sees it.
struct Prompt {
    request: Request,
    context: usize,
    full: usize,
    blocks: usize,
    reusable: usize,
    linked: Vec<usize>,
    standalone: Vec<usize>,
}

/// Settings of an analysis.
#[derive(Debug, Clone, Copy)]
pub struct View {
    pub block: usize,
    pub id_tokens: usize,
    pub cached_outputs: bool,
    pub shared: Option<Shared>,
}

pub struct Oracle<'a> {
    jobs: &'a [Job],
    view: View,
    prompts: Vec<Prompt>,
    names: usize,
}

/// Blocks found by an infinite cache, by request.
fn infinite<'a>(prompts: &'a [Prompt], chain: impl Fn(&'a Prompt) -> &'a [usize]) -> Vec<usize> {
    let mut seen: HashSet<usize> = HashSet::new();
    let hits = prompts.iter().map(|prompt| {
        let found = chain(prompt).iter().take_while(|block| seen.contains(block)).count().min(prompt.reusable);
        seen.extend(chain(prompt));
        found
    });
    hits.collect()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl<'a> Oracle<'a> {
    pub fn new(jobs: &'a [Job], slots: Option<usize>, timing: &TimelineOptions, view: View) -> Self {
        let (mut linked, mut standalone) = (Names::default(), Names::default());
        let prompts: Vec<Prompt> = timeline(jobs, slots, timing)
            .into_iter()
            .map(|request| {
                let job = &jobs[request.job];
                let Turn { context, output, .. } = job.turns[request.turn];
                let block = view.block;
                let (mut kept, mut reusable) = (context, (context - 1) / block);
                if !job.is_named && block == view.id_tokens {
                    // Ids alone are blocks, the partial one too.
                    kept = job.linked.len();
                    reusable = kept / block;
                } else if job.is_named && view.cached_outputs {
                    kept += output - 1;
                }
                let anew = job.anew.as_ref().filter(|anew| anew.0 <= request.turn).map(|anew| &anew.1);
                Prompt {
                    request,
                    context,
                    full: context / block,
                    blocks: context.div_ceil(block),
                    reusable,
                    linked: linked.chain(&anew.unwrap_or(&job.linked)[..kept], block),
                    standalone: standalone.chain(&anew.unwrap_or(&job.standalone)[..kept], block),
                }
            })
            .collect();
        Self { jobs, view, prompts, names: linked.count() }
    }

    fn tokens(&self, prompt: &Prompt, blocks: usize) -> usize {
        (blocks * self.view.block).min(prompt.context)
    }

    fn prompt_tokens(&self) -> usize {
        self.prompts.iter().map(|prompt| prompt.context).sum()
    }

    fn rates(&self, hits: &[usize]) -> HitRates {
        let sum = |of: &dyn Fn(&Prompt, usize) -> usize| -> usize {
            self.prompts.iter().zip(hits).map(|(prompt, hit)| of(prompt, *hit)).sum()
        };
        let ratios = self.prompts.iter().zip(hits).map(|(p, hit)| share(self.tokens(p, *hit), p.context));
        let sessions = self.session_ratios(hits);
        HitRates {
            block_references: share(sum(&|_, hit| hit), sum(&|p, _| p.blocks)),
            full_blocks: share(sum(&|p, hit| hit.min(p.full)), sum(&|p, _| p.full)),
            token_weighted: share(sum(&|p, hit| self.tokens(p, hit)), self.prompt_tokens()),
            request_mean: ratios.sum::<f64>() / self.prompts.len() as f64,
            session_mean: sessions.as_ref().map(|ratios| ratios.iter().sum::<f64>() / ratios.len() as f64),
        }
    }

    /// In ascending order.
    fn session_ratios(&self, hits: &[usize]) -> Option<Vec<f64>> {
        if !self.jobs[0].is_named {
            return None;
        }
        let of = |job: usize| {
            let own = || self.prompts.iter().zip(hits).filter(move |(p, _)| p.request.job == job);
            share(own().map(|(p, hit)| self.tokens(p, *hit)).sum(), own().map(|(p, _)| p.context).sum())
        };
        let mut ratios: Vec<f64> = (0..self.jobs.len()).map(of).collect();
        ratios.sort_by(f64::total_cmp);
        Some(ratios)
    }

    /// Compares all figures with the expected ones.
    pub fn check(&self, reuse: &Reuse) -> Result<(), TestCaseError> {
        let hits = infinite(&self.prompts, |prompt| &prompt.linked);
        check_rates(&reuse.linked, &self.rates(&hits))?;
        let is_restarted = self.jobs.iter().any(|job| job.is_continuation);
        prop_assert_eq!(reuse.standalone.is_some(), is_restarted);
        if let Some(standalone) = &reuse.standalone {
            check_rates(standalone, &self.rates(&infinite(&self.prompts, |prompt| &prompt.standalone)))?;
        }
        self.check_sessions(reuse, &hits)?;
        self.check_layers(reuse, &hits)?;
        self.check_turns(reuse, &hits)?;
        self.check_ttl(reuse)?;
        self.check_working_set(reuse)?;
        self.check_curve(reuse, &hits)?;
        let distinct: HashSet<usize> = self.prompts.iter().flat_map(|prompt| &prompt.linked).copied().collect();
        prop_assert_eq!(reuse.size.distinct_blocks, distinct.len() as u64);
        prop_assert!(reuse.size.nodes <= reuse.size.distinct_blocks);
        let [first, .., last] = [&self.prompts[0], &self.prompts[self.prompts.len() - 1]];
        prop_assert_eq!(reuse.duration_ms, last.request.start - first.request.start);
        Ok(())
    }

    fn check_sessions(&self, reuse: &Reuse, hits: &[usize]) -> Result<(), TestCaseError> {
        let ratios = self.session_ratios(hits);
        prop_assert_eq!(reuse.by_session.is_some(), ratios.is_some());
        let Some((described, ratios)) = reuse.by_session.zip(ratios) else { return Ok(()) };
        for (share, described) in [
            (0.05, described.p05),
            (0.25, described.p25),
            (0.5, described.p50),
            (0.75, described.p75),
            (0.95, described.p95),
        ] {
            let rank = (share * ratios.len() as f64).ceil().max(1.0) as usize;
            prop_assert!((ratios[rank - 1] - described).abs() <= 0.000_050_001, "p{share}: {described} in {ratios:?}");
        }
        Ok(())
    }

    /// The layer of a token of the prompt.
    fn layer(&self, prompt: &Prompt, at: usize) -> Layer {
        let job = &self.jobs[prompt.request.job];
        let shared = self.view.shared.unwrap_or(Shared { layer1: 0, layer1_5: 0 });
        let layer1 = shared.layer1 * self.view.id_tokens;
        if at < layer1 {
            Layer::L1
        } else if at < layer1 + shared.layer1_5 * self.view.id_tokens {
            Layer::L1_5
        } else if at >= job.turns[0].context {
            Layer::History
        } else if job.is_continuation {
            Layer::Carried
        } else {
            Layer::L2
        }
    }

    fn check_layers(&self, reuse: &Reuse, hits: &[usize]) -> Result<(), TestCaseError> {
        let mut expected = Vec::new();
        for layer in [Layer::L1, Layer::L1_5, Layer::L2, Layer::Carried, Layer::History] {
            let (mut all, mut found) = (0, 0);
            for (prompt, hit) in self.prompts.iter().zip(hits) {
                let tokens = || (0..prompt.context).filter(|at| self.layer(prompt, *at) == layer);
                all += tokens().count();
                found += tokens().filter(|at| *at < self.tokens(prompt, *hit)).count();
            }
            if all > 0 {
                expected.push((layer, all as u64, found as u64, share(found, all)));
            }
        }
        if !self.jobs[0].is_named {
            expected.clear();
        }
        let described = reuse.by_layer.iter().map(|l| (l.layer, l.prompt_tokens, l.hit_tokens, l.hit_rate));
        prop_assert_eq!(described.collect::<Vec<_>>(), expected);
        Ok(())
    }

    fn check_turns(&self, reuse: &Reuse, hits: &[usize]) -> Result<(), TestCaseError> {
        let most = self.prompts.iter().map(|prompt| prompt.request.turn).max().unwrap_or(0);
        let expected = (0..=most).map(|turn| {
            let of = || self.prompts.iter().zip(hits).filter(move |(prompt, _)| prompt.request.turn == turn);
            let (all, found): (usize, usize) =
                (of().map(|(p, _)| p.context).sum(), of().map(|(p, hit)| self.tokens(p, *hit)).sum());
            (turn as u32, of().count() as u64, all as u64, found as u64, share(found, all))
        });
        let described =
            reuse.by_turn.iter().map(|t| (t.turn_index, t.requests, t.prompt_tokens, t.hit_tokens, t.hit_rate));
        let expected: Vec<_> = expected.filter(|_| self.jobs[0].is_named).collect();
        prop_assert_eq!(described.collect::<Vec<_>>(), expected);
        Ok(())
    }

    /// Checks an infinite cache with a time to live.
    fn check_ttl(&self, reuse: &Reuse) -> Result<(), TestCaseError> {
        prop_assert!(reuse.ttl.iter().any(|point| point.ttl_ms.is_none()) && reuse.ttl.len() > 2);
        for point in &reuse.ttl {
            let ttl = point.ttl_ms.unwrap_or(f64::INFINITY);
            let mut ends: HashMap<usize, f64> = HashMap::new();
            let mut found = 0;
            for prompt in &self.prompts {
                let Request { start, end, .. } = prompt.request;
                let is_there = |block: &&usize| ends.get(block).is_some_and(|last| start - last <= ttl);
                let hit = prompt.linked.iter().take_while(is_there).count().min(prompt.reusable);
                found += self.tokens(prompt, hit);
                for block in &prompt.linked {
                    let last = ends.entry(*block).or_insert(end);
                    *last = last.max(end);
                }
            }
            prop_assert_eq!(point.hit_rate, share(found, self.prompt_tokens()), "ttl {}", ttl);
        }
        Ok(())
    }

    fn check_working_set(&self, reuse: &Reuse) -> Result<(), TestCaseError> {
        let first = self.prompts.first().map_or(0.0, |prompt| prompt.request.start);
        let mut uses: HashMap<usize, Vec<f64>> = HashMap::new();
        for prompt in &self.prompts {
            for block in &prompt.linked {
                uses.entry(*block).or_default().push(prompt.request.start - first);
            }
        }
        let points = &reuse.working_set;
        let finest = 0.0625;
        let spacing = points.get(1).map_or(finest, |point| point.time_ms);
        prop_assert!(spacing.log2().fract() == 0.0 && spacing >= finest && points.len() <= 513);
        prop_assert!(spacing == finest || points.len() > 256, "{} points", points.len());

        let tokens =
            |is: &dyn Fn(&Vec<f64>) -> bool| (uses.values().filter(|times| is(times)).count() * self.view.block) as u64;
        for (index, point) in points.iter().enumerate() {
            let now = index as f64 * spacing;
            prop_assert_eq!(point.time_ms, now);
            // Times are in order.
            let used = |times: &Vec<f64>| times.partition_point(|time| *time <= now);
            let before = |times: &Vec<f64>| used(times) > 0;
            let after = |times: &Vec<f64>| used(times) < times.len();
            let lately = |times: &Vec<f64>| before(times) && now < times[used(times) - 1] + 300_000.0;
            prop_assert_eq!(point.distinct_tokens, tokens(&before), "at {}", now);
            prop_assert_eq!(point.live_tokens, tokens(&|times| before(times) && after(times)), "at {}", now);
            prop_assert_eq!(point.recent_tokens, tokens(&lately), "at {}", now);
        }
        let last = points.last().expect("a reading").time_ms;
        prop_assert!((last - spacing..=last).contains(&reuse.duration_ms), "{last} for {}", reuse.duration_ms);
        Ok(())
    }

    /// Hits of an LRU cache with room for `capacity` blocks.
    fn lru(&self, capacity: usize) -> u64 {
        let (mut stack, mut is_held) = (Vec::<usize>::new(), vec![false; self.names + 1]);
        let mut hits = 0;
        for prompt in &self.prompts {
            hits += prompt.linked.iter().take_while(|block| is_held[**block]).count().min(prompt.reusable) as u64;
            // The head of the chain is used last.
            prompt.linked.iter().for_each(|block| is_held[*block] = false);
            stack.retain(|block| is_held[*block]);
            stack.splice(0..0, prompt.linked.iter().copied());
            stack.iter().skip(capacity).for_each(|block| is_held[*block] = false);
            stack.truncate(capacity);
            for block in &stack {
                is_held[*block] = true;
            }
        }
        hits
    }

    fn check_curve(&self, reuse: &Reuse, hits: &[usize]) -> Result<(), TestCaseError> {
        let curve = &reuse.curve;
        let distinct = reuse.size.distinct_blocks as usize;
        // All capacities of a small trace; of a large one, some.
        let step = if distinct <= 400 { 1 } else { distinct / 20 };
        let capacities: Vec<usize> = (0..distinct + 2).step_by(step).chain([distinct + 2]).collect();
        let found: Vec<u64> = capacities.iter().map(|capacity| self.lru(*capacity)).collect();
        let blocks: usize = self.prompts.iter().map(|prompt| prompt.blocks).sum();
        for (capacity, found) in capacities.iter().zip(&found) {
            prop_assert_eq!(curve.hits(*capacity as u64), *found, "at {} blocks", capacity);
            prop_assert_eq!(curve.hit_rate(*capacity as u64), share(*found as usize, blocks));
        }
        let all: usize = hits.iter().sum();
        prop_assert_eq!((curve.hits(u64::MAX / 2), curve.limit()), (all as u64, share(all, blocks)));
        if step > 1 {
            return Ok(());
        }
        for hits in 0..=all as u64 + 1 {
            let least = found.iter().position(|found| *found >= hits).map(|at| at as u64);
            prop_assert_eq!(curve.capacity_for(share(hits as usize, blocks)), least, "{} hits of {}", hits, blocks);
        }
        for step in [0.0, 0.01, 0.25] {
            let points = curve.points(self.view.block as u32, step);
            prop_assert_eq!(points.first().map(|p| (p.capacity_blocks, p.hit_rate)), Some((0, 0.0)));
            prop_assert_eq!(points.last().map(|p| p.hit_rate), Some(curve.limit()));
            for (a, b) in points.iter().zip(&points[1..]) {
                prop_assert!(a.capacity_blocks < b.capacity_blocks);
                // From the capacity before, the hit rate increases by at most the step.
                let before = curve.hit_rate(b.capacity_blocks - 1);
                prop_assert!(before - a.hit_rate < step.max(1.0 / blocks as f64) + 1e-9);
            }
            for point in points {
                prop_assert_eq!(point.capacity_tokens, point.capacity_blocks * self.view.block as u64);
                prop_assert_eq!(point.hit_rate, curve.hit_rate(point.capacity_blocks));
            }
        }
        Ok(())
    }
}

fn check_rates(described: &HitRates, expected: &HitRates) -> Result<(), TestCaseError> {
    prop_assert_eq!(described.block_references, expected.block_references);
    prop_assert_eq!(described.full_blocks, expected.full_blocks);
    prop_assert_eq!(described.token_weighted, expected.token_weighted);
    prop_assert!(close(described.request_mean, expected.request_mean), "{described:?}, expected {expected:?}");
    let means = described.session_mean.zip(expected.session_mean);
    prop_assert!(means.is_none_or(|(a, b)| close(a, b)), "{described:?}, expected {expected:?}");
    prop_assert_eq!(described.session_mean.is_some(), expected.session_mean.is_some());
    Ok(())
}
