"""Generate, validate, analyze, simulate and replay traces of LLM coding agents, with KV-cache identity.

    import agentgen

    for batch in agentgen.generate("default", sessions=1_000_000):  # Arrow record batches, zero-copy
        ...
    agentgen.scan("default", sessions=1_000_000)  # polars LazyFrame with column pruning
    agentgen.read("run/dataset.jsonl")  # any supported trace as the same table

Tables have one row per request (`docs/trace-format.md`). `generate` and `scan` need no files. Rows are produced by
compiled code that releases the GIL.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than this module
if TYPE_CHECKING:
    from typing import Any

    from agentgen._public import *  # noqa: F403


def __getattr__(name: str) -> Any:
    # Imported on first use: the command must handle Ctrl-C before it imports anything else.
    from importlib import import_module  # noqa: PLC0415

    public = import_module("agentgen._public")
    if name != "__all__" and name not in public.__all__:
        raise AttributeError(f"module 'agentgen' has no attribute {name!r}")
    value = getattr(public, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    from importlib import import_module  # noqa: PLC0415  as above

    dunders = (name for name in globals() if name.startswith("__"))
    return sorted({*dunders, *import_module("agentgen._public").__all__})
