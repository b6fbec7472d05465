"""What a replay is going to do, for a person, in 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgen.analysis.tables import counted, duration
from agentgen.replay.summary_text import said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentgen.replay.prepare import PreparedReplay


def lines(prepared: PreparedReplay) -> Iterator[str]:
    """Server, trace, load, and how long it takes at least."""
    spec, settings = prepared.spec, prepared.spec.settings
    yield from said("server", _server(prepared))
    yield from said("trace", _trace(prepared))
    yield from said("load", _load(prepared))
    if settings.duration is not None:
        length, grace = (duration(time_s * 1000) for time_s in (settings.duration, settings.grace))
        yield from said("takes", [f"at most {length},", f"and {grace} for requests in flight then"])
    elif spec.min_duration_ms:
        shortest = f"at least {duration(spec.min_duration_ms)} of delays and arrivals,"
        yield from said("takes", [shortest, "beside the server's time"])
    for warning in spec.warnings:
        yield from said("warning", warning.split(" "))


def _server(prepared: PreparedReplay) -> Iterator[str]:
    for url in prepared.urls:
        yield f"{url},"
    yield f"model {prepared.spec.model}"
    if prepared.embedded:
        yield "(embedded)"


def _trace(prepared: PreparedReplay) -> Iterator[str]:
    trace = prepared.spec.trace
    yield f"{counted(trace['sessions'], 'session')},"
    yield f"{counted(trace['requests'], 'request')},"
    yield f"{trace['context_tokens']:,} prompt and"
    yield f"{counted(trace['output_tokens'], 'output token')},"
    yield f"longest request {trace['max_request_tokens']:,}"


def _load(prepared: PreparedReplay) -> Iterator[str]:
    spec, settings = prepared.spec, prepared.spec.settings
    loads = {
        "closed": f"closed loop, {counted(spec.slots, 'open session')}",
        "trace": "open loop, arrivals of the trace",
        "poisson": f"open loop, random arrivals, {settings.session_rate or 0:g} a second",
    }
    clauses = [loads[spec.load], counted(settings.workers, "worker")]
    if settings.max_sessions is not None:
        clauses.append(f"at most {counted(settings.max_sessions, 'session')}")
    yield from (f"{clause}," for clause in clauses[:-1])
    yield clauses[-1]
