"""A replay from beginning to end: server, checks, workers, figures."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen.errors import RunError
from agentgen.replay import control, preflight
from agentgen.replay.lost import account_for_lost
from agentgen.replay.pool import Target
from agentgen.replay.schedule import Rules
from agentgen.replay.soundness import doubts
from agentgen.replay.supervise import run_workers
from agentgen.replay.words import words_of
from agentgen.replay.worker import Job, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from agentgen.replay.preflight import Plan
    from agentgen.replay.settings import ReplaySettings
    from agentgen.replay.supervise import Outcome

SUMMARY = "summary.json"
PATHS = {"chat": "/chat/completions", "completions": "/completions"}
MS_PER_S = 1000
# Blocks of caches that do not say, as vLLM has them.
CACHE_BLOCK_TOKENS = 16


@dataclass(frozen=True)
class Prepared:
    """A replay that has passed its checks.

    Attributes:
        trace: The trace's path.
        plan: What will be done.
        urls: The servers' addresses.
        headers: Of every request; they hold the key.
        embedded: The server is this program's own.
        words: Of one token each; None for common English ones.
        tokens: How well the prompts' lengths hold on the server.
    """

    trace: Path
    plan: Plan
    urls: tuple[str, ...]
    headers: Mapping[str, str]
    embedded: bool
    words: Sequence[str] | None = None
    tokens: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def prepared(trace: Path, settings: ReplaySettings) -> Iterator[Prepared]:
    """Read the trace through, start the embedded server if no other is named, and check that they fit.

    Raises:
        TraceError: The trace cannot be read.
        ReplayError: The server, its model or the trace will not do.
    """
    described = json.loads(_native.describe_replay(trace, trace_block_size=settings.trace_block_size))
    headers = _headers(settings)
    server = None if settings.url else _native.Server(json.dumps({"block_tokens": described["block_tokens"] or 16}))
    try:
        urls = settings.url if server is None else (f"{server.url}/v1",)
        plan = preflight.check(described, settings, urls, headers)
        words, tokens = _words(settings, described["kind"], embedded=not settings.url)
        if described["kind"] == "hashed":  # messages that break a rule cannot be read at all
            plan = replace(plan, warnings=doubts(trace, settings.trace_block_size))
        yield Prepared(trace, plan, urls, headers, server is not None, words, tokens)
    finally:
        if server is not None:
            server.stop()


def _words(settings: ReplaySettings, kind: str, *, embedded: bool) -> tuple[Sequence[str] | None, dict[str, Any]]:
    """Words of one token each, and what the result says about the lengths of prompts."""
    if kind == "messages":  # their tokens are estimates, whoever counts
        return None, {"tokens": "approximate"}
    if settings.tokenizer is None:
        exact = embedded or settings.prompt_mode == "token-ids"
        return None, {"tokens": "exact" if exact else "approximate"}
    found = words_of(Path(settings.tokenizer))
    return found.words, {
        "tokens": "exact" if found.exact_share == 1 else "approximate",
        "exact_share": found.exact_share,
        "largest_difference_tokens": found.largest_difference,
    }


def replay(ready: Prepared, directory: Path, tick: Callable[[str, Outcome], None]) -> tuple[dict[str, Any], Outcome]:
    """Play the trace, and write `summary.json` and `requests.parquet` into a new directory.

    Returns:
        The summary, and what became of the workers.
    """
    before = [control.cache_counters(url, ready.headers) for url in ready.urls]
    try:
        directory.mkdir(parents=True)
    except FileExistsError:
        raise RunError(f"{directory}: found a file or directory, expected none; --name gives another") from None
    settings = ready.plan.settings
    salt = settings.salt if settings.salt is not None else secrets.token_hex(16)
    phases = (["warmup"] if settings.warmup_sessions else []) + ["run"]
    (directory / "records").mkdir()
    for phase in phases:
        (directory / "journal" / phase).mkdir(parents=True)
    jobs = [_job(ready, directory, salt, worker) for worker in range(settings.workers)]
    started = time.time()
    try:
        outcome = run_workers(jobs, phases, tick)
    finally:
        shutil.rmtree(directory / "journal", ignore_errors=True)
    after = [control.cache_counters(url, ready.headers) for url in ready.urls]
    for worker in outcome.lost:
        account_for_lost(jobs[worker].records, outcome.cells[worker], worker)
    options = {
        "incomplete": _incomplete(outcome),
        "clock": "closed" if ready.plan.load == "closed" else "open",
        "concurrency": ready.plan.slots or None,
        "slo": {f"{name}_ms": limit * MS_PER_S for name, limit in settings.slo.items()} if settings.slo else None,
        "prediction": _prediction(ready),
        "server_tokenizes": not (ready.embedded or settings.prompt_mode == "token-ids"),
        "server_cache": _server_cache(before, after),
        "started": _text(started),
        "ended": _text(time.time()),
        "settings": {
            **settings.effective(),
            "url": list(ready.urls),
            "embedded_server": ready.embedded,
            "model": ready.plan.model,
            "load": ready.plan.load,
            "concurrency": ready.plan.slots or None,
            "history": _history(settings),
            "salt": salt,
        },
        "trace": {"path": str(ready.trace), **ready.plan.trace, **ready.tokens},
    }
    summary: dict[str, Any] = json.loads(_native.summarize(directory, json.dumps(options)))
    summary["warnings"] = [*ready.plan.warnings, *summary["warnings"]]
    _write(directory / SUMMARY, summary)
    return summary, outcome


def default_name(trace: Path) -> str:
    """Name of a run directory: the trace's and the time."""
    name = re.sub(r"(\.jsonl|\.parquet)?(\.gz|\.zst)?$", "", trace.absolute().name)
    return f"{name}_replay_{datetime.now(UTC):%Y%m%d-%H%M%S}"


