"""Splits a prepared replay into one job per worker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentgen.replay import urls
from agentgen.replay.job import Job, Phase, Target
from agentgen.replay.load import Ramp
from agentgen.replay.rules import Rules
from agentgen.replay.units import MS_PER_S, NS_PER_S

if TYPE_CHECKING:
    from pathlib import Path

    from agentgen.replay.prepare import PreparedReplay

WARMUP, RUN = "warmup", "run"


def phase_names(prepared: PreparedReplay) -> list[str]:
    """The phases in order."""
    return [WARMUP, RUN] if prepared.spec.settings.warmup_sessions else [RUN]


def transcripts_of(directory: Path, phase: str) -> Path:
    """Directory of a phase's transcripts, which continuations read."""
    return directory / "transcripts" / phase


def split(prepared: PreparedReplay, directory: Path, salt: str) -> list[Job]:
    """One job per worker; `directory` is the run directory."""
    settings = prepared.spec.settings
    target = Target(
        urls=prepared.urls,
        path=urls.PATHS[settings.endpoint],
        headers=prepared.headers,
        session_headers=settings.session_header,
        connect_timeout_s=settings.connect_timeout,
        access=prepared.access,
    )
    return [
        Job(
            worker=worker,
            workers=settings.workers,
            trace=str(prepared.trace),
            records=str(directory / "records" / f"worker-{worker}.jsonl"),
            target=target,
            endpoint=settings.endpoint,
            phases=tuple(_phase(prepared, directory, salt, name, worker) for name in phase_names(prepared)),
            seed=settings.seed,
            secrets=prepared.secrets,
            max_answer_bytes=settings.max_answer,
            grace_s=settings.grace,
        )
        for worker in range(settings.workers)
    ]


def source_options(prepared: PreparedReplay) -> dict[str, Any]:
    """Options of the compiled `ReplaySource` that all phases share."""
    spec, settings = prepared.spec, prepared.spec.settings
    return {
        "endpoint": settings.endpoint,
        "prompt_mode": settings.prompt_mode,
        "history": settings.effective_history(spec.trace["kind"]),
        "salt": "",
        "words": prepared.words,
        "model": spec.model,
        "stream": settings.stream,
        "request": settings.request_json,
        "max_tokens_field": settings.max_tokens_field,
        "reasoning": spec.reasoning,
        "selection": spec.selection,
        "is_linked": spec.trace["is_linked"],
        "transcripts": None,
        "trace_block_size": settings.trace_block_size,
    }


def _phase(prepared: PreparedReplay, directory: Path, salt: str, name: str, worker: int) -> Phase:
    spec, settings = prepared.spec, prepared.spec.settings
    is_warmup = name == WARMUP
    max_sessions = settings.warmup_sessions if is_warmup else settings.max_sessions

    def share(number: int) -> int:
        return number // settings.workers + (worker < number % settings.workers)

    source = {
        **source_options(prepared),
        "salt": f"{salt}/warmup" if is_warmup else salt,
        "transcripts": str(transcripts_of(directory, name)) if spec.trace["continuations"] else None,
    }
    rules = Rules(
        time_scale=settings.time_scale,
        max_delay_ms=None if settings.max_delay is None else settings.max_delay * MS_PER_S,
        first_token_s=settings.first_token_timeout,
        total_s=settings.timeout,
        retries=settings.retries,
        max_sessions=None if max_sessions is None else share(max_sessions),
        recorded_times=spec.load == "trace",
    )
    ramp = None
    if settings.ramp_up and not is_warmup:
        between_ns = round(settings.ramp_up * NS_PER_S / spec.slots)
        ramp = Ramp(first_ns=worker * between_ns, step_ns=settings.workers * between_ns) if between_ns else None
    return Phase(
        name=name,
        source=json.dumps(source),
        load=spec.load,
        slots=share(spec.slots),
        rate=(settings.session_rate or 0.0) / settings.workers,
        rules=rules,
        duration_s=None if is_warmup else settings.duration,
        ramp=ramp,
        key_prefix=f"{WARMUP}-" if is_warmup else "",
    )
