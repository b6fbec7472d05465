"""What commands that serve until they are stopped share: signals, and room for connections."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER_FILES = 64  # open files beside connections


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGINT (Ctrl-C) and SIGTERM (of service managers) set: the ends of a server that are no failure."""
    stopped = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in numbers}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def allow_open_files(connections: int) -> None:
    """Raise the soft limit of open files, so that there may be so many connections."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415  POSIX only

    number = connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # the system has limits of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
