//! The rules of serving, event by event.

use crate::kv::{Admission, AdmissionRequest};

use super::event::{Event, Events, Kind};
use super::routing::Router;
use super::{Change, Finished, Observer, Replica, Request, Service, System, TooLarge};

/// Identifies a request in the engine; ordered by request number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId {
    number: u64,
    slot: usize,
}

#[derive(Debug)]
struct Slot<R> {
    request: R,
    number: u64,
    /// Its replica, once it is sent.
    replica: usize,
    sent_ms: f64,
    /// Once it is admitted.
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    admission: Admission,
    /// Blocks of its prompt that were in the cache.
    found_blocks: u32,
    service: Service,
}

/// Replicas and their requests.
#[derive(Debug)]
pub struct Engine<R> {
    system: System,
    router: Router,
    replicas: Vec<Replica>,
    events: Events,
    slots: Vec<Option<Slot<R>>>,
    free_slots: Vec<usize>,
}

impl<R: Request> Engine<R> {
    /// Idle replicas with empty caches.
    #[must_use]
    pub fn new(system: System) -> Self {
        let replicas = (0..system.replicas.max(1)).map(|_| Replica::new(&system)).collect();
        Self {
            system,
            router: Router::new(system.routing),
            replicas,
            events: Events::new(),
            slots: Vec::new(),
            free_slots: Vec::new(),
        }
    }

    /// The replicas.
    #[must_use]
    pub fn replicas(&self) -> &[Replica] {
        &self.replicas
    }

    /// The system.
    #[must_use]
    pub fn system(&self) -> &System {
        &self.system
    }

    /// The home replica of a session that starts now.
    pub fn next_home(&mut self) -> usize {
        self.router.home(self.replicas.len())
    }

    /// The service of a request; `None` before it is admitted.
    #[must_use]
    pub fn service(&self, id: RequestId) -> Option<&Service> {
        let slot = self.slots.get(id.slot)?.as_ref().filter(|slot| slot.number == id.number)?;
        slot.running.as_ref().map(|running| &running.service)
    }

    /// Time of the next event in ms.
    #[must_use]
    pub fn next_event_ms(&self) -> Option<f64> {
        self.events.peek().map(Event::time_ms)
    }

    /// Schedules a request to be sent at `time_ms`.
    pub fn schedule(&mut self, time_ms: f64, request: R) -> RequestId {
        let id = self.insert(time_ms, request);
        self.events.push(Event::new(time_ms, Kind::Send, id.number, id.slot));
        id
    }

    /// Sends a request now: at no earlier time than the last event's, and before the next event. If it fails, it has
    /// left the engine.
    pub fn send(&mut self, now_ms: f64, request: R, observer: &mut impl Observer<R>) -> Result<RequestId, TooLarge> {
        let id = self.insert(now_ms, request);
        match self.arrive(id.slot, now_ms, observer).map(|finished| finished.outcome) {
            Some(Err(error)) => Err(error),
            _ => Ok(id),
        }
    }

    /// Handles the next event; returns the request that leaves the engine with it.
    pub fn step(&mut self, observer: &mut impl Observer<R>) -> Option<Finished<R>> {
        let event = self.events.pop()?;
        let (now_ms, slot) = (event.time_ms(), event.slot);
        // Events of cancelled requests remain until their time.
        if self.slots[slot].as_ref().is_none_or(|slot| slot.number != event.number()) {
            return None;
        }
        match event.kind() {
            Kind::Send => self.arrive(slot, now_ms, observer),
            Kind::PrefillEnd => {
                self.prefill_end(slot, now_ms, observer);
                None
            }
            Kind::End => self.end(slot, now_ms, observer),
        }
    }

    /// Cancels a request: what it holds is free at once, and the blocks computed so far stay in the cache. Returns the
    /// request, or `None` if it has left the engine.
    pub fn cancel(&mut self, now_ms: f64, id: RequestId, observer: &mut impl Observer<R>) -> Option<R> {
        let slot = self.slots.get_mut(id.slot)?.take_if(|slot| slot.number == id.number)?;
        self.free_slots.push(id.slot);
        let Slot { request, replica: index, running, .. } = slot;
        self.expire(index, now_ms, observer);
        let (system, replica) = (&self.system, &mut self.replicas[index]);
        let tokens_since =
            |time_ms: f64, tokens_per_second: f64| ((now_ms - time_ms) * tokens_per_second / 1_000.0) as u32;
        match running {
            None => replica.dequeue(id.slot),
            Some(Running { admission, found_blocks, service }) if replica.is_prefilling(id.slot) => {
                let computed = tokens_since(service.admitted_ms, system.prefill_tokens_per_second);
                let computed_blocks = (service.hit_tokens + computed) / system.block_tokens;
                let prompt = request.prompt(0);
                replica.free_prefill_unit();
                replica.release(admission, &prompt, request.tag(), now_ms);
                replica.forget(&prompt, computed_blocks.max(found_blocks));
            }
            Some(Running { admission, service, .. }) => {
                // The first token comes with the end of the prefill.
                let written = 1 + tokens_since(service.prefill_end_ms, system.decode_tokens_per_second);
                let prompt = request.prompt(written.min(request.output_tokens()));
                replica.release(admission, &prompt, request.tag(), now_ms);
            }
        }
        self.admit(index, now_ms, observer);
        Some(request)
    }

