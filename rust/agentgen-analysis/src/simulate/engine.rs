//! The events of a simulation, in their order.

use agentgen_engine::kv::Admission;
use agentgen_engine::timeline::{SendTime, StartRule, TimedSession as _};
use agentgen_trace::{Cancel, Result};

use super::event::{Event, Events, Kind};
use super::figures::Figures;
use super::starts::Starts;
use super::tally::{Tally, tag};
use super::worker::{Left, Worker};
use super::{Routing, Served, Service, Settings};
use crate::reuse::rates;
use agentgen_trace::session::{Clock, Reading, Session};

/// A session that has started.
struct Open {
    conversation: Session,
    /// Of the request that is to be sent, waits or runs.
    turn: usize,
    /// The worker of all of its requests, if they go to one.
    home: usize,
    /// The worker of the last request, and what the session left there.
    worker: usize,
    left: Left,
    /// What is to be known of its blocks when they go.
    tag: u32,
    sent_ms: f64,
    /// Once it is admitted.
    running: Option<Running>,
    tally: rates::Tally,
}

/// A request that was admitted.
struct Running {
    admission: Admission,
    admitted_ms: f64,
    prefill_end_ms: f64,
    hit: rates::Hit,
}

struct Engine<'a, I> {
    settings: &'a Settings,
    starts: Starts<I>,
    places: Vec<Option<Open>>,
    empty: Vec<usize>,
    events: Events,
    workers: Vec<Worker>,
    tally: Tally,
    started: u64,
    sent: u64,
    cancel: &'a Cancel,
}

/// Simulates a trace whose sessions come in the order in which they start. `each` is given every request once it is
/// over or has failed, in the order of these times.
pub fn run(
    clock: Clock,
    sessions: impl Iterator<Item = Result<Session>>,
    settings: &Settings,
    cancel: &Cancel,
    mut each: impl FnMut(&Session, &Served) -> Result<()>,
) -> Result<Figures> {
    let workers = (0..settings.workers.max(1)).map(|_| Worker::new(settings)).collect();
    let mut engine = Engine {
        settings,
        starts: Starts::new(clock.start(), sessions),
        places: Vec::new(),
        empty: Vec::new(),
        events: Events::new(),
        workers,
        tally: Tally::new(settings),
        started: 0,
        sent: 0,
        cancel,
    };
    if engine.starts.start == StartRule::Slots {
        for _ in 0..settings.timing.concurrency.max(1) {
            engine.fill_slot(0.0)?;
        }
    }
    while let Some(event) = engine.next()? {
        engine.happen(&event, &mut each)?;
    }
    let Engine { workers, tally, .. } = engine;
    Ok(tally.figures(&workers, clock, settings))
}

