//! Drives the serving engine with the sessions of a trace in virtual time.

use agentgen_engine::serving::{Engine, Finished};
use agentgen_engine::timeline::{Ended, Starts, TimedSession as _};
use agentgen_trace::session::{Session, TraceTiming};
use agentgen_trace::{Cancel, Result};

use super::active::ActiveSession;
use super::figures::Figures;
use super::tally::Tally;
use super::{Served, Settings};

struct Driver<'a, I> {
    settings: &'a Settings,
    starts: Starts<Session, I, Box<ActiveSession>>,
    engine: Engine<Box<ActiveSession>>,
    tally: Tally,
    cancel: &'a Cancel,
}

/// Simulates a trace whose sessions come in the order in which they start. `each` is called with every request when it
/// ends or fails, in the order of these times.
pub fn run(
    clock: TraceTiming,
    sessions: impl Iterator<Item = Result<Session>>,
    settings: &Settings,
    cancel: &Cancel,
    mut each: impl FnMut(&Session, &Served) -> Result<()>,
) -> Result<Figures> {
    let rule = clock.start();
    let mut driver = Driver {
        settings,
        starts: Starts::new(rule, sessions),
        engine: Engine::new(settings.system()),
        tally: Tally::new(settings),
        cancel,
    };
    for _ in 0..rule.slots(settings.timeline.concurrency) {
        driver.fill_slot(0.0)?;
    }
    while let Some(now_ms) = driver.next_event_ms()? {
        driver.tally.advance(now_ms);
        if let Some(finished) = driver.engine.step(&mut driver.tally) {
            driver.finish(finished, now_ms, &mut each)?;
        }
    }
    let Driver { engine, tally, .. } = driver;
    Ok(tally.figures(engine.replicas(), clock, settings))
}

impl<I: Iterator<Item = Result<Session>>> Driver<'_, I> {
    /// Time of the next event in ms; starts the sessions that arrive no later.
    fn next_event_ms(&mut self) -> Result<Option<f64>> {
        loop {
            let due = self.engine.next_event_ms();
            let Some((session, start_ms)) = self.starts.take_arrived(due.unwrap_or(f64::INFINITY))? else {
                return Ok(due);
            };
            self.start(session, start_ms)?;
        }
    }

    /// Gives a slot that is free at `now_ms` to the next session, if there is one.
    fn fill_slot(&mut self, now_ms: f64) -> Result<()> {
        match self.starts.take_slot(now_ms)? {
            Some((session, start_ms)) => self.start(session, start_ms),
            None => Ok(()),
        }
    }

    fn start(&mut self, session: Session, start_ms: f64) -> Result<()> {
        self.cancel.check()?;
        self.tally.start(&session);
        let parent = session.parent();
        let active = Box::new(ActiveSession::new(session, self.engine.next_home(), self.settings));
        if let Some((active, begin_ms)) = self.starts.begin(parent, active, start_ms) {
            self.schedule(active, begin_ms);
        }
        Ok(())
    }

    /// Begins a session in the bundle of another one.
    fn begin_member(&mut self, session: Session, ready_ms: f64) {
        self.tally.start(&session);
        let number = session.number;
        let active = Box::new(ActiveSession::new(session, self.engine.next_home(), self.settings));
        if let Some((active, ready_ms)) = self.starts.pass(number, 0, active, ready_ms) {
            self.schedule(active, ready_ms);
        }
    }

    /// Schedules the next request of a session, which is ready at `ready_ms`.
    fn schedule(&mut self, active: Box<ActiveSession>, ready_ms: f64) {
        let turn = active.session.turn(active.turn);
        let time_ms = turn.map_or(ready_ms, |turn| turn.send.time_ms(ready_ms, ready_ms));
        self.engine.schedule(time_ms, active);
    }

    /// Continues the session of a request that has ended or failed.
    fn finish(
        &mut self,
        finished: Finished<Box<ActiveSession>>,
        now_ms: f64,
        each: &mut impl FnMut(&Session, &Served) -> Result<()>,
    ) -> Result<()> {
        let served = Served::new(&finished);
        let mut active = finished.request;
        each(&active.session, &served)?;
        let later_turns = active.session.turns.len() - active.turn - 1;
        let has_failed = served.service.is_none();
        if !has_failed {
            for session in self.starts.respond(&active.session, active.turn) {
                self.begin_member(session, now_ms);
            }
        }
        if has_failed {
            self.tally.failed(later_turns as u64);
        } else if later_turns > 0 {
            active.next_turn();
            let (number, turn) = (active.session.number, active.turn);
            if let Some((active, ready_ms)) = self.starts.pass(number, turn, active, now_ms) {
                self.schedule(active, ready_ms);
            }
            return Ok(());
        }
        self.tally.end(active.rates.get());
        let Ended { begins, released, slot_free_ms } =
            self.starts.end(&active.session, active.turn + 1, now_ms, has_failed);
        for (session, ready_ms) in begins {
            self.begin_member(session, ready_ms);
        }
        for (waiting, ready_ms) in released {
            self.schedule(waiting, ready_ms);
        }
        if slot_free_ms.is_some() { self.fill_slot(now_ms) } else { Ok(()) }
    }
}
