"""What is checked before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentgen._suggest import did_you_mean
from agentgen.errors import ReplayError
from agentgen.replay import control

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
    """

    trace: Mapping[str, Any]
    load: str
    slots: int
    model: str
    settings: ReplaySettings

    @property
    def sessions(self) -> int:
        """Sessions that may be played."""
        in_all = int(self.trace["sessions"])
        return in_all if self.settings.max_sessions is None else min(in_all, self.settings.max_sessions)

    @property
    def shortest_s(self) -> float:
        """The run takes longer than this, seconds, if it plays the whole trace: answers take no time here."""
        settings, trace = self.settings, self.trace
        if self.sessions < trace["sessions"] or settings.max_delay is not None:
            return 0.0
        longest_s = trace["longest_session_ms"] / MS_PER_S * settings.delay_scale
        if self.load == "trace":
            longest_s = max(longest_s, trace["last_arrival_ms"] / MS_PER_S)
        return float(longest_s if settings.duration is None else min(longest_s, settings.duration))

    def lines(self, urls: Sequence[str]) -> Iterator[str]:
        """The plan for a person."""
        trace, settings = self.trace, self.settings
        yield f"server    {', '.join(urls)}, model {self.model}"
        yield (
            f"trace     {trace['sessions']:,} sessions, {trace['requests']:,} requests, "
            f"{trace['context_tokens']:,} prompt and {trace['output_tokens']:,} output tokens, "
            f"longest request {trace['max_request_tokens']:,}"
        )
        loads = {
            "closed": f"closed loop, {self.slots:,} open sessions",
            "trace": "open loop, arrivals of the trace",
            "poisson": f"open loop, {settings.session_rate or 0:g} sessions a second at random",
        }
        limits = [loads[self.load], f"{settings.workers} worker{'s' if settings.workers > 1 else ''}"]
        if settings.max_sessions is not None:
            limits.append(f"at most {settings.max_sessions:,} sessions")
        if settings.duration is not None:
            limits.append(f"at most {settings.duration:g} s")
        yield f"load      {', '.join(limits)}"
        yield f"takes     at least {self.shortest_s:,.1f} s of delays and arrivals, beside the server's time"


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
    if trace["kind"] == "messages" and settings.endpoint != "chat":
        raise ReplayError("--endpoint: found completions, expected chat: the trace holds messages")
    if settings.prompt_mode != "token-ids":
        return
    if settings.endpoint != "completions":
        raise ReplayError("--prompt-mode token-ids: found the chat endpoint, expected --endpoint completions")
    if settings.history == "live":
        raise ReplayError("--prompt-mode token-ids: found --history live, expected trace: answers come as text")


def _load(trace: Mapping[str, Any], settings: ReplaySettings) -> tuple[str, int]:
    """The load that is stated, or else the trace's own."""
    if settings.session_rate is not None:
        return "poisson", 0
    if settings.concurrency is not None or trace["clock"] == "closed":
        slots = settings.concurrency if settings.concurrency is not None else DEFAULT_SLOTS
        if slots < settings.workers:
            raise ReplayError(f"found {slots} open sessions for {settings.workers} workers, expected one each at least")
        return "closed", slots
    return "trace", 0
