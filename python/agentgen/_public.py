"""The public names of `agentgen`: the only list of them."""

from __future__ import annotations

from agentgen._api import convert, generate, merge, presets, read, validate
from agentgen._batches import Batches, Trace
from agentgen._native import Batch, __version__
from agentgen._scan import scan
from agentgen._validation import Finding, ValidationReport
from agentgen.analysis.analyze import Analysis, analyze
from agentgen.analysis.plan import Plan, models, plan
from agentgen.analysis.simulate import Simulation, simulate
from agentgen.errors import AgentgenError, ConfigError, ModelError, PlanError, RunError, TraceError, UsageError
from agentgen.pages.write import report
from agentgen.run import write_run

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
    "RunError",
    "Simulation",
    "Trace",
    "TraceError",
    "UsageError",
    "ValidationReport",
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
