"""Checks that trace, settings and servers fit together, before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentgen._suggest import did_you_mean
from agentgen.errors import ReplayError
from agentgen.replay.units import MS_PER_S
from agentgen.text.format import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentgen.replay.server_info import ServerInfo
    from agentgen.replay.settings import ReplaySettings

DEFAULT_SLOTS = 50
MAX_SUGGESTED = 1000  # names compared with a misspelt one, which is slow


@dataclass(frozen=True)
class ReplaySpec:
    """What a replay will do.

    Attributes:
        trace: Description of the trace by the compiled reader.
        load: `closed`, `trace` or `poisson`.
        slots: Open sessions of a closed loop.
        model: Model name in requests.
        model_shown: The same without secrets, for everything else.
        settings: The options as given.
        warnings: Warnings about the trace and the servers.
    """

    trace: Mapping[str, Any]
    load: str
    slots: int
    model: str
    model_shown: str
    settings: ReplaySettings
    warnings: Sequence[str] = ()

    @property
    def sessions(self) -> int:
        """Largest number of sessions that may be played."""
        in_trace = int(self.trace["sessions"])
        return in_trace if self.settings.max_sessions is None else min(in_trace, self.settings.max_sessions)

    @property
    def min_duration_ms(self) -> float:
        """Shortest possible duration, ms: delays and arrivals only, as if answers took no time; 0 if unknown."""
        settings, trace = self.settings, self.trace
        if self.sessions < trace["sessions"] or settings.max_delay is not None:
            return 0.0
        longest_ms = trace["longest_session_ms"] * settings.delay_scale
        if self.load == "trace":
            longest_ms = max(longest_ms, trace["last_arrival_ms"])
        return float(longest_ms if settings.duration is None else min(longest_ms, settings.duration * MS_PER_S))


def check(trace: Mapping[str, Any], settings: ReplaySettings, urls: Sequence[str], servers: ServerInfo) -> ReplaySpec:
    """Check the settings against the trace, and both against the servers' models.

    Raises:
        ReplayError: They do not fit together.
    """
    if not trace["requests"]:
        raise ReplayError("the trace: found no requests, expected one or more")
    _check_prompts(trace, settings)
    load, slots = _load(trace, settings)
    model, warnings = settings.model, []
    lists = [] if settings.skip_checks else servers.models(needed=model is None)
    for url, offered in zip(urls, lists, strict=False):
        if isinstance(offered, str) or not (offered or model is None):
            found = offered or f"{url}: found no models, expected {model}"
            warnings.append(f"{found}; model and longest request are not checked")
            continue
        names = servers.names(offered)
        if model is None:
            if len(offered) != 1:
                raise ReplayError(f"{url}: found the models {names}, expected one (choose with --model)")
            model = next(iter(offered))
        if model not in offered:
            hint = servers.shown(did_you_mean(model, list(offered)[:MAX_SUGGESTED]))
            found = model if model == settings.model else servers.shown(model)
            raise ReplayError(f"{url}: found no model {found}, expected one of {names}{hint and f' {hint}'}")
        limit, longest = offered[model], trace["max_request_tokens"]
        if limit is not None and longest > limit:
            raise ReplayError(
                f"{url}: found a longest request of {longest:,} tokens (prompt and output), expected at most the "
                f"model's {limit:,} (generate --max-isl makes shorter prompts)"
            )
    shown = settings.model or servers.shown(model or "")
    return ReplaySpec(trace, load, slots, model or "", shown, settings, warnings)


def _check_prompts(trace: Mapping[str, Any], settings: ReplaySettings) -> None:
    """Reject options that the trace's format or the endpoint does not allow."""
    if trace["kind"] == "messages":
        if settings.endpoint != "chat":
            raise ReplayError(f"--endpoint: found {settings.endpoint}, expected chat: the trace holds chat messages")
        for option, value in (
            ("--trace-block-size", settings.trace_block_size),
            ("--tokenizer", settings.tokenizer),
        ):
            if value is not None:
                raise ReplayError(f"{option}: found {value}, expected none: the trace holds messages with their text")
    if settings.prompt_mode != "token-ids":
        return
    if settings.endpoint != "completions":
        found = f"found the endpoint {settings.endpoint}"
        raise ReplayError(f"--prompt-mode token-ids: {found}, expected --endpoint completions")
    if settings.history == "live":
        raise ReplayError("--prompt-mode token-ids: found --history live, expected recorded: answers are text")


def _load(trace: Mapping[str, Any], settings: ReplaySettings) -> tuple[str, int]:
    """The load of the options, else that of the trace, and the slots of a closed loop."""
    if settings.session_rate is not None:
        return "poisson", 0
    if settings.concurrency is not None or trace["clock"] == "closed":
        slots = settings.concurrency if settings.concurrency is not None else DEFAULT_SLOTS
        if slots < settings.workers:
            found = f"{counted(slots, 'open session')} for {counted(settings.workers, 'worker')}"
            raise ReplayError(f"--concurrency, --workers: found {found}, expected one per worker or more")
        return "closed", slots
    return "trace", 0
