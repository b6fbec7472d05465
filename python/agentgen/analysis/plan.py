"""How much KV memory a hit rate costs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Unpack

from agentgen import _native
from agentgen.analysis.figures import (
    MAX_BYTES,
    MAX_CONCURRENCY,
    Figures,
    Reading,
    assumptions,
    check_number,
    check_one_of,
)
from agentgen.analysis.model import find_model, kept
from agentgen.settings import check_integer

if TYPE_CHECKING:
    import polars as pl

    from agentgen.analysis.figures import Progress

    StrPath = str | os.PathLike[str]


class Plan(Figures):
    """The memory that a trace needs; `docs/reuse.md` defines every figure.

    `str` gives the tables of the command.

    Attributes:
        target_hit_rate: What was asked for: blocks found / all blocks of the prompts.
        limit_hit_rate: The same of an infinite cache.
        capacity_tokens: What the smallest cache holds that has the target.
        capacity_bytes: KV bytes of these tokens, and of the open sessions beside their tokens.
        replicas: The fewest replicas that have the target; None if their memory was not told.
    """

    target_hit_rate: float
    limit_hit_rate: float
    capacity_tokens: int
    capacity_bytes: int
    replicas: int | None

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.target_hit_rate = self._stated["target_hit_rate"]
        self.limit_hit_rate = self._stated["limit_hit_rate"]
        self.capacity_tokens = self._stated["capacity"]["capacity_tokens"]
        self.capacity_bytes = self._stated["capacity"]["capacity_bytes"]
        replicas = self._stated["replicas"]
        self.replicas = replicas and replicas["replicas"]

    def __repr__(self) -> str:
        return (
            f"Plan(trace={self._stated['trace']!r}, target_hit_rate={self.target_hit_rate}, "
            f"capacity_bytes={self.capacity_bytes}, replicas={self.replicas})"
        )

    def __str__(self) -> str:
        from agentgen.analysis.plan_text import lines  # noqa: PLC0415  only those who print need it

        return "\n".join(lines(self._stated))

    @property
    def points(self) -> pl.DataFrame:
        """The smallest caches of several hit rates up to the limit."""
        sizes = dict.fromkeys(("capacity_blocks", "capacity_tokens", "capacity_bytes"), "UInt64")
        return self._frame("points", {"hit_rate": "Float64", **sizes}, self._stated["points"])


def plan(
    trace: StrPath,
    *,
    target_hit_rate: float,
    kv_bytes_per_token: int | None = None,
    model: StrPath | None = None,
    kv_dtype: str = "bf16",
    concurrency: int | None = None,
    replica_bytes: int | None = None,
    progress: Progress | None = None,
    **stated: Unpack[Reading],
) -> Plan:
    """How much KV memory a prefix cache (LRU) needs to find a share of a trace's blocks.

    Args:
        trace: As for `analyze`; one.
        target_hit_rate: Blocks found / all blocks of the prompts, above 0, to 1.
        kv_bytes_per_token: KV bytes of a token, of a model that is not known.
        model: A name of `models`, or the path of a model's `config.json` or of its directory; instead of
            `kv_bytes_per_token`.
        kv_dtype: `bf16` or `fp8`: in which numbers the model's KV is kept.
        concurrency: Sessions open at once (default: 50), including those that wait for a person; only for a trace
            without arrivals.
        replica_bytes: KV memory of one replica, to be told how many it takes.
        block_size: As for `analyze`.
        cached_outputs: As for `analyze`.
        prefill_tokens_per_second: As for `analyze`.
        decode_tokens_per_second: As for `analyze`.
        layout: As for `analyze`.
        trace_block_size: As for `analyze`.
        progress: As for `analyze`.

    Raises:
        ModelError: The model is not known, or its `config.json` does not say what it keeps of a token.
        PlanError: No memory is enough, no number of replicas is, `concurrency` is given for a trace with times of its
            own, or `replica_bytes` for one that names no sessions.
        TraceError: The file is not a trace.
        OSError: A file cannot be read.
        TypeError: Neither or both of `kv_bytes_per_token` and `model` are given.
        ValueError: Another argument is out of its range.

    Examples:
        >>> manifest = agentgen.write_run(directory, sessions=10)
        >>> plan = agentgen.plan(directory, target_hit_rate=0.8, model="llama-3.1-8b")
        >>> plan.capacity_bytes == plan.capacity_tokens * 131_072
        True
    """
    check_one_of(kv_bytes_per_token=kv_bytes_per_token, model=model)
    expected = "a number above 0, to 1"
    target = check_number("target_hit_rate", target_hit_rate, expected)
    if not 0 < target <= 1:
        raise ValueError(f"target_hit_rate: found {target_hit_rate!r}, expected {expected}")
    if replica_bytes is not None:
        replica_bytes = check_integer("replica_bytes", replica_bytes, 1, MAX_BYTES)
    if concurrency is not None:
        concurrency = check_integer("concurrency", concurrency, 1, MAX_CONCURRENCY)
    assumed = assumptions(stated, Reading.__annotations__)
    keeps = kept(model, kv_bytes_per_token, kv_dtype)
    text = _native.plan(
        os.fspath(trace),
        assumed,
        target_hit_rate=target,
        kv_bytes_per_token=keeps["kv_bytes_per_token"],
        kv_bytes_per_session=keeps.get("kv_bytes_per_session", 0),
        concurrency=concurrency,
        replica_bytes=replica_bytes,
        model=None if model is None else os.fspath(model),
        kv_dtype=keeps.get("kv_dtype"),
        progress=progress,
    )
    return Plan(text)


def models(kv_dtype: str = "bf16") -> dict[str, dict[str, Any]]:
    """The models whose KV bytes are known, by name.

    Args:
        kv_dtype: `bf16` or `fp8`: in which numbers their KV is kept.

    Returns:
        For each: `kv_bytes_per_token`; `kv_bytes_per_session`, which an open session takes beside; `kv_dtype`; and
        `source`, where its geometry is published.

    Examples:
        >>> agentgen.models()["llama-3.1-8b"]["kv_bytes_per_token"]
        131072
    """
    return {name: find_model(name, kv_dtype) for name in _native.model_names()}
