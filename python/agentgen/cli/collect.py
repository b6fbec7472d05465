"""`agentgen collect`."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentgen.cli._errors import FAILED, reading
from agentgen.cli._group import Suggesting
from agentgen.cli._options import Whole, json_object
from agentgen.errors import CollectError
from agentgen.replay.urls import server_url
from agentgen.settings import MAX_SEED
from agentgen.text.format import counted, printable
from agentgen.text.progress import progress
from agentgen.units import parse_time_s

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from agentgen.collect.run import Collected

MAX_COUNT = 10**9
MAX_CONCURRENCY = 1024
MAX_STEPS = 100
LOCAL_MAX_TOKENS, SERVER_MAX_TOKENS = 256, 2048
SHOWN_DIFFERENCES = 20
NEEDED = ("aiohttp", "polars")


class Time(click.ParamType[float]):
    """A time in seconds, or with a unit."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse `30s`, `5m`."""
        seconds = parse_time_s(str(value))
        if not seconds:
            self.fail(f"found {value}, expected a time above 0 such as 30s or 5m.", param, ctx)
        return seconds


class Fields(click.ParamType[dict[str, Any]]):
    """A JSON object."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """Parse the object."""
        fields = json_object(value)
        if fields is None:
            self.fail('found something else, expected a JSON object such as {"temperature": 0}.', param, ctx)
        return fields


@click.group(
    "collect",
    cls=Suggesting,
    invoke_without_command=True,
    subcommand_metavar="[fixture ...]",
    short_help="Run an agent on tasks and record it.",
)
@click.option("--tasks", metavar="NAME|FILE", help="nl2bash, mbpp, or a JSON or JSONL file of tasks.")
@click.option("--url", metavar="URL", help="URL of an OpenAI-compatible server.")
@click.option("--local", is_flag=True, help="Serve a small real model on this machine for the run.")
@click.option("--model", metavar="NAME", help="Model name in requests. [default: the server's only model]")
@click.option("-n", "count", type=Whole(1, MAX_COUNT), metavar="N", help="Number of tasks. [default: all]")
@click.option(
    "-o", "output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="File of rows, .jsonl."
)
@click.option(
    "--actions",
    type=click.Choice(["auto", "tools", "json"]),
    default="auto",
    show_default=True,
    help="How the model calls tools: by the API, or by JSON that follows a schema; auto asks it once.",
)
@click.option(
    "--concurrency", type=Whole(1, MAX_CONCURRENCY), metavar="N", help="Tasks at a time. [default: 4; --local: 1]"
)
@click.option("--seed", type=Whole(0, MAX_SEED), metavar="N", help="Seed of the requests. [default: none]")
@click.option(
    "--max-steps", type=Whole(1, MAX_STEPS), metavar="N", default=10, show_default=True, help="Model calls of a task."
)
@click.option(
    "--max-tokens",
    type=Whole(1, MAX_COUNT),
    metavar="TOKENS",
    help="Longest answer. [default: 2048; --local: 256]",
)
@click.option("--request-json", type=Fields(), metavar="JSON", help="Fields to add to every request.")
@click.option(
    "--api-key-env",
    metavar="NAME",
    default="OPENAI_API_KEY",
    show_default=True,
    help="Environment variable with the API key.",
)
@click.option("--timeout", type=Time(), metavar="TIME", default="10m", show_default=True, help="Limit of a request.")
@click.option(
    "--tool-timeout", type=Time(), metavar="TIME", default="30s", show_default=True, help="Limit of a tool call."
)
@click.option("--no-sandbox", is_flag=True, help="Run tools with your own rights, in a temporary directory.")
@click.option("--resume", is_flag=True, help="Keep the rows that are there; run the other tasks.")
@click.option("--force", is_flag=True, help="Replace the files that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(context: click.Context, /, **options: Any) -> None:
    """Run an agent on tasks, and record its model and tool calls.

    The agent has the tools bash, python and final_answer, which run in a
    bubblewrap sandbox without network. Its model is on a server (--url) or on
    this machine (--local).

    Writes a row per task in the schema of AgentTrace to FILE.jsonl, and its
    Parquet view to FILE.parquet; agentgen import and analyze read both. Ctrl-C
    keeps the rows of tasks that have ended, and --resume continues.
    """
    if context.invoked_subcommand is None:
        _collect(**options)


@command.command("fixture")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@click.option("--check", is_flag=True, help="Compare the directory with the files instead.")
def fixture(directory: Path, *, check: bool) -> int:
    """Write the files that NL2Bash tasks begin with.

    DIR is new or empty. The files are the same on every machine; every task
    gets a fresh copy of them in its sandbox.
    """
    from agentgen.collect.fixture import nl2bash_fixture  # noqa: PLC0415  the help does not need it

    files = nl2bash_fixture()
    if not check:
        files.write(directory)
    elif not directory.is_dir():
        raise click.BadParameter(f"found no directory {directory}.", param_hint="DIR")
    differences = list(files.differences(directory))
    for difference in differences[:SHOWN_DIFFERENCES]:
        click.echo(f"agentgen: error: {printable(str(directory))}: {printable(difference)}", err=True)
    if len(differences) > SHOWN_DIFFERENCES:
        click.echo(f"agentgen: error: and {counted(len(differences) - SHOWN_DIFFERENCES, 'more difference')}", err=True)
    if differences:
        return FAILED
    count = sum(entry.kind == "file" for entry in files.entries)
    click.echo(f"{printable(str(directory))}: {counted(count, 'file')}, version {files.version}")
    return 0


def _collect(
    *,
    tasks: str | None,
    url: str | None,
    local: bool,
    output: Path | None,
    concurrency: int | None,
    max_tokens: int | None,
    request_json: dict[str, Any] | None,
    api_key_env: str,
    timeout: float,
    tool_timeout: float,
    no_sandbox: bool,
    as_json: bool,
    **more: Any,
) -> None:
    if tasks is None or output is None or local == (url is not None):
        raise click.UsageError("found too few options, expected --tasks, -o, and one of --url and --local.")
    if output.suffix != ".jsonl":
        raise click.BadParameter(f"found {str(output)!r}, expected a name that ends with .jsonl.", param_hint="-o")
    if more["resume"] and more["force"]:
        raise click.UsageError("--resume and --force: found both, expected one of them.")
    _check_packages()
    from agentgen.collect.limits import Limits  # noqa: PLC0415  the help does not need it
    from agentgen.collect.run import CollectSettings, collect  # noqa: PLC0415  aiohttp is an extra
    from agentgen.collect.tasks import load_tasks  # noqa: PLC0415  as above
    from agentgen.local import local_model  # noqa: PLC0415  as above

    with reading():
        task_set = load_tasks(tasks)
    with ExitStack() as stack:
        if local:
            served = stack.enter_context(local_model(say=lambda line: click.echo(line, err=True)))
            url, more["model"] = served.url, served.model
        settings = CollectSettings(
            tasks=task_set,
            url=_server(url or ""),
            output=output,
            concurrency=concurrency or (1 if local else 4),
            max_tokens=max_tokens or (LOCAL_MAX_TOKENS if local else SERVER_MAX_TOKENS),
            request_fields=request_json or {},
            timeout_s=timeout,
            limits=Limits(time_s=tool_timeout),
            is_sandboxed=not no_sandbox,
            api_key=os.environ.get(api_key_env) or None,
            **more,
        )
        update = stack.enter_context(progress("collecting", "task", shown=not as_json))
        result = collect(settings, update)
    if as_json:
        click.echo(json.dumps(_totals(result), indent=2))
        return
    from agentgen.text.layout import show  # noqa: PLC0415  rich is slow to import

    show(*_pieces(result))


def _server(url: str) -> str:
    try:
        return server_url(url)
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="--url") from None


def _check_packages() -> None:
    from importlib.util import find_spec  # noqa: PLC0415  for this command only

    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise CollectError(f"collect needs {' and '.join(missing)}: pip install 'agentgen-traces[collect]'")


def _totals(result: Collected) -> dict[str, Any]:
    steps = [step for row in result.rows for step in row["llm_steps"]]
    spans = [span for row in result.rows for span in row["spans"]]
    ends = [row["metadata"]["end_reason"] for row in result.rows]
    return {
        "files": [str(path) for path in result.files],
        "tasks": len(result.rows),
        "new_tasks": result.new_rows,
        "actions": result.rows[0]["metadata"]["actions"] if result.rows else None,
        "sandbox": result.rows[0]["metadata"]["sandbox"] if result.rows else None,
        "end_reasons": {reason: ends.count(reason) for reason in dict.fromkeys(ends)},
        "steps": len(steps),
        "tool_calls": len(spans),
        "input_tokens": sum(step["input_tokens"] or 0 for step in steps),
        "output_tokens": sum(step["output_tokens"] or 0 for step in steps),
        "retries": result.retries,
    }


def _pieces(result: Collected) -> Iterator[RenderableType]:
    from agentgen.text.layout import BLANK, Facts, line  # noqa: PLC0415  rich is slow to import

    totals = _totals(result)
    for path in totals["files"]:
        yield line(path)
    yield BLANK
    ends = [f"{count:,} {reason.replace('_', ' ')}," for reason, count in totals["end_reasons"].items()]
    yield Facts(
        [
            ("tasks", [f"{totals['tasks']:,}, of which {totals['new_tasks']:,} new"]),
            ("ended by", [*ends[:-1], *(end.removesuffix(",") for end in ends[-1:])]),
            ("steps", [f"{totals['steps']:,},", f"with {counted(totals['tool_calls'], 'tool call')}"]),
            ("tokens", [f"{totals['input_tokens']:,} in prompts,", f"{totals['output_tokens']:,} in outputs"]),
            ("actions", [f"{totals['actions']};", f"sandbox: {totals['sandbox'] or 'none'}"]),
        ]
    )
