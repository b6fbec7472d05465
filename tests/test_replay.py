"""`agentgen replay` end to end, against test servers and the embedded server."""

from __future__ import annotations

import asyncio
import errno
import http.server
import json
import os
import random
import re
import shlex
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from agentgen.pages import render
from agentgen.replay.counters import CELLS, Counters
from conftest import ROOT, command
from replay_server import HEAD, Received, chunked, event, plain, refuse, serving, tokens
from small_traces import BLOCK, options, summary_of, write_trace

if TYPE_CHECKING:
    import socketserver
    from pathlib import Path

    from conftest import Invoke, Run

# A checkout without the chart library writes no page.
PAGE = (ROOT / "python" / "agentgen" / "pages" / "static" / render.CHARTS).exists()
WRITTEN = ["records", *(["replay.html"] if PAGE else []), "requests.parquet", "summary.json"]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return write_trace(tmp_path / "trace.jsonl", 12, 3)


def counts_of(summary: dict[str, Any], phase: str = "run") -> dict[str, int]:
    """The counts of requests, which balance in every summary."""
    counts: dict[str, int] = summary[phase]["counters"]
    ends = ("succeeded", "failed", "cancelled", "skipped", "never_issued")
    assert counts["planned"] == sum(counts[end] for end in ends), counts
    return counts


# --- whole runs ---------------------------------------------------------------------------------------------------


