"""`agentgen generate`."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from agentgen._native import MAX_SESSIONS, MAX_TOKENS, MIN_ISL
from agentgen.cli._complete import presets
from agentgen.cli._errors import reading
from agentgen.cli._options import FormatsType, ShardType, Whole, check_name, run_output_option, threads_option
from agentgen.cli._pages import write_pages
from agentgen.config import load_config
from agentgen.run import check_empty, complete_shards, default_name, write, write_shards
from agentgen.settings import COMPRESSIONS, LAYOUTS, MANIFEST, MAX_SEED
from agentgen.text.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Figures of docs/realism.md: KS distances of growth a call from 350 recorded conversations.
OF_DEFAULT = (
    "note: default is far from recorded agents (growth a call: KS distance 0.87,\n"
    "  weka-claude-code: 0.01); agentgen config list names presets of real agents"
)


@click.command("generate")
@click.option(
    "--sessions",
    type=Whole(1, MAX_SESSIONS),
    metavar="N",
    help="Number of sessions, continuations not counted. [default: 1000]",
)
@click.option(
    "--config",
    default="default",
    show_default=True,
    metavar="NAME|FILE",
    shell_complete=presets,
    help="A preset (see agentgen config list), a JSON, YAML or TOML file, or the manifest.json of a run.",
)
@click.option("--seed", type=Whole(0, MAX_SEED), metavar="N", help="Seed of the random numbers. [default: 42]")
@run_output_option
@click.option("--name", metavar="RUN", help="Name of the run directory. [default: <config>_<N>s_seed<seed>_<UTC time>]")
@click.option(
    "--format",
    "formats",
    type=FormatsType(),
    metavar="NAMES",
    help="Data files to write: jsonl, parquet, or jsonl,parquet. [default: jsonl,parquet]",
)
@click.option("--compression", type=click.Choice(COMPRESSIONS), help="Compression of the JSONL file. [default: none]")
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    help="hash_ids of a row cover its new tokens (incremental) or its whole prompt (cumulative). "
    "[default: incremental]",
)
@click.option(
    "--max-isl",
    type=Whole(MIN_ISL, MAX_TOKENS),
    metavar="TOKENS",
    help="Context limit: every prompt is shorter, its history included; "
    "overrides max_prompt_tokens of the configuration.",
)
@click.option(
    "--max-osl",
    type=Whole(1, MAX_TOKENS),
    metavar="TOKENS",
    help="Longest output; overrides generation_length.max of the configuration.",
)
@click.option(
    "--shard", type=ShardType(), metavar="I/N", help="Write only shard I (from 0) of N; join them with agentgen merge."
)
@click.option(
    "--shards",
    type=Whole(1, 100_000),
    metavar="N",
    help="Write all N shards; --resume can continue an interrupted run.",
)
@click.option(
    "--resume", is_flag=True, help="Keep the complete shards of an interrupted run; needs --shards and --name."
)
@threads_option
@click.option("--no-pages", "pages", is_flag=True, default=True, flag_value=False, help="Do not write HTML pages.")
@click.option("--quiet", is_flag=True, help="Print only the run directory.")
@click.option("--force", is_flag=True, help="Replace the run in an existing directory.")
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
    """Generate a trace into a run directory.

    The directory gets the data files, manifest.json (everything needed to
    generate them again), quality.json and comparison.txt (targets against
    observed statistics), and HTML pages.

    With the manifest of a run as --config, options default to those of that
    run, and the data files are the same bytes.
    """
    _check_options(name, shards, stated["shard"], resume=resume)
    with reading():
        loaded = load_config(config)
    if stated["compression"] == "zstd" and "jsonl" not in (stated["formats"] or loaded.settings.formats):
        raise click.UsageError("--compression needs jsonl in --format.")
    settings = loaded.settings.updated(**stated)
    if shards:
        settings = settings.updated(shard=(0, 1))
    warnings = loaded.resolve(settings)["warnings"]
    for warning in warnings:
        click.echo(f"agentgen: warning: {warning}", err=True)
    directory = output / (name or default_name(loaded.name, settings))
    check_empty(
        directory, force=force or resume, option="--resume, which keeps complete shards" if shards else "--force"
    )
    started = time.monotonic()
    kept = complete_shards(directory, loaded, settings, shards) if shards and resume else []
    if resume and not quiet:
        click.echo(f"agentgen: kept {len(kept)} of {shards} shards", err=True)
    with progress("generating", "session", shown=not quiet) as report:
        if shards:
            with _resume_hint(directory, shards, resume=resume, named=bool(name)):
                manifest = write_shards(
                    directory, loaded, settings, shards, kept=kept, threads=threads, progress=report
                )
        else:
            manifest = write(directory, loaded, settings, threads=threads, force=force, progress=report)
    seconds = time.monotonic() - started
    written = write_pages(directory, threads) if pages and not stated["shard"] else []
    if quiet:
        click.echo(str(directory))
    else:
        from agentgen.cli._summary import print_run, print_speed  # noqa: PLC0415  rich is slow to import

        print_run(directory, manifest, written, warned=warnings)
        print_speed(manifest, seconds, resumed=bool(kept))
        if _is_unstated("config"):
            click.echo(f"\n{OF_DEFAULT}")


def _is_unstated(parameter: str) -> bool:
    return click.get_current_context().get_parameter_source(parameter) is ParameterSource.DEFAULT


def _check_options(name: str | None, shards: int | None, shard: object, *, resume: bool) -> None:
    if resume and not (shards and name):
        raise click.UsageError("--resume needs --shards and --name of the interrupted run.")
    if shards and shard:
        raise click.UsageError("--shard and --shards: found both, expected one of them.")
    check_name(name)


@contextmanager
def _resume_hint(directory: Path, shards: int, *, resume: bool, named: bool) -> Iterator[None]:
    """On an interrupt, report how many shards are complete and which options resume the run."""
    try:
        yield
    except KeyboardInterrupt:
        complete = len(list(directory.glob(f"shard-*-of-{shards}/{MANIFEST}")))
        missing = ([] if resume else ["--resume"]) + ([] if named else [f"--name {directory.name}"])
        options = f" with {' '.join(missing)}" if missing else ""
        raise KeyboardInterrupt(
            f"{complete} of {shards} shards are complete; run the same command{options} to resume"
        ) from None
