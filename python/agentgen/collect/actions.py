"""The agent's tools, and how a model calls them: by the API's tool calls, or by JSON objects that follow a schema."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from agentgen.collect.client import Answer

Mode = Literal["tools", "json"]

FINAL = "final_answer"
# Name, its only argument, and what it does.
TOOLS = (
    ("bash", "command", "Run a command with bash. Gives its exit code, standard output and standard error."),
    ("python", "code", "Run a Python program. Gives its exit code, standard output and standard error."),
    (FINAL, "answer", "End the task and give its result."),
)
ARGUMENTS = {name: argument for name, argument, _ in TOOLS}

SYSTEM = """\
You solve tasks on a Linux machine with tools:
{tools}

Each call of bash or python starts a new process in the folder of the task. Files stay as a call leaves them; \
variables do not. Look at what a call returns before you make the next one. As soon as the task is done, call \
final_answer. You have {steps} steps."""
JSON_RULE = """

Answer with one JSON object and nothing else: {"tool": NAME, "input": TEXT}, where NAME is bash, python or \
final_answer and TEXT is its command, code or answer. Example: {"tool": "bash", "input": "ls -l"}"""

NO_CALL = {
    "tools": "That was no tool call. Call bash or python, or final_answer if the task is done.",
    "json": 'That was no JSON object of the form {"tool": NAME, "input": TEXT}. Answer with one such object only.',
}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"tool": {"type": "string", "enum": list(ARGUMENTS)}, "input": {"type": "string"}},
    "required": ["tool", "input"],
    "additionalProperties": False,
}
FENCE = re.compile(r"[`~]{3}[a-zA-Z]*\s*(.*?)[`~]{3}", re.DOTALL)
THINKING = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)


@dataclass(frozen=True)
class Action:
    """A tool call that a model asks for.

    Attributes:
        name: Name of the tool, as the model wrote it.
        arguments: Its arguments; text that is no JSON object stays text.
        id: That of the call, if the API has one.
    """

    name: str
    arguments: dict[str, Any] | str
    id: str | None = None

    def problem(self) -> str | None:
        """Why the call cannot run; None if it can."""
        argument = ARGUMENTS.get(self.name)
        if argument is None:
            return f"There is no tool {self.name!r}. The tools are {', '.join(ARGUMENTS)}."
        if not isinstance(self.arguments, dict):
            return f'The arguments of {self.name} are no JSON object. Expected {{"{argument}": TEXT}}.'
        if not isinstance(self.arguments.get(argument), str):
            return f'{self.name} has no text under "{argument}". Expected {{"{argument}": TEXT}}.'
        return None

    @property
    def input(self) -> str:
        """The only argument of a call without a problem."""
        assert isinstance(self.arguments, dict)  # noqa: S101  `problem` says so
        return str(self.arguments[ARGUMENTS[self.name]])


def system_prompt(mode: Mode, steps: int) -> str:
    """The first message, which is the same for all tasks."""
    listed = "\n".join(f"- {name}({argument}): {text}" for name, argument, text in TOOLS)
    return SYSTEM.format(tools=listed, steps=steps) + (JSON_RULE if mode == "json" else "")


def request_fields(mode: Mode) -> dict[str, Any]:
    """What a request says about tools."""
    if mode == "json":
        schema = {"name": "action", "strict": True, "schema": SCHEMA}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    return {"tools": [_declared(*tool) for tool in TOOLS], "tool_choice": "auto"}


def _declared(name: str, argument: str, text: str) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {argument: {"type": "string"}}, "required": [argument]}
    return {"type": "function", "function": {"name": name, "description": text, "parameters": parameters}}


def actions_of(answer: Answer, mode: Mode) -> list[Action]:
    """The tool calls of an answer; empty if there is none."""
    if mode == "tools":
        return [Action(call.name, _arguments(call.arguments), call.id) for call in answer.tool_calls]
    found = _object(answer.content or "")
    if found is None or not isinstance(found.get("tool"), str):
        return []
    name = found["tool"]
    return [Action(name, {ARGUMENTS.get(name, "input"): found.get("input")})]


def _arguments(value: Any) -> dict[str, Any] | str:
    """Servers send the arguments as JSON in a text, or as an object; no arguments may be an empty text."""
    if isinstance(value, str):
        try:
            value = json.loads(value or "{}")
        except (ValueError, RecursionError):
            return str(value)
    return value if isinstance(value, dict) else json.dumps(value)


def _object(text: str) -> dict[str, Any] | None:
    """The JSON object in an answer, which servers without schemas may have in a fence or in text."""
    text = THINKING.sub("", text)
    fenced = FENCE.findall(text)
    for candidate in [text, *reversed(fenced)]:
        start = candidate.find("{")
        while start >= 0:
            try:
                value, _ = json.JSONDecoder(strict=False).raw_decode(candidate, start)
            except (ValueError, RecursionError):
                value = None
            if isinstance(value, dict) and "tool" in value:
                return value
            start = candidate.find("{", start + 1)
    return None
