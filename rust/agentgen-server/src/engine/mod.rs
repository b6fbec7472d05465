//! What a worker with one prefill unit and a KV memory of limited size does with requests, and when: the simulator's
//! rules. Nothing here knows what time it is; all times are nanoseconds and arguments.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use agentgen_engine::kv::{self, MatchHint, Policy, PrefixCache, Prompt, TokenSeq};
use tokio::sync::oneshot;

use crate::histogram::Histogram;

/// Number of a request.
pub type Id = u64;

/// What a request asks for.
pub struct Ask {
    /// Full blocks of the prompt and of the output after it.
    pub stream: TokenSeq,
    /// Tokens of the prompt.
    pub context_tokens: u32,
    /// Tokens of the output.
    pub output_tokens: u32,
}

/// When an admitted request gets what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// When it was sent.
    pub sent: u64,
    /// When its prefill began.
    pub admitted: u64,
    /// When its first token is there.
    pub first_token: u64,
    /// When it is over.
    pub end: u64,
    /// Tokens of its prompt that were in the cache.
    pub cached_tokens: u32,
}

/// What became of a request that was sent.
#[derive(Debug)]
pub enum Sent {
    /// It is being worked on.
    Admitted(Admission),
    /// It waits; the admission comes later.
    Waiting(oneshot::Receiver<Admission>),
}

/// A request needs more blocks than there are.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// Blocks that it needs.
    pub needed_blocks: u64,
}

/// Events of one time happen in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    End,
    PrefillEnd,
}

struct Request {
    ask: Ask,
    sent: u64,
    /// Who is to be told of the admission.
    waiter: Option<oneshot::Sender<Admission>>,
    running: Option<Running>,
}

struct Running {
    admission: Admission,
    blocks: kv::Admission,
    /// Blocks of its prompt that were there.
    found_blocks: u32,
}

/// Counted since the beginning, in tokens unless named otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    /// Of prompts that were looked up.
    pub queried: u64,
    /// Of these, in the cache.
    pub hits: u64,
    /// Requests that were over.
    pub finished: u64,
    /// Of prompts, computed or found.
    pub prompt: u64,
    /// Of outputs of requests that were over.
    pub generated: u64,
}

/// How long requests took, each counted when vLLM counts it.
#[derive(Debug)]
pub struct Times {
    /// From being sent to the first token, when that is there.
    pub first_token: Histogram,
    /// From being sent to the beginning of the prefill, of requests that were over.
    pub queue: Histogram,
    /// From being sent to the last token, of requests that were over.
    pub end: Histogram,
}

/// Rates and sizes.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// Tokens of a block.
    pub block_tokens: u32,
    /// Blocks in all.
    pub capacity_blocks: u64,
    /// Tokens a second; 0: no time.
    pub prefill_tokens_per_second: f64,
    /// Tokens a second; 0: no time.
    pub decode_tokens_per_second: f64,
}

impl Model {
    /// How long it takes to compute a prompt, in nanoseconds.
    pub fn prefill(&self, tokens: u32) -> u64 {
        duration(tokens, self.prefill_tokens_per_second)
    }

    /// How long it takes to generate tokens, in nanoseconds.
    pub fn decode(&self, tokens: u32) -> u64 {
        duration(tokens, self.decode_tokens_per_second)
    }
}

fn duration(tokens: u32, rate: f64) -> u64 {
    if rate > 0.0 { (f64::from(tokens) / rate * 1e9).round() as u64 } else { 0 }
}

/// A worker and its requests.
pub struct Engine {
    model: Model,
    cache: PrefixCache,
    now: u64,
    next_id: Id,
    requests: HashMap<Id, Request>,
    waiting: VecDeque<Id>,
    prefilling: Option<Id>,
    events: BinaryHeap<Reverse<(u64, Kind, Id)>>,
    totals: Totals,
    times: Times,
}

impl Engine {
    /// An idle worker with an empty cache.
    #[must_use]
    pub fn new(model: Model) -> Self {
        let Model { block_tokens, capacity_blocks, .. } = model;
        Self {
            model,
            cache: PrefixCache::new(Policy::Lru, capacity_blocks, block_tokens, block_tokens),
            now: 0,
            next_id: 0,
            requests: HashMap::new(),
            waiting: VecDeque::new(),
            prefilling: None,
            events: BinaryHeap::new(),
            totals: Totals::default(),
            times: Times {
                first_token: Histogram::of_times(),
                queue: Histogram::of_times(),
                end: Histogram::of_times(),
            },
        }
    }

    /// A request at `now`, or when the last thing happened if that is later.
    pub fn send(&mut self, now: u64, ask: Ask) -> Result<(Id, Sent), TooLarge> {
        self.advance(now);
        let id = self.next_id;
        self.next_id += 1;
        let needed_blocks = self.needed_blocks(&ask);
        if needed_blocks > self.model.capacity_blocks {
            return Err(TooLarge { needed_blocks });
        }
        self.requests.insert(id, Request { ask, sent: self.now, waiter: None, running: None });
        self.waiting.push_back(id);
        self.admit();
        let request = self.requests.get_mut(&id).expect("nothing has ended since");
        let sent = if let Some(running) = &request.running {
            Sent::Admitted(running.admission)
        } else {
            let (sender, receiver) = oneshot::channel();
            request.waiter = Some(sender);
            Sent::Waiting(receiver)
        };
        self.advance(self.now);
        Ok((id, sent))
    }

