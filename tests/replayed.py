"""Run directories as `agentgen replay` writes them, with simulated times: no server, no waiting."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any, cast

from agentgen import _native

if TYPE_CHECKING:
    from pathlib import Path

    from agentgen.replay.records import RequestRecord, SessionRecord

MS = 1_000_000
SETTINGS = {
    "url": ["http://127.0.0.1:8000/v1"],
    "embedded_server": False,
    "model": "m",
    "endpoint": "chat",
    "stream": True,
    "load": "closed",
    "concurrency": 3,
    "time_scale": 0.5,
    "warmup_sessions": 1,
    "workers": 3,
    "retries": 0,
    "header": ["X-Tenant"],
    "request_json": {"user": "sk-secret"},
}
TRACE = {"path": "a.jsonl", "kind": "block-hash", "sessions": 24, "requests": 240, "tokens": "exact"}


def request_record(session: int, turn: int, at_ns: int, **fields: Any) -> RequestRecord:
    """The record of a request sent at its scheduled time that succeeded; `fields` replace others of its fields."""
    record: RequestRecord = {
        "session": session,
        "key": f"s{session}",
        "turn": turn,
        "phase": "run",
        "url": 0,
        "scheduled_ns": at_ns,
        "intended_ns": at_ns,
        "sent_ns": at_ns,
        "context_tokens": 512,
        "input_tokens": 256,
        "output_tokens": 5,
        "outcome": "ok",
        "status": 200,
        "retries": 0,
    }
    return cast("RequestRecord", {**record, **fields})


def session_record(session: int, planned: int, opened_ns: int, closed_ns: int, **fields: Any) -> SessionRecord:
    """The record of a session without failures; `fields` replace others of its fields."""
    record: SessionRecord = {
        "session": session,
        "key": f"s{session}",
        "phase": "run",
        "planned": planned,
        "opened_ns": opened_ns,
        "closed_ns": closed_ns,
        "skipped": 0,
        "cancelled": 0,
        "never_issued": 0,
    }
    return cast("SessionRecord", {**record, **fields})


def replayed(directory: Path, *, sessions: int = 8, turns: int = 40, **options: Any) -> dict[str, Any]:
    """Write the records of three workers with one slot each, with failures and a warm-up, and their summary."""
    (directory / "records").mkdir(parents=True)
    for worker in range(3):
        chance = random.Random(worker)  # noqa: S311  no secret
        recorder = _native.Recorder(directory / "records" / f"worker-{worker}.jsonl", worker)
        now = _session(recorder, chance, 10**12, worker, 2, phase="warmup")
        for number in range(sessions):
            now = _session(recorder, chance, now, 3 * number + worker, turns)
        recorder.loop_lag(50_000)
        recorder.close()
    stated = {"concurrency": 3, "settings": SETTINGS, "trace": TRACE, "slo": {"ttft_ms": 60.0}, **options}
    summary: dict[str, Any] = json.loads(_native.summarize(directory, json.dumps(stated)))
    (directory / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return summary


def _session(
    recorder: _native.Recorder, chance: random.Random, opened: int, number: int, turns: int, phase: str = "run"
) -> int:
    """Record one session; some fail half-way. Returns its end, ns."""
    now = opened
    fails = turns // 2 if number % 5 == 4 else turns
    for turn in range(min(turns, fails + 1)):
        sent = now + chance.randrange(MS)
        parsed, outcome, status = _answer(chance, sent, turn), "ok", 200
        if turn == fails:
            parsed, outcome, status = _native.Answer("chat", stream=True), "http_error", 503
        prompt = 512 + 64 * turn
        lengths = {"context_tokens": prompt, "input_tokens": 64}
        ended = {"phase": phase, "outcome": outcome, "status": status}
        recorder.request(request_record(number, turn, now, sent_ns=sent, **lengths, **ended), parsed)
        now = parsed.last_byte_ns or sent + 1
    skipped = max(0, turns - fails - 1)
    recorder.session(session_record(number, turns, opened, now, phase=phase, skipped=skipped))
    return now


def _answer(chance: random.Random, sent: int, turn: int) -> _native.Answer:
    """A stream of five tokens with a random time to the first one."""
    parsed = _native.Answer("chat", stream=True)
    first = sent + round(chance.lognormvariate(3, 1) * MS)
    for at in range(5):
        event = {"choices": [{"index": 0, "delta": {"content": f" w{at}"}}]}
        parsed.feed(b"data: " + json.dumps(event).encode() + b"\n\n", first + at * 2 * MS)
    prompt = 512 + 64 * turn
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 512 if turn else 0},
    }
    last = first + 10 * MS
    parsed.feed(b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\ndata: [DONE]\n\n", last)
    parsed.end("complete", stamp_ns=last)
    return parsed


def chunk(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode() + b"\r\n\r\n"


def answer(sent_ns: int, ttft_ns: int, tokens: int, cached: int = 0) -> _native.Answer:
    """A stream: the first token after `ttft_ns`, then one per millisecond."""
    parsed = _native.Answer("chat", stream=True)
    for at in range(tokens):
        parsed.feed(chunk(f" w{at}"), sent_ns + ttft_ns + at * MS)
    usage = {"prompt_tokens": 512, "completion_tokens": tokens, "prompt_tokens_details": {"cached_tokens": cached}}
    last = sent_ns + ttft_ns + tokens * MS
    parsed.feed(b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\ndata: [DONE]\n\n", last)
    parsed.end("complete", stamp_ns=last + 1)
    return parsed


def write_run(directory: Path, *, sessions: int = 40, turns: int = 3, scale: float = 1.0, seed: int = 0) -> list[float]:
    """Write the records of a run with one slot; returns the random times to first token, ms."""
    chance = random.Random(seed)  # noqa: S311  no secret
    (directory / "records").mkdir(parents=True)
    recorder = _native.Recorder(directory / "records" / "worker-0.jsonl", 0)
    now, times = 10**12, []
    for session in range(sessions):
        opened = now
        for turn in range(turns):
            ttft = round(chance.lognormvariate(3, 1) * scale * MS)
            lag = chance.randrange(100_000)
            parsed = answer(now + lag, ttft, 5, cached=256 * (turn > 0))
            recorder.request(request_record(session, turn, now, sent_ns=now + lag), parsed)
            times.append(ttft / MS)
            assert parsed.last_byte_ns is not None
            now = parsed.last_byte_ns
        recorder.session(session_record(session, turns, opened, now))
    recorder.loop_lag(50_000)
    recorder.close()
    return times
