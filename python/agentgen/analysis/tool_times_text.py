"""Time in tools and in the model as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgen.text.format import counted, duration, number, percent
from agentgen.text.layout import BLANK, Facts, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    Group = dict[str, Any]

PERCENTILES = ("median", "p95", "p99", "max")
MIB = 2**20
TIME_HEADINGS = ["tools", "model", "share of tools: all", "min", "median", "p95", "max"]
USED_HEADINGS = ["CPU s: median", "p95", "memory MiB: median", "max", "read MiB: median", "max"]
USED_HEADINGS += ["written MiB: median", "max"]
SIZES = ("max_rss_bytes", "read_bytes", "write_bytes")


def pieces(data: dict[str, Any]) -> Iterator[RenderableType]:
    """Groups side by side, then the tools of each."""
    groups = data["groups"]
    names = [_name(group) for group in groups]
    yield Table(
        "",
        ["traces", "steps", "tool calls"],
        [
            (name, [f"{group[count]:,}" for count in ("traces", "steps", "tool_calls")])
            for name, group in zip(names, groups, strict=True)
        ],
    )
    yield BLANK
    yield Table(
        "time in tools and in the model",
        TIME_HEADINGS,
        [(name, _time(group)) for name, group in zip(names, groups, strict=True)],
        notes=["shares of the time of each trace"],
    )
    for title, key in (
        ("steps of a trace", "steps_per_trace"),
        ("prompt tokens of a step", "input_tokens"),
        ("output tokens of a step", "output_tokens"),
    ):
        rows = [(name, _figures(group[key])) for name, group in zip(names, groups, strict=True) if group[key]]
        if rows:
            yield BLANK
            yield Table(title, ["mean", *PERCENTILES], rows)
    reasoned = [(name, group["reasoning"]) for name, group in zip(names, groups, strict=True) if group["reasoning"]]
    if reasoned:
        yield BLANK
        yield Table(
            "reasoning of a step",
            ["steps", "unit", "mean", *PERCENTILES, "per output token", "correlation"],
            [(name, _reasoning(reasoning)) for name, reasoning in reasoned],
        )
    for name, group in zip(names, groups, strict=True):
        yield from _tools(name, group["tools"])
    if problems := data.get("problems"):
        yield BLANK
        yield Facts([("left out", [counted(len(problems), "row")])])


def _name(group: Group) -> str:
    return ", ".join(filter(None, (group["model"], group["dataset"]))) or "unknown model"


def _time(group: Group) -> list[str]:
    time, share = group["time"], group["time"]["tool_share"]
    if share is None:
        return ["unknown"] * 2 + ["-"] * 5
    total = time["tools_ms"] + time["model_ms"]
    return [
        duration(time["tools_ms"]),
        duration(time["model_ms"]),
        percent(time["tools_ms"] / total if total else None),
        *(percent(share[name]) for name in ("min", "median", "p95", "max")),
    ]


def _figures(observed: dict[str, float]) -> list[str]:
    return [number(observed[name]) for name in ("mean", *PERCENTILES)]


def _reasoning(reasoning: dict[str, Any]) -> list[str]:
    rates = (reasoning["per_output_token"], reasoning["correlation"])
    shown = ["-" if rate is None else f"{rate:.2f}" for rate in rates]
    return [f"{reasoning['steps']:,}", reasoning["unit"], *_figures(reasoning["length"]), *shown]


def _tools(name: str, tools: list[dict[str, Any]]) -> Iterator[RenderableType]:
    if not tools:
        return
    yield BLANK
    yield Table(
        f"tools of {name}",
        ["calls", "failed", *PERCENTILES, "exit codes"],
        [
            (tool["name"] or "-", [f"{tool['calls']:,}", f"{tool['errors']:,}", *_latency(tool), _codes(tool)])
            for tool in tools
        ],
        notes=["latency: from the call to its result"],
    )
    if any(tool["cpu_s"] or tool["max_rss_bytes"] for tool in tools):
        yield BLANK
        yield Table(
            f"what tools of {name} used",
            [
                "CPU s: median",
                "p95",
                "memory MiB: median",
                "max",
                "read MiB: median",
                "max",
                "written MiB: median",
                "max",
            ],
            [(tool["name"] or "-", _used(tool)) for tool in tools],
            groups=[2, 2, 2, 2],
            notes=["memory: peak of the process that ran the tool"],
        )


def _latency(tool: dict[str, Any]) -> list[str]:
    observed = tool["latency_ms"]
    return ["-"] * len(PERCENTILES) if observed is None else [duration(observed[name]) for name in PERCENTILES]


def _codes(tool: dict[str, Any]) -> str:
    return " ".join(f"{code}:{count:,}" for code, count in tool["exit_codes"].items()) or "-"


def _used(tool: dict[str, Any]) -> list[str]:
    def pair(quantity: str, names: tuple[str, str], unit: float, digits: int) -> list[str]:
        observed = tool[quantity]
        return ["-", "-"] if observed is None else [f"{observed[name] / unit:,.{digits}f}" for name in names]

    return [
        *pair("cpu_s", ("median", "p95"), 1, 4),
        *(
            cell
            for name in ("max_rss_bytes", "read_bytes", "write_bytes")
            for cell in pair(name, ("median", "max"), MIB, 1)
        ),
    ]
