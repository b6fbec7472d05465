"""`agentgen distill`."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentgen._native import MAX_TOKENS, rollout_formats
from agentgen._rollouts import MAX_ROWS, selection
from agentgen.cli._errors import FAILED, reading
from agentgen.cli._options import Whole, json_object, source_format_option, threads_option
from agentgen.cli._quantities import Duration, Share
from agentgen.distill.settings import (
    API_KEY_ENV,
    CONCURRENCY,
    CONTEXT_TOKENS,
    MIN_CONTEXT_TOKENS,
    ROWS,
    TIMEOUT_S,
    DistillSettings,
    Endpoint,
)
from agentgen.errors import AgentgenError, DistillError
from agentgen.replay.urls import server_url
from agentgen.settings import MAX_SEED
from agentgen.text.format import printable
from agentgen.text.progress import progress

if TYPE_CHECKING:
    from agentgen.distill.result import Distilled

MAX_CONCURRENCY = 4_096
MAX_PRICE = 1e6
EXTRA = {"aiohttp": "aiohttp", "kingfisher_sdk": "kingfisher-secret-scanner", "polars": "polars"}
LOCAL_CONTEXT_TOKENS = 2_048  # a longer prompt takes a slow model too long
LOCAL_ANSWER_TOKENS = 800
LOCAL_TEXT = 60  # characters; a small model may write without an end
OUR_FIELDS = ("messages", "response_format", "model", "stream", "n", "tools")


class Price(click.ParamType[float]):
    """The price of a million tokens."""

    name = "price"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse a number from 0."""
        try:
            price = float(value)
        except ValueError:
            price = -1.0
        if not 0 <= price <= MAX_PRICE:
            self.fail(f"found {value}, expected a number from 0 to {MAX_PRICE:,.0f}.", param, ctx)
        return price


class Fields(click.ParamType[dict[str, Any]]):
    """Fields of requests as a JSON object."""

    name = "fields"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """Parse an object without the fields that the command sets."""
        fields = json_object(value)
        if fields is None:
            self.fail(f"found {value!r}, expected a JSON object.", param, ctx)
        for name in OUR_FIELDS:
            if name in fields:
                self.fail(f"found {name}, which the command sets, expected other fields.", param, ctx)
        return fields


