"""In what order requests come, and what the cache keeps of them, for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgen.analysis.tables import counted, duration, fold

if TYPE_CHECKING:
    from collections.abc import Iterator

    Stated = dict[str, Any]

STEADY = 10  # sessions a slot, from which on the start and the end of a timeline weigh little
TIMES = {1: "once", 2: "twice"}
LABEL = 12  # columns of the labels of a heading


def order(facts: Stated) -> str:
    """The parameters of the reference timeline, on one line."""
    sessions = {
        "closed": f"{counted(facts['concurrency'], 'session')} at once" if facts["concurrency"] else "",
        "arrivals": "sessions at their arrivals",
        "recorded": "requests at their own times",
    }[facts["clock"]]
    prefill, decode = (f"{facts[f'{step}_tokens_per_second']:,.10g}" for step in ("prefill", "decode"))
    return f"{sessions}; prefill {prefill}, decode {decode} tokens/s"


def timeline(facts: Stated, sessions: int) -> Iterator[str]:
    """The parameters, how long it lasts, and whether the trace has sessions enough for them."""
    indent = " " * LABEL
    yield f"{'  timeline':<{LABEL}}{order(facts)}"
    yield f"{indent}lasts {duration(facts['duration_ms'])}"
    slots, peak = facts["concurrency"], facts["peak_open_sessions"]
    if slots is None or peak is None:
        return
    if peak < slots:
        yield f"{indent}at most {peak:,} {'is' if peak == 1 else 'are'} open: the trace has no more"
    elif sessions < STEADY * slots:
        times = sessions // slots
        fill = "fills" if sessions == 1 else "fill"
        hint = f"{counted(sessions, 'session')} {fill} {counted(slots, 'slot')} {TIMES.get(times, f'{times} times')};"
        yield from fold((hint, "more sessions come closer to a steady state"), first=indent, rest=indent)


def cache(block_size: int, *, cached_outputs: bool, sessions: int) -> str:
    """What the cache keeps; of a trace that names no sessions, outputs are not known."""
    outputs = "outputs stay cached" if cached_outputs else "outputs are not cached"
    return f"blocks of {counted(block_size, 'token')}; {outputs if sessions else 'equal hash ids are equal content'}"
