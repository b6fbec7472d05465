"""What is checked before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentgen._suggest import did_you_mean
from agentgen.analysis.tables import counted
from agentgen.errors import ReplayError
from agentgen.replay import control

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentgen.replay.settings import ReplaySettings

MS_PER_S = 1000
DEFAULT_SLOTS = 50


@dataclass(frozen=True)
class Plan:
    """What will be done.

    Attributes:
        trace: The description that the compiled reader gives of the trace.
        load: `closed`, `trace` or `poisson`.
        slots: Open sessions of a closed loop.
        model: On the wire.
        settings: The stated ones.
        warnings: What to know of the trace.
    """

    trace: Mapping[str, Any]
    load: str
    slots: int
    model: str
    settings: ReplaySettings
    warnings: Sequence[str] = ()

    @property
    def sessions(self) -> int:
        """Sessions that may be played."""
        in_all = int(self.trace["sessions"])
        return in_all if self.settings.max_sessions is None else min(in_all, self.settings.max_sessions)

    @property
    def shortest_ms(self) -> float:
        """The run takes longer than this if it plays the whole trace, ms: answers take no time here."""
        settings, trace = self.settings, self.trace
        if self.sessions < trace["sessions"] or settings.max_delay is not None:
            return 0.0
        longest_ms = trace["longest_session_ms"] * settings.delay_scale
        if self.load == "trace":
            longest_ms = max(longest_ms, trace["last_arrival_ms"])
        return float(longest_ms if settings.duration is None else min(longest_ms, settings.duration * MS_PER_S))


def check(trace: Mapping[str, Any], settings: ReplaySettings, urls: Sequence[str], headers: Mapping[str, str]) -> Plan:
    """Ask the servers, and see that the trace fits.

    Raises:
        ReplayError: It will not work, and why.
    """
    if not trace["requests"]:
        raise ReplayError("the trace: found no requests, expected one or more")
    _prompts(trace, settings)
    load, slots = _load(trace, settings)
    model = settings.model
    for url in urls:
        offered = control.models(url, headers)
        if model is None:
            if len(offered) != 1:
                names = ", ".join(offered) or "none"
                raise ReplayError(f"{url}: found the models {names}, expected one; --model says which")
            model = next(iter(offered))
        if model not in offered:
            names = ", ".join(offered) or "none"
            raise ReplayError(f"{url}: found no model {model}, expected one of {names}{did_you_mean(model, offered)}")
        limit, longest = offered[model], trace["max_request_tokens"]
        if limit is not None and longest > limit:
            raise ReplayError(
                f"{url}: found a longest request of {longest:,} tokens (prompt and output), expected at most the "
                f"model's {limit:,}; generate --max-isl makes shorter ones"
            )
    return Plan(trace, load, slots, model or "", settings)


def _prompts(trace: Mapping[str, Any], settings: ReplaySettings) -> None:
    """Prompts of token ids go where nothing has to be text."""
    if trace["kind"] == "messages":
        if settings.endpoint != "chat":
            raise ReplayError("--endpoint: found completions, expected chat: the trace holds messages")
        for option, value in (("--trace-block-size", settings.trace_block_size), ("--tokenizer", settings.tokenizer)):
            if value is not None:
                raise ReplayError(f"{option}: found {value}, expected none: the trace holds messages in their own text")
    if settings.prompt_mode != "token-ids":
        return
    if settings.endpoint != "completions":
        raise ReplayError("--prompt-mode token-ids: found the chat endpoint, expected --endpoint completions")
    if settings.history == "live":
        raise ReplayError("--prompt-mode token-ids: found --history live, expected recorded: answers come as text")


def _load(trace: Mapping[str, Any], settings: ReplaySettings) -> tuple[str, int]:
    """The load that is stated, or else the trace's own."""
    if settings.session_rate is not None:
        return "poisson", 0
    if settings.concurrency is not None or trace["clock"] == "closed":
        slots = settings.concurrency if settings.concurrency is not None else DEFAULT_SLOTS
        if slots < settings.workers:
            found = f"{counted(slots, 'open session')} for {counted(settings.workers, 'worker')}"
            raise ReplayError(f"--concurrency, --workers: found {found}, expected one each at least")
        return "closed", slots
    return "trace", 0
