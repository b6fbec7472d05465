"""`agentgen replay`."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from agentgen._text import printable
from agentgen.cli._errors import FAILED, INTERRUPTED, reading
from agentgen.errors import AgentgenError, ConfigError, ReplayError

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTH = 80
INDENT = " " * 10
GROUPS = {
    "Server": ("url", "model", "endpoint", "stream", "header", "session_header", "api_key_env"),
    "Prompts": ("history", "prompt_mode", "tokenizer", "salt", "request_json", "block_size"),
    "Load": (
        *("concurrency", "session_rate", "seed", "duration", "max_sessions", "warmup_sessions"),
        *("delay_scale", "max_delay", "workers"),
    ),
    "Failures": ("connect_timeout", "first_token_timeout", "timeout", "retries", "grace"),
    "Run": ("config", "slo", "output", "name", "dry_run", "as_json", "quiet"),
}


class Grouped(click.Command):
    """A command whose help has its options by topic."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One section a group; the last one has the help itself, too."""
        options = (param for param in self.get_params(ctx) if isinstance(param, click.Option))
        records = {option.name: record for option in options if (record := option.get_help_record(ctx))}
        for title, names in GROUPS.items():
            rows = [records.pop(name) for name in names]
            with formatter.section(f"{title} options"):
                formatter.write_dl(rows if title != "Run" else [*rows, *records.values()])


def _option(name: str, metavar: str | None, text: str, **more: Any) -> Callable[[Any], Any]:
    """An option whose rules and default are the settings'."""
    return click.option(f"--{name}", metavar=metavar, help=text, **more)


