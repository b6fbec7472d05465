"""A capacity plan as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgen.analysis.timeline import cache, timeline_facts
from agentgen.text.format import counted, memory, memory_unit, number, percent
from agentgen.text.layout import BLANK, Clauses, Facts, Table, line, paragraph

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import RenderableType

    Plan = Mapping[str, Any]

EXPONENTS = {"GB": 9, "TB": 12}
REST = "  "


def pieces(plan: Plan) -> Iterator[RenderableType]:
    """What was assumed, the memory of several hit rates, and that of the target."""
    yield line(plan["trace"])
    yield Facts(list(_facts(plan)))
    yield BLANK
    yield _points(plan)
    yield BLANK
    yield _target(plan)
    yield line(f"an infinite cache finds {percent(plan['limit_hit_rate'])}")
    if plan["replicas"]:
        yield _replicas(plan["replicas"])
    yield paragraph(
        "not included: queues and the memory of running requests (agentgen simulate includes them)", rest=REST
    )


def _facts(plan: Plan) -> Iterator[tuple[str, list[str]]]:
    yield from timeline_facts(plan["timeline"], plan["sessions"])
    kept = cache(
        plan["block_size"], plan["trace_block_size"], cached_outputs=plan["cached_outputs"], sessions=plan["sessions"]
    )
    yield "cache", [f"LRU, {kept}"]
    if plan["model"]:
        yield "model", [plan["model"]]
    dtype = f" ({plan['kv_dtype']})" if plan["kv_dtype"] else ""
    per_session = plan["kv_bytes_per_session"]
    more = f", {per_session:,} per open session" if per_session else ""
    yield "KV bytes", [f"{plan['kv_bytes_per_token']:,} per token{dtype}{more}"]
    if per_session and plan["timeline"]["peak_open_sessions"] is None:
        yield "", ["the trace names no sessions: only tokens are counted"]


def _points(plan: Plan) -> Table:
    capacity = plan["capacity"]
    points = {point["capacity_blocks"]: point for point in (*plan["points"], capacity)}
    unit = memory_unit(max(point["capacity_bytes"] for point in points.values()))
    rows = [
        (
            percent(point["hit_rate"]),
            (
                number(point["capacity_tokens"]),
                memory(point["capacity_bytes"], unit, up=True),
                "<- target" if blocks == capacity["capacity_blocks"] else "",
            ),
        )
        for blocks, point in sorted(points.items())
    ]
    title = (
        "smallest cache by hit rate (blocks found / all blocks of the prompts), at the target and at "
        f"50, 75, 90, 95, 99, 99.9 and 100 % of what an infinite cache finds; {unit} = 10^{EXPONENTS[unit]} bytes"
    )
    return Table(title, ("tokens", unit, ""), rows)


def _target(plan: Plan) -> Clauses:
    capacity, of_sessions = plan["capacity"], plan["session_bytes"]
    unit = memory_unit(capacity["capacity_bytes"])
    total = memory(capacity["capacity_bytes"], unit, up=True)
    needs = f"{percent(plan['target_hit_rate'])} needs one cache of {total} {unit}:"
    tokens = counted(capacity["capacity_tokens"], "token")
    if not of_sessions:
        return Clauses((needs, tokens), rest=REST)
    of_tokens = memory(capacity["capacity_bytes"] - of_sessions, unit)
    sessions = counted(of_sessions // plan["kv_bytes_per_session"], "open session")
    parts = (needs, f"{of_tokens} for {tokens},", f"{memory(of_sessions, unit)} for {sessions}")
    return Clauses(parts, rest=REST)


def _replicas(replicas: Mapping[str, Any]) -> Clauses:
    count, share, needed = replicas["replicas"], replicas["concurrency_each"], replicas["each"]["capacity_bytes"]
    unit = memory_unit(replicas["replica_bytes"])
    each = "" if count == 1 else " each"
    at_once = f", {counted(share, 'open session')}{each}" if share else ""
    reach = "reaches it" if count == 1 else "reach it"
    enough = f"{counted(count, 'replica')} of {memory(replicas['replica_bytes'], unit)} {unit} {reach}{at_once};"
    need = "it needs" if count == 1 else "each needs"
    return Clauses((enough, f"{need} {memory(needed, unit, up=True)} {unit}"), rest=REST)
