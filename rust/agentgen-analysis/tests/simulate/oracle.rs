//! Simulates block by block and event by event, by linear search only.

use std::collections::{HashMap, HashSet, VecDeque};

use agentgen_analysis::reuse::Layer;
use agentgen_analysis::simulate::{Routing, Served, Service, Settings};

use crate::jobs::{Job, Names, Send};

/// A request as a cache sees it.
struct Prompt {
    context: usize,
    output: usize,
    full: usize,
    reusable: usize,
    /// The blocks that it leaves in the cache.
    chain: Vec<usize>,
}

/// A block in a cache.
#[derive(Debug, Clone)]
struct Block {
    depth: usize,
    pins: usize,
    /// Number, time and job of its last release.
    released: usize,
    released_ms: f64,
    by: usize,
}

#[derive(Default)]
struct Replica {
    blocks: HashMap<usize, Block>,
    was_there: HashSet<usize>,
    reserved: usize,
    queue: VecDeque<usize>,
    is_busy: bool,
    /// Requests in the order of admission: `(job, turn)`.
    admitted: Vec<(usize, usize)>,
}

/// A running request: what it pins and reserves.
#[derive(Debug, Clone, Default)]
struct Running {
    pinned: Vec<usize>,
    reserved: usize,
    admitted_ms: f64,
    prefill_end_ms: f64,
    hit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    End,
    PrefillEnd,
    Send,
}

/// `added`, `refetched`, `evicted`, `expired` by layer.
pub type Counts = HashMap<Layer, [u64; 4]>;

pub struct Oracle<'a> {
    jobs: &'a [Job],
    settings: Settings,
    prompts: Vec<Vec<Prompt>>,
    events: Vec<(f64, Kind, usize)>,
    replicas: Vec<Replica>,
    /// Jobs still to start, in order.
    coming: VecDeque<usize>,
    waiting: Vec<(usize, f64)>,
    ends: HashMap<usize, f64>,
    turn: Vec<usize>,
    home: Vec<usize>,
    at: Vec<usize>,
    sent_ms: Vec<f64>,
    running: HashMap<usize, Running>,
    started: usize,
    sent: usize,
    releases: usize,
    pub served: Vec<Served>,
    pub counts: Counts,
    pub skipped: u64,
}

impl<'a> Oracle<'a> {
    pub fn new(jobs: &'a [Job], settings: &Settings) -> Self {
        let mut names = Names::default();
        let block = settings.block_tokens as usize;
        let prompts = jobs.iter().map(|job| {
            let prompt = |(index, turn): (usize, &crate::jobs::Turn)| {
                let (mut kept, mut reusable) = (turn.context, (turn.context - 1) / block);
                if !job.is_named && settings.block_tokens == settings.id_tokens {
                    kept = job.linked.len();
                    reusable = kept / block;
                } else if job.is_named && settings.cached_outputs {
                    kept += turn.output - 1;
                }
                let tokens = job.anew.as_ref().filter(|anew| anew.0 <= index).map_or(&job.linked, |anew| &anew.1);
                let chain = names.chain(&tokens[..kept], block);
                Prompt { context: turn.context, output: turn.output, full: turn.context / block, reusable, chain }
            };
            job.turns.iter().enumerate().map(prompt).collect()
        });
        let prompts = prompts.collect();
        Self {
            jobs,
            settings: *settings,
            prompts,
            events: Vec::new(),
            replicas: (0..settings.replicas).map(|_| Replica::default()).collect(),
            coming: VecDeque::new(),
            waiting: Vec::new(),
            ends: HashMap::new(),
            turn: vec![0; jobs.len()],
            home: vec![0; jobs.len()],
            at: vec![0; jobs.len()],
            sent_ms: vec![0.0; jobs.len()],
            running: HashMap::new(),
            started: 0,
            sent: 0,
            releases: 0,
            served: Vec::new(),
            counts: Counts::new(),
            skipped: 0,
        }
    }

