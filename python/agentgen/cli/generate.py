"""`agentgen generate`."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentgen._text import printable
from agentgen.cli._errors import reading
from agentgen.cli._options import FormatsType, ShardType, Whole, progress_bar, threads_option
from agentgen.cli._summary import print_run, print_speed
from agentgen.config import load_config
from agentgen.errors import AgentgenError
from agentgen.run import complete_shards, default_name, refuse_full, write, write_shards
from agentgen.settings import COMPRESSIONS, LAYOUTS, MANIFEST, MAX_SEED, MAX_SESSIONS, MAX_TOKENS, MIN_ISL

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command("generate", short_help="Write a data set into a run directory.")
@click.option("--sessions", type=Whole(1, MAX_SESSIONS), metavar="N", help="Sessions. [default: 1000]")
@click.option(
    "--config",
    default="default",
    show_default=True,
    metavar="NAME|FILE",
    help="A preset (see agentgen config list), a JSON, YAML or TOML file, or a run's manifest.json.",
)
@click.option("--seed", type=Whole(0, MAX_SEED), metavar="N", help="Seed of all draws. [default: 42]")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Where the run directory goes. [default: .]",
)
@click.option("--name", metavar="RUN", help="Name of the run directory. [default: <config>_<N>s_seed<seed>_<UTC time>]")
@click.option(
    "--format",
    "formats",
    type=FormatsType(),
    metavar="NAMES",
    help="jsonl, parquet, or both with a comma. [default: jsonl,parquet]",
)
@click.option("--compression", type=click.Choice(COMPRESSIONS), help="Of the JSONL file. [default: none]")
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    help="Whether hash_ids cover a row's new tokens or the whole prompt. [default: incremental]",
)
@click.option(
    "--max-isl",
    type=Whole(MIN_ISL, MAX_TOKENS),
    metavar="TOKENS",
    help="Context limit, instead of the configuration's max_prompt_tokens.",
)
@click.option(
    "--max-osl",
    type=Whole(1, MAX_TOKENS),
    metavar="TOKENS",
    help="Longest output, instead of the configuration's generation_length.max.",
)
@click.option("--shard", type=ShardType(), metavar="I/N", help="Only part I of N, from 0; agentgen merge joins them.")
@click.option("--shards", type=Whole(1, 100_000), metavar="N", help="All of it, in N parts that --resume can build on.")
@click.option("--resume", is_flag=True, help="Keep the complete parts of a stopped run; needs --shards and --name.")
@threads_option
@click.option("--no-pages", "pages", is_flag=True, default=True, flag_value=False, help="Write no HTML pages.")
@click.option("--quiet", is_flag=True, help="Print nothing but the run directory.")
@click.option("--force", is_flag=True, help="Replace the run in a directory that exists.")
def command(
    *,
    config: str,
    output: Path,
    name: str | None,
    shards: int | None,
    resume: bool,
    threads: int | None,
    pages: bool,
    quiet: bool,
    force: bool,
    **stated: Any,
) -> None:
    """Write a data set into a run directory.

    The directory holds the data files, manifest.json (all that is needed to
    make them again), quality.json and comparison.txt (targets against what
    was written), and pages that show it in a browser.

    With a run's manifest as --config, the options not given are the
    manifest's: the run comes out again, byte for byte.
    """
    _check_options(name, shards, stated["shard"], resume=resume)
    with reading():
        loaded = load_config(config)
    if stated["compression"] == "zstd" and "jsonl" not in (stated["formats"] or loaded.settings.formats):
        raise click.UsageError("--compression is of the JSONL file, and --format does not name jsonl.")
    settings = loaded.settings.updated(**stated)
    if shards:
        settings = settings.updated(shard=(0, 1))
    for warning in loaded.resolve(settings)["warnings"]:
        click.echo(f"agentgen: warning: {warning}", err=True)
    directory = output / (name or default_name(loaded.name, settings))
    refuse_full(directory, force=force or resume, option="--resume, which keeps its parts" if shards else "--force")
    started = time.monotonic()
    kept = complete_shards(directory, loaded, settings, shards) if shards and resume else []
    if resume and not quiet:
        click.echo(f"agentgen: kept {len(kept)} of {shards} parts", err=True)
    with progress_bar("sessions", counted=True, shown=not quiet) as progress:
        if shards:
            with _told_how_to_go_on(directory, shards, resume=resume, named=bool(name)):
                manifest = write_shards(
                    directory, loaded, settings, shards, kept=kept, threads=threads, progress=progress
                )
        else:
            manifest = write(directory, loaded, settings, threads=threads, force=force, progress=progress)
    seconds = time.monotonic() - started
    written = _write_pages(directory, threads) if pages and not stated["shard"] else []
    if quiet:
        click.echo(str(directory))
    else:
        print_run(directory, manifest, written)
        print_speed(manifest, seconds, resumed=bool(kept))


def _write_pages(directory: Path, threads: int | None) -> list[Path]:
    """The pages of a run that is complete, with or without them."""
    from agentgen.pages.write import report_new  # noqa: PLC0415  needs the compiled module, which the help does not

    try:
        return report_new(directory, threads=threads)
    except (AgentgenError, OSError) as error:
        click.echo(f"agentgen: warning: the run is complete, but has no pages: {printable(str(error))}", err=True)
        return []


def _check_options(name: str | None, shards: int | None, shard: object, *, resume: bool) -> None:
    if resume and not (shards and name):
        raise click.UsageError("--resume needs the --shards and --name that the run began with.")
    if shards and shard:
        raise click.UsageError("--shard (one part) and --shards (all parts) exclude each other.")
    if name is not None and (name in {"", ".", ".."} or Path(name).name != name):
        raise click.BadParameter(
            f"found {name!r}, expected a name without a path; --output says where.", param_hint="--name"
        )
    if name is not None and name.startswith("-"):
        raise click.BadParameter(f"found {name!r}, expected a name that is no option.", param_hint="--name")


@contextmanager
def _told_how_to_go_on(directory: Path, shards: int, *, resume: bool, named: bool) -> Iterator[None]:
    """Let an interruption say what there is, and the options with which the same command goes on."""
    try:
        yield
    except KeyboardInterrupt:
        complete = len(list(directory.glob(f"shard-*-of-{shards}/{MANIFEST}")))
        missing = ([] if resume else ["--resume"]) + ([] if named else [f"--name {directory.name}"])
        options = f" with {' '.join(missing)}" if missing else ""
        raise KeyboardInterrupt(
            f"{complete} of {shards} parts are complete: the same command{options} goes on"
        ) from None
