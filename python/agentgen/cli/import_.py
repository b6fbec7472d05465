"""`agentgen import`."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentgen._import import HIDDEN, import_formats, import_sessions
from agentgen._native import MAX_TOKENS, rollout_formats
from agentgen._rollouts import MAX_ROWS
from agentgen.cli._errors import reading
from agentgen.cli._import_messages import MessageOptions, check_options, import_messages
from agentgen.cli._options import Whole, check_name, run_output_option, source_format_option, threads_option
from agentgen.cli._pages import write_pages
from agentgen.run import check_empty
from agentgen.settings import MAX_SEED
from agentgen.text.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PREVIEW = 10_000  # sessions that are printed


@click.command("import")
@click.argument("sources", nargs=-1, metavar="[SOURCE...]")
@source_format_option
@run_output_option
@click.option("--name", metavar="RUN", help="Name of the run directory. [default: import_<UTC time>]")
@click.option(
    "--block-size",
    type=Whole(1, MAX_TOKENS),
    metavar="TOKENS",
    help="Tokens per block, for sources without block ids. [default: 64]",
)
@click.option("--keep", multiple=True, metavar="NAME", help="Write this name of a tool, sub-agent or model as it is.")
@click.option(
    "--hide", multiple=True, type=click.Choice(HIDDEN), help="Replace well-known names of this kind by numbers, too."
)
@click.option("--strict", is_flag=True, help="Write nothing if a part of a source cannot be used; exit with 2.")
@click.option(
    "--messages",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the sessions with their texts to a Parquet file instead.",
)
@click.option("--preview", type=Whole(1, MAX_PREVIEW), metavar="N", help="Print N sessions with their texts instead.")
@click.option(
    "--partition-index", type=Whole(0, MAX_ROWS), metavar="I", help="Read part I (from 0) of the sorted files only."
)
@click.option("--num-partitions", type=Whole(1, MAX_ROWS), metavar="N", help="Number of parts of the sorted files.")
@click.option("--shuffle", is_flag=True, help="Read the files in a random order.")
@click.option("--seed", type=Whole(0, MAX_SEED), metavar="N", help="Seed of that order. [default: 0]")
@click.option("--limit", type=Whole(1, MAX_ROWS), metavar="N", help="Write at most N sessions.")
@threads_option
@click.option("--no-pages", "pages", is_flag=True, default=True, flag_value=False, help="Do not write HTML pages.")
@click.option("--json", "as_json", is_flag=True, help="Print what was imported as JSON.")
@click.option("--force", is_flag=True, help="Replace the run in an existing directory, or the file of --messages.")
@click.pass_context
def command(
    context: click.Context,
    *,
    sources: tuple[str, ...],
    format_name: str,
    output: Path,
    name: str | None,
    block_size: int | None,
    keep: tuple[str, ...],
    hide: tuple[str, ...],
    strict: bool,
    target: Path | None,
    preview: int | None,
    partition_index: int | None,
    num_partitions: int | None,
    shuffle: bool,
    seed: int | None,
    limit: int | None,
    threads: int | None,
    pages: bool,
    as_json: bool,
    force: bool,
) -> None:
    """Import recorded sessions into a run directory.

    SOURCE is a file (.gz, .zst), a folder or a pattern; without any, the
    directories where the tools keep their logs. The run holds lengths, times
    and block ids, but no text, path or name of the sources.

    The directory gets the data files, calls.parquet (what the sources say of
    each model call), manifest.json, quality.json (what was estimated) and HTML
    pages. A part of a source that cannot be used is left out and named.

    --messages and --preview give the sessions with their texts instead, one
    row each (claude-code, codex, pi, atif, hermes), for distillation.
    """
    check_name(name)
    options = MessageOptions(target, preview, partition_index, num_partitions, shuffle, seed, limit)
    check_options(context, options)
    formats = rollout_formats() if options.is_given else import_formats()
    if format_name != "auto" and format_name not in formats:
        raise click.BadParameter(f"found {format_name!r}, expected auto, {', '.join(formats)}.", param_hint="--format")
    if options.is_given:
        import_messages(
            sources,
            options,
            format_name=format_name,
            strict=strict,
            threads=threads,
            as_json=as_json,
            force=force,
        )
        return
    directory = output / (name or f"import_{datetime.now(UTC):%Y%m%d-%H%M%S}")
    check_empty(directory, force=force, option="--force")
    with _reading_except(directory), progress("importing", shown=not as_json) as update:
        run = import_sessions(
            sources,
            directory,
            format=format_name,
            block_size=block_size,
            keep=keep,
            hide=hide,
            strict=strict,
            threads=threads,
            force=force,
            progress=update,
        )
    written = write_pages(directory, threads) if pages else []
    if as_json:
        click.echo(json.dumps({**asdict(run), "directory": str(directory)}, indent=2))
        return
    from agentgen.cli._import_text import print_import  # noqa: PLC0415  rich is slow to import

    print_import(run, written)


@contextmanager
def _reading_except(directory: Path) -> Iterator[None]:
    """Like `reading`, but what fails in the run directory is a failure to write."""
    try:
        yield
    except OSError as error:
        if error.filename and Path(error.filename).is_relative_to(directory):
            raise
        with reading():
            raise