def _pair(_ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    headers = {}
    for value in values:
        name, colon, rest = value.partition(":")
        if not colon:
            raise click.BadParameter(f"found {value!r}, expected NAME: VALUE.", param=param)
        headers[name.strip()] = rest.strip()
    return headers


@click.command("replay", cls=Grouped, short_help="Play a trace against a server, and measure it.")
@click.argument("trace", type=click.Path(exists=True, path_type=Path), metavar="TRACE")
@_option(
    "url", "URL", "An OpenAI-compatible server; several share the sessions. [default: the embedded one]", multiple=True
)
@_option("model", "NAME", "Model to ask for. [default: the server's, if it has one only]")
@_option("endpoint", None, "Which API. [default: chat]", type=click.Choice(["chat", "completions"]))
@click.option("--no-stream", "stream", flag_value=False, default=True, help="Whole answers instead of events.")
@_option("header", "'NAME: VALUE'", "Header of every request; may be given again.", multiple=True, callback=_pair)
@_option(
    "session-header",
    "NAME",
    "Header that holds the session's key; may be given again. [default: X-Session-ID]",
    multiple=True,
)
@_option("api-key-env", "NAME", "Environment variable of the API key. [default: OPENAI_API_KEY]")
@_option(
    "history",
    None,
    "Next prompts hold the server's answers, or text of the recorded length. [default: live; trace for token ids]",
    type=click.Choice(["live", "trace"]),
)
@_option(
    "prompt-mode",
    None,
    "Prompts as words, or (completions only) as token ids. [default: text]",
    type=click.Choice(["text", "token-ids"]),
)
@_option("tokenizer", "FILE", "The model's tokenizer.json: prompts of exact length.")
@_option("salt", "TEXT", "The same salt makes the same text. [default: a new one]")
@_option("request-json", "JSON", """Fields of every request, such as '{"ignore_eos": true}'.""")
@_option("block-size", "TOKENS", "Block size of a trace that does not say.", type=int)
@_option(
    "concurrency",
    "N",
    "Closed loop: open sessions, one request in flight in each. [default: 50, or the trace's arrivals]",
    type=int,
)
@_option("session-rate", "R", "Open loop: R sessions a second, at random.", type=float)
@_option("seed", "N", "Of the random arrivals. [default: 42]", type=int)
@_option("duration", "TIME", "Issue no request after this time.")
@_option("max-sessions", "N", "Play no more sessions.", type=int)
@_option("warmup-sessions", "N", "Play N sessions before, with another salt. [default: 0]", type=int)
@_option("delay-scale", "X", "Factor of the trace's delays; 0 for none. [default: 1]", type=float)
@_option("max-delay", "TIME", "Longest delay, after scaling.")
@_option("workers", "N", "Processes that share the sessions. [default: 1]", type=int)
@_option("connect-timeout", "TIME", "For an attempt to connect. [default: 10s]")
@_option("first-token-timeout", "TIME", "From a request to its first token.")
@_option("timeout", "TIME", "From a request to its last byte. [default: 1h]")
@_option("retries", "N", "Of a request refused with 429 or 503 and Retry-After. [default: 0]", type=int)
@_option("grace", "TIME", "For requests in flight at the end. [default: 30s]")
@_option("config", "FILE", "YAML, TOML or JSON file of these options; flags win.", type=click.Path(path_type=Path))
@_option("slo", "LIMITS", "Limits of good requests: ttft=500ms,tpot=50ms,e2e=30s.")
@_option(
    "output",
    "DIR",
    "Where the run directory goes. [default: .]",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
)
@_option("name", "RUN", "Name of the run directory. [default: <trace>_replay_<UTC time>]")
@click.option("--dry-run", is_flag=True, help="Check server and trace, say what would be done, and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option("--quiet", is_flag=True, help="Print nothing but the run directory.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    trace: Path,
    config: Path | None,
    output: Path,
    name: str | None,
    *,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Play a trace against a server, and measure it.

    TRACE is a run directory of agentgen, a Mooncake trace, or a file of
    multi-turn messages. Without --url, a server of our own answers that models
    time and prefix cache.

    The run directory gets summary.json, requests.parquet and replay.html. Times are
    seconds, or have a unit: 500ms, 30s, 5m, 1h. Ctrl-C lets requests in flight finish
    and writes what was measured; once more gives them up.
    """
    # What takes time to import, and the help does not need.
    from agentgen.replay.progress import Progress  # noqa: PLC0415
    from agentgen.replay.run import default_name, prepared, replay  # noqa: PLC0415
    from agentgen.replay.settings import load_settings  # noqa: PLC0415
    from agentgen.replay.text import lines  # noqa: PLC0415

    flags = {
        key: value for key, value in options.items() if ctx.get_parameter_source(key) is ParameterSource.COMMANDLINE
    }
    with reading():
        try:
            settings = load_settings(config, flags)
        except ConfigError as error:  # an option, wherever it stands, and not a configuration of a trace
            raise ReplayError("; ".join(str(error).splitlines())) from None
        directory = _run_directory(output, name, default_name(trace))
        with prepared(trace, settings) as ready:
            if dry_run or not (quiet or as_json):
                for line in ready.lines():
                    click.echo(textwrap.fill(line, WIDTH, subsequent_indent=INDENT), err=not dry_run)
            if dry_run:
                return 0
            progress = Progress(shown=not quiet)
            try:
                summary, outcome = replay(ready, directory, progress)
            finally:
                progress.close()
    _write_page(directory, summary)
    if quiet:
        click.echo(str(directory))
    elif as_json:
        click.echo(json.dumps(summary, indent=2))
    else:
        for line in lines(summary):
            click.echo(line)
        click.echo(f"written to {directory}", err=True)
    for kind, message in outcome.messages.items():
        click.echo(f"agentgen: warning: {kind}: {message}", err=True)
    if outcome.interrupted:
        return INTERRUPTED
    return FAILED if summary["incomplete"] or summary["errors"] or outcome.failed else 0


def _write_page(directory: Path, summary: dict[str, Any]) -> None:
    """The page of a run that is complete, with or without it."""
    from agentgen.pages.replay import write  # noqa: PLC0415  needs the compiled module, which the help does not

    try:
        write(directory, summary)
    except (AgentgenError, OSError) as error:
        click.echo(f"agentgen: warning: the result is complete, but has no page: {printable(str(error))}", err=True)


def _run_directory(output: Path, name: str | None, default: str) -> Path:
    """Where the run goes: nothing may be there."""
    if name is not None and (name in {"", ".", ".."} or Path(name).name != name or name.startswith("-")):
        raise click.BadParameter(
            f"found {name!r}, expected a name without a path; --output says where.", param_hint="--name"
        )
    directory = output / (name or default)
    if directory.exists():
        raise ReplayError(f"{directory}: found a file or directory, expected none; --name gives another")
    return directory
