"""The reference timeline and the cache of an analysis, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgen.text.format import counted, duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Facts = Iterator[tuple[str, list[str]]]

# From this many sessions a slot on, start and end of a timeline hardly count.
STEADY = 10
TIMES = {1: "once", 2: "twice"}


def order(timeline: Mapping[str, Any]) -> str:
    """The parameters of the reference timeline, on one line."""
    sessions = {
        "closed": f"{counted(timeline['concurrency'], 'open session')}" if timeline["concurrency"] else "",
        "arrivals": "sessions at their arrivals",
        "recorded": "requests at their recorded times",
    }[timeline["clock"]]
    prefill, decode = (f"{timeline[f'{step}_tokens_per_second']:,.10g}" for step in ("prefill", "decode"))
    return f"{sessions}; prefill {prefill}, decode {decode} tokens/s"


def timeline_facts(timeline: Mapping[str, Any], sessions: int) -> Facts:
    """The parameters, the duration, and a hint where the trace has few sessions for them."""
    yield "timeline", [order(timeline)]
    yield "", [f"duration {duration(timeline['duration_ms'])}"]
    slots, peak = timeline["concurrency"], timeline["peak_open_sessions"]
    if slots is None or peak is None:
        return
    if peak < slots:
        yield "", [f"at most {counted(peak, 'session')} open: the trace has no more"]
    elif sessions < STEADY * slots:
        times = sessions // slots
        fill = "fills" if sessions == 1 else "fill"
        yield (
            "",
            [
                f"{counted(sessions, 'session')} {fill} {counted(slots, 'slot')} {TIMES.get(times, f'{times} times')};",
                "more sessions come closer to a steady state",
            ],
        )


def cache(block_size: int, trace_block_size: int, *, cached_outputs: bool, sessions: int) -> str:
    """Block size of the cache and what it keeps; without named sessions, outputs are unknown."""
    outputs = "outputs stay cached" if cached_outputs else "outputs are not cached"
    kept = outputs if sessions else "equal hash ids mean equal content"
    finer = f" (the trace tells content apart by {trace_block_size}: reuse is a lower bound)"
    return f"blocks of {counted(block_size, 'token')}{finer if block_size < trace_block_size else ''}; {kept}"
