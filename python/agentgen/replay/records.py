"""Fields of a record file: the one Python definition; `agentgen_replay::records` (Rust) reads and writes them."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class RequestRecord(TypedDict):
    """A request that ended, whatever its outcome.

    Times are nanoseconds of one monotonic clock, lengths are tokens of the trace. What the server answered is added
    from the parsed response.

    Attributes:
        session: Number of the session in the trace.
        key: Key of the session, as sent in the session header.
        turn: Index of the request in its session, from 0.
        phase: `warmup` or `run`.
        url: Index of the server in `--url`.
        scheduled_ns: Scheduled time: the end of the response before, plus the delay.
        intended_ns: Intended time: the intended end of the response before, plus the delay.
        sent_ns: When the request was last sent; None if it never was.
        context_tokens: The whole prompt.
        input_tokens: The part of the prompt that no earlier turn holds.
        output_tokens: The output.
        outcome: `ok`, or the class of the failure.
        status: HTTP status, 0 without a response.
        retries: How often the request was sent again.
        message: Why it failed; by default the message in the response.
    """

    session: int
    key: str
    turn: int
    phase: str
    url: int
    scheduled_ns: int
    intended_ns: int
    sent_ns: int | None
    context_tokens: int
    input_tokens: int
    output_tokens: int
    outcome: str
    status: int
    retries: int
    message: NotRequired[str]


class SessionRecord(TypedDict):
    """A session that ended. Each of its requests has a record or counts as skipped or never issued.

    Attributes:
        session: Number of the session in the trace.
        key: Key of the session, as sent in the session header.
        phase: `warmup` or `run`.
        planned: Requests of the session in the trace.
        opened_ns: When the session took its slot.
        closed_ns: When it released the slot.
        skipped: Requests after a failed one.
        cancelled: Requests with a record whose outcome is `cancelled`.
        never_issued: Requests that were not due when the run ended.
    """

    session: int
    key: str
    phase: str
    planned: int
    opened_ns: int
    closed_ns: int
    skipped: int
    cancelled: int
    never_issued: int
