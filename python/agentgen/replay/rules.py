"""How the sessions of a trace are played."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """Delays, deadlines and retries.

    Attributes:
        time_scale: Factor of the trace's arrivals, recorded times and delays; 0 for none.
        max_delay_ms: Longest delay after scaling.
        first_token_s: Deadline of the first token, seconds after the request was issued; None for none.
        total_s: Deadline of the last byte, seconds after the request was issued; None for none.
        retries: How often a request is sent again that a server refuses as busy or broken, or that cannot connect.
        max_sessions: Sessions to play; None for all.
        recorded_times: Send requests at their recorded times, where the trace has any.
    """

    time_scale: float = 1.0
    max_delay_ms: float | None = None
    first_token_s: float | None = None
    total_s: float | None = None
    retries: int = 0
    max_sessions: int | None = None
    recorded_times: bool = False