def _prediction(ready: Prepared) -> dict[str, Any] | None:
    """What the server's cached tokens can be predicted from: nothing is known of the tokens of messages."""
    if ready.plan.trace["kind"] != "hashed":
        return None
    settings = ready.plan.settings
    told = [control.cache_block_tokens(url, ready.headers) for url in ready.urls]
    return {
        "trace": str(ready.trace),
        "history": _history(settings),
        "block_tokens": told[0] or CACHE_BLOCK_TOKENS,
        "trace_block_size": settings.trace_block_size,
    }


def _history(settings: ReplaySettings) -> str:
    """Prompts of token ids can have no answers in them: those are text."""
    return settings.history or ("recorded" if settings.prompt_mode == "token-ids" else "live")


def _job(ready: Prepared, directory: Path, salt: str, worker: int) -> Job:
    plan, settings = ready.plan, ready.plan.settings

    def share(number: int) -> int:
        return number // settings.workers + (worker < number % settings.workers)

    def phase(name: str, *, salt: str, max_sessions: int | None, duration_s: float | None) -> Phase:
        source = {
            "endpoint": settings.endpoint,
            "prompt_mode": settings.prompt_mode,
            "history": _history(settings),
            "salt": salt,
            "words": ready.words,
            "model": plan.model,
            "stream": settings.stream,
            "request": settings.request_json,
            "is_linked": plan.trace["is_linked"],
            "journal": str(directory / "journal" / name) if plan.trace["continuations"] else None,
            "trace_block_size": settings.trace_block_size,
        }
        rules = Rules(
            delay_scale=settings.delay_scale,
            max_delay_ms=None if settings.max_delay is None else settings.max_delay * MS_PER_S,
            first_token_s=settings.first_token_timeout,
            total_s=settings.timeout,
            retries=settings.retries,
            max_sessions=None if max_sessions is None else share(max_sessions),
            recorded=plan.load == "trace",
        )
        rate = (settings.session_rate or 0.0) / settings.workers
        return Phase(name, json.dumps(source), plan.load, share(plan.slots), rate, rules, duration_s)

    run = phase("run", salt=salt, max_sessions=settings.max_sessions, duration_s=settings.duration)
    warmup = phase("warmup", salt=f"{salt}/warmup", max_sessions=settings.warmup_sessions, duration_s=None)
    return Job(
        worker=worker,
        workers=settings.workers,
        trace=str(ready.trace),
        records=str(directory / "records" / f"worker-{worker}.jsonl"),
        target=Target(
            urls=ready.urls,
            path=PATHS[settings.endpoint],
            headers=ready.headers,
            session_headers=settings.session_header,
            connect_timeout_s=settings.connect_timeout,
        ),
        endpoint=settings.endpoint,
        phases=(warmup, run) if settings.warmup_sessions else (run,),
        seed=settings.seed,
        grace_s=settings.grace,
    )


def _headers(settings: ReplaySettings) -> dict[str, str]:
    headers = {"User-Agent": f"agentgen/{_native.__version__}", "Accept": "*/*", **settings.header}
    key = settings.api_key() if settings.url else None
    if key and not {name.lower() for name in settings.header} & {"authorization"}:
        headers["Authorization"] = f"Bearer {key}"
    return headers


def _incomplete(outcome: Outcome) -> str | None:
    reasons = [f"worker {worker} died" for worker in outcome.lost]
    return "; ".join([*reasons, *(["interrupted"] if outcome.interrupted else [])]) or None


def _server_cache(
    before: Sequence[dict[str, float] | None], after: Sequence[dict[str, float] | None]
) -> dict[str, dict[str, float]] | None:
    """The counters of all servers, if each tells them."""
    ends = {"before": before, "after": after}
    if any(counters is None for end in ends.values() for counters in end):
        return None
    return {
        name: {key: sum(counters[key] for counters in end if counters) for key in ("queries", "hits")}
        for name, end in ends.items()
    }


def _text(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds")


def _write(path: Path, value: Mapping[str, Any]) -> None:
    """The file has its name only when it is whole."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
