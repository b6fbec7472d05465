"""Recording model calls that pass through a proxy, as a public function."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from agentgen import _native
from agentgen._import import ImportedRun, import_sessions
from agentgen._native import MAX_TOKENS
from agentgen._serve import DEFAULT_CONNECTIONS, MAX_CONNECTIONS, MAX_PORT, MAX_SERVER_THREADS
from agentgen.errors import RunError
from agentgen.run import check_empty
from agentgen.settings import check_integer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from agentgen.units import Count

    StrPath = str | os.PathLike[str]

JOURNAL = "journal.jsonl"
DEFAULT_GRACE_S = 30.0
POLL_S = 0.05


class Recorder:
    """A running recorder; `stop`, or the end of a `with` block, ends it and makes the run.

    Attributes:
        url: `http://host:port`, to be the base URL of clients: with `/v1` for clients of OpenAI.
        directory: The run directory.
        run: What was recorded; None until the recorder has stopped.
    """

    def __init__(self, native: _native.RecordingProxy, directory: Path, block_size: int | None) -> None:
        self._native = native
        self._block_size = block_size
        self.url: str = native.url
        self.directory = directory
        self.run: ImportedRun | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.stop()
        else:
            self.abandon()

    def __repr__(self) -> str:
        return f"Recorder(url={self.url!r})"

    def stats(self) -> dict[str, Any]:
        """Counts until now: calls, sessions, tokens, what the server and an infinite cache found cached."""
        counted: dict[str, Any] = json.loads(self._native.stats())
        return counted

    def close(self) -> None:
        """Take no more requests; calls that are passing go on."""
        self._native.close()

    @property
    def is_over(self) -> bool:
        """Whether all connections of clients have ended."""
        return self._native.is_over()

    def abandon(self) -> None:
        """End all calls and make no run; the journal stays."""
        self._native.stop()

    def stop(self, grace_s: float = DEFAULT_GRACE_S) -> ImportedRun:
        """Take no more requests, let calls that are passing end, and make the run; again: nothing.

        Args:
            grace_s: How long calls that are passing may take; then they are cut.

        Raises:
            RunError: No call was recorded, or the journal could not be written.
            TraceError: No recorded call can be part of a run.
        """
        if self.run is not None:
            return self.run
        self.close()
        deadline = time.monotonic() + grace_s
        while not self.is_over and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return self.finish()

    def finish(self) -> ImportedRun:
        """End all calls and make the run."""
        self._native.stop()
        stats = self.stats()
        journal = self.directory / JOURNAL
        if stats["error"]:
            raise RunError(f"{journal}: cannot be written: {stats['error']}")
        if not stats["calls"]:
            journal.unlink()
            self.directory.rmdir()
            raise RunError(f"{self.directory}: no call was recorded; nothing is written")
        self.run = import_sessions(journal, self.directory, format="record", block_size=self._block_size, force=True)
        return self.run


def record(
    upstream: str,
    directory: StrPath,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ca_file: StrPath | None = None,
    insecure: bool = False,
    session_headers: Sequence[str] = (),
    messages: StrPath | None = None,
    block_size: Count | None = None,
    max_connections: Count = DEFAULT_CONNECTIONS,
    threads: int | None = None,
) -> Recorder:
    """Start a proxy that forwards requests to a server, and records model calls as a run (`docs/record.md`).

    Args:
        upstream: URL of the server, `http` or `https`.
        directory: The run directory; created if missing, must be empty.
        host: Host name or address to listen on.
        port: Port; 0 for any free port.
        ca_file: Certificates of accepted authorities (default: `SSL_CERT_FILE`, or the system's).
        insecure: Accept any certificate of the server.
        session_headers: Further headers in which clients name their sessions.
        messages: A new JSONL file that gets the conversations with their texts.
        block_size: Tokens per block (default: 64).
        max_connections: Largest number of open connections; more get 503.
        threads: Worker threads (default: one per core, at most 4).

    Raises:
        OSError: The port is in use, the host cannot be listened on, or the directory cannot be written.
        RunError: The directory is not empty, or the file of messages exists.
        ValueError: An argument is out of range.

    Examples:
        >>> with agentgen.serve() as server, agentgen.record(server.url, "recorded") as recorder:
        ...     recorder.url.startswith("http://127.0.0.1:")  # doctest: +SKIP
        True
    """
    path = Path(directory)
    size = None if block_size is None else check_integer("block_size", block_size, 1, MAX_TOKENS)
    proxy: dict[str, Any] = {
        "upstream": upstream,
        "host": host,
        "port": check_integer("port", port, 0, MAX_PORT),
        "insecure": bool(insecure),
        "max_connections": check_integer("max_connections", max_connections, 1, MAX_CONNECTIONS),
    }
    if ca_file is not None:
        proxy["ca_file"] = os.fspath(ca_file)
    if threads is not None:
        proxy["threads"] = check_integer("threads", threads, 1, MAX_SERVER_THREADS)
    check_unfinished(path)
    check_empty(path, force=False)
    if messages is not None and Path(messages).exists():
        raise RunError(f"{messages}: found a file, expected none; choose another name")
    created = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    options = {"proxy": proxy, "journal": str(path / JOURNAL), "session_headers": list(session_headers)}
    if messages is not None:
        options["messages"] = os.fspath(messages)
    try:
        native = _native.RecordingProxy(json.dumps(options))
    except BaseException:
        if created:
            path.rmdir()
        raise
    return Recorder(native, path, size)


def check_unfinished(directory: Path) -> None:
    """Raise RunError for a directory with the journal of a recording that was not finished."""
    journal = directory / JOURNAL
    if journal.exists() and not (directory / "manifest.json").exists():
        parent = "" if directory.parent == Path() else f" --output {directory.parent}"
        raise RunError(
            f"{journal}: found the journal of a recording that was not finished; "
            f"agentgen import {journal}{parent} --name {directory.name} --force makes the run"
        )
