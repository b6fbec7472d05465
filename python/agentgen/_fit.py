"""Configurations estimated from traces."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen.analysis.fidelity import paths
from agentgen.analysis.figures import assumptions

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from agentgen.units import Count

    StrPath = str | os.PathLike[str]

WIDTH = 118  # columns of the file
# Sections in the order of the file.
SECTIONS = (
    "max_prompt_tokens",
    "block_size",
    "cache",
    "generation_length",
    "triggers",
    "session_effects",
    "output_kept",
    "context_windows",
    "breaks",
    "subagents",
    "restart_initial_probability",
    "arrival",
    "calibrate",
)


class Fit:
    """A configuration estimated from traces.

    Attributes:
        config: The configuration, as `generate` and `write_run` take it.
        choices: For each distribution its field, the number of values, the chosen family, and the score of each family:
            the mean log-likelihood of values that the estimate has not seen.
        conversations: Sessions of main agents that it was estimated from.
        calls: Calls that it was estimated from.
    """

    config: dict[str, Any]
    choices: list[dict[str, Any]]
    conversations: int
    calls: int

    def __init__(self, text: str) -> None:
        self._text = text
        self.config = {name: self._data["config"][name] for name in SECTIONS if name in self._data["config"]}
        self.choices = self._data["choices"]
        self.conversations = self._data["conversations"]
        self.calls = self._data["calls"]

    @cached_property
    def _data(self) -> dict[str, Any]:
        return self.to_dict()

    def __repr__(self) -> str:
        return f"Fit(conversations={self.conversations}, calls={self.calls})"

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data, a new copy with each call."""
        data: dict[str, Any] = json.loads(self._text)
        return data

    def to_yaml(self) -> str:
        """The configuration as a file, with comments that say where each section comes from."""
        about = f"# Estimated by agentgen fit from {self.calls:,} calls in {self.conversations:,} sessions.\n"
        return about + "".join(self._section(name, value) for name, value in self.config.items())

    def _section(self, name: str, value: Any) -> str:
        import yaml  # noqa: PLC0415  slow to import

        chosen = [
            f"#   {choice['field']}: {choice['chosen']} ({choice['values']:,} values)\n"
            for choice in self.choices
            if choice["field"].split(".")[0] == name
        ]
        # Innermost objects and lists are on one line.
        flow = None if isinstance(value, (dict, list)) else False
        text: str = yaml.safe_dump({name: value}, sort_keys=False, width=WIDTH, default_flow_style=flow)
        return f"\n# {self._data['origins'][name]}\n{''.join(chosen)}{text}"


def fit(
    runs: StrPath | Sequence[StrPath],
    *,
    half: bool = False,
    trace_layout: str | None = None,
    trace_block_size: Count | None = None,
    threads: int | None = None,
) -> Fit:
    """Estimate a configuration from traces of real agents.

    The result is a function of the rows alone. `fidelity` says how far a run generated with it is from the traces.

    Args:
        runs: One trace or several: run directories (of `import_sessions`), JSONL or Parquet files.
        half: Use half of the sessions, by a hash of their names; `fidelity` with `half` compares with the other half.
        trace_layout: Layout of traces that do not state it.
        trace_block_size: Tokens per hash id of traces that do not state it.
        threads: Worker threads (default: one per core); they do not change the result.

    Returns:
        The configuration, and how each distribution was chosen.

    Raises:
        TraceError: A trace cannot be read, or there are fewer than 10 sessions.
        OSError: A file cannot be read.
        ValueError: Another argument is out of range.
    """
    assumed = assumptions(trace_layout=trace_layout, trace_block_size=trace_block_size, threads=threads)
    return Fit(_native.fit(paths(runs), assumed, odd=False if half else None))