    /// Evicts all blocks that no running request pins, on every replica.
    pub fn clear_caches(&mut self, observer: &mut impl Observer<R>) {
        for (index, replica) in self.replicas.iter_mut().enumerate() {
            replica.clear_cache(&mut |evicted| observer.evicted(index, evicted));
        }
    }

    fn insert(&mut self, sent_ms: f64, request: R) -> RequestId {
        let number = request.number();
        let slot = Some(Slot { request, number, replica: 0, sent_ms, running: None });
        let index = if let Some(index) = self.free_slots.pop() {
            self.slots[index] = slot;
            index
        } else {
            self.slots.push(slot);
            self.slots.len() - 1
        };
        RequestId { slot: index, number }
    }

    /// Sends a request to a replica; returns it if it can never be admitted there.
    fn arrive(&mut self, slot: usize, now_ms: f64, observer: &mut impl Observer<R>) -> Option<Finished<R>> {
        let sent = self.slots[slot].as_mut()?;
        let index = self.router.route(&sent.request, &self.replicas);
        sent.replica = index;
        let needed_blocks = self.system.needed_blocks(sent.request.context_tokens(), sent.request.output_tokens());
        if needed_blocks > self.system.capacity_blocks {
            let outcome = Err(TooLarge { needed_blocks });
            let Slot { request, replica, sent_ms, .. } = self.remove(slot)?;
            return Some(Finished { request, replica, sent_ms, outcome });
        }
        observer.queued(&sent.request);
        self.replicas[index].enqueue(slot);
        self.expire(index, now_ms, observer);
        self.admit(index, now_ms, observer);
        None
    }

    fn prefill_end(&mut self, slot: usize, now_ms: f64, observer: &mut impl Observer<R>) {
        let Some(Slot { request, number, replica: index, sent_ms, running: Some(running), .. }) = &self.slots[slot]
        else {
            return;
        };
        let index = *index;
        self.events.push(Event::new(running.service.end_ms, Kind::End, *number, slot));
        observer.first_token(request, *sent_ms, &running.service);
        self.replicas[index].free_prefill_unit();
        self.expire(index, now_ms, observer);
        self.admit(index, now_ms, observer);
    }

    fn end(&mut self, slot: usize, now_ms: f64, observer: &mut impl Observer<R>) -> Option<Finished<R>> {
        let Slot { request, replica: index, sent_ms, running, .. } = self.remove(slot)?;
        let Running { admission, service, .. } = running?;
        self.expire(index, now_ms, observer);
        let replica = &mut self.replicas[index];
        let prompt = request.prompt(request.output_tokens());
        let released = replica.release(admission, &prompt, request.tag(), now_ms);
        let change = Change { request: &request, prompt, replica: index, state: replica, sent_ms, service };
        observer.ended(&change, &released);
        self.admit(index, now_ms, observer);
        Some(Finished { request, replica: index, sent_ms, outcome: Ok(service) })
    }

    fn remove(&mut self, slot: usize) -> Option<Slot<R>> {
        self.free_slots.push(slot);
        self.slots[slot].take()
    }

    /// Drops the expired blocks of a replica: before anything else happens there.
    fn expire(&mut self, index: usize, now_ms: f64, observer: &mut impl Observer<R>) {
        self.replicas[index].expire(now_ms, &mut |expired| observer.expired(index, expired));
    }

    /// Admits the first waiting request of a replica, if its prefill unit is free and there is room.
    fn admit(&mut self, index: usize, now_ms: f64, observer: &mut impl Observer<R>) {
        let Self { system, replicas, events, slots, .. } = self;
        let replica = &mut replicas[index];
        let Some(slot) = replica.next() else { return };
        let Some(Slot { request, number, sent_ms, running, .. }) = &mut slots[slot] else { return };
        let (context_tokens, output_tokens) = (request.context_tokens(), request.output_tokens());
        let prompt = request.prompt(output_tokens);
        let needed_blocks = system.needed_blocks(context_tokens, output_tokens);
        let mut evicted = |evicted| observer.evicted(index, evicted);
        let waiting = AdmissionRequest { prompt, needed_blocks, hint: request.hint(index) };
        let Some(admitted) = replica.admit(&waiting, &mut evicted) else { return };
        let hit_tokens = prompt.tokens_of(admitted.hit_blocks, system.block_tokens);
        let prefill_end_ms = now_ms + system.prefill_ms(context_tokens - hit_tokens);
        let end_ms = prefill_end_ms + system.decode_ms(output_tokens);
        let service =
            Service { admitted_ms: now_ms, prefill_end_ms, end_ms, hit_blocks: admitted.hit_blocks, hit_tokens };
        let change = Change { request: &*request, prompt, replica: index, state: replica, sent_ms: *sent_ms, service };
        observer.admitted(&change, &admitted);
        let found_blocks = admitted.found_blocks;
        *running = Some(Running { admission: admitted.admission, found_blocks, service });
        events.push(Event::new(prefill_end_ms, Kind::PrefillEnd, *number, slot));
    }
}
