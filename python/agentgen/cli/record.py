"""`agentgen record`."""

from __future__ import annotations

import errno
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentgen._native import MAX_TOKENS
from agentgen._record import JOURNAL, record
from agentgen.cli._listening import host_option, max_connections_option, port_option, worker_threads_option
from agentgen.cli._options import Whole, check_name, run_output_option
from agentgen.cli._pages import write_pages
from agentgen.cli._quantities import Duration
from agentgen.cli._signals import allow_open_files, stopped_by_signals
from agentgen.replay.units import MS_PER_S
from agentgen.text.format import counted, percent, printable, short

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from agentgen._record import Recorder

POLL_S = 0.25
LOOPBACK = ("127.", "localhost", "::1")


@click.command("record", short_help="Record the model calls of agents that pass through a proxy.")
@click.option("--upstream", required=True, metavar="URL", help="URL of the server that requests are forwarded to.")
@host_option
@port_option(8080)
@run_output_option
@click.option("--name", metavar="RUN", help="Name of the run directory. [default: record_<UTC time>]")
@click.option("--block-size", type=Whole(1, MAX_TOKENS), metavar="TOKENS", help="Tokens per block. [default: 64]")
@click.option(
    "--messages",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the conversations with their texts to this JSONL file, too.",
)
@click.option(
    "--session-header",
    "session_headers",
    multiple=True,
    metavar="NAME",
    help="Header in which clients name their sessions, beside the well-known ones; can be repeated.",
)
@click.option(
    "--ca-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Certificates of accepted authorities. [default: SSL_CERT_FILE, or the system's]",
)
@click.option("--insecure", is_flag=True, help="Accept any certificate of the server.")
@click.option(
    "--grace",
    "grace_ms",
    type=Duration(),
    default="30s",
    metavar="TIME",
    help="Time for open calls to end after Ctrl-C. [default: 30s]",
)
@max_connections_option
@worker_threads_option
@click.option("--no-pages", "pages", is_flag=True, default=True, flag_value=False, help="Do not write HTML pages.")
def command(
    *,
    upstream: str,
    host: str,
    output: Path,
    name: str | None,
    grace_ms: float,
    max_connections: int,
    messages: Path | None,
    pages: bool,
    **options: Any,
) -> None:
    """Record the model calls of agents that pass through a proxy.

    Point an agent to the printed URL by its base URL; the proxy forwards each
    request to the server, unchanged, and streams the answer back. It records
    chat completions, completions, responses (OpenAI) and messages (Anthropic)
    until Ctrl-C, and makes a run of them, which every other command takes.

    No text, header or key is stored: prompts are hashes. --messages also writes
    the conversations with their texts, but no headers, when the recording ends.
    Ctrl-C lets open calls end; a second one cuts them.
    """
    check_name(name)
    directory = output / (name or f"record_{datetime.now(UTC):%Y%m%d-%H%M%S}")
    allow_open_files(2 * max_connections)
    try:
        recorder = record(upstream, directory, host=host, max_connections=max_connections, messages=messages, **options)
    except ValueError as error:
        raise click.UsageError(f"--{error}.") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            error.strerror = f"{error.strerror} (--port 0 takes a free port)"
        raise
    with stopped_by_signals() as stopped:
        try:
            _print_start(recorder, upstream, host, messages)
            with _live_line(recorder) as show:
                _serve(recorder, stopped, grace_ms / MS_PER_S, show)
        except BaseException:
            recorder.abandon()
            raise
    try:
        run = recorder.finish()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{directory / JOURNAL} has all calls, but no run was made of them") from None
    written = write_pages(directory, options["threads"]) if pages else []
    from agentgen.cli._import_text import print_import  # noqa: PLC0415  rich is slow to import

    print_import(run, written)
    stats = recorder.stats()
    if messages:
        click.echo(printable(f"{messages}: {counted(stats['conversations'], 'conversation')} with all texts"))
    click.echo(f"stopped; {_counts(stats)}", err=True)


def _print_start(recorder: Recorder, upstream: str, host: str, messages: Path | None) -> None:
    click.echo(recorder.url)
    texts = f"and all texts into {messages}" if messages else "without texts"
    click.echo(printable(f"forwards to {upstream}, records into {recorder.directory} {texts}, until Ctrl-C"))
    click.echo(f"OPENAI_BASE_URL={recorder.url}/v1 ANTHROPIC_BASE_URL={recorder.url}")
    if not host.startswith(LOOPBACK):
        click.echo(f"agentgen: warning: {printable(host)}: other machines can send requests too", err=True)


def _serve(recorder: Recorder, stopped: threading.Event, grace_s: float, show: Callable[[], None]) -> None:
    """Wait for a signal; then for open calls, until a second signal or the end of the grace time."""
    while not stopped.wait(POLL_S):
        show()
        if recorder.stats()["error"]:
            return
    stopped.clear()
    recorder.close()
    deadline = time.monotonic() + grace_s
    is_told = False
    while not recorder.is_over and time.monotonic() < deadline and not stopped.wait(POLL_S / 5):
        show()
        if (calls := recorder.stats()["open"]) and not is_told:
            click.echo(f"waiting for {counted(calls, 'open call')}; Ctrl-C again cuts them", err=True)
            is_told = True


def _counts(stats: dict[str, Any]) -> str:
    """What has passed, in one line of a terminal; cached by the server, of what an infinite cache would have found."""
    notes = ((stats["open"], "open"), (stats["failed"], "failed"), (stats["unread"], "unread"))
    listed = ", ".join(f"{count:,} {what}" for count, what in notes if count)
    calls = counted(stats["calls"], "call") + (f" ({listed})" if listed else "")
    parts = [counted(stats["sessions"], "session"), calls]
    if stats["prompt_tokens"]:
        parts.append(f"{short(stats['prompt_tokens'])} + {short(stats['output_tokens'])} tokens")
    if stats["prompt_tokens"] and stats["estimated_tokens"]:
        shares = (stats["cached_tokens"] / stats["prompt_tokens"], stats["known_tokens"] / stats["estimated_tokens"])
        parts.append(f"cached {percent(shares[0])} of {percent(shares[1])}")
    return ", ".join(parts)


@contextmanager
def _live_line(recorder: Recorder) -> Iterator[Callable[[], None]]:
    """A function that draws the counts, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.live import Live  # noqa: PLC0415  rich is slow to import

    from agentgen.text.layout import console_on, line  # noqa: PLC0415

    with Live(console=console_on(sys.stderr), auto_refresh=False, transient=True) as live:
        yield lambda: live.update(line(_counts(recorder.stats())), refresh=True)
