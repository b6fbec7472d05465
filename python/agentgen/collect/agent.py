"""The agent: asks the model, runs the tools that it calls, and records both."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agentgen.collect.actions import FINAL, NO_CALL, Action, Mode, actions_of, request_fields, system_prompt
from agentgen.collect.client import RequestRefusedError
from agentgen.collect.rows import NS_PER_MS, span_row, step_row

if TYPE_CHECKING:
    from agentgen.collect.client import ChatClient
    from agentgen.collect.sandbox import CallResult, Sandbox, Workplace
    from agentgen.collect.tasks import Task

MAX_COMMAND_BYTES = 100_000  # Linux passes 128 KiB as one argument


@dataclass(frozen=True)
class Agent:
    """An agent for many tasks.

    Attributes:
        client: Where the model is.
        workplace: Where tools run.
        mode: How the model calls tools.
        max_steps: Model calls of a task.
        fields: Further fields of every request.
        seed: Seed of a task's requests is this plus the number of the task; None to send none.
    """

    client: ChatClient
    workplace: Workplace
    mode: Mode
    max_steps: int
    fields: dict[str, Any]
    seed: int | None

    async def work(self, task: Task, number: int, metadata: dict[str, Any]) -> dict[str, Any]:
        """Work on a task; the row of what happened.

        Raises:
            RequestRefusedError: The server refuses the first request.
            RequestFailedError: A request has no answer.
            CollectError: The sandbox cannot be made, or ended.
        """
        fields = {**request_fields(self.mode), **self.fields}
        if self.seed is not None:
            fields["seed"] = self.seed + number
        async with self.workplace.open(task.directory) as sandbox:
            session = _Session(self, task, sandbox, fields)
            started, start_ns = datetime.now(UTC), time.monotonic_ns()
            end_reason = await session.run()
            duration_ms = (time.monotonic_ns() - start_ns) / NS_PER_MS
        return {
            "trace_id": str(uuid.uuid4()),
            "timestamp_utc": started.isoformat(),
            "prompt": task.prompt,
            "model": self.client.model,
            "dataset_name": metadata["dataset_name"],
            "task_id": task.id,
            "run_id": metadata["run_id"],
            "total_duration_ms": duration_ms,
            "spans": session.spans,
            "llm_steps": session.steps,
            "metadata": {**metadata, "task_id": task.id, "end_reason": end_reason, "error": session.error},
        }


@dataclass
class _Session:
    """A conversation about one task."""

    agent: Agent
    task: Task
    sandbox: Sandbox
    fields: dict[str, Any]
    steps: list[dict[str, Any]] = field(default_factory=list)
    spans: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None

    async def run(self) -> str:
        """Ask and run tools until the task ends; why it ended."""
        mode = self.agent.mode
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": system_prompt(mode, self.agent.max_steps)},
            {"role": "user", "content": self.task.prompt},
        ]
        for number in range(1, self.agent.max_steps + 1):
            try:
                answer = await self.agent.client.complete(messages, self.fields)
            except RequestRefusedError as error:
                if number == 1:
                    raise
                self.error = str(error)  # such as a conversation longer than the context
                return "request_refused"
            actions = actions_of(answer, mode)
            self.steps.append(step_row(number, answer, actions))
            messages.append(answer.message)
            for action in actions:
                if action.problem() is None and action.name == FINAL:
                    self._finish(action)
                    return FINAL
                messages.append(_result_message(mode, action, await self._run(action)))
            if not actions:
                messages.append({"role": "user", "content": NO_CALL[mode]})
        return "max_steps"

    def _finish(self, action: Action) -> None:
        now = time.monotonic_ns()
        row = span_row(self.steps[-1], action, action.input, start_ns=now, end_ns=now, exit_code=0, telemetry=None)
        self.spans.append(row)

    async def _run(self, action: Action) -> str:
        """Run a tool; what the model is told of it."""
        if (problem := action.problem()) is not None:
            return problem  # nothing ran, so there is no span
        if len(action.input.encode(errors="replace")) > MAX_COMMAND_BYTES or "\0" in action.input:
            return f"The input of {action.name} has a NUL, or more than {MAX_COMMAND_BYTES} bytes."
        text = action.input.encode(errors="replace").decode()
        program = ["bash", "-c", text] if action.name == "bash" else [self.agent.workplace.python, "-c", text]
        result = await self.sandbox.call(program)
        output = shown_result(result, self.agent.workplace.limits.time_s)
        self.spans.append(
            span_row(
                self.steps[-1],
                action,
                output,
                start_ns=result.start_ns,
                end_ns=result.end_ns,
                exit_code=result.exit_code,
                telemetry=result.telemetry,
                killed_by=result.killed_by,
            )
        )
        return output


def shown_result(result: CallResult, time_s: float) -> str:
    """What the model is told of a call, as AgentTrace has it: exit code, standard output, standard error."""
    parts = [f"exit_code: {result.exit_code}"]
    for name, text, size in (
        ("stdout", result.stdout, result.stdout_bytes),
        ("stderr", result.stderr, result.stderr_bytes),
    ):
        kept = len(text.encode())
        if text:
            cut = f"\n[{size - kept:,} more bytes are left out]" if size > kept else ""
            parts.append(f"{name}:\n{text.rstrip(chr(10))}{cut}")
    if result.killed_by == "time":
        parts.append(f"killed: it took longer than {time_s:g} s")
    elif result.killed_by:
        parts.append("killed: it used too much memory")
    return "\n".join(parts)


def _result_message(mode: Mode, action: Action, text: str) -> dict[str, Any]:
    if mode == "tools":
        return {"role": "tool", "tool_call_id": action.id, "content": text}
    return {"role": "user", "content": f"Result of {action.name}:\n{text}"}
