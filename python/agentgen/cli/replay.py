"""`agentgen replay`."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from agentgen.cli._errors import FAILED, INTERRUPTED, reading
from agentgen.errors import AgentgenError, ReplayError
from agentgen.text.format import counted, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GROUPS = {
    "Server": (
        *("url", "model", "endpoint", "stream", "header", "session_header", "api_key_env"),
        *("proxy", "ca_file", "insecure", "skip_checks"),
    ),
    "Prompt": (
        *("history", "reasoning", "prompt_mode", "tokenizer", "salt", "request_json", "max_tokens_field"),
        "trace_block_size",
    ),
    "Load": (
        *("concurrency", "session_rate", "seed", "ramp_up", "from_", "until", "sample", "too_long", "duration"),
        *("max_sessions", "warmup_sessions", "time_scale", "max_delay", "workers"),
    ),
    "Failure handling": ("connect_timeout", "first_token_timeout", "timeout", "max_answer", "retries", "grace"),
    "Output": ("config", "slo", "output", "name", "dry_run", "as_json", "quiet"),
}


class Grouped(click.Command):
    """A command whose help groups the options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One section per group; the last one also has `--help`."""
        options = (param for param in self.get_params(ctx) if isinstance(param, click.Option))
        records = {option.name: record for option in options if (record := option.get_help_record(ctx))}
        for title, names in GROUPS.items():
            rows = [records.pop(name) for name in names]
            with formatter.section(f"{title} options"):
                formatter.write_dl(rows if title != "Output" else [*rows, *records.values()])


def _number(text: str) -> float | str:
    """Parse a plain number; the settings parse other text, as they do for values in a file."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _option(name: str, metavar: str | None, text: str, **more: Any) -> Callable[[Any], Any]:
    """An option whose rules and default are those of `ReplaySettings`."""
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


