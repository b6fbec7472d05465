"""A simulation for a person: one capacity in full, several side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgen.analysis.tables import NONE, SECOND, counted, duration, fold, memory, memory_unit, number, percent, table
from agentgen.analysis.text import DEFINITIONS, LAYERS, TURNS
from agentgen.analysis.timeline import LABEL, cache, order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Stated = dict[str, Any]

REST = " " * LABEL
STATISTICS = ("mean", "median", "p95", "p99")
WAITS = {"ttft": "first token", "queueing": "in the queue", "latency": "last token"}
BLOCKS = ("added", "refetched", "evicted", "expired")


def lines(simulation: Stated) -> Iterator[str]:
    """What was simulated, then the figures."""
    points: list[Stated] = simulation["points"]
    yield from _system(simulation)
    yield ""
    if len(points) > 1:
        yield from _sweep(simulation)
    else:
        yield from _one(points[0])
    failed = [point for point in points if point["requests"]["failed"]]
    if failed:
        yield ""
        requests = failed[0]["requests"]
        at = "" if len(points) == 1 else f" at {_memory(failed[0])}"
        need = "needs" if requests["failed"] == 1 else "need"
        were = "was" if requests["skipped"] == 1 else "were"
        yield from fold(
            (
                f"failed{at}: {counted(requests['failed'], 'request')} that {need} more blocks than a worker has;",
                f"{counted(requests['skipped'], 'later turn')} {were} never sent",
            ),
            rest="  ",
        )


def _memory(point: Stated) -> str:
    if point["capacity_bytes"] is None:
        return counted(point["capacity_blocks"], "block")
    unit = memory_unit(point["capacity_bytes"])
    return f"{memory(point['capacity_bytes'], unit)} {unit}"


def _system(simulation: Stated) -> Iterator[str]:
    first = simulation["points"][0]
    yield simulation["trace"]
    served = first["requests"]
    total = counted(sum(served.values()), "request")
    sessions = counted(first["sessions"], "session") if first["sessions"] else "sessions not named"
    yield f"  holds     {total}; {sessions}"
    yield f"  timeline  {order({**simulation, 'clock': first['clock']})}"
    yield from fold(_course(simulation), first=REST, rest=REST)
    kept = cache(simulation["block_size"], cached_outputs=simulation["cached_outputs"], sessions=first["sessions"])
    yield f"  cache     LRU, {kept}"
    if simulation["ttl_ms"] is not None:
        yield f"{REST}blocks not used for {duration(simulation['ttl_ms'])} expire"
    if len(simulation["points"]) == 1:
        each = " a worker" if simulation["replicas"] > 1 else ""
        blocks = f" {counted(first['capacity_blocks'], 'block')}," if first["capacity_bytes"] is not None else ""
        yield f"{REST}{_memory(first)}{each}:{blocks} {counted(first['capacity_tokens'], 'token')}"
    if simulation["model"]:
        yield f"  model     {simulation['model']}"
    if simulation["kv_bytes_per_token"] is None:
        return
    dtype = f" ({simulation['kv_dtype']})" if simulation["kv_dtype"] else ""
    yield f"  KV bytes  {simulation['kv_bytes_per_token']:,} a token{dtype}"


def _course(simulation: Stated) -> Iterator[str]:
    """How long it lasts, of one capacity (it differs); and the workers."""
    points = simulation["points"]
    several = simulation["replicas"] > 1
    if len(points) == 1 and points[0]["requests"]["served"]:
        yield f"lasts {duration(points[0]['duration_ms'])}{';' if several else ''}"
    if several:
        yield f"{counted(simulation['workers'], 'worker')}, {simulation['routing']}"


def _one(point: Stated) -> Iterator[str]:
    if not point["requests"]["served"]:
        yield "nothing was served"
        return
    rates = point["hit_rates"]
    rows = [
        (words, [percent(rates[definition])])
        for definition, words in DEFINITIONS.items()
        if rates[definition] is not None
    ]
    if point["belady_bound"]:
        rows.append(("most that any policy finds, of all blocks", [percent(point["belady_bound"]["block_references"])]))
    yield from table("hit rate of the requests served, by definition", [""], rows)
    yield ""
    waits = [(words, [number(_of(point["times"][name], part)) for part in STATISTICS]) for name, words in WAITS.items()]
    yield from table("ms from being sent to", STATISTICS, waits)
    yield ""
    yield from _blocks(point)
    yield ""
    yield from _occupancy(point)
    if len(point["by_turn"]) > 1:
        yield ""
        by_turn = {turn["turn_index"]: turn for turn in point["by_turn"]}
        turns = [
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
        title = "by turn: requests; tokens found / tokens; mean ms to the first token, in queue"
        yield from table(title, ("requests", "found", "first token", "queue"), turns)


def _of(observed: Stated | None, part: str) -> float | None:
    return None if observed is None else observed[part]


def _blocks(point: Stated) -> Iterator[str]:
    rows = [
        (LAYERS[of["layer"]], [number(of[what]) for what in BLOCKS])
        for of in point["blocks_by_layer"]
        if len(point["blocks_by_layer"]) > 1
    ]
    rows.append(("all", [number(point["blocks"][what]) for what in BLOCKS]))
    yield from table(
        "blocks: came in; of these, again; evicted; expired", ("added", "again", "evicted", "expired"), rows
    )


def _occupancy(point: Stated) -> Iterator[str]:
    full = point["occupancy"]

    def share(name: str) -> str:
        return percent(full[name] / full["capacity_blocks"])

    rows = [
        ("running requests' own", [share("mean_pinned_blocks"), NONE]),
        ("reserved for outputs", [share("mean_reserved_blocks"), NONE]),
        ("both", [percent(_both(full)), share("peak_running_blocks")]),
        ("all blocks held or reserved", [percent(_held(full)), share("peak_blocks")]),
    ]
    yield from table("share of the capacity", ("mean", "peak"), rows)
    yield from fold(
        (
            f"requests: {number(full['mean_running'])} run on average, {full['peak_running']:,} at most;",
            f"at most {full['peak_queued']:,} wait;",
            f"at most {counted(full['peak_open_sessions'], 'session')} open",
        ),
        first="  ",
        rest="  ",
    )


def _both(full: Stated) -> float:
    return float((full["mean_pinned_blocks"] + full["mean_reserved_blocks"]) / full["capacity_blocks"])


def _held(full: Stated) -> float:
    return float((full["mean_resident_blocks"] + full["mean_reserved_blocks"]) / full["capacity_blocks"])


def _sweep(simulation: Stated) -> Iterator[str]:
    def time(name: str, part: str) -> Callable[[Stated], str]:
        return lambda point: _seconds(_of(point["times"][name], part))

    def of_served(cell: Callable[[Stated], str]) -> Callable[[Stated], str]:
        return lambda point: cell(point) if point["requests"]["served"] else NONE

    def rate(definition: str) -> Callable[[Stated], str]:
        return of_served(lambda point: percent(point["hit_rates"][definition]))

    def bound(point: Stated) -> str:
        return percent((point["belady_bound"] or {}).get("block_references"))

    columns: list[tuple[str, Callable[[Stated], str]]] = [
        ("found", rate("token_weighted")),
        ("TTFT p50", time("ttft", "median")),
        ("p95", time("ttft", "p95")),
        ("queue p95", time("queueing", "p95")),
        ("evicted", lambda point: number(point["blocks"]["evicted"])),
        ("again", lambda point: number(point["blocks"]["refetched"])),
        ("lasts", of_served(lambda point: _seconds(point["duration_ms"]))),
    ]
    if any(point["requests"]["failed"] for point in simulation["points"]):
        columns.append(("failed", lambda point: number(point["requests"]["failed"])))
    if any(point["belady_bound"] for point in simulation["points"]):
        columns.insert(1, ("blocks", rate("block_references")))
        columns.insert(2, ("bound", of_served(bound)))
    rows = [(_memory(point), [cell(point) for _, cell in columns]) for point in simulation["points"]]
    each = " of a worker" if simulation["replicas"] > 1 else ""
    yield f"by capacity{each}: tokens found / tokens of the prompts; times in seconds;"
    title = "blocks evicted, and come again"
    if any(point["belady_bound"] for point in simulation["points"]):
        yield "blocks found / all blocks, and the most that any policy finds (bound);"
    yield from table(title, [name for name, _ in columns], rows)


def _seconds(ms: float | None) -> str:
    """Three digits."""
    return NONE if ms is None else f"{ms / SECOND:,.0f}" if ms >= 100 * SECOND else f"{ms / SECOND:.3g}"