    /// `has_slots`: sessions start on slots, rather than at their arrivals.
    pub fn run(&mut self, has_slots: bool) {
        let mut order: Vec<usize> = (0..self.jobs.len()).collect();
        if !has_slots {
            order.sort_by(|a, b| self.jobs[*a].arrival_ms.total_cmp(&self.jobs[*b].arrival_ms));
        }
        self.coming = order.into();
        if has_slots {
            for _ in 0..self.settings.timeline.concurrency {
                self.take_slot(0.0);
            }
        } else {
            // Arrival times are known in advance.
            while let Some(job) = self.coming.pop_front() {
                self.start(job, self.jobs[job].arrival_ms);
            }
        }
        while let Some(next) = self.first() {
            let (now, kind, job) = self.events.swap_remove(next);
            match kind {
                Kind::Send => self.send(job, now, has_slots),
                Kind::PrefillEnd => {
                    let decode = self.prompt(job).output as f64 / self.settings.timeline.decode_tokens_per_second;
                    self.events.push((now + decode * 1_000.0, Kind::End, job));
                    self.replicas[self.at[job]].is_busy = false;
                    self.expire(self.at[job], now);
                    self.admit(self.at[job], now);
                }
                Kind::End => self.end(job, now, has_slots),
            }
            for replica in &self.replicas {
                assert!(replica.blocks.len() + replica.reserved <= self.settings.capacity_blocks as usize);
            }
        }
        assert!(self.waiting.is_empty() && self.running.is_empty(), "nothing waits at the end");
    }

    fn first(&self) -> Option<usize> {
        let order = |kind: Kind| [Kind::End, Kind::PrefillEnd, Kind::Send].iter().position(|k| *k == kind);
        (0..self.events.len()).min_by(|a, b| {
            let ((x, k, i), (y, l, j)) = (self.events[*a], self.events[*b]);
            x.total_cmp(&y).then(order(k).cmp(&order(l))).then(i.cmp(&j))
        })
    }

    fn prompt(&self, job: usize) -> &Prompt {
        &self.prompts[job][self.turn[job]]
    }

    fn take_slot(&mut self, now: f64) {
        if let Some(job) = self.coming.pop_front() {
            self.start(job, now.max(self.jobs[job].arrival_ms));
        }
    }

    fn start(&mut self, job: usize, time: f64) {
        self.home[job] = self.started % self.replicas.len();
        self.started += 1;
        match self.jobs[job].parent {
            Some(parent) if !self.ends.contains_key(&parent) => self.waiting.push((job, time)),
            Some(parent) => self.schedule(job, time.max(self.ends[&parent])),
            None => self.schedule(job, time),
        }
    }

    fn schedule(&mut self, job: usize, ready: f64) {
        let time = match self.jobs[job].turns[self.turn[job]].send {
            Send::After(delay) => ready + delay,
            Send::At(time) => time.max(ready),
        };
        self.events.push((time, Kind::Send, job));
    }

    fn send(&mut self, job: usize, now: f64, has_slots: bool) {
        let in_turn = self.sent % self.replicas.len();
        self.sent += 1;
        self.at[job] = if self.settings.routing == Routing::Sticky { self.home[job] } else { in_turn };
        self.sent_ms[job] = now;
        if self.needed(job) > self.settings.capacity_blocks as usize {
            self.skipped += (self.jobs[job].turns.len() - self.turn[job] - 1) as u64;
            self.push(job, None);
            self.over(job, now, has_slots);
            return;
        }
        self.replicas[self.at[job]].queue.push_back(job);
        self.expire(self.at[job], now);
        self.admit(self.at[job], now);
    }

    fn needed(&self, job: usize) -> usize {
        let prompt = self.prompt(job);
        (prompt.context + prompt.output).div_ceil(self.settings.block_tokens as usize)
    }

