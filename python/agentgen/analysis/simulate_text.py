"""A simulation as text: one capacity in full, several side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgen.analysis.text import DEFINITIONS, LAYERS, TURNS
from agentgen.analysis.timeline import cache, order
from agentgen.text.format import (
    NONE,
    SECOND_MS,
    counted,
    duration,
    memory,
    memory_unit,
    number,
    percent,
    scaled,
    time_unit,
)
from agentgen.text.layout import BLANK, Clauses, Facts, Table, line, paragraph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rich.console import RenderableType

    Point = Mapping[str, Any]

BUSY = 0.95  # of the time: a queue that hardly ever empties
TEN = 10
STATISTICS = ("mean", "median", "p95", "p99")
TIMES = {"ttft": "first token (TTFT)", "queueing": "admission (queueing)", "latency": "last token"}
BLOCKS = ("added", "refetched", "evicted", "expired")


def pieces(simulation: Mapping[str, Any]) -> Iterator[RenderableType]:
    """What was simulated, then the figures."""
    points: list[Point] = simulation["points"]
    yield line(simulation["trace"])
    for said in (*_overload(points), *_within_limits(simulation)):
        yield paragraph(said, rest="  ")
    yield Facts(list(_facts(simulation)))
    yield BLANK
    yield from _sweep(simulation) if len(points) > 1 else _one(points[0])
    yield from _against_the_curve(points)
    failed = [point for point in points if point["requests"]["failed"]]
    if failed:
        yield BLANK
        requests = failed[0]["requests"]
        at = "" if len(points) == 1 else f" at {_memory(failed[0])}"
        need = "needs" if requests["failed"] == 1 else "need"
        were = "was" if requests["skipped"] == 1 else "were"
        yield Clauses(
            (
                f"failed{at}: {counted(requests['failed'], 'request')} that {need} more blocks than a replica has;",
                f"{counted(requests['skipped'], 'later turn')} {were} never sent",
            ),
            rest="  ",
        )


def _against_the_curve(points: list[Point]) -> Iterator[RenderableType]:
    """Why the capacity curve shows other hit rates for the same memory."""
    if not any(point["requests"]["served"] for point in points):
        return
    is_overloaded = any(point["load"] and point["load"]["prefill"] > 1 for point in points)
    waiting = "; blocks are evicted while the sessions that need them wait" if is_overloaded else ""
    yield BLANK
    yield paragraph(
        "found includes waiting times and the memory of running requests, unlike the capacity curve of agentgen "
        f"analyze{waiting}",
        rest="  ",
    )


def _overload(points: list[Point]) -> Iterator[str]:
    """What a reader has to know before any time: that requests come faster than they can be served."""
    loads = [(point, point["load"]) for point in points if point["load"] and point["load"]["prefill"] > 1]
    busy = [point for point in points if point["load"] and BUSY <= point["load"]["prefill"] <= 1]
    for point, load in loads[:1]:
        at = f" at {_memory(point)}" if len(points) > 1 else ""
        fit = counted(load["sessions"], "session")
        yield (
            f"overload: prefill is {_times_over(load['prefill'])} times oversubscribed{at}: waiting times grow with "
            f"every session; at most {fit} at once {'fits' if load['sessions'] == 1 else 'fit'}"
        )
    if len(loads) > 1:
        others = "; ".join(f"{_memory(point)}: {_times_over(load['prefill'])} times" for point, load in loads[1:])
        yield f"  also at {others}"
    if busy and not loads and points[0]["clock"] != "closed":
        share = percent(busy[0]["load"]["prefill"])
        yield f"overload: prefill is busy {share} of the time: waiting times grow without limit"


def _times_over(load: float) -> str:
    return f"{load:,.0f}" if load >= TEN else f"{load:.2g}"


def _within_limits(simulation: Mapping[str, Any]) -> Iterator[str]:
    if not simulation["slo"]:
        return
    limits = ", ".join(
        f"{target['metric']} {target['statistic']} <= {duration(target['limit_ms'])}" for target in simulation["slo"]
    )
    for point in simulation["points"]:
        at = f"{_memory(point)}: " if len(simulation["points"]) > 1 else ""
        most = point["largest_concurrency"]
        found = f"at most {counted(most, 'session')} at once" if most else "not met, even by one session at a time"
        yield f"{limits}: {at}{found}"


def _memory(point: Point) -> str:
    if point["capacity_bytes"] is None:
        return counted(point["capacity_blocks"], "block")
    unit = memory_unit(point["capacity_bytes"])
    return f"{memory(point['capacity_bytes'], unit)} {unit}"


def _facts(simulation: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    points, replicas = simulation["points"], simulation["replicas"]
    first = points[0]
    requests = f"{counted(sum(first['requests'].values()), 'request')};"
    yield "holds", [requests, counted(first["sessions"], "session") if first["sessions"] else "sessions not named"]
    yield "timeline", [order({**simulation, "clock": first["clock"]})]
    if len(points) == 1 and first["requests"]["served"]:
        yield "", [f"duration {duration(first['duration_ms'])}"]
    if replicas > 1:
        yield "replicas", [f"{replicas:,}, {simulation['routing']} routing"]
    kept = cache(
        simulation["block_size"],
        simulation["trace_block_size"],
        cached_outputs=simulation["cached_outputs"],
        sessions=first["sessions"],
    )
    yield "cache", [f"LRU, {kept}"]
    if simulation["ttl_ms"] is not None:
        yield "", [f"blocks idle for longer than {duration(simulation['ttl_ms'])} expire"]
    if len(points) == 1:
        each = " per replica" if replicas > 1 else ""
        blocks = f" {counted(first['capacity_blocks'], 'block')}," if first["capacity_bytes"] is not None else ""
        yield "", [f"{_memory(first)}{each}:{blocks} {counted(first['capacity_tokens'], 'token')}"]
    if simulation["model"]:
        yield "model", [simulation["model"]]
    if simulation["kv_bytes_per_token"] is not None:
        dtype = f" ({simulation['kv_dtype']})" if simulation["kv_dtype"] else ""
        yield "KV bytes", [f"{simulation['kv_bytes_per_token']:,} per token{dtype}"]


def _one(point: Point) -> Iterator[RenderableType]:
    if not point["requests"]["served"]:
        yield line("no request was served")
        return
    tables = [_rates(point), _times(point), _blocks(point), _occupancy(point)]
    if len(point["by_turn"]) > 1:
        tables.append(_turns(point))
    for index, table in enumerate(tables):
        if index:
            yield BLANK
        yield table


def _rates(point: Point) -> Table:
    rates = point["hit_rates"]
    rows = [
        (words, [percent(rates[definition])])
        for definition, words in DEFINITIONS.items()
        if rates[definition] is not None
    ]
    if point["belady_bound"]:
        rows.append(("Belady bound: blocks found / all blocks", [percent(point["belady_bound"]["block_references"])]))
    return Table("hit rate of the requests served, by definition", [""], rows)


def _times(point: Point) -> Table:
    times = [point["times"][name] for name in TIMES]
    scale, unit = time_unit(max((observed["p99"] for observed in times if observed), default=0))
    rows = [
        (words, [scaled(_of(observed, part), scale) for part in STATISTICS])
        for words, observed in zip(TIMES.values(), times, strict=True)
    ]
    return Table(f"{unit} from sending a request to", STATISTICS, rows)


def _of(observed: Mapping[str, float] | None, part: str) -> float | None:
    return None if observed is None else observed[part]


def _blocks(point: Point) -> Table:
    rows = [
        (LAYERS[layer["layer"]], [number(layer[what]) for what in BLOCKS])
        for layer in point["blocks_by_layer"]
        if len(point["blocks_by_layer"]) > 1
    ]
    rows.append(("all", [number(point["blocks"][what]) for what in BLOCKS]))
    title = "blocks added, refetched (added again after they left the cache), evicted and expired"
    return Table(title, _BLOCK_HEADINGS, rows)


_BLOCK_HEADINGS = ("added", "refetched", "evicted", "expired")


def _occupancy(point: Point) -> Table:
    occupancy = point["occupancy"]
    capacity = occupancy["capacity_blocks"]

    def share(name: str) -> str:
        return percent(occupancy[name] / capacity)

    both = (occupancy["mean_pinned_blocks"] + occupancy["mean_reserved_blocks"]) / capacity
    held = (occupancy["mean_resident_blocks"] + occupancy["mean_reserved_blocks"]) / capacity
    rows = [
        ("pinned by running requests", [share("mean_pinned_blocks"), NONE]),
        ("reserved for outputs", [share("mean_reserved_blocks"), NONE]),
        ("both", [percent(both), share("peak_running_blocks")]),
        ("all blocks resident or reserved", [percent(held), share("peak_blocks")]),
    ]
    notes = (
        f"requests: {number(occupancy['mean_running'])} running on average, {occupancy['peak_running']:,} at most;",
        f"at most {occupancy['peak_queued']:,} queued;",
        f"at most {counted(occupancy['peak_open_sessions'], 'session')} open",
    )
    return Table("share of the capacity", ("mean", "peak"), rows, notes=notes)


def _turns(point: Point) -> Table:
    by_turn = {turn["turn_index"]: turn for turn in point["by_turn"]}
    rows = [
        (
            f"turn {index}",
            [
                number(by_turn[index]["requests"]),
                percent(by_turn[index]["hit_rate"]),
                number(by_turn[index]["mean_ttft_ms"]),
                number(by_turn[index]["mean_queueing_ms"]),
            ],
        )
        for index in TURNS
        if index in by_turn
    ]
    title = "by turn: requests; tokens found / tokens of their prompts; mean TTFT and queueing, ms"
    return Table(title, ("requests", "found", "TTFT", "queueing"), rows)


def _sweep(simulation: Mapping[str, Any]) -> Iterator[RenderableType]:
    def time(name: str, part: str) -> Callable[[Point], str]:
        return lambda point: _seconds(_of(point["times"][name], part))

    def of_served(cell: Callable[[Point], str]) -> Callable[[Point], str]:
        return lambda point: cell(point) if point["requests"]["served"] else NONE

    def rate(definition: str) -> Callable[[Point], str]:
        return of_served(lambda point: percent(point["hit_rates"][definition]))

    def bound(point: Point) -> str:
        return percent((point["belady_bound"] or {}).get("block_references"))

    points = simulation["points"]
    has_bound = any(point["belady_bound"] for point in points)
    columns: list[tuple[str, Callable[[Point], str]]] = [
        ("found", rate("token_weighted")),
        *([("blocks", rate("block_references")), ("bound", of_served(bound))] if has_bound else []),
        ("TTFT p50", time("ttft", "median")),
        ("p95", time("ttft", "p95")),
        ("queue p95", time("queueing", "p95")),
        ("evicted", lambda point: number(point["blocks"]["evicted"])),
        ("refetched", lambda point: number(point["blocks"]["refetched"])),
        ("duration", of_served(lambda point: _seconds(point["duration_ms"]))),
    ]
    if any(point["requests"]["failed"] for point in points):
        columns.append(("failed", lambda point: number(point["requests"]["failed"])))
    rows = [(_memory(point), [cell(point) for _, cell in columns]) for point in points]
    each = " of a replica" if simulation["replicas"] > 1 else ""
    bounds = "blocks found / all blocks, and its Belady bound; " if has_bound else ""
    title = (
        f"by capacity{each}: tokens found / tokens of the prompts; {bounds}TTFT and queueing in seconds; "
        "blocks evicted, and refetched (added again after they left the cache)"
    )
    yield Table(title, [name for name, _ in columns], rows)


def _seconds(ms: float | None) -> str:
    """Seconds in three digits."""
    return NONE if ms is None else f"{ms / SECOND_MS:,.0f}" if ms >= 100 * SECOND_MS else f"{ms / SECOND_MS:.3g}"
