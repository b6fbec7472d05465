"""A plan for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgen.analysis.tables import counted, fold, memory, memory_unit, number, percent, table
from agentgen.analysis.timeline import cache, timeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    Stated = dict[str, Any]

EXPONENTS = {"GB": 9, "TB": 12}


def lines(plan: Stated) -> Iterator[str]:
    """What was assumed, the points, and what the target takes."""
    capacity = plan["capacity"]
    points = {point["capacity_blocks"]: point for point in (*plan["points"], capacity)}
    unit = memory_unit(max(point["capacity_bytes"] for point in points.values()))
    yield from _assumed(plan)
    yield ""
    rows = [
        (
            percent(point["hit_rate"]),
            (
                number(point["capacity_tokens"]),
                memory(point["capacity_bytes"], unit),
                "<- target" if blocks == capacity["capacity_blocks"] else "",
            ),
        )
        for blocks, point in sorted(points.items())
    ]
    yield "blocks found / all blocks of the prompts, and the least memory that does it,"
    title = f"at 50, 75, 90, 95, 99, 99.9 and 100 % of the limit; {unit} = 10^{EXPONENTS[unit]} bytes"
    yield from table(title, ("tokens", unit, ""), rows)
    yield ""
    yield from _target(plan)
    yield f"{percent(plan['limit_hit_rate'])} is the limit: all that an infinite cache finds"
    if plan["replicas"]:
        yield from _replicas(plan["replicas"])
    yield 'not counted: what running requests hold (see "Planning memory" in docs/reuse.md)'


def _assumed(plan: Stated) -> Iterator[str]:
    yield plan["trace"]
    yield from timeline(plan["timeline"], plan["sessions"])
    kept = cache(plan["block_size"], cached_outputs=plan["cached_outputs"], sessions=plan["sessions"])
    yield f"  cache     LRU, {kept}"
    if plan["model"]:
        yield f"  model     {plan['model']}"
    dtype = f" ({plan['kv_dtype']})" if plan["kv_dtype"] else ""
    per_session = plan["kv_bytes_per_session"]
    more = f", {per_session:,} an open session" if per_session else ""
    yield f"  KV bytes  {plan['kv_bytes_per_token']:,} a token{dtype}{more}"
    if per_session and plan["timeline"]["peak_open_sessions"] is None:
        yield "            the trace names no sessions: only tokens are counted"


def _target(plan: Stated) -> Iterator[str]:
    capacity, on_top = plan["capacity"], plan["session_bytes"]
    unit = memory_unit(capacity["capacity_bytes"])
    total = memory(capacity["capacity_bytes"], unit)
    takes = f"{percent(plan['target_hit_rate'])} takes {total} {unit} of KV memory:"
    tokens = counted(capacity["capacity_tokens"], "token")
    if not on_top:
        yield from fold((takes, tokens), rest="  ")
        return
    of_tokens = memory(capacity["capacity_bytes"] - on_top, unit)
    sessions = counted(on_top // plan["kv_bytes_per_session"], "open session")
    yield from fold((takes, f"{of_tokens} for {tokens},", f"{memory(on_top, unit)} for {sessions}"), rest="  ")


def _replicas(replicas: Stated) -> Iterator[str]:
    count, share, needed = replicas["replicas"], replicas["concurrency_each"], replicas["each"]["capacity_bytes"]
    unit = memory_unit(replicas["replica_bytes"])
    one = count == 1
    have = (
        f"{counted(count, 'replica')} of {memory(replicas['replica_bytes'], unit)} {unit} {'has' if one else 'have'} it"
    )
    at_once = f", {counted(share, 'session')} at once on {'it' if one else 'each'}" if share else ""
    yield from fold((f"{have}{at_once};", f"{'it' if one else 'each'} needs {memory(needed, unit)} {unit}"), rest="  ")
