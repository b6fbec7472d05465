"""Agentic LLM request traces with KV-cache identity: generate, read, scan, validate, analyze.

    import agentgen

    for batch in agentgen.generate("default", sessions=1_000_000):     # Arrow batches, without a copy
        ...
    agentgen.scan("default", sessions=1_000_000)                       # polars LazyFrame, columns pruned before made
    agentgen.read("run/dataset.jsonl")                                 # any supported trace as the same table

Each function takes the table of `docs/trace-format.md` (one row a request) and neither needs the command nor, for
`generate` and `scan`, any file. Rows are made by compiled code that lets go of the GIL while it works.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than all that is here
if TYPE_CHECKING:
    from typing import Any

    from agentgen._api import convert, generate, merge, presets, read, validate
    from agentgen._batches import Batches, Trace
    from agentgen._native import Batch, __version__
    from agentgen._report import Finding, Report
    from agentgen._scan import scan
    from agentgen.analysis.analyze import Analysis, analyze
    from agentgen.analysis.plan import Plan, models, plan
    from agentgen.analysis.simulate import Simulation, simulate
    from agentgen.errors import AgentgenError, ConfigError, ModelError, PlanError, RunError, TraceError
    from agentgen.pages.write import report
    from agentgen.run import write_run

# Imported on first use: the command has to be there, and stop at Ctrl-C, before anything else is loaded.
_HOMES = {
    "_api": ("convert", "generate", "merge", "presets", "read", "validate"),
    "_batches": ("Batches", "Trace"),
    "_native": ("Batch", "__version__"),
    "_report": ("Finding", "Report"),
    "_scan": ("scan",),
    "analysis.analyze": ("Analysis", "analyze"),
    "analysis.plan": ("Plan", "models", "plan"),
    "errors": ("AgentgenError", "ConfigError", "ModelError", "PlanError", "RunError", "TraceError"),
    "pages.write": ("report",),
    "analysis.simulate": ("Simulation", "simulate"),
    "run": ("write_run",),
}

__all__ = [
    "AgentgenError",
    "Analysis",
    "Batch",
    "Batches",
    "ConfigError",
    "Finding",
    "ModelError",
    "Plan",
    "PlanError",
    "Report",
    "RunError",
    "Simulation",
    "Trace",
    "TraceError",
    "__version__",
    "analyze",
    "convert",
    "generate",
    "merge",
    "models",
    "plan",
    "presets",
    "read",
    "report",
    "scan",
    "simulate",
    "validate",
    "write_run",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module  # noqa: PLC0415  as above

    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"agentgen.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'agentgen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
