"""Time in tools and in the model as plots: PNG and SVG files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

import agentgen.analysis.plots as style  # first: it says which extra is missing
from agentgen.text.format import printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Line = tuple[str, list[float]]


def draw_tool_times(groups: list[dict[str, Any]], directory: Path) -> list[Path]:
    """Draw each quantity as the cumulative share of traces, steps or calls; returns the files."""
    directory.mkdir(parents=True, exist_ok=True)
    lines = {
        "tool_share": ("share of tools in the time of a trace", _of_groups(groups, ("time", "tool_share"))),
        "tool_latency": ("latency of tools, ms", _of_tools(groups)),
        "steps_per_trace": ("steps of a trace", _of_groups(groups, ("steps_per_trace",))),
        "input_tokens": ("prompt tokens of a step", _of_groups(groups, ("input_tokens",))),
        "output_tokens": ("output tokens of a step", _of_groups(groups, ("output_tokens",))),
        "reasoning": ("length of a step's reasoning", _of_groups(groups, ("reasoning", "length"))),
    }
    drawn = []
    with mpl.rc_context(style.STYLE):
        for name, (title, found) in lines.items():
            figure = Figure(figsize=style.INCHES, layout="constrained")
            axes = figure.add_subplot(title=title, ylim=(0, 1))
            for index, (label, quantiles) in enumerate(found):
                shares = [step / (len(quantiles) - 1) for step in range(len(quantiles))]
                axes.plot(quantiles, shares, label=printable(label), color=style.COLOURS[index % len(style.COLOURS)])
            if not axes.lines:
                continue
            if name == "tool_latency":
                axes.set_xscale("symlog", linthresh=0.01)  # a tool may take no time
                axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
            axes.yaxis.set_major_formatter(PercentFormatter(1))
            figure.legend(loc="outside lower left", fontsize=8, frameon=False)
            for form in style.FORMATS:
                path = directory / f"{name}.{form}"
                figure.savefig(path, dpi=100, metadata={"Date": None} if form == "svg" else {"Software": None})
                drawn.append(path)
    return drawn


def _label(group: dict[str, Any]) -> str:
    return ", ".join(filter(None, (group["model"], group["dataset"]))) or "unknown model"


def _of_groups(groups: list[dict[str, Any]], keys: tuple[str, ...]) -> Iterator[Line]:
    for group in groups:
        observed: Any = group
        for key in keys:
            observed = observed and observed[key]
        if observed:
            yield _label(group), observed["quantiles"]


def _of_tools(groups: list[dict[str, Any]]) -> Iterator[Line]:
    for group in groups:
        for tool in group["tools"]:
            if tool["latency_ms"]:
                yield f"{tool['name']} ({_label(group)})", tool["latency_ms"]["quantiles"]
