"""How a run is going: one line that changes on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING, TextIO

from agentgen.analysis.tables import counted, fold
from agentgen.replay.counters import Counters, recent_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentgen.replay.supervise import WorkersState

PLAIN_S = 10.0
WITHOUT_DIGITS_MS = 1000  # three digits would be written with an exponent
WINDOW_S = 2.0


class Progress:
    """Says how many sessions are open, how fast requests are, and how many failed."""

    def __init__(self, stream: TextIO = sys.stderr, *, shown: bool = True) -> None:
        self._stream = stream
        self._shown = shown
        self._live = stream.isatty()
        self._told_s = time.monotonic()
        self._before: list[tuple[float, int]] = []
        self._phase = ""
        self._width = 0

    def __call__(self, phase: str, state: WorkersState) -> None:
        """Called a few times a second."""
        if not (self._shown and phase):
            return
        if phase != self._phase:
            self._phase, self._before = phase, []
        now = time.monotonic()
        clauses = self._clauses(phase, state.cells, now)
        if self._live:
            line, columns = clauses[0], shutil.get_terminal_size().columns
            for clause in clauses[1:]:
                if len(line) + len(clause) + 1 < columns:  # what wraps cannot be written over
                    line += f" {clause}"
            line = line.removesuffix(",")
            self._write("\r" + line.ljust(self._width))
            self._width = len(line)
        elif now - self._told_s >= PLAIN_S:
            self._told_s = now
            self._write("".join(line + "\n" for line in fold(clauses, rest="  ")))

    def close(self) -> None:
        """The line is complete."""
        if self._live and self._width:
            self._write("\n")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # whoever looked is gone, which is no reason to end a run
            self._shown = False

    def _clauses(self, phase: str, cells: Sequence[memoryview], now: float) -> list[str]:
        counts = [Counters(one, phase).to_dict() for one in cells]
        total = {name: sum(count[name] for count in counts) for name in counts[0]} if counts else {}
        ended = total["succeeded"] + total["failed"]
        self._before = [*(one for one in self._before if one[0] > now - WINDOW_S), (now, ended)]
        since, first = self._before[0]
        rate = (ended - first) / (now - since) if now > since else 0.0
        open_sessions = total["sessions_opened"] - total["sessions_closed"]
        clauses = [
            f"{phase}: {counted(open_sessions, 'session')} open, {total['sessions_closed']:,} over",
            f"{counted(ended, 'request')} ({rate:,.0f}/s), {total['failed']:,} failed",
        ]
        if times := recent_us(cells):
            clauses += [f"TTFT p50 {_ms(times, 0.5)} ms", f"p99 {_ms(times, 0.99)} ms"]
        return [*(f"{clause}," for clause in clauses[:-1]), clauses[-1]]


def _ms(times_us: Sequence[int], share: float) -> str:
    time_ms = times_us[min(len(times_us) - 1, int(share * len(times_us)))] / 1000
    return f"{time_ms:,.0f}" if time_ms >= WITHOUT_DIGITS_MS else f"{time_ms:.3g}"
