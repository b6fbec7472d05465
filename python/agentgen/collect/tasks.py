"""Task sets: the bundled NL2Bash tasks, MBPP, and files of one's own."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentgen.collect.sandbox import HOME
from agentgen.errors import TraceError

if TYPE_CHECKING:
    from collections.abc import Iterator

NL2BASH, MBPP = "nl2bash", "mbpp"
MBPP_FILES = ("mbpp.jsonl", "mbpp.json")
MBPP_SOURCE = "https://github.com/google-research/google-research/tree/master/mbpp (CC BY 4.0)"
MBPP_TEST_IDS = range(11, 511)
PROMPT_KEYS = ("query", "prompt", "text")
TEST_KEYS = ("tests", "test_list")
ID_KEYS = ("task_id", "id")


@dataclass(frozen=True)
class Task:
    """What an agent is asked to do.

    Attributes:
        id: Its number or name in its set.
        prompt: The first message of the user.
        directory: Where its tool calls start.
        gold: The reference solution, if there is one.
    """

    id: int | str
    prompt: str
    directory: str
    gold: str | None = None


@dataclass(frozen=True)
class TaskSet:
    """Tasks in order.

    Attributes:
        name: `nl2bash`, `mbpp`, or the name of the file without its ending.
        split: The part of the published set, if it has parts.
        tasks: The tasks.
    """

    name: str
    split: str | None
    tasks: tuple[Task, ...]

    @property
    def version(self) -> str:
        """SHA-256 of all prompts and ids."""
        text = json.dumps([(task.id, task.prompt, task.directory) for task in self.tasks])
        return hashlib.sha256(text.encode()).hexdigest()


def load_tasks(source: str) -> TaskSet:
    """The tasks of `--tasks`: `nl2bash`, `mbpp` (`mbpp.jsonl` or `mbpp.json` in the working directory), or a file.

    Raises:
        TraceError: A file holds something else than tasks.
        OSError: It cannot be read.
    """
    if source == NL2BASH:
        return TaskSet(NL2BASH, "train", tuple(_nl2bash()))
    if source != MBPP:
        return _file(Path(source))
    path = next((path for name in MBPP_FILES if (path := Path(name)).is_file()), None)
    if path is None:
        raise TraceError(f"--tasks mbpp: found no {' or '.join(MBPP_FILES)} here; it comes from {MBPP_SOURCE}")
    tasks = tuple(task for task in _file(path).tasks if task.id in MBPP_TEST_IDS)
    if not tasks:
        raise TraceError(
            f"{path}: found no task with an id from 11 to 510, which are MBPP's test split", file=str(path)
        )
    return TaskSet(MBPP, "test", tasks)


def _nl2bash() -> Iterator[Task]:
    text = resources.files("agentgen.collect").joinpath("data", "nl2bash.jsonl").read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines()):
        row = json.loads(line)
        where = f"Use the bash tool. The files are in {row['directory']}."
        yield Task(number, f"{row['query'].strip()}\n\n{where}", row["directory"], row["gold"])


def _file(path: Path) -> TaskSet:
    """A JSON list, or one JSON object a line."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TraceError(f"{path}: found bytes that are not UTF-8, expected tasks as JSON", file=str(path)) from error
    rows = list(_rows(path, text))
    tasks = tuple(_task(path, line, number, row) for number, (line, row) in enumerate(rows))
    if not tasks:
        raise TraceError(f"{path}: found no task", file=str(path))
    seen: set[int | str] = set()
    for (line, _), task in zip(rows, tasks, strict=True):
        if task.id in seen:
            raise TraceError(
                f"{_place(path, line)}: found the id {task.id!r} twice, expected each once", file=str(path)
            )
        seen.add(task.id)
    has_tests = all("tests" in row or "test_list" in row for _, row in rows)
    return TaskSet(MBPP if has_tests else path.stem, None, tasks)


def _rows(path: Path, text: str) -> Iterator[tuple[int | None, dict[str, Any]]]:
    if text.lstrip().startswith("["):
        for row in _parsed(path, None, text):
            yield None, _checked(path, None, row)
        return
    for line, row in enumerate(text.split("\n"), start=1):
        if row.strip():
            yield line, _checked(path, line, _parsed(path, line, row))


def _parsed(path: Path, line: int | None, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TraceError(f"{_place(path, line)}: not JSON: {error}", file=str(path), line=line) from error


def _checked(path: Path, line: int | None, row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise TraceError(f"{_place(path, line)}: found {type(row).__name__}, expected an object", file=str(path))
    return row


def _task(path: Path, line: int | None, number: int, row: dict[str, Any]) -> Task:
    prompt = next((row[key] for key in PROMPT_KEYS if key in row), None)
    if not isinstance(prompt, str) or not prompt.strip():
        expected = f"expected a text under {', '.join(PROMPT_KEYS[:-1])} or {PROMPT_KEYS[-1]}"
        raise TraceError(f"{_place(path, line)}: task {number}: found no prompt, {expected}", file=str(path), line=line)
    directory = row.get("directory", HOME)
    if not isinstance(directory, str) or not directory.startswith("/"):
        problem = f"directory: found {directory!r}, expected an absolute path in the sandbox"
        raise TraceError(f"{_place(path, line)}: task {number}: {problem}", file=str(path), line=line)
    identity = next((row[key] for key in ID_KEYS if key in row), number)
    gold = next((row[key] for key in ("gold", "code") if isinstance(row.get(key), str)), None)
    tests = next((row[key] for key in TEST_KEYS if key in row), None)
    if isinstance(tests, list):
        listed = "\n".join(str(test) for test in tests)
        prompt = (
            f"{prompt.strip()}\n\nThese tests must pass:\n{listed}\n\n"
            "Try the code with the python tool, then give it as the final answer."
        )
    prompt = prompt.strip().encode(errors="replace").decode()  # JSON can escape half of a surrogate pair
    return Task(identity if isinstance(identity, int) else str(identity), prompt, directory, gold)


def _place(path: Path, line: int | None) -> str:
    return f"{path}:{line}" if line else str(path)