    fn push(&mut self, job: usize, service: Option<Service>) {
        let prompt = self.prompt(job);
        self.served.push(Served {
            session: job as u64,
            turn: self.turn[job] as u32,
            replica: self.at[job] as u32,
            context_tokens: prompt.context as u32,
            output_tokens: prompt.output as u32,
            sent_ms: self.sent_ms[job],
            service,
        });
    }

    fn layer(&self, job: usize, depth: usize) -> Layer {
        let token = depth as u64 * u64::from(self.settings.block_tokens);
        let (layer1, layer1_5) = (self.settings.layers.layer1_tokens, self.settings.layers.layer1_5_tokens);
        if token < layer1 {
            Layer::L1
        } else if token < layer1 + layer1_5 {
            Layer::L1_5
        } else if token >= self.jobs[job].turns[0].context as u64 {
            Layer::History
        } else if self.jobs[job].is_continuation {
            Layer::Carried
        } else {
            Layer::L2
        }
    }

    fn count(&mut self, what: usize, layer: Layer) {
        self.counts.entry(layer).or_default()[what] += 1;
    }

    fn expire(&mut self, replica: usize, now: f64) {
        let Some(ttl) = self.settings.ttl_ms else { return };
        let old = |block: &Block| block.pins == 0 && now - block.released_ms > ttl;
        let gone: Vec<usize> = self.replicas[replica].blocks.iter().filter(|b| old(b.1)).map(|b| *b.0).collect();
        for name in gone {
            let block = self.replicas[replica].blocks.remove(&name).expect("it was there");
            self.count(3, self.layer(block.by, block.depth));
        }
    }

    /// Adds a block, unless it is in the cache.
    fn put(&mut self, replica: usize, name: usize, depth: usize, job: usize, pins: usize) {
        let is_new = self.replicas[replica].was_there.insert(name);
        if self.replicas[replica].blocks.contains_key(&name) {
            self.replicas[replica].blocks.get_mut(&name).expect("it is there").pins += pins;
            return;
        }
        let block = Block { depth, pins, released: 0, released_ms: f64::NAN, by: job };
        self.replicas[replica].blocks.insert(name, block);
        let layer = self.layer(job, depth);
        self.count(0, layer);
        if !is_new {
            self.count(1, layer);
        }
    }

    fn admit(&mut self, replica: usize, now: f64) {
        let Some(job) = self.replicas[replica].queue.front().copied().filter(|_| !self.replicas[replica].is_busy)
        else {
            return;
        };
        let (chain, reusable, full, context) = {
            let prompt = self.prompt(job);
            (prompt.chain.clone(), prompt.reusable, prompt.full, prompt.context)
        };
        let blocks = &self.replicas[replica].blocks;
        let hit = chain.iter().take(reusable).take_while(|name| blocks.contains_key(name)).count();
        let held = hit.max(full);
        let pinned: HashSet<usize> = blocks
            .iter()
            .filter(|block| block.1.pins > 0)
            .map(|block| *block.0)
            .chain(chain[..held].iter().copied())
            .collect();
        let reserve = self.needed(job) - held;
        if pinned.len() + self.replicas[replica].reserved + reserve > self.settings.capacity_blocks as usize {
            return;
        }
        self.replicas[replica].queue.pop_front();
        for (depth, name) in chain[..held].iter().enumerate() {
            self.put(replica, *name, depth, job, 1);
        }
        self.replicas[replica].reserved += reserve;
        while self.replicas[replica].blocks.len() + self.replicas[replica].reserved
            > self.settings.capacity_blocks as usize
        {
            let free = self.replicas[replica].blocks.iter().filter(|block| block.1.pins == 0);
            let (name, _) = free
                .min_by_key(|(_, block)| (block.released, std::cmp::Reverse(block.depth)))
                .expect("there is room for what runs");
            let name = *name;
            let block = self.replicas[replica].blocks.remove(&name).expect("it is there");
            self.count(2, self.layer(block.by, block.depth));
        }
        let hit_tokens = (hit * self.settings.block_tokens as usize).min(context);
        let prefill = (context - hit_tokens) as f64 / self.settings.timeline.prefill_tokens_per_second;
        let prefill_end_ms = now + prefill * 1_000.0;
        let pinned = chain[..held].to_vec();
        self.running.insert(job, Running { pinned, reserved: reserve, admitted_ms: now, prefill_end_ms, hit });
        self.replicas[replica].is_busy = true;
        self.replicas[replica].admitted.push((job, self.turn[job]));
        self.events.push((prefill_end_ms, Kind::PrefillEnd, job));
    }

