"""`agentgen distill` against the shared stand-in server, in each of its modes."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from agentgen.distill import client
from conftest import shared
from distilled import dataset, manifest, sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Invoke

ROWS = 4

# What a mode does, and the column that fails in it.
MODES = {
    "ok": "JSON in a fence, after prose",
    "bare": "JSON alone",
    "extra": "a key too many",
    "trailing": "a comma before the last bracket",
    "badscore": "scores as texts and with a decimal point",
    "fail_first": "no JSON in the first answer",
    "upper": "a fence in upper case",
    "tilde": "a fence of tildes",
    "two": "another object before the answer",
    "think": "thoughts before the answer",
    "newlines": "a fence within the answer",
    "ratelimit": "every fifth call is 429 with Retry-After",
    "http500": "every fourth call is 500",
    "http503": "every fourth call is 503",
}
FAILING = {
    "outofrange": ("sft_quality_judge_result", "found 7, expected 4, 3, 2, 1 or 0"),
    "always_bad": ("sft_record", "instruction: found 1, input should be a valid string"),
    "truncate": ("sft_record", "no answer of 3 fits: cut at"),
    "fourhundred": ("sft_record", "HTTP 400: fault"),
}

Start = "Callable[[str], tuple[str, Path]]"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], tuple[str, Path]]]:
    """Starts the server in a mode; gives its URL and its log."""
    servers = []

    def start(mode: str) -> tuple[str, Path]:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        log = tmp_path / f"{mode}.jsonl"
        program = shared("distill/fake.py")
        servers.append(subprocess.Popen([sys.executable, program, str(port), mode, "0", log]))
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.02)
        return f"http://127.0.0.1:{port}", log

    yield start
    for server in servers:
        server.kill()
        server.wait()


def calls(log: Path) -> list[dict[str, Any]]:
    """The completions that the server was asked for."""
    lines = map(json.loads, log.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if "kind" in line]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_WAIT_S", 0.02)


@pytest.mark.parametrize("mode", MODES)
def test_every_row_is_distilled(mode: str, serve: Any, invoke: Invoke, tmp_path: Path) -> None:
    url, log = serve(mode)
    source = sessions(tmp_path / "logs", ROWS)
    invoke("distill", source, "--url", url, "-n", ROWS, "-o", tmp_path / "out", "--quiet")
    found = manifest(tmp_path / "out")
    assert found["rows"]["distilled"] == ROWS
    assert found["calls"]["new"] == sum(call["code"] == 200 for call in calls(log))
    assert found["calls"]["retries"] == sum(call["code"] != 200 for call in calls(log))
    if mode in {"ratelimit", "http500", "http503"}:
        assert found["calls"]["retries"] > 0


@pytest.mark.parametrize("mode", FAILING)
def test_a_row_fails_with_its_column_and_reason(mode: str, serve: Any, invoke: Invoke, tmp_path: Path) -> None:
    column, reason = FAILING[mode]
    url, log = serve(mode)
    source = sessions(tmp_path / "logs", ROWS)
    command = ("distill", source, "--url", url, "-n", ROWS, "-o", tmp_path / "out", "--quiet")
    invoke(*command, code=1)
    rows = dataset(tmp_path / "out")
    assert rows["failed_column"].to_list() == [column] * ROWS
    assert all(reason in failure for failure in rows["failure"])
    paid = sum(call["code"] == 200 for call in calls(log))
    invoke(*command, "--resume", code=1)
    assert sum(call["code"] == 200 for call in calls(log)) == paid  # nothing is paid twice


def test_rows_and_order_are_those_of_data_designer(serve: Any, invoke: Invoke, tmp_path: Path) -> None:
    url, _ = serve("hash")
    for folder, kind, count in (("claude", "claude_code", 14), ("pi", "pi_coding_agent", 1)):
        oracle = shared(f"distill/oracle/{kind}.jsonl").read_text(encoding="utf-8").splitlines()
        expected = [json.loads(line)["source_path"].rpartition("/")[2] for line in oracle]
        source = shared(f"distill/oracle/{kind}.jsonl").parents[2] / "rollouts" / folder
        out = tmp_path / kind
        invoke("distill", source, "--url", url, "-n", 100, "-o", out, "--quiet")
        rows = dataset(out)
        found = [path.rpartition("/")[2] for path in rows["source_path"]]
        assert len(expected) == count
        assert [name for name in found if name in expected] == expected  # ours has more: it reads more files
        columns = json.loads(shared(f"distill/oracle/{kind}.columns.json").read_text(encoding="utf-8"))
        assert set(columns) <= set(rows.columns)
        assert rows.columns[:16] == columns[:16]
