//! Runs long work without the GIL, handling Ctrl-C and progress.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use agentgen_trace::{Cancel, Result};
use pyo3::prelude::*;

use crate::error::Failure;

/// Interval of checks for signals and of progress reports.
const POLL: Duration = Duration::from_millis(100);

/// Runs `work` on a thread of its own while this one polls. A signal or a failing `progress` cancels the work, waits
/// for it to clean up, and is raised.
pub(crate) fn enter<T: Send>(
    py: Python<'_>,
    cancel: &Cancel,
    mut progress: impl FnMut(Python<'_>) -> PyResult<()> + Send,
    work: impl FnOnce() -> Result<T> + Send,
) -> PyResult<T> {
    py.detach(|| {
        std::thread::scope(|scope| {
            let (sender, receiver) = channel();
            scope.spawn(move || sender.send(work()));
            let mut raised = None;
            loop {
                match receiver.recv_timeout(POLL) {
                    Ok(result) => {
                        return raised.map_or_else(|| result.map_err(|e| Failure::from(e).into()), Err);
                    }
                    Err(RecvTimeoutError::Timeout) if raised.is_none() => {
                        let polled = Python::attach(|py| py.check_signals().and_then(|()| progress(py)));
                        if let Err(error) = polled {
                            cancel.cancel();
                            raised = Some(error);
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    // The work panicked; the scope raises that on the way out.
                    Err(RecvTimeoutError::Disconnected) => return Err(crate::error::bad_argument("internal error")),
                }
            }
        })
    })
}

/// Calls a Python progress function, if there is one.
pub(crate) fn report(progress: Option<&Py<PyAny>>, py: Python<'_>, done: u64, total: u64) -> PyResult<()> {
    progress.map_or(Ok(()), |function| function.call1(py, (done, total)).map(drop))
}
