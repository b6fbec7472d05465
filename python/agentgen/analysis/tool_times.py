"""Time in tools beside time in the model: AgentTrace data sets, and imported runs whose tools have times."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen._import import ImportProblem
from agentgen.analysis.figures import Figures

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl
    from rich.console import RenderableType

    StrPath = str | os.PathLike[str]

_STATISTICS = ("mean", "min", "median", "p90", "p95", "p99", "max")
_SHARES = ("min", "median", "p95", "max")
_USED = ("latency_ms", "cpu_s", "max_rss_bytes", "read_bytes", "write_bytes")


class ToolTimes(Figures):
    """Time in tools and in the model by model and data set; `docs/import.md` defines the figures.

    The properties are polars frames. `str` gives the tables of the command.
    """

    def __repr__(self) -> str:
        groups = self._data["groups"]
        return f"{type(self).__name__}(traces={sum(group['traces'] for group in groups)}, groups={len(groups)})"

    def to_polars(self) -> pl.DataFrame:
        """A row per model and data set: counts, time in tools and in the model, share of tools in a trace."""
        counts = ("traces", "steps", "tool_calls")
        columns = {"model": "String", "dataset": "String", **dict.fromkeys(counts, "UInt64")}
        columns |= dict.fromkeys(
            ("tools_ms", "model_ms", "share_min", "share_median", "share_p95", "share_max"), "Float64"
        )
        rows = []
        for group in self._data["groups"]:
            share = group["time"]["tool_share"] or {}
            shares = {f"share_{name}": share.get(name) for name in _SHARES}
            rows.append({**{name: group[name] for name in columns if name in group}, **_split(group), **shares})
        return self._frame("to_polars", columns, rows)

    @property
    def tools(self) -> pl.DataFrame:
        """A row per tool and quantity: latency, CPU, memory, disk; mean, extremes and percentiles."""
        columns = {"model": "String", "dataset": "String", "tool": "String", "calls": "UInt64", "errors": "UInt64"}
        columns |= {"quantity": "String", "count": "UInt64", **dict.fromkeys(_STATISTICS, "Float64")}

        def rows() -> Iterator[dict[str, Any]]:
            for group in self._data["groups"]:
                for tool in group["tools"]:
                    about = {"model": group["model"], "dataset": group["dataset"], "tool": tool["name"]}
                    about |= {"calls": tool["calls"], "errors": tool["errors"]}
                    for quantity in _USED:
                        if (observed := tool[quantity]) is not None:
                            figures = {name: observed[name] for name in ("count", *_STATISTICS)}
                            yield {**about, "quantity": quantity, **figures}

        return self._frame("tools", columns, rows())

    @property
    def problems(self) -> tuple[ImportProblem, ...]:
        """Parts of the files that could not be used."""
        return tuple(ImportProblem(**problem) for problem in self._data.get("problems", ()))

    def plot(self, directory: StrPath) -> list[Path]:
        """Plot the share of tools, latency by tool, steps of a trace and tokens of a step, each as PNG and SVG.

        Args:
            directory: Created if missing; existing files are replaced.

        Returns:
            The files.

        Raises:
            ImportError: matplotlib is missing: `pip install 'agentgen-traces[plot]'`.
            OSError: A file cannot be written.
        """
        from agentgen.analysis.tool_times_plots import draw_tool_times  # noqa: PLC0415  an extra

        return draw_tool_times(self._data["groups"], Path(directory))

    def _pieces(self) -> Iterator[RenderableType]:
        from agentgen.analysis.tool_times_text import pieces  # noqa: PLC0415  rich is slow to import

        return pieces(self._data)


class AgentTrace(ToolTimes):
    """The figures of AgentTrace data sets, and their rows."""

    def __init__(self, text: str, paths: Sequence[str]) -> None:
        super().__init__(text)
        self._paths = tuple(paths)

    @property
    def spans(self) -> pl.DataFrame:
        """Tool calls that ran, with time, telemetry and exit code.

        `arguments` is `tool_input` as JSON, null if it is no Python literal. `step_number` is the step that called the
        tool: the log has no id that joins them, so tools are matched by name, in order.
        """
        return self._rows("spans")

    @property
    def llm_steps(self) -> pl.DataFrame:
        """Model calls: tokens, text, reasoning, and `tool_calls` as JSON."""
        return self._rows("llm_steps")

    def _rows(self, name: Any) -> pl.DataFrame:
        try:
            import polars as pl  # noqa: PLC0415  an extra
        except ImportError as error:
            raise ImportError(f"{name} needs polars: pip install 'agentgen-traces[polars]'") from error
        return pl.DataFrame(_native.agenttrace_frame(self._paths, name))


def _split(group: dict[str, Any]) -> dict[str, Any]:
    return {name: group["time"][name] for name in ("tools_ms", "model_ms")}


def agenttrace(paths: StrPath | Sequence[StrPath]) -> AgentTrace:
    """Time in tools and in the model of AgentTrace data sets, by model and data set.

    Args:
        paths: Files: JSON, JSONL (.gz, .zst), or the Parquet view.

    Returns:
        The figures, with `spans` and `llm_steps` as polars frames.

    Raises:
        TraceError: A file holds no trace.
        OSError: A file cannot be read.
    """
    listed = [os.fspath(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    return AgentTrace(_native.agenttrace_times(listed), listed)


def run_tool_times(path: StrPath) -> ToolTimes | None:
    """The same of an imported run; None for any other trace, and if no tool has a time."""
    text = _native.run_tool_times(os.fspath(path))
    return None if text is None else ToolTimes(text)
