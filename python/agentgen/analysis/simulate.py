"""A trace on a simulated serving system."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Unpack

from agentgen import _native
from agentgen.analysis.figures import MAX_BYTES, MAX_CAPACITIES, Figures, assumptions, check_number, check_one_of
from agentgen.analysis.model import kept
from agentgen.settings import check_choice, check_integer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from agentgen.analysis.figures import Playing, Progress

    StrPath = str | os.PathLike[str]

ROUTINGS = ("sticky", "round-robin")
MAX_WORKERS = 10_000

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
    """What was found out at each capacity; `docs/simulator.md` defines every figure. `str` gives the tables.

    Attributes:
        hit_rate: Tokens found / tokens of the prompts served, at the first capacity.
        failed: Requests that need more than a worker has, at the first capacity.
    """

    hit_rate: float
    failed: int

    def __init__(self, text: str) -> None:
        super().__init__(text)
        first = self._stated["points"][0]
        self.hit_rate = first["hit_rates"]["token_weighted"]
        self.failed = first["requests"]["failed"]

    def __repr__(self) -> str:
        return f"Simulation(trace={self._stated['trace']!r}, capacities={len(self._stated['points'])})"

    def __str__(self) -> str:
        from agentgen.analysis.simulate_text import lines  # noqa: PLC0415  only those who print need it

        return "\n".join(lines(self._stated))

    @property
    def points(self) -> pl.DataFrame:
        """A row for each capacity: hit rates, times (ms), blocks, requests."""
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
                "belady_bound_block_references": (point["belady_bound"] or {}).get("block_references"),
            }
            for point in self._stated["points"]
        ]
        columns = {
            **dict.fromkeys(_COUNTS, "UInt64"),
            **dict.fromkeys(rates, "Float64"),
            **{f"{name}_{part}_ms": "Float64" for name, part in times},
            **{f"{name}_blocks": "UInt64" for name in blocks},
            **dict.fromkeys(("served", "failed", "skipped"), "UInt64"),
            "belady_bound_block_references": "Float64",
        }
        return self._frame("points", columns, rows)

    @property
    def series(self) -> pl.DataFrame:
        """What happened over time, in at most 512 parts, at each capacity."""
        return self._of_points("series", "series", _SERIES)

    @property
    def by_turn(self) -> pl.DataFrame:
        """The requests of each turn index, at each capacity."""
        return self._of_points("by_turn", "by_turn", _TURNS)

    @property
    def blocks_by_layer(self) -> pl.DataFrame:
        """Blocks that came and went, by the part of the prompt that they are of, at each capacity."""
        return self._of_points("blocks_by_layer", "blocks_by_layer", _LAYERS)

    def _of_points(self, name: str, part: str, columns: Mapping[str, str]) -> pl.DataFrame:
        points: Iterable[Mapping[str, Any]] = self._stated["points"]
        sizes = ("capacity_bytes", "capacity_blocks")
        rows = ({**{size: point[size] for size in sizes}, **row} for point in points for row in point[part])
        return self._frame(name, {**dict.fromkeys(sizes, "UInt64"), **columns}, rows)


def simulate(
    trace: StrPath,
    *,
    capacity_bytes: int | Sequence[int] | None = None,
    capacity_blocks: int | Sequence[int] | None = None,
    kv_bytes_per_token: int | None = None,
    model: StrPath | None = None,
    kv_dtype: str = "bf16",
    workers: int = 1,
    routing: str = "sticky",
    ttl_ms: float | None = None,
    bound: bool = False,
    requests: StrPath | None = None,
    progress: Progress | None = None,
    **stated: Unpack[Playing],
) -> Simulation:
    """Serve a trace in virtual time: what a prefix cache of limited size finds, and how long requests wait.

    Args:
        trace: As for `analyze`; one.
        capacity_bytes: KV memory of a worker; or several of these, each simulated by itself, several at a time.
        capacity_blocks: The same in blocks, instead: neither `model` nor `kv_bytes_per_token` is needed then.
        kv_bytes_per_token: KV bytes of a token, of a model that is not known.
        model: A name of `models`, or the path of a model's `config.json` or of its directory; instead of
            `kv_bytes_per_token`.
        kv_dtype: `bf16` or `fp8`: in which numbers the model's KV is kept.
        concurrency: Sessions open at once (default: 50), of a trace without arrivals; refused of one that has them.
        workers: Each with a queue, a prefill unit and a cache.
        routing: `sticky` (a session stays where it is) or `round-robin` (request by request).
        ttl_ms: Blocks that nobody has used for longer than this are gone.
        bound: Whether to find out what the best policy, which knows the future, would have found. Memory then grows
            with the requests.
        requests: Where to write a Parquet file with a row for each request; only of one capacity.
        block_size: As for `analyze`.
        cached_outputs: As for `analyze`.
        prefill_tokens_per_second: How fast a worker computes what it does not find, one prompt after the other.
        decode_tokens_per_second: How fast an output's tokens follow each other.
        layout: As for `analyze`.
        trace_block_size: As for `analyze`.
        threads: Threads that parse and simulate (default: one a core); the figures do not depend on it.
        progress: Called with (sessions done, of each capacity; 0), at most ten times a second.

    Raises:
        ModelError: The model is not known, or its `config.json` does not say what it keeps of a token.
        TraceError: The file is not a trace, or a capacity is less than a block; or `concurrency` is given for a trace
            with times of its own.
        OSError: A file cannot be read or written.
        TypeError: Neither or both of `kv_bytes_per_token` and `model` are given, or of the two capacities.
        ValueError: Another argument is out of its range.

    Examples:
        >>> manifest = agentgen.write_run(directory, sessions=10)
        >>> simulation = agentgen.simulate(directory, capacity_bytes=10**11, model="llama-3.1-8b")
        >>> 0 < simulation.hit_rate < 1
        True
    """
    check_one_of(capacity_bytes=capacity_bytes, capacity_blocks=capacity_blocks)
    in_blocks = capacity_bytes is None
    if not in_blocks or model is not None or kv_bytes_per_token is not None:
        check_one_of(kv_bytes_per_token=kv_bytes_per_token, model=model)
        keeps = kept(model, kv_bytes_per_token, kv_dtype)
    else:
        keeps = {"kv_bytes_per_token": None}
    name, capacities = ("capacity_blocks", capacity_blocks) if in_blocks else ("capacity_bytes", capacity_bytes)
    several = list(capacities) if isinstance(capacities, Iterable) else [capacities]
    if not 1 <= len(several) <= MAX_CAPACITIES:
        raise ValueError(f"{name}: found {len(several)} capacities, expected 1 to {MAX_CAPACITIES:,}")
    if requests is not None and len(several) > 1:
        raise ValueError(f"requests: found {len(several)} capacities, expected one: a file has the requests of one")
    check_choice("routing", routing, ROUTINGS)
    if ttl_ms is not None:
        expected = "a number of at least 0"
        ttl_ms = check_number("ttl_ms", ttl_ms, expected)
        if ttl_ms < 0:
            raise ValueError(f"ttl_ms: found {ttl_ms!r}, expected {expected}")
    assumed = assumptions(stated)
    text = _native.simulate(
        os.fspath(trace),
        assumed,
        capacities=[check_integer(name, capacity, 1, MAX_BYTES) for capacity in several],
        in_blocks=in_blocks,
        kv_bytes_per_token=keeps["kv_bytes_per_token"],
        workers=check_integer("workers", workers, 1, MAX_WORKERS),
        routing=routing,
        ttl_ms=ttl_ms,
        bound=bool(bound),
        requests=None if requests is None else os.fspath(requests),
        model=None if model is None else os.fspath(model),
        kv_dtype=keeps.get("kv_dtype"),
        progress=progress,
    )
    return Simulation(text)
