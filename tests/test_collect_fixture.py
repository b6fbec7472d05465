"""The files and the tasks of `agentgen collect`: the same everywhere, and the reference solutions run on them."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import os
import re
import stat
import sys
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from agentgen.collect import fixture_files
from agentgen.collect.fixture import nl2bash_fixture
from agentgen.collect.sandbox import HOME, Workplace
from agentgen.collect.tasks import load_tasks
from agentgen.errors import CollectError, TraceError
from conftest import ROOT, shared
from sandboxed import FIXTURE, calls

if TYPE_CHECKING:
    from pathlib import Path

    from agentgen.collect.sandbox import CallResult
    from agentgen.collect.tasks import Task
    from conftest import Invoke

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="tools run on Linux only")

# A change of a file is a change of every row collected with it: intended ones go here.
VERSION = "1dc372b5771791e8c8e20c0bdabafbe62e2d67300f2ee5e7364d768780cae850"
RUNS_AT_LEAST = 0.9
SIDE_BY_SIDE = 3
NOT_INSTALLED = ": command not found"  # which says something of the machine, not of the fixture


def test_the_fixture_is_the_same_everywhere() -> None:
    assert FIXTURE.version == nl2bash_fixture().version == VERSION


def test_archives_of_the_fixture_are_what_they_seem(tmp_path: Path) -> None:
    FIXTURE.write(tmp_path)
    assert gzip.decompress((tmp_path / "testbed/notes.gz").read_bytes()).decode() == fixture_files.prose("notes", 80)
    with tarfile.open(tmp_path / "workspace/archive.tar.gz") as archive:
        assert archive.getnames() == ["inside/one.txt", "inside/two.txt"]


def test_check_finds_every_change(tmp_path: Path, invoke: Invoke) -> None:
    directory = tmp_path / "files"
    assert FIXTURE.version in invoke("collect", "fixture", directory).output
    assert FIXTURE.version in invoke("collect", "fixture", directory, "--check").output
    (directory / "new").touch()
    (directory / "testbed/README.txt").unlink()
    (directory / "testbed/Hello.java").write_text("other")
    (directory / "testbed/main.c").chmod(0o600)
    os.utime(directory / "testbed/app.js", (1, 1))
    (directory / "workspace/latest.txt").unlink()
    (directory / "workspace/latest.txt").symlink_to("elsewhere")
    (directory / "system/core").unlink()
    (directory / "system/core").mkdir()
    output = invoke("collect", "fixture", directory, "--check", code=1).output
    for problem in (
        "/new: not expected",
        "/testbed/README.txt: missing",
        "/testbed/Hello.java: found other content",
        "/testbed/main.c: found mode 600, expected 644",
        "/testbed/app.js: found time 1, expected",
        "/workspace/latest.txt: found a link to elsewhere",
        "/system/core: not a file",
    ):
        assert f"agentgen: error: {directory}: {problem}" in output


def test_files_are_not_written_over_others(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "mine").touch()
    assert "expected a new or an empty directory" in invoke("collect", "fixture", tmp_path, code=1).output
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert "found no directory" in invoke("collect", "fixture", tmp_path / "none", "--check", code=2).output


def test_the_bundled_tasks_are_the_published_ones() -> None:
    tasks = load_tasks("nl2bash").tasks
    published = []
    for number in (1, 2, 4, 3):
        published += json.loads(shared(f"tasks/nl2bash_fs_{number}.json").read_text(encoding="utf-8"))
    assert len(tasks) == 200
    assert [task.gold for task in tasks] == [one["gold"] for one in published]
    assert all(task.prompt.startswith(one["query"].strip()) for task, one in zip(tasks, published, strict=True))
    real = json.loads(shared("rollouts/agenttrace/agenttrace_row_nl2bash_1_7B_task138.json").read_text())
    real = real[0] if isinstance(real, list) else real
    assert tasks[real["task_id"]].prompt.split("\n")[0] == real["prompt"].split("\n")[0]  # its numbers are ours


def test_mbpp_is_read_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mbpp.json").write_bytes(shared("tasks/ic_mbpp.json").read_bytes())
    mbpp = load_tasks("mbpp")
    assert (mbpp.name, mbpp.split, [task.id for task in mbpp.tasks]) == ("mbpp", "test", list(range(11, 511)))
    assert "assert remove_Occ(" in mbpp.tasks[0].prompt
    assert mbpp.tasks[0].directory == HOME
    whole = load_tasks("mbpp.json")
    assert (whole.name, len(whole.tasks)) == ("mbpp", 974)


@pytest.mark.parametrize(
    "keys", [("text", "test_list", "code"), ("prompt", "test_list", "code"), ("query", "tests", "gold")]
)
def test_mbpp_is_read_as_others_publish_it(tmp_path: Path, keys: tuple[str, str, str]) -> None:
    prompt, tests, gold = keys
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps({"task_id": 11, prompt: "Add.", tests: ["assert add(1, 2) == 3"], gold: "x"}) + "\n\n")
    (task,) = load_tasks(str(path)).tasks
    assert task.prompt.startswith("Add.\n\nThese tests must pass:\nassert add(1, 2) == 3\n")
    assert (task.id, task.gold) == (11, "x")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "found no task"),
        ("[]", "found no task"),
        ('{"query": "a"}\nnot JSON\n', ":2: not JSON"),
        ("[1]", "found int, expected an object"),
        ('{"question": "a"}', ":1: task 0: found no prompt, expected a text under query, prompt or text"),
        ('{"query": " "}', "found no prompt"),
        ('{"query": "a", "directory": "here"}', "directory: found 'here', expected an absolute path"),
        ('{"id": 1, "query": "a"}\n{"id": 1, "query": "b"}', ":2: found the id 1 twice"),
        ("[" * 100_000, "not JSON"),
        (b"\xff", "bytes that are not UTF-8"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, text: str | bytes, problem: str) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(TraceError, match=re.escape(problem)) as failure:
        load_tasks(str(path))
    assert str(failure.value).startswith(str(path))


def gold_results(tasks: list[Task]) -> list[CallResult]:
    """The result of each reference solution in a sandbox of its own."""

    async def one(task: Task, slots: asyncio.Semaphore) -> CallResult:
        assert task.gold
        async with slots, Workplace(FIXTURE).open(task.directory) as sandbox:
            return await sandbox.call(["bash", "-c", task.gold])

    async def run() -> list[CallResult]:
        slots = asyncio.Semaphore(SIDE_BY_SIDE)
        return await asyncio.gather(*(one(task, slots) for task in tasks))

    return asyncio.run(run())


def seen(result: CallResult) -> tuple[Any, ...]:
    return result.stdout, result.stderr, result.exit_code


@pytest.mark.skipif(sys.platform != "linux", reason="tools run on Linux only")
@pytest.mark.timeout(300)
def test_the_reference_solutions_run_and_print_the_same_each_time() -> None:
    try:
        calls("true")
    except CollectError as error:
        pytest.skip(f"tools cannot be run in a sandbox here: {error}")
    tasks = list(load_tasks("nl2bash").tasks)
    first, second = gold_results(tasks), gold_results(tasks)
    listed = exceptions()
    results = list(zip(tasks, first, second, strict=True))
    missing = {task.id for task, result, _ in results if NOT_INSTALLED in result.stderr}
    failed = {task.id for task, result, _ in results if result.exit_code}
    differ = {task.id for task, a, b in results if seen(a) != seen(b)}
    assert (failed | differ) - missing <= set(listed), "docs/collect.md lists the others"
    assert len((failed | differ) - missing) <= (1 - RUNS_AT_LEAST) * (len(tasks) - len(missing))


def exceptions() -> list[int]:
    """The numbers in the table of docs/collect.md."""
    text = (ROOT / "docs" / "collect.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\d, ]+) \| `", text, re.MULTILINE)
    return [int(number) for row in rows for number in row.split(",")]


def test_a_file_of_the_fixture_can_be_told_by_its_version() -> None:
    text = json.dumps([FIXTURE.to_request(), dict(FIXTURE.variables)], sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == FIXTURE.version
    assert all(stat.S_IMODE(entry.mode) == entry.mode for entry in FIXTURE.entries)
