"""The KV memory that a hit rate needs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen._native import DECODE_TOKENS_PER_SECOND, PREFILL_TOKENS_PER_SECOND
from agentgen.analysis.figures import (
    MAX_BYTES,
    Figures,
    assumptions,
    check_one_of,
)
from agentgen.analysis.model import find_model, kv_size
from agentgen.settings import check_share, check_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    from rich.console import RenderableType

    from agentgen.analysis.figures import Progress
    from agentgen.units import Count, Rate, Size

    StrPath = str | os.PathLike[str]


class Plan(Figures):
    """A capacity plan; `docs/reuse.md` defines every figure.

    `str` gives the tables of the command.

    Attributes:
        target_hit_rate: The requested rate: blocks found / all blocks of the prompts.
        limit_hit_rate: The rate of an infinite cache.
        capacity_tokens: Tokens held by the smallest cache that reaches the target.
        capacity_bytes: Its size: KV bytes of these tokens, and the fixed bytes of each open session.
        replicas: The fewest replicas that reach the target; None without `replica_bytes`.
    """

    target_hit_rate: float
    limit_hit_rate: float
    capacity_tokens: int
    capacity_bytes: int
    replicas: int | None

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.target_hit_rate = self._data["target_hit_rate"]
        self.limit_hit_rate = self._data["limit_hit_rate"]
        self.capacity_tokens = self._data["capacity"]["capacity_tokens"]
        self.capacity_bytes = self._data["capacity"]["capacity_bytes"]
        replicas = self._data["replicas"]
        self.replicas = replicas and replicas["replicas"]

    def __repr__(self) -> str:
        return (
            f"Plan(trace={self._data['trace']!r}, target_hit_rate={self.target_hit_rate}, "
            f"capacity_bytes={self.capacity_bytes}, replicas={self.replicas})"
        )

    def _pieces(self) -> Iterator[RenderableType]:
        from agentgen.analysis.plan_text import pieces  # noqa: PLC0415  rich is slow to import

        return pieces(self._data)

    def to_polars(self) -> pl.DataFrame:
        """`points`."""
        return self.points

    @property
    def points(self) -> pl.DataFrame:
        """The smallest cache for each of several hit rates up to the limit."""
        sizes = dict.fromkeys(("capacity_blocks", "capacity_tokens", "capacity_bytes"), "UInt64")
        return self._frame("points", {"hit_rate": "Float64", **sizes}, self._data["points"])


def plan(
    trace: StrPath,
    *,
    target_hit_rate: float | str,
    kv_bytes_per_token: Size | None = None,
    model: StrPath | None = None,
    kv_dtype: str = "bf16",
    replica_bytes: Size | None = None,
    block_size: Count | None = None,
    cached_outputs: bool = True,
    concurrency: Count | None = None,
    prefill_tokens_per_second: Rate = PREFILL_TOKENS_PER_SECOND,
    decode_tokens_per_second: Rate = DECODE_TOKENS_PER_SECOND,
    trace_layout: str | None = None,
    trace_block_size: Count | None = None,
    progress: Progress | None = None,
) -> Plan:
    """Compute the KV memory that an LRU prefix cache needs for a hit rate.

    Args:
        trace: One trace, as for `analyze`.
        target_hit_rate: Blocks found / all blocks of the prompts: above 0, at most 1 (or `90%`).
        kv_bytes_per_token: KV bytes per token; instead of `model`.
        model: A name of `models`, or the path of a model's `config.json` or of its directory; instead of
            `kv_bytes_per_token`.
        kv_dtype: Data type of the model's KV: `bf16` or `fp8`.
        replica_bytes: KV memory of one replica; the plan then has the number of replicas.
        block_size: As for `analyze`.
        cached_outputs: As for `analyze`.
        concurrency: Sessions open at once (default: 50), including those that wait for a person; only for a trace
            without arrivals.
        prefill_tokens_per_second: As for `analyze`.
        decode_tokens_per_second: As for `analyze`.
        trace_layout: As for `analyze`.
        trace_block_size: As for `analyze`.
        progress: As for `analyze`.

    Raises:
        ModelError: The model is unknown, or its `config.json` does not state its KV size.
        PlanError: No amount of memory, or number of replicas, is enough; or `replica_bytes` is given for a trace that
            names no sessions.
        TraceError: The file is not a trace, or `concurrency` is given for a trace with its own times.
        OSError: A file cannot be read.
        TypeError: Neither or both of `kv_bytes_per_token` and `model` are given.
        ValueError: An argument is out of range.

    Examples:
        >>> manifest = agentgen.write_run(directory, sessions=10)
        >>> plan = agentgen.plan(directory, target_hit_rate=0.8, model="llama-3.1-8b")
        >>> plan.capacity_bytes == plan.capacity_tokens * 131_072
        True
    """
    check_one_of(kv_bytes_per_token=kv_bytes_per_token, model=model)
    target = check_share("target_hit_rate", target_hit_rate)
    if replica_bytes is not None:
        replica_bytes = check_size("replica_bytes", replica_bytes, MAX_BYTES)
    assumed = assumptions(
        block_size=block_size,
        cached_outputs=cached_outputs,
        concurrency=concurrency,
        prefill_tokens_per_second=prefill_tokens_per_second,
        decode_tokens_per_second=decode_tokens_per_second,
        trace_layout=trace_layout,
        trace_block_size=trace_block_size,
    )
    kv = kv_size(model, kv_bytes_per_token, kv_dtype)
    text = _native.plan(
        os.fspath(trace),
        assumed,
        target_hit_rate=target,
        kv_bytes_per_token=kv["kv_bytes_per_token"],
        kv_bytes_per_session=kv.get("kv_bytes_per_session", 0),
        replica_bytes=replica_bytes,
        model=None if model is None else os.fspath(model),
        kv_dtype=kv.get("kv_dtype"),
        progress=progress,
    )
    return Plan(text)


def models(kv_dtype: str = "bf16") -> dict[str, dict[str, Any]]:
    """The models with known KV size, by name.

    Args:
        kv_dtype: Data type of their KV: `bf16` or `fp8`.

    Returns:
        For each: `kv_bytes_per_token`; `kv_bytes_per_session`, the fixed bytes of an open session; `kv_dtype`; and
        `source`, the URL of its published configuration.

    Examples:
        >>> agentgen.models()["llama-3.1-8b"]["kv_bytes_per_token"]
        131072
    """
    return {name: find_model(name, kv_dtype) for name in _native.model_names()}