impl<I: Iterator<Item = Result<Session>>> Engine<'_, I> {
    /// The next event; before it, all sessions start that arrive no later.
    fn next(&mut self) -> Result<Option<Event>> {
        while self.starts.start == StartRule::Arrivals {
            let due = self.events.peek().map_or(f64::INFINITY, Event::time_ms);
            let Some(session) = self.starts.arrived(due)? else { break };
            let arrival_ms = session.arrival_ms();
            self.start(session, arrival_ms)?;
        }
        Ok(self.events.pop())
    }

    fn happen(&mut self, event: &Event, each: &mut impl FnMut(&Session, &Served) -> Result<()>) -> Result<()> {
        let (time_ms, place) = (event.time_ms(), event.place);
        self.tally.advance(time_ms);
        match event.kind() {
            Kind::Send => self.send(place, time_ms, each),
            Kind::PrefillEnd => {
                self.prefill_end(place, time_ms);
                Ok(())
            }
            Kind::End => self.end(place, time_ms, each),
        }
    }

    fn open(&mut self, place: usize) -> &mut Open {
        self.places[place].as_mut().expect("an event's session is open")
    }

    /// Gives a free slot to the next session, if there is one.
    fn fill_slot(&mut self, now_ms: f64) -> Result<()> {
        match self.starts.for_slot()? {
            None => Ok(()),
            Some(session) => {
                let start_ms = now_ms.max(session.arrival_ms());
                self.start(session, start_ms)
            }
        }
    }

    /// Gives a session a place.
    fn start(&mut self, conversation: Session, start_ms: f64) -> Result<()> {
        self.cancel.check()?;
        let place = self.empty.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        let home = (self.started % self.workers.len() as u64) as usize;
        self.started += 1;
        self.tally.start(&conversation);
        let parent = conversation.parent();
        let tag = tag(&conversation, self.settings.block_tokens);
        self.places[place] = Some(Open {
            conversation,
            turn: 0,
            home,
            worker: home,
            left: Left::NOTHING,
            tag,
            sent_ms: start_ms,
            running: None,
            tally: rates::Tally::NEW,
        });
        if let Some(begin_ms) = self.starts.begins(parent, place, start_ms) {
            self.schedule(place, begin_ms);
        }
        Ok(())
    }

    /// Puts a session's next request on the list; `ready_ms` is when it began or the request before was over.
    fn schedule(&mut self, place: usize, ready_ms: f64) {
        let open = self.open(place);
        let number = open.conversation.number;
        let time_ms = match open.conversation.turn(open.turn).map(|turn| turn.send) {
            Some(SendTime::After(delay_ms)) => ready_ms + delay_ms,
            Some(SendTime::At(time_ms)) => time_ms.max(ready_ms),
            None => ready_ms,
        };
        self.events.push(Event::new(time_ms, Kind::Send, number, place));
    }

    fn send(
        &mut self,
        place: usize,
        now_ms: f64,
        each: &mut impl FnMut(&Session, &Served) -> Result<()>,
    ) -> Result<()> {
        let workers = self.workers.len() as u64;
        let in_turn = (self.sent % workers) as usize;
        self.sent += 1;
        let Settings { block_tokens, capacity_blocks, routing, .. } = *self.settings;
        let open = self.open(place);
        let worker = if routing == Routing::Sticky { open.home } else { in_turn };
        if worker != open.worker || !open.conversation.extends_previous(open.turn) {
            open.left = Left::NOTHING;
        }
        (open.worker, open.sent_ms) = (worker, now_ms);
        if needed_blocks(open, block_tokens) <= capacity_blocks {
            self.workers[worker].queue.push_back(place);
            self.tally.queued();
            self.expire(worker, now_ms);
            self.admit(worker, now_ms);
            return Ok(());
        }
        let open = self.open(place);
        let skipped = open.conversation.turns.len() - open.turn - 1;
        each(&open.conversation, &served(open, None))?;
        self.tally.failed(skipped as u64);
        self.over(place, now_ms)
    }

    /// Lets go what a worker has not used for too long.
    fn expire(&mut self, worker: usize, now_ms: f64) {
        let Self { workers, tally, .. } = self;
        workers[worker].expire(now_ms, &mut |gone| tally.expired(gone));
    }

    /// Admits the first request that waits at a worker, if its prefill unit is free and there is room.
    fn admit(&mut self, worker: usize, now_ms: f64) {
        let Self { workers, places, tally, events, settings, .. } = self;
        let (index, worker) = (worker, &mut workers[worker]);
        let Some(place) = worker.queue.front().copied().filter(|_| !worker.is_busy) else { return };
        let open = places[place].as_mut().expect("who waits is open");
        let Settings { block_tokens, cached_outputs, timing, .. } = **settings;
        let prompt = open.conversation.prompt(open.turn, Reading::Linked, block_tokens, cached_outputs);
        let needed = needed_blocks(open, block_tokens);
        let before = Tally::level(&worker.cache);
        let mut gone = |gone| tally.evicted(gone);
        let Some((admitted, added)) = worker.admit(&prompt, needed, &mut open.left, &mut gone) else { return };
        worker.queue.pop_front();
        worker.is_busy = true;
        let hit = rates::Hit::new(&prompt, admitted.hit_blocks, block_tokens);
        let new_tokens = f64::from(prompt.context_tokens - hit.tokens);
        let prefill_end_ms = now_ms + new_tokens / timing.prefill_tokens_per_second * 1_000.0;
        open.tally.add(&prompt, hit);
        tally.admitted(settings, &open.conversation, open.turn, &prompt, hit);
        tally.added(open.tag, added);
        tally.changed(before, &worker.cache);
        debug_assert_eq!(open.worker, index, "a request waits where it was sent");
        open.running = Some(Running { admission: admitted.admission, admitted_ms: now_ms, prefill_end_ms, hit });
        let number = open.conversation.number;
        events.push(Event::new(prefill_end_ms, Kind::PrefillEnd, number, place));
    }

    fn prefill_end(&mut self, place: usize, now_ms: f64) {
        let decode_rate = self.settings.timing.decode_tokens_per_second;
        let open = self.open(place);
        let (worker, number) = (open.worker, open.conversation.number);
        let output_tokens = open.conversation.turns[open.turn].output_tokens;
        let end_ms = now_ms + f64::from(output_tokens) / decode_rate * 1_000.0;
        self.events.push(Event::new(end_ms, Kind::End, number, place));
        self.workers[worker].is_busy = false;
        self.expire(worker, now_ms);
        self.admit(worker, now_ms);
    }

    fn end(&mut self, place: usize, now_ms: f64, each: &mut impl FnMut(&Session, &Served) -> Result<()>) -> Result<()> {
        let worker_index = self.open(place).worker;
        self.expire(worker_index, now_ms);
        let Self { workers, places, tally, settings, .. } = self;
        let worker = &mut workers[worker_index];
        let open = places[place].as_mut().expect("who ends is open");
        let Some(running) = open.running.take() else { return Ok(()) };
        let Settings { block_tokens, cached_outputs, .. } = **settings;
        let prompt = open.conversation.prompt(open.turn, Reading::Linked, block_tokens, cached_outputs);
        let before = Tally::level(&worker.cache);
        let added = worker.release(running.admission, &prompt, open.tag, &mut open.left, now_ms);
        tally.added(open.tag, added);
        tally.changed(before, &worker.cache);
        let service = Service {
            admitted_ms: running.admitted_ms,
            prefill_end_ms: running.prefill_end_ms,
            end_ms: now_ms,
            hit_blocks: running.hit.blocks,
            hit_tokens: running.hit.tokens,
        };
        let served = served(open, Some(service));
        each(&open.conversation, &served)?;
        tally.ended(&served, &service);
        open.turn += 1;
        if open.turn < open.conversation.turns.len() {
            self.schedule(place, now_ms);
        } else {
            self.over(place, now_ms)?;
        }
        self.admit(worker_index, now_ms);
        Ok(())
    }

    /// A session is over: who waited for that begins, and its slot is free.
    fn over(&mut self, place: usize, now_ms: f64) -> Result<()> {
        let Some(open) = self.places[place].take() else { return Ok(()) };
        self.empty.push(place);
        self.tally.over(open.tally);
        for (waiting, begin_ms) in self.starts.over(&open.conversation, now_ms) {
            self.schedule(waiting, begin_ms);
        }
        if self.starts.start == StartRule::Slots { self.fill_slot(now_ms) } else { Ok(()) }
    }
}

/// What a request takes at most: its prompt and its output.
fn needed_blocks(open: &Open, block_tokens: u32) -> u64 {
    let turn = &open.conversation.turns[open.turn];
    (u64::from(turn.context_tokens) + u64::from(turn.output_tokens)).div_ceil(u64::from(block_tokens))
}

fn served(open: &Open, service: Option<Service>) -> Served {
    let turn = &open.conversation.turns[open.turn];
    Served {
        session: open.conversation.number,
        turn: open.turn as u32,
        worker: open.worker as u32,
        context_tokens: turn.context_tokens,
        output_tokens: turn.output_tokens,
        sent_ms: open.sent_ms,
        service,
    }
}
