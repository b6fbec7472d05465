"""A collection: tasks side by side, each an agent in a sandbox of its own, with a journal of the rows."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from agentgen.collect.actions import Mode, actions_of, request_fields, system_prompt
from agentgen.collect.agent import Agent
from agentgen.collect.client import ChatClient, RequestFailedError, RequestRefusedError
from agentgen.collect.fixture import nl2bash_fixture
from agentgen.collect.journal import Journal
from agentgen.collect.limits import Limits
from agentgen.collect.rows import run_metadata
from agentgen.collect.sandbox import Workplace
from agentgen.errors import CollectError
from agentgen.replay.urls import shown
from agentgen.text.format import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agentgen.collect.tasks import Task, TaskSet

MAX_STEPS = 10
FAILURES_IN_A_ROW = 5
PROBE = "Run the command `echo ready` with the bash tool."
PROBE_TRIES = 2


@dataclass(frozen=True)
class CollectSettings:
    """What is collected, and how.

    Attributes:
        tasks: The tasks.
        count: How many of them, from the first; None for all.
        url: URL of an OpenAI-compatible server, with or without the endpoint.
        model: Name of the model; None for the only one of the server.
        output: The file of rows, `NAME.jsonl`; `NAME.parquet` gets the Parquet view.
        actions: How the model calls tools; auto asks it once.
        concurrency: Tasks at a time.
        seed: Seed of the requests; None to send none.
        max_steps: Model calls of a task.
        max_tokens: Longest answer, in tokens.
        timeout_s: Time limit of a request.
        request_fields: Further fields of every request.
        limits: Limits of a tool call.
        is_sandboxed: False to run tools with the rights of this process.
        resume: Keep the rows that are there.
        force: Replace them.
        api_key: Key of the server.
    """

    tasks: TaskSet
    count: int | None
    url: str
    model: str | None
    output: Path
    actions: Literal["auto", "tools", "json"] = "auto"
    concurrency: int = 4
    seed: int | None = None
    max_steps: int = MAX_STEPS
    max_tokens: int = 2048
    timeout_s: float = 600.0
    request_fields: dict[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    is_sandboxed: bool = True
    resume: bool = False
    force: bool = False
    api_key: str | None = None


@dataclass(frozen=True)
class Collected:
    """A collection that has ended.

    Attributes:
        rows: Rows of the output, in the order of the tasks.
        new_rows: How many of them are new.
        retries: Requests that were sent again.
        files: The output and its Parquet view.
    """

    rows: list[dict[str, Any]]
    new_rows: int
    retries: int
    files: list[Path]


def collect(settings: CollectSettings, progress: Callable[[int, int], None] | None = None) -> Collected:
    """Let an agent work on tasks, and write a row for each.

    Args:
        settings: What is collected.
        progress: Gets the number of tasks that have ended, and of all.

    Raises:
        CollectError: There is an output already, tools cannot run here, or a task failed; complete rows are kept.
        RequestRefusedError: The server refuses the first request of a task.
        KeyboardInterrupt: With a message of what is kept.
        OSError: A file cannot be written.
    """
    journal = Journal(settings.output)
    if settings.resume:
        journal.load()
    elif not settings.force:
        journal.refuse_existing()
    run = _Run(settings, journal, progress)
    try:
        return asyncio.run(_interruptible(run))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise KeyboardInterrupt(run.kept()) from None
    finally:
        journal.close()


async def _interruptible(run: _Run) -> Collected:
    """Run it so that Ctrl-C cancels what is awaited: an exception anywhere else would leave the event loop broken."""
    previous = signal.getsignal(signal.SIGINT)
    task = asyncio.current_task()
    if previous is signal.SIG_IGN or task is None:  # the parent process ignores it
        return await run.run()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, task.cancel)
    try:
        return await run.run()
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, previous)


class _Run:
    """The state of a collection."""

    def __init__(
        self, settings: CollectSettings, journal: Journal, progress: Callable[[int, int], None] | None
    ) -> None:
        self.settings = settings
        self.journal = journal
        self.progress = progress or (lambda _done, _total: None)
        self.tasks = settings.tasks.tasks[: settings.count]
        self.failures: dict[int | str, str] = {}
        self.failures_in_a_row = 0

    async def run(self) -> Collected:
        """All tasks that have no row yet."""
        settings = self.settings
        workplace = Workplace(nl2bash_fixture(), is_sandboxed=settings.is_sandboxed, limits=settings.limits)
        async with workplace.open("/") as sandbox:  # an error here costs no request
            await sandbox.call(["true"])
        to_do = [(number, task) for number, task in enumerate(self.tasks) if task.id not in self.journal.rows]
        before = len(self.journal.rows)
        async with ChatClient(settings.url, settings.model or "", settings.api_key, settings.timeout_s) as client:
            models = await client.models()
            client.model = settings.model or _only_model(models, settings.url)
            if to_do:
                fields = {"max_tokens": settings.max_tokens, **settings.request_fields}
                mode = await self._mode(client, fields)
                metadata = run_metadata(self._metadata(client.model, models, mode, fields, workplace))
                self.journal.check(metadata)
                if settings.force:
                    self.journal.drop()
                agent = Agent(client, workplace, mode, settings.max_steps, fields, settings.seed)
                await self._work(agent, iter(to_do), metadata)
            retries = client.retries
        if self.failures:
            task, reason = next(iter(self.failures.items()))
            failed = f"{counted(len(self.failures), 'task')} failed, such as task {task}: {reason}"
            raise CollectError(f"{failed}; {self.kept()}")
        files = self.journal.finish([task.id for task in settings.tasks.tasks])
        rows = [self.journal.rows[task.id] for task in settings.tasks.tasks if task.id in self.journal.rows]
        return Collected(rows, len(self.journal.rows) - before, retries, files)

    def kept(self) -> str:
        """What is on the disk when a collection ends early."""
        done = sum(task.id in self.journal.rows for task in self.tasks)
        if not self.journal.path.exists():
            return "no task has ended"
        return f"{done:,} of {counted(len(self.tasks), 'task')} are kept in {self.journal.path}; --resume continues"

    async def _work(self, agent: Agent, to_do: Iterator[tuple[int, Task]], metadata: dict[str, Any]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self.settings.concurrency):
                    group.create_task(self._worker(agent, to_do, metadata))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _worker(self, agent: Agent, to_do: Iterator[tuple[int, Task]], metadata: dict[str, Any]) -> None:
        for number, task in to_do:
            try:
                row = await agent.work(task, number, metadata)
            except (RequestFailedError, CollectError) as error:
                self.failures[task.id] = str(error)
                self.failures_in_a_row += 1
                if self.failures_in_a_row >= FAILURES_IN_A_ROW:
                    failed = f"{FAILURES_IN_A_ROW} tasks failed in a row, the last one: {error}"
                    raise CollectError(f"{failed}; {self.kept()}") from error
            else:
                self.failures_in_a_row = 0
                self.journal.add(row)
                self.progress(sum(task.id in self.journal.rows for task in self.tasks), len(self.tasks))

    async def _mode(self, client: ChatClient, fields: dict[str, Any]) -> Mode:
        """The way in which the model calls tools: as asked for, as in the rows that are there, or as it does once."""
        if self.settings.actions != "auto":
            return self.settings.actions
        for row in self.journal.rows.values():
            return "json" if row["metadata"].get("actions") == "json" else "tools"
        messages = [
            {"role": "system", "content": system_prompt("tools", self.settings.max_steps)},
            {"role": "user", "content": PROBE},
        ]
        try:
            answer = await client.complete(messages, {**request_fields("tools"), **fields}, PROBE_TRIES)
        except RequestRefusedError:
            return "json"  # what is wrong otherwise, the first task will meet, too
        except RequestFailedError as error:
            if "tool" not in str(error):  # llama.cpp refuses tools with a status of 500
                raise
            return "json"
        return "tools" if actions_of(answer, "tools") else "json"

    def _metadata(
        self, model: str, models: list[dict[str, Any]], mode: Mode, fields: dict[str, Any], workplace: Workplace
    ) -> dict[str, Any]:
        settings = self.settings
        about = next((one for one in models if one.get("id") == model), {})
        reported = about["meta"] if isinstance(about.get("meta"), dict) else {}
        context_length = about.get("max_model_len") or reported.get("n_ctx")
        tool_choice = "auto" if mode == "tools" else None
        return {
            "run_id": f"collect-{settings.tasks.name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}",
            "model": model,
            "model_family": model,
            "quantization": reported.get("ftype"),
            "serving_engine": about.get("owned_by"),
            "server_reported": reported,
            "server_args_normalized": {
                "api_base": shown(settings.url),
                "tool_choice": tool_choice,
                "context_length": context_length,
            },
            "context_length": context_length,
            "tool_choice": tool_choice,
            "actions": mode,
            "max_steps": settings.max_steps,
            "seed": settings.seed,
            "request_fields": fields,
            "concurrency": settings.concurrency,
            "source": settings.tasks.name,
            "dataset_name": settings.tasks.name,
            "dataset_split": settings.tasks.split,
            "dataset_offset": 0,
            "tasks_version": settings.tasks.version,
            "fixture_version": workplace.fixture.version,
            "sandbox": "bubblewrap" if workplace.is_sandboxed else None,
            "limits": settings.limits.to_dict(),
            "tools_python": os.path.realpath(workplace.python),
        }


def _only_model(models: list[dict[str, Any]], url: str) -> str:
    names = [one["id"] for one in models if isinstance(one.get("id"), str)]
    if len(names) != 1:
        found = f"found {', '.join(names)}" if names else "the server does not list its models"
        raise CollectError(f"{shown(url)}: {found}; give --model")
    return str(names[0])
