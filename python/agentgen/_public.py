"""The public names of `agentgen`: the only list of them."""

from __future__ import annotations

from agentgen._api import convert, generate, merge, presets, read, validate
from agentgen._batches import Batches, Trace
from agentgen._export import Export, Loss, export, export_formats
from agentgen._fit import Fit, fit
from agentgen._import import ImportedRun, ImportProblem, import_formats, import_sessions
from agentgen._native import Batch, __version__
from agentgen._record import Recorder, record
from agentgen._rollouts import rollouts
from agentgen._scan import scan
from agentgen._serve import Server, serve
from agentgen._validation import Finding, ValidationReport
from agentgen.analysis.analyze import Analysis, analyze
from agentgen.analysis.fidelity import Fidelity, fidelity
from agentgen.analysis.plan import Plan, models, plan
from agentgen.analysis.simulate import Simulation, simulate
from agentgen.analysis.tool_times import AgentTrace, agenttrace
from agentgen.errors import (
    AgentgenError,
    ConfigError,
    DistillError,
    ModelError,
    PlanError,
    ReplayError,
    RunError,
    TraceError,
    UsageError,
)
from agentgen.pages.write import report
from agentgen.replay.figures import Comparison, Summary, compare
from agentgen.replay.settings import ReplaySettings
from agentgen.run import write_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentgen.replay.api import replay
else:
    from agentgen import replay  # the package, which is callable

__all__ = [
    "AgentTrace",
    "AgentgenError",
    "Analysis",
    "Batch",
    "Batches",
    "Comparison",
    "ConfigError",
    "DistillError",
    "Export",
    "Fidelity",
    "Finding",
    "Fit",
    "ImportProblem",
    "ImportedRun",
    "Loss",
    "ModelError",
    "Plan",
    "PlanError",
    "Recorder",
    "ReplayError",
    "ReplaySettings",
    "RunError",
    "Server",
    "Simulation",
    "Summary",
    "Trace",
    "TraceError",
    "UsageError",
    "ValidationReport",
    "__version__",
    "agenttrace",
    "analyze",
    "compare",
    "convert",
    "export",
    "export_formats",
    "fidelity",
    "fit",
    "generate",
    "import_formats",
    "import_sessions",
    "merge",
    "models",
    "plan",
    "presets",
    "read",
    "record",
    "replay",
    "report",
    "rollouts",
    "scan",
    "serve",
    "simulate",
    "validate",
    "write_run",
]
