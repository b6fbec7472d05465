"""A trace on simulated serving replicas."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen._native import DECODE_TOKENS_PER_SECOND, PREFILL_TOKENS_PER_SECOND
from agentgen.analysis.figures import MAX_BYTES, MAX_CAPACITIES, Figures, assumptions, check_one_of
from agentgen.analysis.model import kv_size
from agentgen.settings import check_choice, check_integer, check_size, check_targets, check_time_ms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl
    from rich.console import RenderableType

    from agentgen.analysis.figures import Progress
    from agentgen.units import Count, Rate, Size, Time

    StrPath = str | os.PathLike[str]

ROUTINGS = ("sticky", "round-robin")
MAX_REPLICAS = 10_000

_COUNTS = ("capacity_bytes", "capacity_blocks", "capacity_tokens")
_SERIES = {
    "time_ms": "Float64",
    **dict.fromkeys(("requests", "prompt_tokens", "hit_tokens"), "UInt64"),
    "hit_rate": "Float64",
    **dict.fromkeys(("evicted_blocks", "expired_blocks", "refetched_blocks"), "UInt64"),
    **dict.fromkeys(("resident_blocks", "pinned_blocks", "reserved_blocks", "queued", "running"), "Float64"),
    **dict.fromkeys(("tokens_in_flight", "open_sessions"), "Float64"),
}
_TURNS = {
    "turn_index": "UInt32",
    **dict.fromkeys(("requests", "prompt_tokens", "hit_tokens"), "UInt64"),
    **dict.fromkeys(("hit_rate", "mean_ttft_ms", "mean_queueing_ms"), "Float64"),
}
_LAYERS = {"layer": "String", **dict.fromkeys(("added", "refetched", "evicted", "expired"), "UInt64")}
_TIMES = ("mean", "median", "p95", "p99")


class Simulation(Figures):
    """The result at each capacity; `docs/simulator.md` defines every figure. `str` gives the tables of the command.

    Attributes:
        hit_rate: Tokens found / tokens of the prompts served, at the first capacity.
        failed: Requests that need more blocks than a replica has, at the first capacity.
        largest_concurrency: Sessions at once that meet `slo`, at the first capacity; None without `slo`.
    """

    hit_rate: float
    failed: int
    largest_concurrency: int | None

    def __init__(self, text: str) -> None:
        super().__init__(text)
        first = self._data["points"][0]
        self.hit_rate = first["hit_rates"]["token_weighted"]
        self.failed = first["requests"]["failed"]
        self.largest_concurrency = first["largest_concurrency"]

    def __repr__(self) -> str:
        served = self._data["points"][0]["requests"]["served"]
        return (
            f"Simulation(trace={self._data['trace']!r}, capacities={len(self._data['points'])}, served={served}, "
            f"failed={self.failed})"
        )

    def to_polars(self) -> pl.DataFrame:
        """`points`."""
        return self.points

    def _pieces(self) -> Iterator[RenderableType]:
        from agentgen.analysis.simulate_text import pieces  # noqa: PLC0415  rich is slow to import

        return pieces(self._data)

    @property
    def points(self) -> pl.DataFrame:
        """A row per capacity: hit rates, times (ms), blocks, requests."""
        rates = ("block_references", "full_blocks", "token_weighted", "request_mean", "session_mean")
        times = [(name, part) for name in ("ttft", "queueing", "latency") for part in _TIMES]
        blocks = ("added", "refetched", "evicted", "expired", "resident")
        rows = [
            {
                **{name: point[name] for name in _COUNTS},
                **point["hit_rates"],
                **{f"{name}_{part}_ms": (point["times"][name] or {}).get(part) for name, part in times},
                **{f"{name}_blocks": point["blocks"][name] for name in blocks},
                **point["requests"],
                "prefill_load": (point["load"] or {}).get("prefill"),
                "largest_concurrency": point["largest_concurrency"],
                "belady_bound_block_references": (point["belady_bound"] or {}).get("block_references"),
            }
            for point in self._data["points"]
        ]
        columns = {
            **dict.fromkeys(_COUNTS, "UInt64"),
            **dict.fromkeys(rates, "Float64"),
            **{f"{name}_{part}_ms": "Float64" for name, part in times},
            **{f"{name}_blocks": "UInt64" for name in blocks},
            **dict.fromkeys(("served", "failed", "skipped"), "UInt64"),
            "prefill_load": "Float64",
            "largest_concurrency": "UInt64",
            "belady_bound_block_references": "Float64",
        }
        return self._frame("points", columns, rows)

    @property
    def series(self) -> pl.DataFrame:
        """Figures over time, in at most 512 intervals, at each capacity."""
        return self._points_frame("series", "series", _SERIES)

    @property
    def by_turn(self) -> pl.DataFrame:
        """Figures by turn index, at each capacity."""
        return self._points_frame("by_turn", "by_turn", _TURNS)

    @property
    def blocks_by_layer(self) -> pl.DataFrame:
        """Blocks added and evicted by prompt layer, at each capacity."""
        return self._points_frame("blocks_by_layer", "blocks_by_layer", _LAYERS)

    def _points_frame(self, name: str, part: str, columns: Mapping[str, str]) -> pl.DataFrame:
        points: Iterable[Mapping[str, Any]] = self._data["points"]
        sizes = ("capacity_bytes", "capacity_blocks")
        rows = ({**{size: point[size] for size in sizes}, **row} for point in points for row in point[part])
        return self._frame(name, {**dict.fromkeys(sizes, "UInt64"), **columns}, rows)


def simulate(
    trace: StrPath,
    *,
    capacity_bytes: Size | Sequence[Size] | None = None,
    capacity_blocks: Count | Sequence[Count] | None = None,
    capacity_tokens: Count | Sequence[Count] | None = None,
    kv_bytes_per_token: Size | None = None,
    model: StrPath | None = None,
    kv_dtype: str = "bf16",
    replicas: Count = 1,
    routing: str = "sticky",
    ttl_ms: Time | None = None,
    belady_bound: bool = False,
    slo: str | None = None,
    requests: StrPath | None = None,
    block_size: Count | None = None,
    cached_outputs: bool = True,
    concurrency: Count | None = None,
    prefill_tokens_per_second: Rate = PREFILL_TOKENS_PER_SECOND,
    decode_tokens_per_second: Rate = DECODE_TOKENS_PER_SECOND,
    trace_layout: str | None = None,
    trace_block_size: Count | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Simulation:
    """Simulate serving a trace: prefix-cache hits, queueing and latency at a limited capacity.

    Args:
        trace: One trace, as for `analyze`.
        capacity_bytes: KV memory of a replica; or several sizes, each simulated separately, in parallel.
        capacity_blocks: The same in blocks, which needs neither `model` nor `kv_bytes_per_token`.
        capacity_tokens: The same in tokens, rounded down to blocks.
        kv_bytes_per_token: KV bytes per token; instead of `model`.
        model: A name of `models`, or the path of a model's `config.json` or of its directory; instead of
            `kv_bytes_per_token`.
        kv_dtype: Data type of the model's KV: `bf16` or `fp8`.
        concurrency: Sessions open at once (default: 50); only for a trace without arrivals.
        replicas: Serving replicas, each with a queue, a prefill unit and a cache.
        routing: `sticky` (all requests of a session to one replica) or `round-robin`.
        ttl_ms: Evict blocks idle for longer than this, ms (or with a unit: `5m`).
        belady_bound: Also compute the hit rate of Belady's policy, an upper bound for every eviction policy. Memory
            then grows with the number of requests.
        slo: Limits such as `ttft:p95=2s,e2e:p99=1m`: search the largest number of sessions at once that meets all of
            them; only for a trace without times of its own.
        requests: Parquet file to write with a row per request; only with one capacity.
        block_size: As for `analyze`.
        cached_outputs: As for `analyze`.
        prefill_tokens_per_second: Prefill rate of a replica for prompt tokens that are not cached.
        decode_tokens_per_second: Decode rate of one request.
        trace_layout: As for `analyze`.
        trace_block_size: As for `analyze`.
        threads: Worker threads (default: one per core); the figures do not depend on it.
        progress: Called with (sessions done, summed over the capacities; 0), at most ten times per second.

    Raises:
        ModelError: The model is unknown, or its `config.json` does not state its KV size.
        TraceError: The file is not a trace, or a capacity is smaller than a block; or `concurrency` is given for a
            trace with its own times.
        OSError: A file cannot be read or written.
        TypeError: Neither or both of `kv_bytes_per_token` and `model` are given, or not exactly one of the capacities.
        ValueError: An argument is out of range.

    Examples:
        >>> manifest = agentgen.write_run(directory, sessions=10)
        >>> simulation = agentgen.simulate(directory, capacity_bytes=10**11, model="llama-3.1-8b")
        >>> 0 < simulation.hit_rate < 1
        True
    """
    stated = {
        "capacity_bytes": capacity_bytes,
        "capacity_blocks": capacity_blocks,
        "capacity_tokens": capacity_tokens,
    }
    check_one_of(**stated)
    name, capacities = next((name, sizes) for name, sizes in stated.items() if sizes is not None)
    if capacity_bytes is not None or model is not None or kv_bytes_per_token is not None:
        check_one_of(kv_bytes_per_token=kv_bytes_per_token, model=model)
        kv = kv_size(model, kv_bytes_per_token, kv_dtype)
    else:
        kv = {"kv_bytes_per_token": None}
    listed = [capacities] if isinstance(capacities, str) or not isinstance(capacities, Iterable) else list(capacities)
    if not 1 <= len(listed) <= MAX_CAPACITIES:
        raise ValueError(f"{name}: found {len(listed)} capacities, expected 1 to {MAX_CAPACITIES:,}")
    if requests is not None and len(listed) > 1:
        raise ValueError(
            f"requests: found {len(listed)} capacities, expected one (the file holds the requests of one capacity)"
        )
    check_choice("routing", routing, ROUTINGS)
    assumed = assumptions(
        block_size=block_size,
        cached_outputs=cached_outputs,
        concurrency=concurrency,
        prefill_tokens_per_second=prefill_tokens_per_second,
        decode_tokens_per_second=decode_tokens_per_second,
        trace_layout=trace_layout,
        trace_block_size=trace_block_size,
        threads=threads,
    )
    text = _native.simulate(
        os.fspath(trace),
        assumed,
        capacities=[
            check_integer(name, capacity, 1, MAX_BYTES)
            if capacity_bytes is None
            else check_size(name, capacity, MAX_BYTES)
            for capacity in listed
        ],
        unit=name.removeprefix("capacity_"),
        kv_bytes_per_token=kv["kv_bytes_per_token"],
        replicas=check_integer("replicas", replicas, 1, MAX_REPLICAS),
        routing=routing,
        ttl_ms=None if ttl_ms is None else check_time_ms("ttl_ms", ttl_ms),
        belady_bound=bool(belady_bound),
        slo=None if slo is None else check_targets("slo", slo),
        requests=None if requests is None else os.fspath(requests),
        model=None if model is None else os.fspath(model),
        kv_dtype=kv.get("kv_dtype"),
        progress=progress,
    )
    return Simulation(text)
