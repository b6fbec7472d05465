//! Runs work on several threads and returns the results in the order of the input. A bounded number of results waits.
//!
//! Generation, encoding, reading and validation use it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::error::{Result, TraceError};

/// A flag that asks running work to stop; cheap to clone and to poll.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Requests a stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether a stop was requested.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns [`TraceError::Interrupted`] once a stop was requested.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(TraceError::Interrupted) } else { Ok(()) }
    }
}

/// Runs one function on a thread of its own and returns its results. At most `capacity` results wait to be taken.
/// Dropping the iterator stops the function at its next result.
pub fn stream<T: Send + 'static>(
    capacity: usize,
    work: impl FnOnce(&mut dyn FnMut(T) -> Result<()>) -> Result<()> + Send + 'static,
) -> impl Iterator<Item = Result<T>> + Send {
    let (sender, receiver) = sync_channel(capacity);
    std::thread::spawn(move || {
        let mut emit = |result| sender.send(Some(Ok(result))).map_err(|_| TraceError::Interrupted);
        let last = work(&mut emit).err().map(Err);
        // The receiver may have been dropped.
        let _ = sender.send(last).and_then(|()| sender.send(None));
    });
    let mut is_done = false;
    std::iter::from_fn(move || {
        if is_done {
            return None;
        }
        let next = receiver.recv().unwrap_or_else(|_| {
            is_done = true;
            Some(Err(TraceError::internal("a worker panicked")))
        });
        is_done |= next.is_none();
        next
    })
}

/// Results of parallel work, in input order. Dropping it stops the threads.
#[derive(Debug)]
pub struct Ordered<T> {
    shared: Arc<Shared<T>>,
    threads: Vec<JoinHandle<()>>,
    next_index: u64,
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    window: u64,
    cancel: Cancel,
}

#[derive(Debug)]
struct State<T> {
    done: BTreeMap<u64, Result<T>>,
    /// Results returned so far. An item may start while its index is below `returned + window`.
    returned: u64,
    /// Threads that have not finished.
    running: usize,
    abandoned: bool,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // After a panic, `running` reaches 0 while the result of that thread is missing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until item `index` may start; false if it never will.
    fn admit(&self, index: u64) -> bool {
        let mut state = self.lock();
        while !state.abandoned && !self.cancel.is_cancelled() && index >= state.returned + self.window {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.abandoned && !self.cancel.is_cancelled()
    }
}

/// Decrements the number of running threads when dropped, also after a panic.
struct ThreadGuard<T>(Arc<Shared<T>>);

impl<T> Drop for ThreadGuard<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running -= 1;
        // The item of a panicked thread will never be done, so no other thread may wait for it.
        state.abandoned |= std::thread::panicking();
        drop(state);
        self.0.changed.notify_all();
    }
}

impl<T: Send + 'static> Ordered<T> {
    /// Processes `items` on several threads. `worker` makes one function per thread, so that each can reuse its buffers.
    /// At most `window` results wait to be taken.
    pub fn start<I, W, F>(threads: usize, window: usize, cancel: &Cancel, items: I, mut worker: W) -> Self
    where
        I: Iterator + Send + 'static,
        W: FnMut() -> F,
        F: FnMut(I::Item) -> Result<T> + Send + 'static,
    {
        let threads = threads.max(1);
        let shared = Arc::new(Shared {
            state: Mutex::new(State { done: BTreeMap::new(), returned: 0, running: threads, abandoned: false }),
            changed: Condvar::new(),
            window: window.max(threads) as u64,
            cancel: cancel.clone(),
        });
        let items = Arc::new(Mutex::new((0u64, items)));
        let handles = (0..threads)
            .map(|_| {
                let (shared, items, mut work) = (Arc::clone(&shared), Arc::clone(&items), worker());
                std::thread::spawn(move || {
                    let guard = ThreadGuard(shared);
                    let shared = &guard.0;
                    loop {
                        let (index, item) = {
                            let mut source = items.lock().unwrap_or_else(PoisonError::into_inner);
                            if !shared.admit(source.0) {
                                return;
                            }
                            let Some(item) = source.1.next() else { return };
                            source.0 += 1;
                            (source.0 - 1, item)
                        };
                        let result = work(item);
                        shared.lock().done.insert(index, result);
                        shared.changed.notify_all();
                    }
                })
            })
            .collect();
        Self { shared, threads: handles, next_index: 0 }
    }
}

impl<T> Iterator for Ordered<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut state = self.shared.lock();
        loop {
            if self.shared.cancel.is_cancelled() {
                return Some(Err(TraceError::Interrupted));
            }
            if let Some(result) = state.done.remove(&self.next_index) {
                self.next_index += 1;
                state.returned = self.next_index;
                self.shared.changed.notify_all();
                return Some(result);
            }
            if state.running == 0 {
                // All threads have ended: the work is done, unless a panic left a gap.
                let gap = self.threads.drain(..).any(|w| w.join().is_err());
                return gap.then(|| Err(TraceError::internal("a worker thread panicked")));
            }
            let timeout = std::time::Duration::from_millis(50);
            state = self.shared.changed.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl<T> Drop for Ordered<T> {
    fn drop(&mut self) {
        self.shared.lock().abandoned = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A panic was reported by `next`, or its result is no longer needed.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_ends_with_its_work_its_error_or_a_panic() {
        let numbers = |until: u32| move |emit: &mut dyn FnMut(u32) -> Result<()>| (0..until).try_for_each(emit);
        assert_eq!(stream(1, numbers(100)).map(|n| n.expect("no error")).sum::<u32>(), 4_950);
        // Dropping the iterator stops the work.
        assert_eq!(stream(1, numbers(u32::MAX)).take(3).count(), 3);
        let fails = |emit: &mut dyn FnMut(u32) -> Result<()>| emit(1).and(Err(TraceError::internal("no")));
        let results: Vec<_> = stream(1, fails).map(|n| n.map_err(|e| e.to_string())).collect();
        assert_eq!(results, [Ok(1), Err("internal error: no".to_owned())]);
        let panics = |_: &mut dyn FnMut(u32) -> Result<()>| panic!("on purpose");
        assert!(stream(1, panics).all(|n| n.is_err_and(|e| e.to_string().contains("panicked"))));
    }

    #[test]
    fn results_keep_the_order_of_the_input() {
        for threads in [1, 2, 7] {
            let squares = Ordered::start(threads, 4, &Cancel::default(), 0..1_000u64, || |i| Ok(i * i));
            let squares: Vec<u64> = squares.map(|r| r.expect("no failure")).collect();
            assert!(squares.iter().enumerate().all(|(i, s)| *s == (i * i) as u64));
            assert_eq!(squares.len(), 1_000);
        }
    }

    #[test]
    fn dropping_early_and_cancelling_end_the_workers() {
        let mut endless = Ordered::start(2, 4, &Cancel::default(), 0u64.., || Ok);
        assert_eq!(endless.next().and_then(Result::ok), Some(0));
        drop(endless);
        let cancel = Cancel::default();
        let mut endless = Ordered::start(2, 4, &cancel, 0u64.., || Ok);
        cancel.cancel();
        assert!(matches!(endless.next(), Some(Err(TraceError::Interrupted))));
    }

    #[test]
    fn a_panic_is_an_error() {
        let work = || |i: u32| if i == 3 { panic!("on purpose") } else { Ok(i) };
        let results: Vec<_> = Ordered::start(2, 4, &Cancel::default(), 0..10u32, work).take(20).collect();
        assert!(results.iter().any(Result::is_err));
    }
}
