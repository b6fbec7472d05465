"""Progress on standard error: on a terminal only, and only of work that takes longer than half a second."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agentgen.text.format import counted, percent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress, TaskID

LONG_S = 0.5


@contextmanager
def progress(label: str, unit: str | None = None, *, shown: bool = True) -> Iterator[Callable[[int, int], None] | None]:
    """A callback (done, total) that draws a bar; None where nothing is shown.

    Args:
        label: What is being done: "analyzing".
        unit: What is counted, in the singular: "session"; None for a share of the total only.
        shown: False to show nothing, as with --quiet.
    """
    if not (shown and sys.stderr.isatty()):
        yield None
        return
    started = time.monotonic()
    bar: tuple[Progress, TaskID] | None = None

    def update(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            if time.monotonic() - started < LONG_S:
                return
            bar = _started(label)
        drawn, task = bar
        drawn.update(task, completed=done, total=total or None, count=_count(done, total, unit))

    try:
        yield update
    finally:
        if bar is not None:
            bar[0].stop()


def _count(done: int, total: int, unit: str | None) -> str:
    if unit is None:
        return percent(done / total) if total else ""
    return f"{done:,} of {counted(total, unit)}" if total else counted(done, unit)


def _started(label: str) -> tuple[Progress, TaskID]:
    # rich takes a while to import: only where a bar is drawn.
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    from agentgen.text.layout import console_on  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]}", markup=False),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console_on(sys.stderr))
    bar.start()
    return bar, bar.add_task(label, total=None, count="")
