"""Progress of a run: one line that changes on a terminal, a line every 10 s elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from rich.cells import cell_len
from rich.live import Live

from agentgen.replay.counters import Counters, recent_us
from agentgen.replay.units import MS_PER_S
from agentgen.text.format import counted, duration
from agentgen.text.layout import Clauses, console_on, line, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, ConsoleOptions, RenderResult

    from agentgen.replay.supervise import WorkersState

LINE_EVERY_S = 10.0
RATE_WINDOW_S = 2.0
WHOLE_FROM_MS = 1000  # shorter times have three significant digits


class Progress:
    """Shows open sessions, the rate of requests, failures and times to first token."""

    def __init__(self, stream: TextIO = sys.stderr, *, shown: bool = True, grace_s: float = 0) -> None:
        self._stream = stream
        self._shown = shown
        self._grace_s = grace_s
        self._stops = 0
        self._live: Live | None = None
        if shown and stream.isatty():
            console = console_on(stream, is_terminal=True)
            self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._last_line_s = time.monotonic()
        self._history: list[tuple[float, int]] = []  # time and ended requests
        self._phase = ""

    def __call__(self, phase: str, state: WorkersState) -> None:
        """Update; called a few times per second."""
        if state.stops > self._stops:
            self._stops = state.stops
            self._say(self._stopping(state))
        if not (self._shown and phase):
            return
        if phase != self._phase:
            self._phase, self._history = phase, []
        now = time.monotonic()
        clauses = self._clauses(phase, state.cells, now)
        try:
            if self._live is not None:
                self._live.start()
                self._live.update(_OneLine(clauses), refresh=True)
            elif now - self._last_line_s >= LINE_EVERY_S:
                self._last_line_s = now
                self._stream.write(plain(Clauses(clauses, rest="  ")) + "\n")
                self._stream.flush()
        except OSError:  # the stream is closed; the run continues
            self._shown = False

    def close(self) -> None:
        """Keep the last line."""
        if self._live is not None:
            with suppress(OSError):
                self._live.stop()

    def _stopping(self, state: WorkersState) -> str:
        """What a Ctrl-C does, at once: the requests in flight may take long."""
        requests = counted(state.in_flight, "request")
        if state.stops > 1:
            return f"aborting: {requests} cancelled"
        return f"stopping: {requests} in flight, up to {duration(self._grace_s * MS_PER_S)}; again to abort"

    def _say(self, text: str) -> None:
        """A line that stays, also with `--quiet`."""
        with suppress(OSError):
            if self._live is not None:
                self._live.console.print(line(text))
            else:
                self._stream.write(f"{text}\n")
                self._stream.flush()

    def _clauses(self, phase: str, cells: Sequence[memoryview], now: float) -> list[str]:
        counts = [Counters(one, phase).to_dict() for one in cells]
        total = {name: sum(count[name] for count in counts) for name in counts[0]} if counts else {}
        ended = total["succeeded"] + total["failed"]
        self._history = [*(one for one in self._history if one[0] > now - RATE_WINDOW_S), (now, ended)]
        since, first = self._history[0]
        rate = (ended - first) / (now - since) if now > since else 0.0
        open_sessions = total["sessions_opened"] - total["sessions_closed"]
        clauses = [
            f"{phase}: {counted(open_sessions, 'session')} open, {total['sessions_closed']:,} closed",
            f"{counted(ended, 'request')} ({rate:,.0f}/s), {total['failed']:,} failed",
        ]
        if times := recent_us(cells):
            clauses += [f"TTFT p50 {_ms(times, 0.5)} ms", f"p99 {_ms(times, 0.99)} ms"]
        return [*(f"{clause}," for clause in clauses[:-1]), clauses[-1]]


@dataclass(frozen=True)
class _OneLine:
    """The first clauses that fit on one line."""

    clauses: Sequence[str]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """The line."""
        text = self.clauses[0]
        for clause in self.clauses[1:]:
            if cell_len(f"{text} {clause}") >= options.max_width:
                break
            text += f" {clause}"
        yield line(text.removesuffix(","))


def _ms(times_us: Sequence[int], share: float) -> str:
    time_ms = times_us[min(len(times_us) - 1, int(share * len(times_us)))] / 1000
    return f"{time_ms:,.0f}" if time_ms >= WHOLE_FROM_MS else f"{time_ms:.3g}"
