"""The figures of an analysis as plots: PNG and SVG files."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from agentgen.analysis.timeline import order
from agentgen.text.format import counted, printable, trace_names

try:
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter
except ImportError as error:
    raise ImportError("needs matplotlib: pip install 'agentgen-traces[plot]'") from error

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.axes import Axes

    Stated = dict[str, Any]
    Plot = Callable[[Axes, Stated, dict[str, Any]], None]

FORMATS = ("png", "svg")
INCHES = (8.0, 5.0)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # distinguishable with colour blindness
LONGEST = 60  # characters of a path
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.grid": True,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#dddddd",
    "text.parse_math": False,  # a name may have any letters
    "svg.hashsalt": "agentgen",  # the same figures make the same file
}
TIMES = {1_000: "1 s", 10_000: "10 s", 60_000: "1 min", 600_000: "10 min", 3_600_000: "1 h", 28_800_000: "8 h"}
MINUTE_MS = 60_000
WORKING_SET = {"distinct_tokens": ("used at all", ":"), "recent_tokens": ("used in the last 5 min", "-")}
WORKING_SET |= {"live_tokens": ("used and needed again", "--")}


def draw(traces: list[Stated], directory: Path) -> list[Path]:
    """Draw each kind of figure, all traces in the same axes; returns the files."""
    directory.mkdir(parents=True, exist_ok=True)
    drawn = []
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # of a path, which has a box there
        for name, plot in _PLOTS.items():
            figure = _figure(traces, plot)
            if figure is None:
                continue
            for form in FORMATS:
                path = directory / f"{name}.{form}"
                figure.savefig(path, dpi=100, metadata={"Date": None} if form == "svg" else {"Software": None})
                drawn.append(path)
    return drawn


def _figure(traces: list[Stated], plot: Plot) -> Figure | None:
    """The traces under the letters that they have in the tables; `None` if none of them has the figures."""
    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.add_subplot()
    names = trace_names(len(traces))
    for index, (name, trace) in enumerate(zip(names, traces, strict=True)):
        plot(axes, trace, {"color": COLOURS[index % len(COLOURS)], "label": name if len(traces) > 1 else None})
    if not axes.lines:
        return None
    if axes.get_legend_handles_labels()[1]:
        figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    key = [
        f"{name}  {_about(trace)}" if len(traces) > 1 else _about(trace)
        for name, trace in zip(names, traces, strict=True)
    ]
    figure.supxlabel("\n".join(key), x=0.01, ha="left", fontsize=7, color="#555555")
    return figure


def _about(trace: Stated) -> str:
    path = trace["trace"]
    shown = path if len(path) <= LONGEST else f"…{path[-LONGEST:]}"
    blocks = counted(trace["block_size"], "token")
    return f"{printable(shown)}: blocks of {blocks}; {order(trace['timeline'])}"


def _curve(axes: Axes, trace: Stated, style: dict[str, Any]) -> None:
    points = [point for point in trace["reuse"]["capacity_curve"] if point["capacity_tokens"]]
    axes.plot([point["capacity_tokens"] for point in points], [point["hit_rate"] for point in points], **style)
    axes.set_title("LRU cache by capacity")
    axes.set_xscale("log")
    axes.set_xlabel("capacity, tokens")
    axes.xaxis.set_major_formatter(EngFormatter())
    _share_axis(axes, "blocks found / all blocks of the prompts")


def _ttl(axes: Axes, trace: Stated, style: dict[str, Any]) -> None:
    points = [point for point in trace["reuse"]["ttl"] if point["ttl_ms"]]
    axes.plot([point["ttl_ms"] for point in points], [point["hit_rate"] for point in points], marker=".", **style)
    axes.set_title("Infinite cache by time to live")
    axes.set_xscale("log")
    axes.set_xticks(list(TIMES), list(TIMES.values()))
    axes.minorticks_off()
    axes.set_xlabel("time since the last use after which a block is forgotten")
    _share_axis(axes, "tokens found / tokens of the prompts")


def _turns(axes: Axes, trace: Stated, style: dict[str, Any]) -> None:
    turns = [turn for turn in trace["reuse"]["by_turn"] if turn["requests"]]
    if len(turns) > 1:  # a single turn index is no distribution over turns
        axes.plot([turn["turn_index"] for turn in turns], [turn["hit_rate"] for turn in turns], marker=".", **style)
    axes.set_title("Infinite cache by turn")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("turn of the session, from 0")
    _share_axis(axes, "tokens found / tokens of the prompts")


def _working_set(axes: Axes, trace: Stated, style: dict[str, Any]) -> None:
    points = trace["reuse"]["working_set"]
    minutes = [point["time_ms"] / MINUTE_MS for point in points]
    if not axes.lines:
        for words, line in WORKING_SET.values():
            axes.plot([], [], line, color="#555555" if style["label"] else style["color"], label=words)
    for kind, (_, line) in WORKING_SET.items():
        label = style["label"] if line == "-" else None
        axes.plot(minutes, [point[kind] for point in points], line, color=style["color"], label=label)
    axes.set_title("Working set")
    axes.set_xlabel("time, min")
    axes.set_ylabel("tokens of distinct blocks")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(EngFormatter())


def _share_axis(axes: Axes, label: str) -> None:
    axes.set_ylabel(label)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))


_PLOTS: dict[str, Plot] = {"curve": _curve, "ttl": _ttl, "turns": _turns, "working_set": _working_set}
