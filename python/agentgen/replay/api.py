"""The public functions of a replay."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentgen.errors import ReplayError
from agentgen.replay.figures import Summary
from agentgen.replay.prepare import prepare
from agentgen.replay.run import default_name
from agentgen.replay.run import replay as play
from agentgen.replay.settings import ReplaySettings, load_settings

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from agentgen.replay.supervise import WorkersState

    StrPath = str | os.PathLike[str]


def replay(
    trace: StrPath,
    settings: ReplaySettings | Mapping[str, Any] | StrPath | None = None,
    *,
    output: StrPath | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> Summary:
    """Replay a trace against a server, or the embedded one, and measure it (`docs/replay.md`).

    Worker processes import the program that calls this function, so a script needs `if __name__ == "__main__":`. Ctrl-C
    lets requests in flight finish and returns the figures so far; a second one cancels them.

    Args:
        trace: A run directory, a block-hash trace, or a file of multi-turn messages.
        settings: `ReplaySettings`, a mapping of their fields, or a JSON, YAML or TOML file (default: all defaults).
        output: The run directory to create, with `summary.json` and `requests.parquet`
            (default: `<trace>_replay_<UTC time>`).
        progress: Called with the phase (`warmup`, `run`) and the requests ended in it, a few times per second.

    Returns:
        The figures.

    Raises:
        ReplayError: Settings are invalid, or server, model, trace and settings do not fit together.
        RunError: `output` exists, or a worker could not write.
        TraceError: The trace cannot be read.
        OSError: A file cannot be read or written.

    Examples:
        >>> manifest = agentgen.write_run(directory, sessions=2, max_osl=30)
        >>> settings = agentgen.ReplaySettings(concurrency=2, max_delay=0)
        >>> summary = agentgen.replay(directory, settings, output=directory / "replay")
        >>> summary.to_dict()["run"]["counters"]["succeeded"] == manifest["written"]["turns"]
        True
    """
    path = Path(trace)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or directory")
    directory = Path(default_name(path)) if output is None else Path(output)
    if directory.exists():
        raise ReplayError(f"output: found {directory}, which exists, expected a new directory")

    def tick(phase: str, state: WorkersState) -> None:
        if progress is not None and phase:
            progress(phase, state.ended(phase))

    with prepare(path, _settings(settings)) as prepared:
        play(prepared, directory, tick)
    return Summary((directory / "summary.json").read_text(encoding="utf-8"))


def _settings(settings: ReplaySettings | Mapping[str, Any] | StrPath | None) -> ReplaySettings:
    if isinstance(settings, ReplaySettings):
        stated = {name: getattr(settings, name) for name in settings.model_fields_set}
        return load_settings(None, stated, place="settings.{}".format)
    if isinstance(settings, Mapping):
        return load_settings(None, settings, place="settings.{}".format)
    return load_settings(None if settings is None else Path(settings), {})
