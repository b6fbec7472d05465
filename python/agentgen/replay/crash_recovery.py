"""Records for the requests of a worker that died: its counters survive in shared memory, its last records do not."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from pathlib import Path
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen.replay.counters import PHASES, Counters

if TYPE_CHECKING:
    from collections.abc import Iterator


def record_lost_requests(records: str, cells: memoryview, worker: int) -> None:
    """Write a record file that balances the counters of a dead worker: requests without a record are lost."""
    recorder = _native.Recorder(str(Path(records).with_name(f"worker-{worker}-lost.jsonl")), worker)
    now = monotonic_ns()
    for phase in PHASES:
        counts = Counters(cells, phase).to_dict()
        planned, issued, unfinished = _recorded(Path(records), phase)
        missing = counts["planned"] - planned  # requests of sessions without a record
        if missing <= 0:
            continue
        lost = min(max(counts["issued"] - issued, 0), missing - unfinished)
        key = f"worker {worker} died"
        for turn in range(lost):
            recorder.request(
                {
                    "session": 0,
                    "key": key,
                    "turn": turn,
                    "phase": phase,
                    "url": 0,
                    "scheduled_ns": now,
                    "intended_ns": now,
                    "sent_ns": None,
                    "context_tokens": 0,
                    "input_tokens": 0,
                    "output_tokens": 0,
                    "outcome": "worker_lost",
                    "status": 0,
                    "retries": 0,
                },
                None,
            )
        recorder.session(
            {
                "session": 0,
                "key": key,
                "phase": phase,
                "planned": missing,
                "opened_ns": now,
                "closed_ns": now,
                "skipped": 0,
                "cancelled": 0,
                "never_issued": missing - unfinished - lost,
            }
        )
    recorder.close()


def _recorded(records: Path, phase: str) -> tuple[int, int, int]:
    """Requests planned by recorded sessions, requests issued, and recorded requests of sessions without a record."""
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
    """The complete records of a file."""
    with suppress(FileNotFoundError), records.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            with suppress(ValueError):  # truncated when the worker died
                yield json.loads(line)
