"""Command groups that suggest the nearest name for a misspelt command."""

from __future__ import annotations

import click

from agentgen._suggest import did_you_mean


class Suggesting(click.Group):
    """A group that suggests one command, where click suggests several or none."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names."""
        name = args[0]
        if not (ctx.resilient_parsing or name.startswith("-") or self.get_command(ctx, name)):
            ctx.fail(f"No such command {name!r}{did_you_mean(name, self.list_commands(ctx))}.")
        return super().resolve_command(ctx, args)