    /// Lets everything happen that is due at `now`; returns when something happens next.
    pub fn advance(&mut self, now: u64) -> Option<u64> {
        while let Some(Reverse((time, kind, id))) = self.events.peek().copied() {
            if time > now {
                self.now = self.now.max(now);
                return Some(time);
            }
            self.events.pop();
            self.now = self.now.max(time);
            if self.requests.contains_key(&id) {
                match kind {
                    Kind::PrefillEnd => self.prefill_end(id),
                    Kind::End => self.end(id),
                }
                self.admit();
            }
        }
        self.now = self.now.max(now);
        None
    }

    /// A client is gone: what its request holds is free at once, and the blocks that were computed stay in the cache.
    /// Nothing happens if it is over.
    pub fn cancel(&mut self, now: u64, id: Id) {
        self.advance(now);
        let Some(request) = self.requests.get(&id) else { return };
        if let Some(&Running { admission, found_blocks, .. }) = request.running.as_ref() {
            let rate = |per_second: f64, since: u64| ((self.now - since) as f64 * 1e-9 * per_second) as u32;
            if self.prefilling == Some(id) {
                let computed = rate(self.model.prefill_tokens_per_second, admission.admitted);
                let kept = (admission.cached_tokens + computed) / self.model.block_tokens;
                self.prefilling = None;
                if let Some(ask) = self.release(id, 0) {
                    let full = ask.context_tokens / self.model.block_tokens;
                    self.cache.forget(&ask.stream, full, kept.max(found_blocks));
                }
            } else {
                // The first token comes with the prompt.
                let generated = 1 + rate(self.model.decode_tokens_per_second, admission.first_token);
                let generated = generated.min(request.ask.output_tokens);
                self.release(id, generated);
            }
        } else {
            self.requests.remove(&id);
            self.waiting.retain(|other| *other != id);
        }
        self.admit();
        self.advance(self.now);
    }

    /// Requests that are worked on, and that wait.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        (self.requests.len() - self.waiting.len(), self.waiting.len())
    }

    /// When something happens next.
    #[must_use]
    pub fn next_event(&self) -> Option<u64> {
        self.events.peek().map(|Reverse((time, ..))| *time)
    }

    /// Blocks that hold something or are reserved.
    #[must_use]
    pub fn used_blocks(&self) -> u64 {
        self.cache.used_blocks() + self.cache.reserved_blocks()
    }

    /// What was counted.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// How long it took.
    #[must_use]
    pub fn times(&self) -> &Times {
        &self.times
    }

    fn needed_blocks(&self, ask: &Ask) -> u64 {
        (u64::from(ask.context_tokens) + u64::from(ask.output_tokens)).div_ceil(u64::from(self.model.block_tokens))
    }

    /// Begins with the request at the head of the queue, if the prefill unit is idle and there is room.
    fn admit(&mut self) {
        if self.prefilling.is_some() {
            return;
        }
        let Some(&id) = self.waiting.front() else { return };
        let request = &self.requests[&id];
        let ask = &request.ask;
        let needed = self.needed_blocks(ask);
        let prompt = Prompt::new(&ask.stream, ask.context_tokens, None, self.model.block_tokens);
        let Some(admitted) = self.cache.admit(&prompt, needed, MatchHint::NOTHING, &mut |_| ()) else { return };
        let cached_tokens = admitted.hit_blocks * self.model.block_tokens;
        let first_token = self.now + self.model.prefill(ask.context_tokens - cached_tokens);
        let end = first_token + self.model.decode(ask.output_tokens);
        let admission = Admission { sent: request.sent, admitted: self.now, first_token, end, cached_tokens };

        self.waiting.pop_front();
        self.prefilling = Some(id);
        self.totals.queried += u64::from(ask.context_tokens);
        self.totals.hits += u64::from(cached_tokens);
        self.events.push(Reverse((first_token, Kind::PrefillEnd, id)));
        let request = self.requests.get_mut(&id).expect("it was there above");
        request.running = Some(Running { admission, blocks: admitted.admission, found_blocks: admitted.found_blocks });
        if let Some(waiter) = request.waiter.take() {
            // Whoever is gone cancels.
            let _ = waiter.send(admission);
        }
    }

    fn prefill_end(&mut self, id: Id) {
        self.prefilling = None;
        let Some(Request { ask, running: Some(running), .. }) = self.requests.get(&id) else { return };
        let Admission { sent, first_token, end, .. } = running.admission;
        self.times.first_token.add(first_token - sent);
        self.totals.prompt += u64::from(ask.context_tokens);
        self.events.push(Reverse((end, Kind::End, id)));
    }

    fn end(&mut self, id: Id) {
        let Some(Request { ask, running: Some(running), .. }) = self.requests.get(&id) else { return };
        let Admission { sent, admitted, end, .. } = running.admission;
        let output_tokens = ask.output_tokens;
        self.times.queue.add(admitted - sent);
        self.times.end.add(end - sent);
        self.totals.finished += 1;
        self.totals.generated += u64::from(output_tokens);
        self.release(id, output_tokens);
    }

    /// Gives back what a request holds; its blocks become the most recently used.
    fn release(&mut self, id: Id, generated: u32) -> Option<Ask> {
        let Request { ask, running, .. } = self.requests.remove(&id)?;
        let prompt = Prompt::new(&ask.stream, ask.context_tokens, Some(generated), self.model.block_tokens);
        self.cache.release(running?.blocks, &prompt, 0);
        Some(ask)
    }
}

#[cfg(test)]
mod tests;