def test_a_generated_run_needs_no_server(run: Run, tmp_path: Path) -> None:
    run("generate", "--sessions", 8, "--max-isl", 60_000, "--output", tmp_path, "--name", "run", "--quiet")
    short = ("--request-json", '{"max_tokens": 20}', "--duration", "8s", "--grace", 0)
    more = ("--time-scale", 0, *short, "--output", tmp_path, "--name", "out")
    done = run("replay", tmp_path / "run", *more)
    assert "(embedded)" in done.stderr
    summary = summary_of(tmp_path / "out")
    counts = counts_of(summary)
    assert counts["failed"] == 0
    assert counts["succeeded"] > 0
    assert counts["cancelled"] > 0  # the server takes the time that it models
    assert summary["settings"]["embedded_server"]
    assert not summary["incomplete"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == WRITTEN


def test_every_request_of_the_trace_is_sent_in_order(trace: Path, run: Run, tmp_path: Path) -> None:
    with serving() as server:
        run("replay", trace, *options(server.url, tmp_path, "--workers", 2))
        assert len(server.requests) == 36
        sizes: dict[str, list[int]] = {}
        for received in server.requests:
            sizes.setdefault(received.session, []).append(len(received.json["messages"]))
        assert all(count == [1, 3, 5] for count in sizes.values())
        for received in server.requests:
            assert received.json["stream_options"] == {"include_usage": True}
            assert received.json["model"] == "m"
    assert counts_of(summary_of(tmp_path / "out"))["succeeded"] == 36


def test_a_request_on_a_connection_that_the_server_closed_is_sent_again(trace: Path, run: Run, tmp_path: Path) -> None:
    """llama.cpp's server closes connections unannounced after a stream; the next turn may already be on its way."""
    hung_up = 0

    async def once(received: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal hung_up
        if sum(one.connection == received.connection for one in server.requests) == 1:
            await plain(received, writer)
        else:
            hung_up += 1
            writer.close()

    with serving(once) as server:
        run("replay", trace, *options(server.url, tmp_path))
    summary = summary_of(tmp_path / "out")
    assert counts_of(summary)["succeeded"] == 36
    assert summary["run"]["retried_requests"] == 24  # all but the first of each session
    assert summary["run"]["retries"] == hung_up == 24  # each on a connection of its own
    assert summary["run"]["latency"]["lag_ms"]["count"] == 12  # it is not the client's doing


def test_counts_balance_after_two_hundred_sessions_with_faults(run: Run, tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "trace.jsonl", 200, 5)
    draw = random.Random(5)  # noqa: S311  faults, not secrets
    dropped: set[bytes] = set()  # as often as they are sent

    async def faulty(received: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(draw.random() * 0.004)
        drawn = draw.choices(["plain", "refuse", "drop", "error", "stall", "cut"], [90, 2, 2, 2, 2, 2])[0]
        match "drop" if received.body in dropped else drawn:
            case "plain":
                await plain(received, writer)
            case "refuse":
                refuse(writer, draw.choice(["500 Internal Server Error", "429 Too Many Requests"]))
            case "drop":
                dropped.add(received.body)
                writer.close()
            case "error":
                body = event(content="a") + b'data: {"error": {"message": "overloaded", "code": 503}}\n\n'
                writer.write(HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            case "stall":
                await asyncio.sleep(5)
            case "cut":
                writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(tokens(2))[:-40])
                await writer.drain()
                writer.close()

    with serving(faulty) as server:
        run("replay", trace, *options(server.url, tmp_path, "--workers", 2, "--timeout", "300ms"), code=1)
        assert server.most_running <= 16 + 4  # the server sees the end of a connection a little later
        stalled = len(server.disconnects)
    summary = summary_of(tmp_path / "out")
    counts = counts_of(summary)
    assert counts["planned"] == 1000
    outcomes = summary["run"]["outcomes"]
    assert counts["failed"] == sum(count for outcome, count in outcomes.items() if outcome != "ok") > 10
    assert {"ok", "http_error", "connection_lost", "server_error", "stream_truncated", "timeout_total"} <= set(outcomes)
    assert stalled >= outcomes["timeout_total"]  # the client closed the connection of each
    assert counts["skipped"] > 0
    assert not summary["errors"]


@pytest.mark.parametrize("position", ["only", "after a token"])
def test_an_error_event_in_a_stream_fails_the_request_with_its_message(position: str, run: Run, tmp_path: Path) -> None:
    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        body = event(content="a") if position == "after a token" else b""
        body += b'data: {"error": {"message": "out of blocks", "code": 503}}\n\ndata: [DONE]\n\n'
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    with serving(answer) as server:
        done = run("replay", write_trace(tmp_path / "t.jsonl", 1, 2), *options(server.url, tmp_path), code=1)
    assert "1 session failed with server_error, such as: " in done.stderr
    assert "out of blocks" in done.stderr
    summary = summary_of(tmp_path / "out")
    assert summary["run"]["outcomes"] == {"server_error": 1}
    assert counts_of(summary)["skipped"] == 1


def test_events_with_crlf_line_ends_are_parsed_as_they_arrive(run: Run, tmp_path: Path) -> None:
    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        first, rest = event(content="a"), tokens(1)
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % (len(first + rest) + 4 + 2 * rest.count(b"\n\n") - 2))
        writer.write(first.replace(b"\n\n", b"\r\n\r\n"))
        await writer.drain()
        await asyncio.sleep(0.3)
        writer.write(rest.replace(b"\n\n", b"\r\n\r\n"))

    with serving(answer) as server:
        run("replay", write_trace(tmp_path / "t.jsonl", 1, 1), *options(server.url, tmp_path))
    latency = summary_of(tmp_path / "out")["run"]["latency"]
    assert latency["e2e_ms"]["p50"] - latency["ttft_ms"]["p50"] > 250


def test_two_servers_and_four_workers_are_sticky(run: Run, tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "trace.jsonl", 50, 6)
    with serving() as first, serving() as second:
        more = ("--url", second.url, "--workers", 4, "--session-header", "X-Session-ID", "--session-header", "X-Route")
        run("replay", trace, *options(first.url, tmp_path, *more))
        seen = [{received.session for received in server.requests} for server in (first, second)]
        assert not seen[0] & seen[1]
        assert len(seen[0] | seen[1]) == 50
        assert len(first.requests) + len(second.requests) == 300
        assert all(received.headers["x-route"] == received.session for received in first.requests)
        # Sessions go where the fewest are open, which depends on how long each takes: test_replay_http.py has the rule.
        assert min(map(len, seen)) > 10


def test_counts_balance_after_a_worker_was_killed(tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "trace.jsonl", 60, 4)

    async def slow(received: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.15)
        await plain(received, writer)

    with serving(slow) as server:
        process = subprocess.Popen(
            command("replay", trace, *options(server.url, tmp_path, "--workers", 2, "--json")),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while len(server.requests) < 40:
            time.sleep(0.02)
            assert process.poll() is None
        os.kill(worker_of(process.pid), signal.SIGKILL)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    summary = json.loads(out)
    assert summary["incomplete"]
    counts = counts_of(summary)
    outcomes = summary["run"]["outcomes"]
    assert 1 <= outcomes["worker_lost"] <= 60
    assert outcomes["ok"] >= 30 * 4  # the other worker went on to the end
    assert counts["never_issued"] > 0


def worker_of(parent: int) -> int:
    """One of the worker processes."""
    children = []
    with os.scandir("/proc") as entries:
        for entry in entries:
            if not entry.name.isdigit():
                continue
            try:
                with open(f"{entry.path}/stat", encoding="utf-8") as stat:  # noqa: PTH123
                    is_child = stat.read().rpartition(")")[2].split()[1] == str(parent)
                with open(f"{entry.path}/cmdline", encoding="utf-8") as line:  # noqa: PTH123
                    words = line.read()
            except OSError:
                continue
            if is_child and "spawn_main" in words:
                children.append(int(entry.name))
    if not children:
        pytest.skip("/proc does not show the workers: none can be killed")
    return min(children)


@pytest.mark.parametrize(("signals", "grace"), [([signal.SIGINT], "30s"), ([signal.SIGTERM, signal.SIGINT], "30s")])
def test_an_interrupted_run_keeps_what_was_measured(signals: list[signal.Signals], grace: str, tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "trace.jsonl", 40, 50)
    twice = len(signals) > 1

    async def slow(received: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60 if twice and len(server.requests) > 100 else 0.05)
        await plain(received, writer)

    with serving(slow) as server:
        process = subprocess.Popen(
            command("replay", trace, *options(server.url, tmp_path, "--grace", grace, "--quiet")),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while len(server.requests) < 60 + 45 * twice:
            time.sleep(0.02)
        for number in signals:
            process.send_signal(number)
            time.sleep(0.5)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    stopping, *aborting = err.splitlines()
    assert re.fullmatch(r"stopping: [0-9]+ requests? in flight, up to 30 s; again to abort", stopping)
    assert bool(aborting) == twice
    assert all(re.fullmatch(r"aborting: [0-9]+ requests? cancelled", said) for said in aborting)
    summary = summary_of(tmp_path / "out")
    assert summary["incomplete"]
    counts = counts_of(summary)
    assert counts["succeeded"] >= 40
    assert counts["never_issued"] > 0
    assert (counts["cancelled"] > 0) == twice
    assert counts["failed"] == 0


def test_refusals_are_retried_and_counted_separately(run: Run, tmp_path: Path) -> None:
    refused: set[tuple[str, int]] = set()

    async def busy(received: Received, writer: asyncio.StreamWriter) -> None:
        this = received.session, len(received.json["messages"])
        if this in refused:
            await plain(received, writer)
        else:
            refused.add(this)
            refuse(writer, "503 Service Unavailable", "Retry-After: 0")

    with serving(busy) as server:
        trace = write_trace(tmp_path / "trace.jsonl", 4, 2)
        run("replay", trace, *options(server.url, tmp_path, "--retries", 1))
        assert len(server.requests) == 16
    summary = summary_of(tmp_path / "out")
    assert summary["run"]["outcomes"] == {"ok": 8}
    assert summary["run"]["retries"] == 8
    assert summary["run"]["retried_requests"] == 8


def test_the_warm_up_shares_no_text_with_the_run_and_is_counted_separately(
    trace: Path, run: Run, tmp_path: Path
) -> None:
    with serving() as server:
        run("replay", trace, *options(server.url, tmp_path, "--warmup-sessions", 4))
        first = [received.json["messages"][0]["content"] for received in server.requests]
    assert len(set(first[:12])) == 4
    warm, measured = set(first[:12]), set(first[12:])
    assert not {text.split()[0] for text in warm} & {text.split()[0] for text in measured} or not warm & measured
    summary = summary_of(tmp_path / "out")
    assert counts_of(summary, "warmup")["succeeded"] == 12
    assert counts_of(summary)["succeeded"] == 36


def test_two_runs_share_text_only_with_the_same_salt(trace: Path, run: Run, tmp_path: Path) -> None:
    def prompts(name: str, *more: object) -> set[bytes]:
        with serving() as server:
            where = ("--output", tmp_path, "--name", name)
            run("replay", trace, "--url", server.url, "--trace-block-size", BLOCK, *where, *more)
            return {received.body for received in server.requests}

    assert prompts("a", "--salt", "x") == prompts("b", "--salt", "x")
    assert not prompts("c") & prompts("d")


def test_duration_and_max_sessions(run: Run, tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "trace.jsonl", 30, 3, delay_ms=400)
    with serving() as server:
        run("replay", trace, *options(server.url, tmp_path, "--duration", "600ms", "--max-sessions", 20))
    summary = summary_of(tmp_path / "out")
    counts = counts_of(summary)
    assert not summary["incomplete"]  # --duration ended it
    assert 0 < counts["succeeded"] < counts["planned"] <= 60
    assert counts["never_issued"] > 0


def test_cache_counters_of_the_server_replace_missing_usage(trace: Path, run: Run, tmp_path: Path) -> None:
    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        n = len(server.requests)
        server.metrics = (
            "# TYPE vllm:prefix_cache_queries_total counter\n"
            f'vllm:prefix_cache_queries_total{{engine="0"}} {100.0 * n}\n'
            f'vllm:prefix_cache_hits_total{{engine="0"}} {25.0 * n}\n'
        )
        await plain(received, writer)

    with serving(answer) as server:
        server.metrics = "vllm:prefix_cache_queries_total 0\nvllm:prefix_cache_hits_total 0\n"
        run("replay", trace, *options(server.url, tmp_path))
    cache = summary_of(tmp_path / "out")["run"]["cache"]
    assert cache["cache_source"] == "metrics"
    assert cache["server"]["hit_rate"] == pytest.approx(0.25)


def test_api_keys_come_from_the_environment_and_stay_out_of_results(
    trace: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    with serving() as server:
        more = ("--api-key-env", "MY_KEY", "--header", "X-Tenant: tenant-secret", "--warmup-sessions", 1)
        done = run("replay", trace, *options(server.url, tmp_path, *more))
        assert all(received.headers["authorization"] == "Bearer sk-very-secret" for received in server.requests)
        assert all(received.headers["x-tenant"] == "tenant-secret" for received in server.requests)
    written = [path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    for text in (*written, done.stdout.encode(), done.stderr.encode()):
        assert b"secret" not in text


# --- checks before ------------------------------------------------------------------------------------------------


def test_a_dry_run_describes_the_replay_and_sends_nothing(trace: Path, run: Run, tmp_path: Path) -> None:
    with serving() as server:
        done = run("replay", trace, *options(server.url, tmp_path, "--dry-run"))
        assert not server.requests
    assert "12 sessions, 36 requests" in done.stdout
    assert "closed loop, 16 open sessions" in done.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("models", "more", "expected"),
    [
        ([{"id": "a"}, {"id": "b"}], (), "found the models a, b, expected one (choose with --model)"),
        ([{"id": "llama"}], ("--model", "lama"), "found no model lama, expected one of llama (did you mean llama?)"),
        ([{"id": "a", "max_model_len": 100}], (), "expected at most the model's 100"),
        ([{"id": "a", "meta": {"n_ctx": 100}}], (), "expected at most the model's 100"),  # llama.cpp
        ([{"id": "a"}], ("--workers", 32), "found 16 open sessions for 32 workers"),
        ([{"id": "a"}], ("--prompt-mode", "token-ids"), "expected --endpoint completions"),
        (
            [{"id": "a"}],
            ("--prompt-mode", "token-ids", "--endpoint", "completions", "--history", "live"),
            "found --history live, expected recorded: answers are text",
        ),
        ([{"id": "a"}], ("--name", "trace.jsonl"), "trace.jsonl: found a file or directory, expected none"),
    ],
)
def test_settings_that_do_not_fit_are_reported_in_one_line(
    models: list[dict[str, Any]], more: tuple[object, ...], expected: str, trace: Path, invoke: Invoke, tmp_path: Path
) -> None:
    with serving() as server:
        server.models = models
        result = invoke("replay", trace, *options(server.url, tmp_path, *more), code=2)
        assert not server.requests
    assert expected in result.stderr
    assert len(result.stderr.splitlines()) == 1


def port_of(server: socketserver.BaseServer) -> int:
    return int(server.server_address[1])  # type: ignore[index]  # a pair, of this family


def test_redirects_are_not_followed(
    trace: Path, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    paths = []

    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{port_of(self.server)}/other/models")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{port_of(server)}"
        result = invoke("replay", trace, *options(url, tmp_path), code=2)
        server.shutdown()
    assert "found a redirect to" in result.stderr
    assert paths == ["/v1/models"]


@pytest.mark.parametrize("port", [0, 65_536, 99_999])
def test_an_invalid_port(port: int, trace: Path, invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("replay", trace, *options(f"http://127.0.0.1:{port}", tmp_path), code=2)
    assert "expected a port from 1 to 65535" in result.stderr


def test_no_server(trace: Path, invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("replay", trace, *options("http://127.0.0.1:9", tmp_path), code=2)
    assert "http://127.0.0.1:9/v1/models: found no server" in result.stderr


@pytest.mark.skipif(os.name != "posix", reason="limits of files are POSIX's")
def test_a_full_disk_is_reported_in_one_line(tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "trace.jsonl", 100, 3)
    with serving() as server:
        line = shlex.join(command("replay", trace, *options(server.url, tmp_path)))
        limited = ["sh", "-c", f"ulimit -f 40; exec {line}"]  # 20 kB a file: some of the records
        done = subprocess.run(limited, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "worker 0: " in done.stderr
    assert os.strerror(errno.EFBIG) in done.stderr
    assert "Traceback" not in done.stderr


def test_shared_memory_of_a_worker_has_a_fixed_size() -> None:
    cells = memoryview(bytearray(8 * CELLS)).cast("q")
    assert cells.nbytes < 10_000  # whatever the number of sessions and the length of prompts
    assert Counters(cells, "run").balanced()
