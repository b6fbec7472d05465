"""The command group; each command is imported when it runs."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from agentgen._native import __version__
from agentgen.cli._errors import exit_code
from agentgen.cli._group import Suggesting

# In the order of work; each is the attribute `command` of the module of its name. The only list of commands.
COMMANDS = (
    "generate",
    "import",
    "collect",
    "fit",
    "distill",
    "validate",
    "convert",
    "export",
    "merge",
    "analyze",
    "report",
    "plan",
    "simulate",
    "serve",
    "record",
    "replay",
    "compare",
    "models",
    "config",
)

# Modules whose names differ, because Python has them as keywords.
MODULES = {"import": "import_"}


class Commands(Suggesting):
    """Imports commands on demand, and turns exceptions into one line on standard error and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"agentgen.cli.{MODULES.get(cmd_name, cmd_name)}").command
        return command

    def main(self, args: Any = None, prog_name: str | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Run and exit: 0 ok, 1 findings or failed, 2 usage or unreadable input, 130 interrupted."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # names that the terminal cannot encode
                stream.reconfigure(errors="backslashreplace")
        try:
            result = super().main(args, prog_name or "agentgen", **{**extra, "standalone_mode": False})
            sys.stdout.flush()
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  exit_code raises unknown exceptions again
            sys.exit(exit_code(error))
        sys.exit(result if isinstance(result, int) else 0)


@click.group(
    "agentgen", cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80}
)
@click.version_option(__version__, prog_name="agentgen", message="%(prog)s %(version)s")
def main() -> None:
    """Generate, validate, analyze, simulate and replay traces of LLM coding agents.

    Exit codes: 0 ok, 1 findings or failed, 2 usage error or unreadable input,
    130 interrupted.
    """
