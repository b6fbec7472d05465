"""An analysis as text: tables whose titles name the definition of every figure."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from agentgen._validation import ORIGINS
from agentgen.analysis.figures import READINGS
from agentgen.analysis.timeline import cache, timeline_facts
from agentgen.text.format import NONE, counted, duration, number, percent, short, trace_names
from agentgen.text.layout import BLANK, Facts, Table, line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import RenderableType

    Trace = Mapping[str, Any]

CAPACITIES = 12
TURNS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
SHARES = (0.5, 0.9, 0.99, 1.0)
STATISTICS = ("mean", "median", "p95")

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
    ("distinct_tokens", "distinct tokens"),
    ("live_tokens", "peak tokens that are used again later"),
    ("recent_tokens", "peak tokens used within 5 minutes"),
)


def pieces(analysis: Mapping[str, Any]) -> Iterator[RenderableType]:
    """All tables; several traces side by side, under letters."""
    traces: list[Trace] = analysis["traces"]
    names = trace_names(len(traces)) if len(traces) > 1 else [""]
    for name, trace in zip(names, traces, strict=True):
        yield line(f"{name}  {trace['trace']}" if name else trace["trace"])
        yield Facts(list(_facts(trace)))
    tables: list[Table | None] = [
        _lengths(traces[0]) if len(traces) == 1 else _lengths_side_by_side(names, traces, analysis["distances"]),
        *(table(names, traces) for table in (_rates, _layers, _turns, _curve, _capacities, _ttl, _working_set)),
    ]
    for table in tables:
        if table is not None:
            yield BLANK
            yield table


def _facts(trace: Trace) -> Iterator[tuple[str, list[str]]]:
    layout_from = ORIGINS.get(trace["layout_from"], f"from the {trace['layout_from']}")
    yield "rows", [f"{trace['layout']} ({layout_from}), {counted(trace['trace_block_size'], 'token')} per hash id"]
    requests = f"{counted(trace['requests'], 'request')};"
    if not trace["sessions"]:
        yield "holds", [requests, "sessions not named"]
    else:
        unknown = trace["continuations"] - trace["linked_continuations"]
        orphans = f" ({unknown:,} of an unknown session)" if unknown else ""
        counts = [
            (trace["continuations"], f"{counted(trace['continuations'], 'continuation')}{orphans}"),
            (trace["breaks"], counted(trace["breaks"], "break")),
            (trace["sub_agents"], counted(trace["sub_agents"], "sub-agent")),
        ]
        included = [text for count, text in counts if count]
        parts = [counted(trace["sessions"], "session"), *included]
        ending = " included" if included else ""
        yield "holds", [requests, *(f"{part}," for part in parts[:-1]), f"{parts[-1]}{ending}"]
    if trace["end_reasons"]:
        *ends, last = (f"{count:,} {reason}" for reason, count in trace["end_reasons"].items())
        yield "ended", [*(f"{end}," for end in ends), last]
    new = f", {trace['input_tokens']:,} of them new" if trace["sessions"] else ""
    yield "prompts", [f"{counted(trace['prompt_tokens'], 'token')}{new}"]
    yield "outputs", [counted(trace["output_tokens"], "token")]
    outputs = trace["reuse"]["cached_outputs"]
    yield (
        "cache",
        [cache(trace["block_size"], trace["trace_block_size"], cached_outputs=outputs, sessions=trace["sessions"])],
    )
    yield from timeline_facts(trace["timeline"], trace["sessions"])


def _lengths(trace: Trace) -> Table:
    headings = ("count", "mean", "median", "p05", "p95", "p99")
    rows = [
        (name, [number(trace["lengths"][metric][heading]) for heading in headings])
        for metric, name in METRICS.items()
        if trace["lengths"][metric]
    ]
    return Table("lengths", headings, rows)


def _lengths_side_by_side(names: list[str], traces: list[Trace], distances: list[Mapping[str, Any]]) -> Table:
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
    return Table("lengths (KS: two-sample Kolmogorov-Smirnov distance from A, 0 to 1)", names, rows)


def _rates(names: list[str], traces: list[Trace]) -> Table:
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
    title = "hit rate of an infinite cache, by definition"
    if len(found) == len(traces):
        return Table(title, names, rows)
    notes = (
        "linked: a continuation extends its parent session's tokens;",
        "standalone: it is a session of its own. The tables below use linked.",
    )
    return Table(title, list(found), rows, [len(readings) for readings in known], notes)


def _layers(names: list[str], traces: list[Trace]) -> Table | None:
    by_layer = [{rate["layer"]: rate for rate in trace["reuse"]["by_layer"]} for trace in traces]
    known = [layer for layer in LAYERS if any(layer in rates for rates in by_layer)]
    if len(known) < 2:  # noqa: PLR2004  one alone is the whole
        return None
    shares_known = not {"l1", "l1_5"}.isdisjoint(known)
    rows = []
    for layer in known:
        cells = []
        for rates, trace in zip(by_layer, traces, strict=True):
            rate = rates.get(layer, {})
            share = rate["prompt_tokens"] / trace["prompt_tokens"] if rate else None
            cells += [percent(share), percent(rate.get("hit_rate"))]
        rows.append((LAYERS[layer] if shares_known else LAYERS[layer].removeprefix("L2: rest of the "), cells))
    title = "by part of the prompt: share of all prompt tokens; tokens found / tokens of the part"
    return Table(title, _headings(names, "share", "found"), rows, [2] * len(names))


def _turns(names: list[str], traces: list[Trace]) -> Table | None:
    by_turn = [{rate["turn_index"]: rate for rate in trace["reuse"]["by_turn"]} for trace in traces]
    last = max(max(turns, default=0) for turns in by_turn)
    if last == 0:
        return None
    rows = []
    for turn in TURNS:
        if turn <= last:
            cells = []
            for turns in by_turn:
                rate = turns.get(turn, {"requests": 0 if turns else None, "hit_rate": None})
                cells += [number(rate["requests"]), percent(rate["hit_rate"])]
            rows.append((f"turn {turn}", cells))
    title = "by turn: requests; tokens found / tokens of their prompts"
    return Table(title, _headings(names, "requests", "found"), rows, [2] * len(names))


def _curve(names: list[str], traces: list[Trace]) -> Table:
    curves = [trace["reuse"]["capacity_curve"] for trace in traces]
    rows = [
        (f"{short(tokens)} tokens", [percent(rate_at(curve, tokens)) for curve in curves])
        for tokens in round_capacities(max(curve[-1]["capacity_tokens"] for curve in curves))
        if tokens >= min(trace["block_size"] for trace in traces)
    ]
    rows.append(("unlimited", [percent(curve[-1]["hit_rate"]) for curve in curves]))
    # A simulation of the same capacity finds less.
    notes = ("without waiting times and the memory of running requests, which agentgen simulate includes",)
    return Table("LRU cache by capacity: blocks found / all blocks of the prompts", names, rows, notes=notes)


def _capacities(names: list[str], traces: list[Trace]) -> Table:
    rows = []
    for share in SHARES:
        label = f"{100 * share:.0f} % of the unlimited hit rate"
        rows.append((label, [number(_capacity_for(trace["reuse"]["capacity_curve"], share)) for trace in traces]))
    return Table("LRU cache by hit rate: capacity, tokens", names, rows)


def _ttl(names: list[str], traces: list[Trace]) -> Table:
    columns = [[point["hit_rate"] for point in trace["reuse"]["ttl"]] for trace in traces]
    ttls = [point["ttl_ms"] for point in traces[0]["reuse"]["ttl"]]
    rows = []
    for ttl_ms, *rates in zip(ttls, *columns, strict=True):
        rows.append(("unlimited" if ttl_ms is None else duration(ttl_ms), [percent(rate) for rate in rates]))
    while len(rows) > 2 and rows[-2][1] == rows[-3][1] == rows[-1][1]:  # noqa: PLR2004  longer ones find no more
        del rows[-2]
    return Table("infinite cache by time to live after the last use: tokens found / tokens", names, rows)


def _working_set(names: list[str], traces: list[Trace]) -> Table:
    rows = [
        (words, [number(max(point[kind] for point in trace["reuse"]["working_set"])) for trace in traces])
        for kind, words in WORKING_SET
    ]
    rows.append(("distinct blocks", [number(trace["reuse"]["size"]["distinct_blocks"]) for trace in traces]))
    return Table("working set", names, rows)


def _headings(names: Iterable[str], *columns: str) -> list[str]:
    """Each of the columns for each of the traces."""
    return [f"{name} {column}".strip() for name in names for column in columns]


def round_capacities(largest: int) -> list[int]:
    """Up to 12 round numbers (1, 2, 5, 10, ...), of which the last is the first that is at least `largest`."""
    series = [digit * 10**exponent for exponent in range(19) for digit in (1, 2, 5)]
    end = next(index for index, capacity in enumerate(series) if capacity >= largest) + 1
    return series[max(0, end - CAPACITIES) : end]


def rate_at(curve: Sequence[Mapping[str, Any]], tokens: int) -> float:
    """The hit rate of the largest point within a capacity; exact at round capacities, which are points."""
    index = bisect_right(curve, tokens, key=lambda point: point["capacity_tokens"])
    return float(curve[index - 1]["hit_rate"])


def _capacity_for(curve: Sequence[Mapping[str, Any]], share: float) -> int:
    """Tokens of the first point that has this share of the unlimited hit rate."""
    least = share * curve[-1]["hit_rate"]
    return next(int(point["capacity_tokens"]) for point in curve if point["hit_rate"] >= least)
