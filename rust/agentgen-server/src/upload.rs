//! Reads the bodies of requests, within limits.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use hyper::StatusCode;
use hyper::body::{Body as _, Incoming};

use crate::options::Options;
use crate::problem::Problem;

/// Most bytes of a body for which memory is reserved before they have come.
const MAX_RESERVED_BYTES: u64 = 1 << 20;

/// Why a body was not read.
pub enum Unread {
    /// The client has disconnected.
    Disconnected,
    /// The server refuses it.
    Refused(Problem),
}

/// Reads all bytes of a body, within the limits of the options.
pub async fn read(mut body: Incoming, options: &Options) -> Result<Vec<u8>, Unread> {
    let most = options.max_body_bytes;
    let too_large = || {
        let message = format!("body: found more than {most} bytes, expected fewer (--max-body)");
        Unread::Refused(Problem { status: StatusCode::PAYLOAD_TOO_LARGE, ..Problem::bad_request(message) })
    };
    // Timers of tokio have a resolution of 1 ms, which is enough here, and cost nothing until they are polled.
    let mut late = pin!(tokio::time::sleep(Duration::from_secs_f64(options.body_timeout_s)));
    let expected = body.size_hint().lower();
    if expected > most {
        return Err(too_large());
    }
    // The client only says how many bytes will come.
    let mut bytes = Vec::with_capacity(expected.min(MAX_RESERVED_BYTES) as usize);
    loop {
        let next = poll_fn(|context| match Pin::new(&mut body).poll_frame(context) {
            Poll::Pending => late.as_mut().poll(context).map(|()| Err(())),
            Poll::Ready(frame) => Poll::Ready(Ok(frame)),
        });
        match next.await {
            Ok(None) => return Ok(bytes),
            Ok(Some(Err(_))) => return Err(Unread::Disconnected),
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    if bytes.len() as u64 + data.len() as u64 > most {
                        return Err(too_large());
                    }
                    bytes.extend_from_slice(&data);
                }
            }
            Err(()) => {
                let message = format!("body: not complete after {} s", options.body_timeout_s);
                let status = StatusCode::REQUEST_TIMEOUT;
                return Err(Unread::Refused(Problem { status, ..Problem::bad_request(message) }));
            }
        }
    }
}
