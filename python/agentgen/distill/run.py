"""A run: from recorded sessions to the files."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

from agentgen.distill import card, dataset, manifest, pipeline
from agentgen.distill.client import ChatClient, UnavailableError, models
from agentgen.distill.excerpt import budget_bytes
from agentgen.distill.journal import NAME as JOURNAL
from agentgen.distill.journal import Journal
from agentgen.distill.masking import Masker
from agentgen.distill.rating import ratings
from agentgen.distill.result import Distilled
from agentgen.distill.settings import MIN_CONTEXT_TOKENS
from agentgen.distill.sources import Rows
from agentgen.distill.structured import StructuredModel
from agentgen.errors import DistillError, RunError, TraceError
from agentgen.replay.event_loop import new_event_loop
from agentgen.replay.urls import shown
from agentgen.run import check_empty
from agentgen.settings import MANIFEST
from agentgen.text.format import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agentgen.distill.pipeline import Row
    from agentgen.distill.settings import DistillSettings, Endpoint

RECIPE = 1  # raised when a prompt, a shape or the excerpt changes
LIST_TIMEOUT_S = 30.0
LIMITS = ("max_model_len", "context_length", "context_window")  # of a model, as servers name it


def find_model(endpoint: Endpoint) -> tuple[Endpoint, int | None]:
    """The endpoint with its only model if it names none, and the tokens that the model takes, if the server says so.

    Raises:
        DistillError: The server does not answer, or has several models or none.
    """
    try:
        found = asyncio.run(models(endpoint, LIST_TIMEOUT_S))
    except UnavailableError as error:
        raise DistillError(str(error)) from None
    names = [one["id"] for one in found]
    if not endpoint.model:
        if len(names) != 1:
            listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")  # noqa: PLR2004  enough to choose from
            what = f"{len(names)} models ({listed})" if names else "no list of models"
            raise DistillError(f"{shown(endpoint.url)}: found {what}, expected one model or --model")
        endpoint = replace(endpoint, model=names[0])
    about = next((one for one in found if one["id"] == endpoint.model), {})
    limits = [about[name] for name in LIMITS if isinstance(about.get(name), int)]
    return endpoint, next((limit for limit in limits if limit >= MIN_CONTEXT_TOKENS), None)


def distill(
    settings: DistillSettings,
    directory: Path | None,
    *,
    resume: bool = False,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Distilled:
    """Distil recorded sessions into a directory, or in memory only.

    Raises:
        DistillError: The server answers no call.
        RunError: The directory is not empty, or holds the answers to other questions.
        TraceError: There is no session, or a named file has another format.
        OSError: A file cannot be read or written.
        KeyboardInterrupt: The run was stopped; the journal has all answers.
    """
    created, started = datetime.now(UTC), monotonic()
    masker = Masker()
    journal = _journal(settings, directory, resume=resume, force=force)
    try:
        run = _Run(settings, Rows(settings.selection, masker), journal, progress)
        rows = run.complete(directory)
    finally:
        journal.close()
    if not rows:
        raise TraceError("the sources have no session, expected at least one")
    made = Distilled(
        settings=settings,
        rows=rows,
        rated=ratings(rows, settings.min_score),
        problems=run.source.problems,
        totals=journal.totals,
        new_calls=journal.new,
        retries=run.retries,
        corrections=sum(model.corrections for model in run.models),
        fresh=sum(model.fresh for model in run.models),
        duration_s=monotonic() - started,
        created=created,
        files={},
    )
    return made if directory is None else _written(made, run.source, directory)


def _journal(settings: DistillSettings, directory: Path | None, *, resume: bool, force: bool) -> Journal:
    """The journal, for which the directory is made."""
    path = None
    if directory is not None:
        check_empty(directory, force=force or resume, option="--resume, which keeps its answers, or --force")
        path = directory / JOURNAL
        if resume and directory.is_dir() and any(directory.iterdir()) and not path.is_file():
            raise RunError(f"{directory}: found no {JOURNAL}, expected a directory of agentgen distill")
        directory.mkdir(parents=True, exist_ok=True)
        if not resume:
            for name in (MANIFEST, card.NAME, dataset.DATASET, dataset.PAGE, dataset.SFT, *dataset.PARTS.values()):
                (directory / name).unlink(missing_ok=True)
    asked = {
        "recipe": RECIPE,
        "model": settings.writer.model,
        "judge_model": settings.judge.model,
        "request_json": settings.request_fields,
    }
    return Journal(path, asked, resume=resume)


def _written(made: Distilled, source: Rows, directory: Path) -> Distilled:
    """Write the files; the manifest, which says that the others are complete, last."""
    share = made.settings.test_share
    (directory / MANIFEST).unlink(missing_ok=True)
    dataset.write_dataset(directory, source, made.rows, made.rated, share)
    made = replace(made, files=dataset.write_records(directory, made.rows, made.rated, share))
    manifest.write(made, directory)
    return made


class _Run:
    """The calls of a run.

    Attributes:
        source: The sessions.
        models: The writer and the judge.
        retries: Requests that were repeated.
    """

    def __init__(
        self,
        settings: DistillSettings,
        source: Rows,
        journal: Journal,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.source = source
        self.models: list[StructuredModel] = []
        self.retries = 0
        self._settings = settings
        self._journal = journal
        self._progress = progress
        self._stopping = asyncio.Event()

    def complete(self, directory: Path | None) -> list[Row]:
        """All rows.

        Raises:
            DistillError: The server answers no call.
            KeyboardInterrupt: The run was stopped.
        """
        how = "" if directory is None else "; the same command with --resume goes on, and repeats no call"
        finished = 0

        def done(count: int) -> None:
            nonlocal finished
            finished = count
            if self._progress is not None:
                self._progress(count, self._settings.rows)

        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                rows = runner.run(self._rows(done))
        except BaseException as error:  # noqa: BLE001  raised again
            cause = _first(error)
            complete = f"{finished:,} of {self._settings.rows:,} rows are complete{how}"
            if isinstance(cause, UnavailableError):
                raise DistillError(f"{cause}; {complete}") from None
            if isinstance(cause, (asyncio.CancelledError, KeyboardInterrupt)):
                raise KeyboardInterrupt(complete) from None
            raise cause from None
        if self._stopping.is_set():
            raise KeyboardInterrupt(f"{finished:,} of {self._settings.rows:,} rows are complete{how}")
        return [row for row in rows if row is not None]

    async def _rows(self, done: Callable[[int], None]) -> list[Row | None]:
        settings, stopping = self._settings, self._stopping
        limits: dict[str, Any] = {"concurrency": settings.concurrency, "timeout_s": settings.timeout_s}
        clients = [
            ChatClient(endpoint, fields=settings.request_fields, **limits)
            for endpoint in dict.fromkeys((settings.writer, settings.judge))
        ]
        self.models = [StructuredModel(client, self._journal, stopping) for client in clients]
        budget = budget_bytes(settings.context_tokens, (pipeline.DIGEST.instructions,))
        try:
            with _stop_on_interrupt(stopping, lambda: sum(client.in_flight for client in clients)):
                return await pipeline.distilled(
                    self.source.sessions(budget),
                    self.models[0],
                    self.models[-1],
                    at_once=settings.concurrency,
                    stopping=stopping,
                    done=done,
                )
        finally:
            self.retries = sum(client.retries for client in clients)
            for client in clients:
                await client.close()


@contextmanager
def _stop_on_interrupt(stopping: asyncio.Event, in_flight: Callable[[], int]) -> Iterator[None]:
    """The first Ctrl-C lets calls in flight finish, since they are paid for; the second one cancels them."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def interrupt() -> None:
        calls = counted(in_flight(), "call")
        if stopping.is_set():
            sys.stderr.write(f"aborting: {calls} cancelled\n")
            if task is not None:
                task.cancel()
            return
        stopping.set()
        sys.stderr.write(f"stopping: {calls} in flight will be kept; again to abort\n")

    try:
        loop.add_signal_handler(signal.SIGINT, interrupt)
    except NotImplementedError:  # Windows
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        with suppress(TypeError, ValueError):
            signal.signal(signal.SIGINT, before)


def _first(error: BaseException) -> BaseException:
    """The first error of a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
