"""A plan for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgen.analysis.tables import gigabytes, number, percent, table
from agentgen.analysis.text import timeline

if TYPE_CHECKING:
    from collections.abc import Iterator


def lines(plan: dict[str, Any]) -> Iterator[str]:
    """What was assumed, the points, and what the target takes."""
    per_session = plan["kv_bytes_per_session"]
    capacity, replicas = plan["capacity"], plan["replicas"]
    yield plan["trace"]
    yield f"  timeline  {timeline(plan['timeline'])}"
    yield f"  cache     LRU, blocks of {plan['block_size']:,} tokens"
    more = f", and {per_session:,} an open session (not in the GB below)" if per_session else ""
    if plan["model"]:
        yield f"  model     {plan['model']}"
    yield f"  KV bytes  {plan['kv_bytes_per_token']:,} a token{more}"
    yield ""
    points = {point["capacity_blocks"]: point for point in (*plan["points"], capacity)}
    rows = [
        _row(points[blocks], "<- target" if blocks == capacity["capacity_blocks"] else "") for blocks in sorted(points)
    ]
    title = "blocks found / all blocks of the prompts, by capacity; GB = 10^9 bytes"
    yield from table(title, ("tokens", "GB", ""), rows)
    yield ""
    yield (
        f"{percent(plan['target_hit_rate'])} takes {gigabytes(capacity['capacity_bytes'])} GB of KV memory: "
        f"{capacity['capacity_tokens']:,} tokens"
    )
    yield f"{percent(plan['limit_hit_rate'])} is all that an infinite cache finds"
    if per_session and plan["timeline"]["concurrency"]:
        open_at_once = plan["timeline"]["concurrency"]
        on_top = gigabytes(per_session * open_at_once)
        yield f"{on_top} GB come on top, for {open_at_once:,} open sessions"
    if replicas:
        each = replicas["sessions_each"]
        share = f", {each:,} sessions at once on each" if each else ""
        one = replicas["each"]["capacity_bytes"] + per_session * (each or 0)
        count = replicas["replicas"]
        do = "replica of {} GB has" if count == 1 else "replicas of {} GB have"
        yield (f"{count:,} {do.format(gigabytes(replicas['replica_bytes']))} it{share}; one needs {gigabytes(one)} GB")


def _row(point: dict[str, Any], mark: str) -> tuple[str, list[str]]:
    return percent(point["hit_rate"]), [number(point["capacity_tokens"]), gigabytes(point["capacity_bytes"]), mark]
