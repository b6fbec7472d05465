"""What a replay is going to do, for a person, in 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgen.analysis.tables import counted, duration
from agentgen.replay.text import said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentgen.replay.run import Prepared


def lines(ready: Prepared) -> Iterator[str]:
    """Server, trace, load, and how long it takes at least."""
    plan, settings = ready.plan, ready.plan.settings
    yield from said("server", _server(ready))
    yield from said("trace", _trace(ready))
    yield from said("load", _load(ready))
    if settings.duration is not None:
        length, grace = (duration(time_s * 1000) for time_s in (settings.duration, settings.grace))
        yield from said("takes", [f"at most {length},", f"and {grace} for requests in flight then"])
    elif plan.shortest_ms:
        shortest = f"at least {duration(plan.shortest_ms)} of delays and arrivals,"
        yield from said("takes", [shortest, "beside the server's time"])
    for warning in plan.warnings:
        yield from said("warning", warning.split(" "))


def _server(ready: Prepared) -> Iterator[str]:
    for url in ready.urls:
        yield f"{url},"
    yield f"model {ready.plan.model}"
    if ready.embedded:
        yield "(embedded)"


def _trace(ready: Prepared) -> Iterator[str]:
    trace = ready.plan.trace
    yield f"{counted(trace['sessions'], 'session')},"
    yield f"{counted(trace['requests'], 'request')},"
    yield f"{trace['context_tokens']:,} prompt and"
    yield f"{counted(trace['output_tokens'], 'output token')},"
    yield f"longest request {trace['max_request_tokens']:,}"


def _load(ready: Prepared) -> Iterator[str]:
    plan, settings = ready.plan, ready.plan.settings
    loads = {
        "closed": f"closed loop, {counted(plan.slots, 'open session')}",
        "trace": "open loop, arrivals of the trace",
        "poisson": f"open loop, random arrivals, {settings.session_rate or 0:g} a second",
    }
    clauses = [loads[plan.load], counted(settings.workers, "worker")]
    if settings.max_sessions is not None:
        clauses.append(f"at most {counted(settings.max_sessions, 'session')}")
    yield from (f"{clause}," for clause in clauses[:-1])
    yield clauses[-1]
