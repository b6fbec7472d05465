"""The command `agentgen`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command, which may be interrupted from here on: while its modules are imported, too."""
    try:
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is None:  # closed by whoever started the command
                setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115  open to the end
        from agentgen.cli._commands import main as commands  # noqa: PLC0415

        commands()
    except KeyboardInterrupt:
        sys.stderr.write("agentgen: error: interrupted\n")
        sys.exit(130)
