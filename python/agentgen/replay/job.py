"""What a worker process is given: servers, trace, phases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentgen.replay.load import Ramp
    from agentgen.replay.route import Access
    from agentgen.replay.rules import Rules


@dataclass(frozen=True)
class Target:
    """Where and how requests are sent.

    Attributes:
        urls: Base URLs of the servers, such as `http://127.0.0.1:8000/v1`.
        path: Path of the endpoint below each base URL: `/chat/completions`.
        headers: Headers of every request.
        session_headers: Names of the headers that hold the session's key.
        connect_timeout_s: Time limit of one connection attempt, seconds; None for the system's.
        access: Proxy and certificates.
    """

    urls: tuple[str, ...]
    path: str
    headers: Mapping[str, str]
    session_headers: Sequence[str]
    connect_timeout_s: float | None
    access: Access


@dataclass(frozen=True)
class Phase:
    """The warm-up or the measured phase, as one worker plays it.

    Attributes:
        name: `warmup` or `run`.
        source: Options of the compiled `ReplaySource`, JSON.
        load: `closed`, `trace` or `poisson`.
        slots: Open sessions of a closed loop.
        rate: Random arrivals, sessions per second.
        rules: Delays, deadlines and retries.
        duration_s: Seconds from the start after which no request is issued.
        ramp: When the slots of a closed loop get their first sessions; None for all at the start.
        key_prefix: Put before the keys of sessions, so that routers tell those of the warm-up apart.
    """

    name: str
    source: str
    load: str
    slots: int
    rate: float
    rules: Rules
    duration_s: float | None = None
    ramp: Ramp | None = None
    key_prefix: str = ""


@dataclass(frozen=True)
class Job:
    """Everything a worker needs; pickled into its process.

    Attributes:
        worker: Number of the worker, from 0.
        workers: Number of workers; they share the sessions.
        trace: Path of the trace.
        records: Path of the worker's record file.
        endpoint: `chat`, `completions`, `responses` or `messages`.
        phases: Played in order; the parent starts each.
        seed: Seed of the random arrivals.
        secrets: Header values that are neither stored nor shown.
        max_answer_bytes: Largest body of a response.
        grace_s: How long requests in flight may take when the run is stopped, seconds.
        native_module: Module with `ReplaySource`, `Answer`, `Recorder` and `Secrets`; tests use another one.
    """

    worker: int
    workers: int
    trace: str
    records: str
    target: Target
    endpoint: str
    phases: tuple[Phase, ...]
    seed: int
    secrets: tuple[str, ...]
    max_answer_bytes: int
    grace_s: float
    native_module: str = "agentgen._native"