@click.command("replay", cls=Grouped, short_help="Replay a trace against a server and measure it.")
@click.argument("trace", type=click.Path(exists=True, path_type=Path), metavar="TRACE")
@_option(
    "url",
    "URL",
    "URL of an OpenAI-compatible server, with or without the endpoint; several share the sessions. "
    "[default: an embedded server]",
    multiple=True,
)
@_option("model", "NAME", "Model name in requests. [default: the server's only model]")
@_option(
    "endpoint",
    None,
    "API of requests: OpenAI's chat completions, completions or responses, or Anthropic's messages. [default: chat]",
    type=click.Choice(["chat", "completions", "responses", "messages"]),
)
@click.option(
    "--no-stream", "stream", flag_value=False, default=True, help="Request complete responses instead of event streams."
)
@_option("header", "'NAME: VALUE'", "Header of every request; can be repeated.", multiple=True, callback=_pair)
@_option(
    "session-header",
    "NAME",
    "Header that holds the session's key; can be repeated. [default: X-Session-ID]",
    multiple=True,
)
@_option("api-key-env", "NAME", "Environment variable with the API key. [default: OPENAI_API_KEY]")
@_option("proxy", "URL|env|none", "HTTP proxy; env takes it from HTTP_PROXY and HTTPS_PROXY. [default: none]")
@_option("ca-file", "FILE", "Certificates of accepted authorities. [default: SSL_CERT_FILE, or the system's]")
@click.option("--insecure", is_flag=True, help="Accept any certificate; the result says so.")
@click.option("--skip-checks", is_flag=True, help="Do not ask servers for models and accepted fields; needs --model.")
@_option(
    "history",
    None,
    "Earlier answers in prompts: the server's (live), or recorded ones. [default: live; recorded for token ids]",
    type=click.Choice(["live", "recorded"]),
)
@_option(
    "reasoning",
    None,
    "Reasoning of earlier answers in prompts: none, all, or that since the user's last message. [default: keep; "
    "in-tool-turns for DeepSeek's models]",
    type=click.Choice(["drop", "keep", "in-tool-turns"]),
)
@_option(
    "prompt-mode",
    None,
    "Send prompts as text, or (completions only) as token ids. [default: text]",
    type=click.Choice(["text", "token-ids"]),
)
@_option("tokenizer", "FILE", "The model's tokenizer.json, for prompts of exact length.")
@_option("salt", "TEXT", "Salt of the prompts' text; the same salt gives the same text. [default: random]")
@_option(
    "request-json",
    "JSON",
    """Fields to add to every request or replace, such as '{"ignore_eos": true}'; null drops a field.""",
)
@_option(
    "max-tokens-field",
    None,
    "Field that limits the tokens of an answer; auto tries what the server accepts. [default: auto]",
    type=click.Choice(["auto", "max_tokens", "max_completion_tokens", "both", "none"]),
)
@_option("trace-block-size", "TOKENS", "Tokens per hash id, if the trace does not state it.", type=_number)
@_option(
    "concurrency",
    "N",
    "Closed loop with N open sessions, one request in flight in each. "
    "[default: the trace's arrival times, or 50 without them]",
    type=_number,
)
@_option("session-rate", "R", "Open loop with random arrivals, R sessions per second.", type=_number)
@_option("seed", "N", "Seed of the random arrivals. [default: 42]", type=_number)
@_option("ramp-up", "TIME", "Time over which a closed loop starts its first sessions. [default: all at once]")
@click.option("--from", "from_", metavar="TIME", help="Play arrivals from this time on, after the earliest one.")
@_option("until", "TIME", "Play arrivals before this time, after the earliest one.")
@_option("sample", "SHARE", "Play this share of the sessions, such as 10%, with all that are linked to them.")
@_option(
    "too-long",
    None,
    "Sessions with a request longer than the server takes: refuse the trace, leave them out, or play them up to it. "
    "[default: refuse]",
    type=click.Choice(["refuse", "skip-session", "truncate-session"]),
)
@_option("duration", "TIME", "Issue no request after this time.")
@_option("max-sessions", "N", "Play at most N sessions.", type=_number)
@_option("warmup-sessions", "N", "Warm up with N sessions that use another salt. [default: 0]", type=_number)
@_option(
    "time-scale",
    "X",
    "Factor of the trace's arrivals, recorded times and delays; 0 for none. [default: 1]",
    type=_number,
)
@_option("max-delay", "TIME", "Longest delay, after scaling.")
@_option("workers", "N", "Processes that share the sessions. [default: 1]", type=_number)
@_option("connect-timeout", "TIME", "Time limit of a connection attempt. [default: 10s]")
@_option("first-token-timeout", "TIME", "Time limit of a request's first token. [default: none]")
@_option("timeout", "TIME", "Time limit of a whole request. [default: 1h]")
@_option("max-answer", "SIZE", "Largest response body, such as 64MiB; larger ones fail. [default: 64MiB]", type=_number)
@_option(
    "retries", "N", "Retries of a request after HTTP 429 or 5xx, or if it cannot connect. [default: 0]", type=_number
)
@_option("grace", "TIME", "Time for requests in flight to finish when the run stops. [default: 30s]")
@_option(
    "config",
    "FILE",
    "YAML, TOML or JSON file with these options; flags take precedence.",
    type=click.Path(path_type=Path),
)
@_option("slo", "LIMITS", "Time limits of goodput, such as ttft=500ms,tpot=50ms,e2e=30s.")
@_option(
    "output",
    "DIR",
    "Directory in which the run directory is created. [default: .]",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
)
@_option("name", "RUN", "Name of the run directory. [default: <trace>_replay_<UTC time>]")
@click.option("--dry-run", is_flag=True, help="Check server and trace, print what would be done, and exit.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option("--quiet", is_flag=True, help="Print only the run directory.")
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
    """Replay a trace against a server and measure it.

    TRACE is a block-hash trace (JSONL, Parquet, a run directory or a merged
    set) or a file of multi-turn messages. Without --url, an embedded server answers; it models time and
    prefix cache (see agentgen serve).

    Writes summary.json, requests.parquet and replay.html into a new run
    directory. Times are seconds or have a unit: 500ms, 30s, 5m, 1h. Ctrl-C
    lets requests in flight finish and writes the results; a second Ctrl-C
    cancels them.
    """
    # Imports that take time and that the help does not need.
    from agentgen.replay.dry_run_text import pieces as dry_run_pieces  # noqa: PLC0415
    from agentgen.replay.prepare import prepare  # noqa: PLC0415
    from agentgen.replay.progress import Progress  # noqa: PLC0415
    from agentgen.replay.run import default_name, replay  # noqa: PLC0415
    from agentgen.replay.settings import load_settings  # noqa: PLC0415
    from agentgen.text.layout import show  # noqa: PLC0415

    if as_json and (quiet or dry_run):
        raise click.UsageError(f"--json and --{'quiet' if quiet else 'dry-run'}: found both, expected one of them.")
    flags = {
        key: value for key, value in options.items() if ctx.get_parameter_source(key) is ParameterSource.COMMANDLINE
    }
    with ExitStack() as stack:
        with reading():
            settings = load_settings(config, flags)
            directory = _run_directory(output, name, default_name(trace))
            prepared = stack.enter_context(prepare(trace, settings))
        if dry_run or not (quiet or as_json):
            show(*dry_run_pieces(prepared), err=not dry_run)
        if dry_run:
            return 0
        progress = Progress(shown=not quiet, grace_s=settings.grace)
        try:
            summary, state = replay(prepared, directory, progress)
        except KeyboardInterrupt:  # before the first or after the last request
            raise KeyboardInterrupt(f"{directory} has no summary.json") from None
        finally:
            progress.close()
    _write_page(directory, summary)
    _print_results(directory, summary, state.failure_messages, quiet=quiet, as_json=as_json)
    if state.interrupted:
        return INTERRUPTED
    succeeded = summary["run"]["counters"]["succeeded"]
    return 0 if succeeded and not (summary["incomplete"] or summary["errors"] or state.failed) else FAILED


def _print_results(
    directory: Path, summary: dict[str, Any], messages: Mapping[str, str], *, quiet: bool, as_json: bool
) -> None:
    """Print the summary, and why sessions failed."""
    from agentgen.replay.summary_text import pieces  # noqa: PLC0415  the help needs neither
    from agentgen.text.layout import show  # noqa: PLC0415

    if quiet:
        click.echo(str(directory))
    elif as_json:
        click.echo(json.dumps(summary, indent=2))
    else:
        show(*pieces(summary))
        click.echo(f"written to {printable(str(directory))}", err=True)
    for kind, message in messages.items():
        failed = _failed(summary, kind)  # 0 if only a transcript was lost that no session needed
        what = f"{counted(failed, 'session')} failed with {kind}, such as" if failed else kind
        click.echo(printable(f"agentgen: warning: {what}: {message}"), err=True)


def _failed(summary: dict[str, Any], kind: str) -> int:
    """Number of sessions that ended with a kind of failure (a failed request ends its session)."""
    name, _, status = kind.partition(" ")
    phases = [phase for phase in (summary["run"], summary["warmup"]) if phase]
    return sum((phase["http_errors"] if status else phase["outcomes"]).get(status or name, 0) for phase in phases)


def _write_page(directory: Path, summary: dict[str, Any]) -> None:
    """Write `replay.html`; the run is complete without it, so errors are only warnings."""
    from agentgen.pages.replay import write  # noqa: PLC0415  needs the compiled module, which the help does not

    try:
        write(directory, summary)
    except (AgentgenError, OSError) as error:
        click.echo(f"agentgen: warning: the result is complete, but has no page: {printable(str(error))}", err=True)


def _run_directory(output: Path, name: str | None, default: str) -> Path:
    """Path of the run directory, which must not exist."""
    is_odd = name in {"", ".", ".."} or (name is not None and (Path(name).name != name or name.startswith("-")))
    if name is not None and (is_odd or not name.isprintable()):
        problem = f"found {name!r}, expected a printable name without a path (--output names the directory)."
        raise click.BadParameter(problem, param_hint="--name")
    directory = output / (name or default)
    if directory.exists():
        raise ReplayError(f"{directory}: found a file or directory, expected none; --name gives another")
    return directory
