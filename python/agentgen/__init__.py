"""Agentic LLM request traces with KV-cache identity: generate, read, scan, validate.

    import agentgen

    for batch in agentgen.generate("default", sessions=1_000_000):     # Arrow batches, without a copy
        ...
    agentgen.scan("default", sessions=1_000_000)                       # polars LazyFrame, columns pruned before made
    agentgen.read("run/dataset.jsonl")                                 # any supported trace as the same table

Each function takes the table of `docs/trace-format.md` (one row a request) and neither needs the command nor, for
`generate` and `scan`, any file. Rows are made by compiled code that lets go of the GIL while it works.
"""

from agentgen._api import convert, generate, merge, presets, read, validate
from agentgen._batches import Batches, Trace
from agentgen._native import Batch, __version__
from agentgen._report import Finding, Report
from agentgen._scan import scan
from agentgen.errors import AgentgenError, ConfigError, RunError, TraceError
from agentgen.run import write_run

__all__ = [
    "AgentgenError",
    "Batch",
    "Batches",
    "ConfigError",
    "Finding",
    "Report",
    "RunError",
    "Trace",
    "TraceError",
    "__version__",
    "convert",
    "generate",
    "merge",
    "presets",
    "read",
    "scan",
    "validate",
    "write_run",
]
