"""`agentgen replay`."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from agentgen._text import printable
from agentgen.cli._errors import FAILED, INTERRUPTED, reading
from agentgen.errors import AgentgenError, ReplayError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GROUPS = {
    "Server": ("url", "model", "endpoint", "stream", "header", "session_header", "api_key_env"),
    "Prompts": ("history", "prompt_mode", "tokenizer", "salt", "request_json", "trace_block_size"),
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


def _number(text: str) -> float | str:
    """A number; of another text the settings say what was expected, as they do of one in a file."""
    if "_" in text:  # Python's way of writing them, and nobody else's
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _option(name: str, metavar: str | None, text: str, **more: Any) -> Callable[[Any], Any]:
    """An option whose rules and default are the settings'."""
    return click.option(f"--{name}", metavar=metavar, help=text, **more)


def _pair(_ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    headers = {}
    for value in values:
        name, colon, rest = value.partition(":")
        if not colon:
            raise click.BadParameter("found a value without a colon (not shown), expected NAME: VALUE.", param=param)
        if name.strip() in headers:
            raise click.BadParameter(f"found {name.strip()!r} twice, expected each header once.", param=param)
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
    "Next prompts hold the server's answers, or text of the recorded length. [default: live; recorded for token ids]",
    type=click.Choice(["live", "recorded"]),
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
@_option("trace-block-size", "TOKENS", "Block size of a trace that does not state one.", type=_number)
@_option(
    "concurrency",
    "N",
    "Closed loop: open sessions, one request in flight in each. [default: 50, or the trace's arrivals]",
    type=_number,
)
@_option("session-rate", "R", "Open loop: R sessions a second, at random.", type=_number)
@_option("seed", "N", "Of the random arrivals. [default: 42]", type=_number)
@_option("duration", "TIME", "Issue no request after this time.")
@_option("max-sessions", "N", "Play no more sessions.", type=_number)
@_option("warmup-sessions", "N", "Play N sessions before, with another salt. [default: 0]", type=_number)
@_option("delay-scale", "X", "Factor of the trace's delays; 0 for none. [default: 1]", type=_number)
@_option("max-delay", "TIME", "Longest delay, after scaling.")
@_option("workers", "N", "Processes that share the sessions. [default: 1]", type=_number)
@_option("connect-timeout", "TIME", "For an attempt to connect. [default: 10s]")
@_option("first-token-timeout", "TIME", "From a request to its first token.")
@_option("timeout", "TIME", "From a request to its last byte. [default: 1h]")
@_option("retries", "N", "Of a request refused with 429 or 503 and Retry-After. [default: 0]", type=_number)
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
    from agentgen.replay.plan_text import lines as plan_lines  # noqa: PLC0415
    from agentgen.replay.progress import Progress  # noqa: PLC0415
    from agentgen.replay.run import default_name, prepared, replay  # noqa: PLC0415
    from agentgen.replay.settings import load_settings  # noqa: PLC0415

    if as_json and (quiet or dry_run):
        raise click.UsageError(f"--json and --{'quiet' if quiet else 'dry-run'}: found both, expected one of them.")
    flags = {
        key: value for key, value in options.items() if ctx.get_parameter_source(key) is ParameterSource.COMMANDLINE
    }
    with ExitStack() as stack:
        with reading():
            settings = load_settings(config, flags)
            directory = _run_directory(output, name, default_name(trace))
            ready = stack.enter_context(prepared(trace, settings))
        if dry_run or not (quiet or as_json):
            for line in plan_lines(ready):
                click.echo(printable(line), err=not dry_run)
        if dry_run:
            return 0
        progress = Progress(shown=not quiet)
        try:
            summary, outcome = replay(ready, directory, progress)
        except KeyboardInterrupt:  # when the run was over, or not begun
            raise KeyboardInterrupt(f"{directory} has no summary.json") from None
        finally:
            progress.close()
    _write_page(directory, summary)
    _tell(directory, summary, outcome.messages, quiet=quiet, as_json=as_json)
    if outcome.interrupted:
        return INTERRUPTED
    measured = summary["run"]["books"]["succeeded"]
    return 0 if measured and not (summary["incomplete"] or summary["errors"] or outcome.failed) else FAILED


def _tell(directory: Path, summary: dict[str, Any], messages: Mapping[str, str], *, quiet: bool, as_json: bool) -> None:
    """What came of it, and why sessions failed."""
    from agentgen.analysis.tables import counted  # noqa: PLC0415  the help needs none of these
    from agentgen.replay.text import lines  # noqa: PLC0415

    if quiet:
        click.echo(str(directory))
    elif as_json:
        click.echo(json.dumps(summary, indent=2))
    else:
        for line in lines(summary):
            click.echo(printable(line))
        click.echo(f"written to {printable(str(directory))}", err=True)
    for kind, message in messages.items():
        failed = _failed(summary, kind)  # none where a transcript was lost that no session asked for
        what = f"{counted(failed, 'session')} failed with {kind}, such as" if failed else kind
        click.echo(printable(f"agentgen: warning: {what}: {message}"), err=True)


def _failed(summary: dict[str, Any], kind: str) -> int:
    """Sessions that ended with a kind of failure: a request that fails ends its session."""
    name, _, status = kind.partition(" ")
    phases = [phase for phase in (summary["run"], summary["warmup"]) if phase]
    return sum((phase["http_errors"] if status else phase["outcomes"]).get(status or name, 0) for phase in phases)


def _write_page(directory: Path, summary: dict[str, Any]) -> None:
    """The page of a run that is complete, with or without it."""
    from agentgen.pages.replay import write  # noqa: PLC0415  needs the compiled module, which the help does not

    try:
        write(directory, summary)
    except (AgentgenError, OSError) as error:
        click.echo(f"agentgen: warning: the result is complete, but has no page: {printable(str(error))}", err=True)


def _run_directory(output: Path, name: str | None, default: str) -> Path:
    """Where the run goes: nothing may be there."""
    is_odd = name in {"", ".", ".."} or (name is not None and (Path(name).name != name or name.startswith("-")))
    if name is not None and (is_odd or not name.isprintable()):
        problem = f"found {name!r}, expected a printable name without a path; --output says where."
        raise click.BadParameter(problem, param_hint="--name")
    directory = output / (name or default)
    if directory.exists():
        raise ReplayError(f"{directory}: found a file or directory, expected none; --name gives another")
    return directory
