"""The command `agentgen`."""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than all that is here
if TYPE_CHECKING:
    from types import FrameType


def main() -> None:
    """Run the command, which may be interrupted from here on: while its modules are imported, too."""
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        signal.default_int_handler(number, frame)

    try:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else the parent process ignores SIGINT
            signal.signal(signal.SIGINT, interrupt)
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is None:  # closed by the parent process
                setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115  open to the end
        from agentgen.cli._commands import main as commands  # noqa: PLC0415

        commands()
    except (Exception, KeyboardInterrupt) as error:
        # Within an import, Python may make something else of an interrupt.
        if not (interrupted or isinstance(error, KeyboardInterrupt)):
            raise
        sys.stderr.write("agentgen: error: interrupted\n")
        sys.exit(130)
