"""An analysis for a person: tables that name the definition of every figure."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from agentgen._report import SAID_BY
from agentgen.analysis.tables import NONE, counted, duration, fold, number, percent, short, table, trace_names
from agentgen.analysis.timeline import LABEL, cache, timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Stated = dict[str, Any]

CAPACITIES = 12
TURNS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
SHARES = (0.5, 0.9, 0.99, 1.0)
STATISTICS = ("mean", "median", "p95")
READINGS = ("linked", "standalone")

METRICS = {
    "initial_context": "first prompt, tokens",
    "initial_context_of_continuations": "restarted prompt, tokens",
    "context": "prompt, tokens",
    "new_tokens_per_turn": "new in a turn, tokens",
    "generation_length": "output, tokens",
    "inter_turn_delay_ms": "delay, ms",
    "turns_per_session": "turns of a session",
}
DEFINITIONS = {
    "block_references": "blocks found / all blocks of the prompts",
    "full_blocks": "full blocks found / full blocks",
    "token_weighted": "tokens found / tokens of the prompts",
    "request_mean": "mean over requests: tokens found / tokens",
    "session_mean": "mean over sessions: tokens found / tokens",
}
LAYERS = {
    "l1": "L1: shared by all sessions",
    "l1_5": "L1.5: shared by a group",
    "l2": "L2: rest of the first prompt",
    "carried": "carried over by a restart",
    "history": "after the first prompt",
}
WORKING_SET = (
    ("distinct_tokens", "tokens used at all"),
    ("live_tokens", "tokens used and needed again, at the peak"),
    ("recent_tokens", "tokens used in 5 minutes, at the peak"),
)


def lines(analysis: Stated) -> Iterator[str]:
    """All tables; several traces side by side, under letters."""
    traces: list[Stated] = analysis["traces"]
    names = trace_names(len(traces)) if len(traces) > 1 else [""]
    for name, trace in zip(names, traces, strict=True):
        yield from _what_it_is(name, trace)
    yield ""
    if len(traces) == 1:
        yield from _lengths(traces[0])
    else:
        yield from _lengths_side_by_side(names, traces, analysis["distances"])
    for part in (_rates, _layers, _turns, _curve, _shares, _ttl, _working_set):
        shown = list(part(names, traces))
        if shown:
            yield ""
            yield from shown


def _headings(names: Iterable[str], *columns: str) -> list[str]:
    """Each of the columns for each of the traces."""
    return [f"{name} {column}".strip() for name in names for column in columns]


def _what_it_is(name: str, trace: Stated) -> Iterator[str]:
    yield f"{name}  {trace['trace']}" if name else trace["trace"]
    rest = " " * LABEL
    layout_from = SAID_BY.get(trace["layout_from"], f"from the {trace['layout_from']}")
    yield f"  rows      {trace['layout']} ({layout_from}), {counted(trace['trace_block_size'], 'token')} a hash id"
    holds = [f"{counted(trace['requests'], 'request')};", "sessions not named"]
    if trace["sessions"]:
        holds[1] = counted(trace["sessions"], "session")
    if trace["continuations"]:
        holds[1] += ","
        continues = "continues" if trace["continuations"] == 1 else "continue"
        holds.append(f"{trace['continuations']:,} of them {continues} another")
        if unknown := trace["continuations"] - trace["linked_continuations"]:
            holds.append(f"{unknown:,} of these one that is not known")
    yield from fold(holds, first="  holds     ", rest=rest)
    if trace["end_reasons"]:
        *ends, last = (f"{count:,} {reason}" for reason, count in trace["end_reasons"].items())
        yield from fold((*(f"{end}," for end in ends), last), first="  ended     ", rest=rest)
    new = f", {trace['input_tokens']:,} of them new" if trace["sessions"] else ""
    yield f"  prompts   {counted(trace['prompt_tokens'], 'token')}{new}"
    yield f"  outputs   {counted(trace['output_tokens'], 'token')}"
    kept = cache(trace["block_size"], cached_outputs=trace["reuse"]["cached_outputs"], sessions=trace["sessions"])
    yield f"  cache     {kept}"
    yield from timeline(trace["timeline"], trace["sessions"])


def _lengths(trace: Stated) -> Iterator[str]:
    headings = ("count", "mean", "median", "p05", "p95", "p99")
    rows = [
        (name, [number(trace["lengths"][metric][heading]) for heading in headings])
        for metric, name in METRICS.items()
        if trace["lengths"][metric]
    ]
    yield from table("lengths", headings, rows)


def _lengths_side_by_side(names: list[str], traces: list[Stated], distances: list[Stated]) -> Iterator[str]:
    apart = {(distance["other"], distance["metric"]): f"{distance['ks']:.3f}" for distance in distances}
    rows = []
    for metric, name in METRICS.items():
        found = [trace["lengths"][metric] for trace in traces]
        if any(found):
            label = f"{name:<26}"
            for statistic in STATISTICS:
                rows.append((label + statistic, [number(each and each[statistic]) for each in found]))
                label = " " * len(label)
            rows.append((f"{label}KS", [apart.get((trace["trace"], metric), NONE) for trace in traces]))
    yield from table("lengths (KS: two-sample Kolmogorov-Smirnov distance from A, 0 to 1)", names, rows)


def _rates(names: list[str], traces: list[Stated]) -> Iterator[str]:
    known = [[reading for reading in READINGS if trace["reuse"][reading]] for trace in traces]
    found = {
        f"{name} {reading}".strip(): trace["reuse"][reading]
        for name, trace, readings in zip(names, traces, known, strict=True)
        for reading in readings
    }
    rows = [
        (words, [percent(rates[definition]) for rates in found.values()])
        for definition, words in DEFINITIONS.items()
        if any(rates[definition] is not None for rates in found.values())
    ]
    read_both_ways = len(found) > len(traces)
    title = "hit rate of an infinite cache, by definition"
    yield from table(title, list(found) if read_both_ways else names, rows, [len(readings) for readings in known])
    if read_both_ways:
        yield "  linked: a restart session continues its parent's tokens; standalone: its rows"
        yield "  are read without the parent. All figures below are linked."


def _layers(names: list[str], traces: list[Stated]) -> Iterator[str]:
    by_layer = [{rate["layer"]: rate for rate in trace["reuse"]["by_layer"]} for trace in traces]
    known = [layer for layer in LAYERS if any(layer in rates for rates in by_layer)]
    if len(known) > 1:
        shares_known = not {"l1", "l1_5"}.isdisjoint(known)
        rows = []
        for layer in known:
            cells = []
            for rates, trace in zip(by_layer, traces, strict=True):
                rate = rates.get(layer, {})
                share = rate["prompt_tokens"] / trace["prompt_tokens"] if rate else None
                cells += [percent(share), percent(rate.get("hit_rate"))]
            rows.append((LAYERS[layer] if shares_known else LAYERS[layer].removeprefix("L2: rest of the "), cells))
        title = "by part of the prompt: its share of all tokens; tokens found / its tokens"
        yield from table(title, _headings(names, "share", "found"), rows, [2] * len(names))


def _turns(names: list[str], traces: list[Stated]) -> Iterator[str]:
    by_turn = [{rate["turn_index"]: rate for rate in trace["reuse"]["by_turn"]} for trace in traces]
    last = max(max(turns, default=0) for turns in by_turn)
    if last > 0:
        rows = []
        for turn in TURNS:
            if turn <= last:
                cells = []
                for turns in by_turn:
                    rate = turns.get(turn, {"requests": 0 if turns else None, "hit_rate": None})
                    cells += [number(rate["requests"]), percent(rate["hit_rate"])]
                rows.append((f"turn {turn}", cells))
        title = "by turn: requests; tokens found / tokens of their prompts"
        yield from table(title, _headings(names, "requests", "found"), rows, [2] * len(names))


def _curve(names: list[str], traces: list[Stated]) -> Iterator[str]:
    curves = [trace["reuse"]["capacity_curve"] for trace in traces]
    rows = [
        (f"{short(tokens)} tokens", [percent(rate_at(curve, tokens)) for curve in curves])
        for tokens in round_capacities(max(curve[-1]["capacity_tokens"] for curve in curves))
        if tokens >= min(trace["block_size"] for trace in traces)
    ]
    rows.append(("no limit", [percent(curve[-1]["hit_rate"]) for curve in curves]))
    yield from table("LRU cache by capacity: blocks found / all blocks of the prompts", names, rows)


def _shares(names: list[str], traces: list[Stated]) -> Iterator[str]:
    rows = []
    for share in SHARES:
        label = f"{100 * share:.0f} % of the rate without a limit"
        rows.append((label, [number(_capacity_for(trace["reuse"]["capacity_curve"], share)) for trace in traces]))
    yield from table("LRU cache by hit rate: capacity, tokens", names, rows)


def _ttl(names: list[str], traces: list[Stated]) -> Iterator[str]:
    columns = [[point["hit_rate"] for point in trace["reuse"]["ttl"]] for trace in traces]
    ttls = [point["ttl_ms"] for point in traces[0]["reuse"]["ttl"]]
    rows = []
    for ttl_ms, *rates in zip(ttls, *columns, strict=True):
        rows.append(("no limit" if ttl_ms is None else duration(ttl_ms), [percent(rate) for rate in rates]))
    while len(rows) > 2 and rows[-2][1] == rows[-3][1] == rows[-1][1]:  # noqa: PLR2004  longer ones find no more
        del rows[-2]
    title = "infinite cache by time to live after the last use: tokens found / tokens"
    yield from table(title, names, rows)


def _working_set(names: list[str], traces: list[Stated]) -> Iterator[str]:
    rows = [
        (words, [number(max(point[kind] for point in trace["reuse"]["working_set"])) for trace in traces])
        for kind, words in WORKING_SET
    ]
    rows.append(("blocks used at all", [number(trace["reuse"]["size"]["distinct_blocks"]) for trace in traces]))
    yield from table("working set: distinct blocks, and the tokens in them", names, rows)


def round_capacities(largest: int) -> list[int]:
    """A dozen round numbers (1, 2, 5, 10, ...), of which the last is the first that is not below `largest`."""
    series = [digit * 10**exponent for exponent in range(19) for digit in (1, 2, 5)]
    end = next(index for index, capacity in enumerate(series) if capacity >= largest) + 1
    return series[max(0, end - CAPACITIES) : end]


def rate_at(curve: list[Stated], tokens: int) -> float:
    """The hit rate of the largest point within a capacity: exact at round ones, which are points."""
    index = bisect_right(curve, tokens, key=lambda point: point["capacity_tokens"])
    return float(curve[index - 1]["hit_rate"])


def _capacity_for(curve: list[Stated], share: float) -> int:
    """The first point that has this share of the limit."""
    least = share * curve[-1]["hit_rate"]
    return next(int(point["capacity_tokens"]) for point in curve if point["hit_rate"] >= least)
