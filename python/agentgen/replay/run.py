"""Plays a prepared replay and writes its run directory."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen.errors import RunError
from agentgen.replay import urls
from agentgen.replay.crash_recovery import record_lost_requests
from agentgen.replay.prepare import DEFAULT_BLOCK_TOKENS
from agentgen.replay.probe import without_refused_fields
from agentgen.replay.split import phase_names, split, transcripts_of
from agentgen.replay.supervise import run_workers
from agentgen.replay.units import MS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from agentgen.replay.prepare import PreparedReplay
    from agentgen.replay.server_info import CacheState
    from agentgen.replay.supervise import WorkersState

SUMMARY = "summary.json"


def replay(
    prepared: PreparedReplay, directory: Path, tick: Callable[[str, WorkersState], None]
) -> tuple[dict[str, Any], WorkersState]:
    """Play the trace, and write `summary.json` and `requests.parquet` into a new directory.

    Returns:
        The summary, and the final state of the workers.
    """
    prepared = without_refused_fields(prepared)
    before = prepared.servers.caches()
    try:
        directory.mkdir(parents=True)
    except FileExistsError:
        raise RunError(f"{directory}: found a file or directory, expected none; --name gives another") from None
    settings = prepared.spec.settings
    salt = settings.salt if settings.salt is not None else secrets.token_hex(16)
    phases = phase_names(prepared)
    (directory / "records").mkdir()
    for phase in phases:
        transcripts_of(directory, phase).mkdir(parents=True)
    jobs = split(prepared, directory, salt)
    started_s = time.time()
    try:
        state = run_workers(jobs, phases, tick)
    finally:
        shutil.rmtree(directory / "transcripts", ignore_errors=True)
    after = prepared.servers.caches(ended=True)
    for worker in state.died:
        record_lost_requests(jobs[worker].records, state.cells[worker], worker)
    options = {
        "incomplete": _incomplete(state),
        "server_cache": _server_cache(before, after),
        "started": _iso_time(started_s),
        "ended": _iso_time(time.time()),
        **_summary_options(prepared, salt, after),
    }
    summary: dict[str, Any] = json.loads(_native.summarize(directory, json.dumps(options)))
    summary["warnings"] = [*prepared.spec.warnings, *summary["warnings"]]
    _native.write_file(directory / SUMMARY, (json.dumps(summary, indent=2) + "\n").encode())
    return summary, state


def default_name(trace: Path) -> str:
    """Default name of the run directory: the name of the trace and the time."""
    name = re.sub(r"(\.jsonl|\.parquet)?(\.gz|\.zst)?$", "", trace.absolute().name)
    return f"{name}_replay_{datetime.now(UTC):%Y%m%d-%H%M%S}"


def _summary_options(prepared: PreparedReplay, salt: str, caches: Sequence[CacheState]) -> dict[str, Any]:
    """Facts of the trace, the settings and the server for the summary."""
    spec, settings = prepared.spec, prepared.spec.settings
    return {
        "clock": "closed" if spec.load == "closed" else "open",
        "concurrency": spec.slots or None,
        "slo": {f"{name}_ms": limit * MS_PER_S for name, limit in settings.slo.items()} if settings.slo else None,
        "prediction": _prediction(prepared, caches),
        "server_tokenizes": not (prepared.embedded or settings.prompt_mode == "token-ids"),
        "settings": {
            **settings.to_json(),
            "url": [*map(urls.shown, prepared.urls)],
            "embedded_server": prepared.embedded,
            "model": spec.model_shown,
            "load": spec.load,
            "concurrency": spec.slots or None,
            "history": settings.effective_history(prepared.spec.trace["kind"]),
            "reasoning": spec.reasoning,
            "salt": salt,
        },
        "left_out": spec.trace["left_out"],
        "trace": {"path": str(prepared.trace), **spec.trace, **prepared.prompt_lengths},
    }


def _prediction(prepared: PreparedReplay, caches: Sequence[CacheState]) -> dict[str, Any] | None:
    """Options of the predicted cache hits; None for messages, whose tokens are not known."""
    if prepared.spec.trace["kind"] != "block-hash":
        return None
    settings = prepared.spec.settings
    return {
        "trace": str(prepared.trace),
        "history": settings.effective_history(prepared.spec.trace["kind"]),
        "block_tokens": caches[0].block_tokens or DEFAULT_BLOCK_TOKENS,
        "trace_block_size": settings.trace_block_size,
    }


def _incomplete(state: WorkersState) -> str | None:
    reasons = [f"worker {worker} died" for worker in state.died]
    return "; ".join([*reasons, *(["interrupted"] if state.interrupted else [])]) or None


def _server_cache(before: Sequence[CacheState], after: Sequence[CacheState]) -> dict[str, dict[str, float]] | None:
    """The sums of all servers' cache counters; None unless every server has them, and has not restarted meanwhile."""
    sums: dict[str, dict[str, float]] = {"before": {}, "after": {}}
    for start, end in zip(before, after, strict=True):
        if start.counters is None or end.counters is None:
            return None
        for key in ("queries", "hits"):
            if end.counters[key] < start.counters[key]:
                return None
            sums["before"][key] = sums["before"].get(key, 0.0) + start.counters[key]
            sums["after"][key] = sums["after"].get(key, 0.0) + end.counters[key]
    return sums


def _iso_time(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds")
