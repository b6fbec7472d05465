"""What a worker was doing that died: its counters outlive it, its last records do not."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from pathlib import Path
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen.replay.books import PHASES, Books

if TYPE_CHECKING:
    from collections.abc import Iterator


def account_for_lost(records: str, cells: memoryview, worker: int) -> None:
    """Write a record file that closes the books of a worker: requests without a record are lost."""
    lost = _native.Recorder(str(Path(records).with_name(f"worker-{worker}-lost.jsonl")), worker)
    now = monotonic_ns()
    for phase in PHASES:
        counts = Books(cells, phase).to_dict()
        planned, issued, behind = _recorded(Path(records), phase)
        missing = counts["planned"] - planned  # of sessions without a record
        if missing <= 0:
            continue
        requests = min(max(counts["issued"] - issued, 0), missing - behind)
        key = f"worker {worker} died"
        for turn in range(requests):
            lost.request(0, key, turn, phase, 0, now, now, None, 0, 0, 0, "worker_lost", 0, 0, None)
        lost.session(0, key, phase, missing, now, now, 0, 0, missing - behind - requests)
    lost.close()


def _recorded(records: Path, phase: str) -> tuple[int, int, int]:
    """Of a phase: requests planned by sessions with a record, requests issued, requests of sessions without one."""
    planned = issued = 0
    requests: Counter[int] = Counter()
    for line in _read(records):
        if (request := line.get("request")) and request["phase"] == phase:
            requests[request["session"]] += 1
            issued += request["outcome"] != "history"
        elif (session := line.get("session")) and session["phase"] == phase:
            planned += session["planned"]
            requests.pop(session["session"], None)
    return planned, issued, requests.total()


def _read(records: Path) -> Iterator[dict[str, Any]]:
    """The records that are whole."""
    with suppress(FileNotFoundError), records.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            with suppress(ValueError):  # cut off where the worker died
                yield json.loads(line)