    fn end(&mut self, job: usize, now: f64, has_slots: bool) {
        let replica = self.at[job];
        self.expire(replica, now);
        let running = self.running.remove(&job).expect("it runs");
        self.replicas[replica].reserved -= running.reserved;
        for name in &running.pinned {
            self.replicas[replica].blocks.get_mut(name).expect("pinned").pins -= 1;
        }
        self.releases += 1;
        let chain = self.prompt(job).chain.clone();
        for (depth, name) in chain.iter().enumerate() {
            self.put(replica, *name, depth, job, 0);
            let block = self.replicas[replica].blocks.get_mut(name).expect("it is there");
            (block.released, block.released_ms, block.by) = (self.releases, now, job);
        }
        let hit_tokens = (running.hit * self.settings.block_tokens as usize).min(self.prompt(job).context);
        let service = Service {
            admitted_ms: running.admitted_ms,
            prefill_end_ms: running.prefill_end_ms,
            end_ms: now,
            hit_blocks: running.hit as u32,
            hit_tokens: hit_tokens as u32,
        };
        self.push(job, Some(service));
        self.turn[job] += 1;
        if self.turn[job] < self.jobs[job].turns.len() {
            self.schedule(job, now);
        } else {
            self.over(job, now, has_slots);
        }
        self.admit(replica, now);
    }

    fn over(&mut self, job: usize, now: f64, has_slots: bool) {
        self.ends.insert(job, now);
        let waited: Vec<_> = self.waiting.iter().copied().filter(|w| self.jobs[w.0].parent == Some(job)).collect();
        self.waiting.retain(|w| self.jobs[w.0].parent != Some(job));
        for (waiting, time) in waited {
            self.schedule(waiting, time.max(now));
        }
        if has_slots {
            self.take_slot(now);
        }
    }

    /// Blocks in the caches.
    pub fn resident(&self) -> u64 {
        self.replicas.iter().map(|replica| replica.blocks.len() as u64).sum()
    }

    /// Blocks that Belady's policy finds, one block at a time, over the same order of admissions.
    pub fn bound(&self) -> u64 {
        let mut hits = 0;
        for replica in &self.replicas {
            let prompts: Vec<&Prompt> = replica.admitted.iter().map(|(job, turn)| &self.prompts[*job][*turn]).collect();
            // The next request that finds each block.
            let mut kept: HashMap<usize, usize> = HashMap::new();
            for (now, prompt) in prompts.iter().enumerate() {
                hits += prompt.chain.iter().take(prompt.reusable).filter(|name| kept.contains_key(name)).count() as u64;
                for name in &prompt.chain {
                    let later = prompts[now + 1..].iter().position(|next| next.chain.contains(name));
                    let next = later.map_or(usize::MAX, |more| now + 1 + more);
                    let is_found =
                        |next: &usize| prompts[*next].chain.iter().take(prompts[*next].reusable).any(|n| n == name);
                    kept.insert(*name, Some(next).filter(|n| *n < usize::MAX && is_found(n)).unwrap_or(usize::MAX));
                }
                while kept.len() > self.settings.capacity_blocks as usize {
                    let farthest = *kept.iter().max_by_key(|(_, next)| **next).expect("not empty").0;
                    kept.remove(&farthest);
                }
            }
        }
        hits
    }
}
