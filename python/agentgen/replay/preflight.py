"""Checks that trace, settings and servers fit together, before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentgen._suggest import did_you_mean
from agentgen.errors import ReplayError
from agentgen.replay.units import MS_PER_S
from agentgen.text.format import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from agentgen.replay.server_info import ServerInfo
    from agentgen.replay.settings import ReplaySettings

DEFAULT_SLOTS = 50
# Servers that refuse reasoning in other turns, by the owner of the models that they list. Those of all others read what
# the model's chat template reads.
REASONING = {"deepseek": "in-tool-turns"}
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
        selection: What is played of the trace, for the compiled `ReplaySource`.
        reasoning: Which reasoning of earlier answers later prompts hold.
        warnings: Warnings about the trace and the servers.
    """

    trace: Mapping[str, Any]
    load: str
    slots: int
    model: str
    model_shown: str
    settings: ReplaySettings
    selection: Mapping[str, Any]
    reasoning: str = "keep"
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
        longest_ms = trace["longest_session_ms"] * settings.time_scale
        if self.load == "trace":
            longest_ms = max(longest_ms, trace["last_arrival_ms"] * settings.time_scale)
        return float(longest_ms if settings.duration is None else min(longest_ms, settings.duration * MS_PER_S))


def check(
    trace: Mapping[str, Any],
    describe: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    settings: ReplaySettings,
    urls: Sequence[str],
    servers: ServerInfo,
) -> ReplaySpec:
    """Check the settings against the trace, and both against the servers' models.

    `trace` describes what `selection_of` the settings holds of the trace; `describe` does so for another selection.

    Raises:
        ReplayError: They do not fit together.
    """
    selection = selection_of(settings)
    _check_prompts(trace, settings)
    load, slots = _load(trace, settings)
    model, warnings, most = settings.model, [], None
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
            if settings.too_long == "refuse":
                raise ReplayError(
                    f"{url}: found a longest request of {longest:,} tokens (prompt and output), expected at most the "
                    f"model's {limit:,} (--too-long skip-session leaves such sessions out, truncate-session plays them "
                    "up to the request; generate --max-isl makes shorter prompts)"
                )
            most = limit if most is None else min(most, limit)
    if most is not None:
        selection |= {"max_request_tokens": most, "truncates": settings.too_long == "truncate-session"}
        trace = describe(selection)
    _check_left(trace)
    warnings += [*_trace_warnings(trace, load, settings), *_too_long(trace["left_out"], most)]
    shown = settings.model or servers.shown(model or "")
    owners = REASONING.keys() & servers.owners
    reasoning = settings.reasoning or (REASONING[min(owners)] if owners else "keep")
    return ReplaySpec(trace, load, slots, model or "", shown, settings, selection, reasoning, warnings)


def selection_of(settings: ReplaySettings) -> dict[str, Any]:
    """What the options choose of the trace."""
    return {
        "sample": settings.sample,
        "from_ms": None if settings.from_ is None else settings.from_ * MS_PER_S,
        "until_ms": None if settings.until is None else settings.until * MS_PER_S,
    }


def _check_left(trace: Mapping[str, Any]) -> None:
    """Refuse to play nothing."""
    if not trace["requests"]:
        left = trace["left_out"]
        reasons = [
            f"{counted(left['unselected_sessions'], 'session')} outside --sample, --from and --until",
            f"{left['skipped_sessions']:,} with too long requests",
        ]
        raise ReplayError(f"the trace: found no requests to send ({', '.join(reasons)}), expected one or more")


def _trace_warnings(trace: Mapping[str, Any], load: str, settings: ReplaySettings) -> Iterator[str]:
    """What is unusual about the times of a trace whose arrivals are played."""
    if load != "trace":
        return
    first_ms = trace["origin_ms"] - (settings.from_ or 0.0) * MS_PER_S
    if abs(first_ms) >= MS_PER_S:
        yield f"the trace's first arrival is at {first_ms:,.0f} ms; times count from it"
    if untimed := trace["sessions_without_time"]:
        found = f"{untimed:,} of {counted(trace['sessions'], 'session')} have no timestamp and start at once"
        yield f"{found} (--session-rate gives all sessions random arrivals)"


def _too_long(left: Mapping[str, int], most: int | None) -> Iterator[str]:
    """What is left out because the servers do not take it."""
    if most is not None:
        skipped, cut = counted(left["skipped_sessions"], "session"), left["truncated_sessions"]
        what = f"{skipped} left out and {cut:,} truncated, {counted(left['too_long_requests'], 'request')} in all"
        yield f"{what}: requests are longer than the model's {most:,} tokens (--too-long)"


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
    is_closed = settings.concurrency is not None or trace["clock"] == "closed"
    if trace["clock"] == "closed" and (settings.from_ is not None or settings.until is not None):
        raise ReplayError("--from, --until: found a trace without arrival times, expected one with timestamps")
    if settings.ramp_up is not None and not is_closed:
        raise ReplayError("--ramp-up: found the trace's arrival times, expected a closed loop (--concurrency)")
    if is_closed:
        slots = settings.concurrency if settings.concurrency is not None else DEFAULT_SLOTS
        if slots < settings.workers:
            found = f"{counted(slots, 'open session')} for {counted(settings.workers, 'worker')}"
            raise ReplayError(f"--concurrency, --workers: found {found}, expected one per worker or more")
        return "closed", slots
    return "trace", 0