def _url(_context: click.Context, param: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else server_url(value)
    except ValueError as error:
        raise click.BadParameter(f"found {value!r}, {error}.", param=param) from None


@click.command("distill")
@click.argument("sources", nargs=-1, metavar="[SOURCE...]")
@source_format_option
@click.option("--url", metavar="URL", callback=_url, help="URL of an OpenAI-compatible server.")
@click.option("--model", metavar="NAME", help="Model that writes. [default: the server's only model]")
@click.option("--judge-url", metavar="URL", callback=_url, help="URL of the judge's server. [default: that of --url]")
@click.option("--judge-model", metavar="NAME", help="Model that judges. [default: the one that writes]")
@click.option(
    "--api-key-env",
    default=API_KEY_ENV,
    show_default=True,
    metavar="NAME",
    help="Environment variable with the API key.",
)
@click.option("--judge-api-key-env", metavar="NAME", help="The same for --judge-url. [default: that of --api-key-env]")
@click.option("--local", is_flag=True, help="Ask a small model on this machine instead, which is fetched once (93 MB).")
@click.option("-n", "--rows", type=Whole(1, MAX_ROWS), default=ROWS, show_default=True, metavar="N", help="Sessions.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Directory to write; it must be new or empty.",
)
@click.option("--preview", is_flag=True, help="Print one row in full, and write nothing.")
@click.option("--dataset-name", metavar="NAME", help="Name in the data card. [default: that of DIR]")
@click.option("--shuffle", is_flag=True, help="Read the files in a random order.")
@click.option("--seed", type=Whole(0, MAX_SEED), metavar="N", help="Seed of that order. [default: 0]")
@click.option(
    "--partition-index", type=Whole(0, MAX_ROWS), metavar="I", help="Read part I (from 0) of the sorted files only."
)
@click.option("--num-partitions", type=Whole(1, MAX_ROWS), metavar="N", help="Number of parts of the sorted files.")
@click.option(
    "--min-score",
    type=Whole(0, 4),
    default=4,
    show_default=True,
    metavar="N",
    help="Lowest of the five scores of a recommended row.",
)
@click.option(
    "--split", "test_share", type=Share(), metavar="SHARE", help="Share of root sessions in a test part, such as 10%."
)
@click.option(
    "--context-tokens",
    type=Whole(MIN_CONTEXT_TOKENS, MAX_TOKENS),
    metavar="TOKENS",
    help="Tokens that the model takes, prompt and answer together; longer sessions are cut. "
    f"[default: as the server says, at most {CONTEXT_TOKENS}]",
)
@click.option(
    "--request-json",
    "request_fields",
    type=Fields(),
    metavar="JSON",
    help="""Fields to add to every request, such as '{"temperature": 0.2, "max_tokens": 4096}'.""",
)
@click.option(
    "--concurrency",
    type=Whole(1, MAX_CONCURRENCY),
    default=CONCURRENCY,
    show_default=True,
    metavar="N",
    help="Most calls in flight; fewer while the server is busy.",
)
@click.option(
    "--timeout",
    "timeout_ms",
    type=Duration(),
    default=f"{TIMEOUT_S:.0f}s",
    metavar="TIME",
    help="Time limit of a call. [default: 10m]",
)
@click.option("--price-in", type=Price(), metavar="PRICE", help="Price of a million prompt tokens.")
@click.option("--price-out", type=Price(), metavar="PRICE", help="Price of a million completion tokens.")
@threads_option
@click.option("--resume", is_flag=True, help="Go on in DIR: no answer that it has is asked for again.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option("--quiet", is_flag=True, help="Print only the directory.")
@click.option("--force", is_flag=True, help="Begin anew in an existing directory.")
def command(
    *,
    sources: tuple[str, ...],
    output: Path | None,
    preview: bool,
    resume: bool,
    as_json: bool,
    quiet: bool,
    force: bool,
    **options: Any,
) -> int:
    """Distil recorded sessions into training data.

    SOURCE is a file (.gz, .zst), a folder or a pattern with sessions of
    coding agents, as for agentgen import --messages; without any, the
    directories where the tools keep their logs.

    A model writes a digest of each session and from it an instruction with
    its response; a judge scores them. Secrets are masked before anything is
    sent. The directory gets dataset.parquet (all rows), sft.jsonl (the
    recommended ones as messages), report.html, README.md (a data card),
    manifest.json and journal.jsonl (every answer).

    Ctrl-C lets calls in flight finish; --resume goes on, also with a larger
    -n, and repeats no call that was answered.
    """
    if (output is None) != preview:
        raise click.UsageError("found both --output and --preview." if preview else "expected --output or --preview.")
    if as_json and quiet:
        raise click.UsageError("--json and --quiet: found both, expected one of them.")
    if resume and (force or preview):
        raise click.UsageError(f"--resume and --{'force' if force else 'preview'}: found both, expected one of them.")
    for module, package in EXTRA.items():
        if find_spec(module) is None:
            raise DistillError(f"distill needs {package}: pip install 'agentgen-traces[distill]'")
    # Imports that take time and that the help does not need.
    from agentgen.distill.manifest import summary  # noqa: PLC0415
    from agentgen.distill.run import distill  # noqa: PLC0415

    _check(options)
    with ExitStack() as stack:
        with reading():
            settings = _settings(sources, output, options, stack)
        update = stack.enter_context(progress("distilling", "row", shown=not (quiet or as_json)))
        made = distill(settings, output, resume=resume, force=force, progress=update)
    said = summary(made)
    if output is not None:
        _write_page(made, said, output)
    if as_json:
        click.echo(json.dumps(said, indent=2))
    elif quiet:
        click.echo(str(output or ""))
    else:
        _print(made, said, output)
    return 0 if said["rows"]["distilled"] else FAILED


def _check(options: dict[str, Any]) -> None:
    """Refuse options that do not go together."""
    name = options["format_name"]
    if name != "auto" and name not in rollout_formats():
        expected = ", ".join(rollout_formats())
        raise click.BadParameter(f"found {name!r}, expected auto, {expected}.", param_hint="--format")
    index, count = options["partition_index"], options["num_partitions"]
    if (index is None) != (count is None):
        raise click.UsageError("--partition-index and --num-partitions need each other.")
    if count is not None and index >= count:
        found = f"found {index}, expected less than --num-partitions, {count}."
        raise click.BadParameter(found, param_hint="--partition-index")
    if options["seed"] is not None and not options["shuffle"]:
        raise click.UsageError("--seed needs --shuffle.")
    if options["local"]:
        for one in ("url", "model", "judge_url", "judge_model"):
            if options[one] is not None:
                raise click.UsageError(f"--local and --{one.replace('_', '-')}: found both, expected one of them.")
    elif options["url"] is None:
        raise click.UsageError("expected --url or --local.")


def _settings(
    sources: tuple[str, ...], output: Path | None, options: dict[str, Any], stack: ExitStack
) -> DistillSettings:
    """The checked settings; asks the server for what it alone knows, and serves the local model until the end."""
    from agentgen.distill.run import find_model  # noqa: PLC0415  not needed by the help
    from agentgen.distill.sources import check  # noqa: PLC0415

    index, count = options["partition_index"], options["num_partitions"]
    chosen = selection(
        sources,
        format=options["format_name"],
        partition=None if count is None else (index, count),
        seed=(options["seed"] or 0) if options["shuffle"] else None,
        limit=options["rows"],
        threads=options["threads"],
    )
    check(chosen)
    if options["local"]:
        options = options | _served(options, stack)
    longest = LOCAL_TEXT if options["local"] else None
    writer, stated = find_model(Endpoint(options["url"], options["model"] or "", options["api_key_env"], longest))
    judge = writer
    if options["judge_url"] is not None:
        key = options["judge_api_key_env"] or options["api_key_env"]
        judge, _ = find_model(Endpoint(options["judge_url"], options["judge_model"] or "", key))
    elif options["judge_model"] is not None:
        judge = replace(writer, model=options["judge_model"])
    return DistillSettings(
        selection=chosen,
        writer=writer,
        judge=judge,
        context_tokens=options["context_tokens"] or min(stated or CONTEXT_TOKENS, CONTEXT_TOKENS),
        concurrency=options["concurrency"],
        timeout_s=options["timeout_ms"] / 1000,
        request_fields=options["request_fields"] or {},
        min_score=options["min_score"],
        test_share=options["test_share"],
        price_in=options["price_in"],
        price_out=options["price_out"],
        dataset_name=options["dataset_name"] or (output.resolve().name if output is not None else "preview"),
    )


def _served(options: dict[str, Any], stack: ExitStack) -> dict[str, Any]:
    """The options for the local model, which is served until the end."""
    from agentgen.local import local_model  # noqa: PLC0415  not needed by the help

    tokens = options["context_tokens"] or LOCAL_CONTEXT_TOKENS
    model = stack.enter_context(local_model(context_tokens=tokens, say=lambda text: click.echo(text, err=True)))
    fields = {"max_tokens": LOCAL_ANSWER_TOKENS, **(options["request_fields"] or {})}
    served = {"url": model.url, "model": model.model, "context_tokens": model.context_tokens}
    return served | {"concurrency": 1, "request_fields": fields}


def _print(made: Distilled, said: dict[str, Any], output: Path | None) -> None:
    from agentgen.distill.summary_text import pieces, record  # noqa: PLC0415  rich is slow to import
    from agentgen.text.layout import BLANK, line, show  # noqa: PLC0415

    if output is None:
        shown = next((row for row in made.rows if row.is_distilled), made.rows[0])
        show(*record(shown), BLANK, *pieces(said, made.rows))
        return
    written = ", ".join(f"{name} ({count:,})" for name, count in said["records"].items())
    show(*pieces(said, made.rows), BLANK, line(f"{output}: dataset.parquet, {written}, report.html, README.md"))


def _write_page(made: Distilled, said: dict[str, Any], directory: Path) -> None:
    """Write `report.html`; the data are complete without it, so errors are only warnings."""
    from agentgen.pages.distill import write  # noqa: PLC0415  not needed by the help

    try:
        write(made, said, directory)
    except (AgentgenError, OSError) as error:
        click.echo(f"agentgen: warning: the data are complete, but have no page: {printable(str(error))}", err=True)
