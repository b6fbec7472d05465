"""What a replay will do, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgen.replay import urls
from agentgen.replay.units import MS_PER_S
from agentgen.text.format import counted, duration
from agentgen.text.layout import Facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import RenderableType

    from agentgen.replay.prepare import PreparedReplay


def pieces(prepared: PreparedReplay) -> Iterator[RenderableType]:
    """Server, trace, load, and the shortest or longest duration."""
    yield Facts(_facts(prepared), indent=0)


def _facts(prepared: PreparedReplay) -> Iterator[tuple[str, Iterable[str]]]:
    spec, settings = prepared.spec, prepared.spec.settings
    yield "server", _server(prepared)
    yield "trace", _trace(prepared)
    yield "load", _load(prepared)
    if settings.duration is not None:
        longest, grace = (duration(time_s * MS_PER_S) for time_s in (settings.duration, settings.grace))
        yield "duration", [f"at most {longest},", f"then {grace} for requests in flight"]
    elif spec.min_duration_ms:
        yield "duration", [f"at least {duration(spec.min_duration_ms)} of delays and arrivals,", "plus response times"]
    for warning in spec.warnings:
        yield "warning", warning.split(" ")


def _server(prepared: PreparedReplay) -> Iterator[str]:
    for url in prepared.urls:
        yield f"{urls.shown(url)},"
    yield f"model {prepared.spec.model_shown}"
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
        "trace": "open loop, arrival times of the trace",
        "poisson": f"open loop, random arrivals, {settings.session_rate or 0:g} per second",
    }
    clauses = [loads[spec.load], counted(settings.workers, "worker")]
    if settings.max_sessions is not None:
        clauses.append(f"at most {counted(settings.max_sessions, 'session')}")
    yield from (f"{clause}," for clause in clauses[:-1])
    yield clauses[-1]
