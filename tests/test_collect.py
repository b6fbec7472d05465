"""`agentgen collect`: rows, ways to call tools, what servers do differently, failures, and going on after any end."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import agentgen
import agentgen.collect.client
import polars as pl
import pytest
from agentgen.collect.sandbox import Workplace
from agentgen.errors import CollectError
from chat_server import HttpError, bash, call, chat_server, completion, final, message
from conftest import shared
from sandboxed import FIXTURE, calls

if TYPE_CHECKING:
    from collections.abc import Callable

    from chat_server import ChatServer
    from conftest import Invoke

if sys.platform != "linux":
    pytest.skip("tools run on Linux only", allow_module_level=True)

# Harmless commands: most tests are about the conversation and need no sandbox.
PLAIN = ("--no-sandbox", "--model", "m")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agentgen.collect.client, "FIRST_WAIT_S", 0.001)


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.jsonl"
    rows = [{"id": f"t{number}", "query": f"Task {number}.", "directory": "/testbed"} for number in range(6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def collected(tmp_path: Path, tasks: Path, invoke: Invoke) -> Callable[..., list[dict[str, Any]]]:
    """Collect from a scripted server and give the rows."""

    def run(server: ChatServer, *options: object, n: int = 1, code: int = 0) -> list[dict[str, Any]]:
        output = tmp_path / "out.jsonl"
        actions = () if "--actions" in options else ("--actions", "tools")
        arguments = ("--tasks", tasks, "--url", server.url, "-n", n, "-o", output, *PLAIN, *actions, *options)
        invoke("collect", *arguments, code=code)
        return [json.loads(line) for line in output.read_text().splitlines()] if output.exists() else []

    return run


def two_steps(_body: dict[str, Any], before: int) -> dict[str, Any]:
    return bash("wc -l < textfile7.txt; echo oops >&2") if before == 0 else final("8 lines")


def test_a_row_has_what_agenttrace_has_and_joins_steps_with_spans(collected: Any) -> None:
    with chat_server(two_steps) as server:
        (row,) = collected(server, "--seed", 5)
    real = json.loads(shared("rollouts/agenttrace/agenttrace_row_nl2bash_1_7B_task138.json").read_text())
    real = real[0] if isinstance(real, list) else real
    assert set(real) <= set(row)
    assert set(real["spans"][0]) <= set(row["spans"][0])
    assert set(real["spans"][0]["telemetry"]) <= set(row["spans"][0]["telemetry"])
    assert set(real["llm_steps"][0]) <= set(row["llm_steps"][0])
    assert set(real["metadata"]) <= set(row["metadata"])
    assert (row["prompt"], row["model"], row["dataset_name"], row["task_id"]) == ("Task 0.", "m", "tasks", "t0")
    first, second = row["llm_steps"]
    tool, end = row["spans"]
    assert (tool["step_id"], tool["tool_call_id"]) == (first["step_id"], first["tool_calls"][0]["id"])
    assert end["step_number"] == second["step_number"] == 2
    assert tool["tool_input"] == "kwargs={'command': 'wc -l < textfile7.txt; echo oops >&2'}"
    assert tool["tool_output"] == "exit_code: 0\nstdout:\n8\nstderr:\noops"
    assert tool["telemetry"]["max_rss_bytes"] > 0
    assert (end["tool_output"], end["telemetry"], end["exit_code"]) == ("8 lines", None, 0)
    # Steps and spans lie one after the other on one clock, inside of the run.
    times = [first["start_ns"], first["end_ns"], tool["start_ns"], tool["end_ns"], second["start_ns"], second["end_ns"]]
    assert times == sorted(times)
    assert times[-1] - times[0] <= row["total_duration_ms"] * 1e6
    assert first["duration_ms"] == (first["end_ns"] - first["start_ns"]) / 1e6
    assert first["request_id"].startswith("chatcmpl-")
    assert (first["output_tokens"], first["cached_tokens"]) == (7, first["input_tokens"] // 2)
    assert row["metadata"]["end_reason"] == "final_answer"
    assert row["metadata"]["sandbox"] is None
    assert server.bodies[0]["seed"] == 5
    assert server.bodies[0]["max_tokens"] == 2048


def test_the_conversation_is_what_the_api_asks_for(collected: Any) -> None:
    with chat_server(two_steps) as server:
        collected(server)
    system, user, assistant, tool = server.bodies[1]["messages"]
    assert server.bodies[0]["messages"] == [system, user]  # the prompt only grows
    assert (system["role"], user) == ("system", {"role": "user", "content": "Task 0."})
    assert assistant["tool_calls"][0]["function"]["arguments"] == '{"command": "wc -l < textfile7.txt; echo oops >&2"}'
    assert tool == {
        "role": "tool",
        "tool_call_id": "c1",
        "content": "exit_code: 0\nstdout:\n8\nstderr:\noops",
    }
    names = [one["function"]["name"] for one in server.bodies[0]["tools"]]
    assert names == ["bash", "python", "final_answer"]


def test_both_files_go_through_import_and_analyze(collected: Any, invoke: Invoke, tmp_path: Path) -> None:
    with chat_server(two_steps) as server:
        rows = collected(server, n=3)
    for name in ("out.jsonl", "out.parquet"):
        run = tmp_path / f"run-{name}"
        invoke("import", tmp_path / name, "--name", run.name, "--output", tmp_path, "--no-pages", "--strict")
        invoke("validate", run)
        assert agentgen.scan(run / "dataset.parquet").collect().height == 6
        times = agentgen.agenttrace(tmp_path / name)
        assert times.spans.height == 6
        assert times.spans["arguments"].null_count() == 0
        assert sorted(times.llm_steps["duration_ms"]) == sorted(s["duration_ms"] for r in rows for s in r["llm_steps"])
        assert invoke("analyze", tmp_path / name).output.count("bash") >= 2
    view = pl.read_parquet(tmp_path / "out.parquet")
    assert view.columns == [
        *("trace_id", "timestamp_utc", "prompt", "model", "dataset_name", "task_id", "run_id", "total_duration_ms"),
        *("tool_span_count", "llm_step_count", "spans_json", "llm_steps_json", "metadata_json", "raw_file"),
    ]
    assert [json.loads(text) for text in view["spans_json"]] == [row["spans"] for row in rows]


@pytest.mark.parametrize(
    "content",
    [
        '{"tool": "bash", "input": "echo hi"}',
        '```json\n{"tool": "bash", "input": "echo hi"}\n```',
        '```JSON\n{"tool": "bash",\n "input": "echo hi"}\n```\nDone.',
        '<think>{"tool": "python", "input": "1"} or so?</think>\n{"tool": "bash", "input": "echo hi"}',
        'I use {"a": 1} first: {"tool": "bash", "input": "echo hi"} and that is it.',
    ],
)
def test_json_actions_of_models_that_call_no_tools(collected: Any, content: str) -> None:
    def script(_body: dict[str, Any], before: int) -> dict[str, Any]:
        return message(content if before == 0 else '{"tool": "final_answer", "input": "hi"}')

    with chat_server(script) as server:
        (row,) = collected(server, "--actions", "json")
    assert [(span["tool_name"], span["tool_input"]) for span in row["spans"]] == [
        ("bash", "kwargs={'command': 'echo hi'}"),
        ("final_answer", "kwargs={'answer': 'hi'}"),
    ]
    assert row["llm_steps"][0]["model_output"] == content
    assert "tools" not in server.bodies[0]
    assert server.bodies[0]["response_format"]["json_schema"]["schema"]["required"] == ["tool", "input"]
    assert server.bodies[1]["messages"][-1]["content"] == "Result of bash:\nexit_code: 0\nstdout:\nhi"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (call("bash", "{not json"), "The arguments of bash are no JSON object"),
        (call("bash", "[1]"), "The arguments of bash are no JSON object"),
        (call("bash", {"cmd": "ls"}), 'bash has no text under "command"'),
        (call("bash", {"command": 3}), 'bash has no text under "command"'),
        (call("rm", {"command": "ls"}), "There is no tool 'rm'"),
        (call("final_answer", {"answer": None}), 'final_answer has no text under "answer"'),
        (call("bash", {"command": "a\0b"}), "has a NUL"),
        (call("bash", {"command": "x" * 200_000}), "more than 100000 bytes"),
        (message("I think I am done."), "That was no tool call."),
        (message(None), "That was no tool call."),
    ],
)
def test_an_answer_that_calls_nothing_is_told_so(collected: Any, answer: dict[str, Any], told: str) -> None:
    with chat_server(lambda _, before: answer if before == 0 else final()) as server:
        (row,) = collected(server)
    assert [span["tool_name"] for span in row["spans"]] == ["final_answer"]  # what did not run has no span
    assert len(row["llm_steps"]) == 2
    assert told in server.bodies[1]["messages"][-1]["content"]


def test_several_calls_of_one_answer_run_in_order(collected: Any) -> None:
    several = message(tool_calls=[bash("echo a > f")["tool_calls"][0], {**bash("cat f")["tool_calls"][0], "id": "c2"}])
    with chat_server(lambda _, before: several if before == 0 else final()) as server:
        (row,) = collected(server)
    assert [span["tool_call_id"] for span in row["spans"]] == ["c1", "c2", "c1"]
    assert row["spans"][1]["tool_output"] == "exit_code: 0\nstdout:\na"
    assert [one.get("tool_call_id") for one in server.bodies[1]["messages"][-2:]] == ["c1", "c2"]


def test_a_task_ends_after_its_steps(collected: Any) -> None:
    with chat_server(lambda _body, _before: bash("true")) as server:
        (row,) = collected(server)
        assert len(server.bodies) == 10
    assert len(row["llm_steps"]) == len(row["spans"]) == 10
    assert row["metadata"]["end_reason"] == "max_steps"


def test_dialects_of_servers(collected: Any) -> None:
    def script(body: dict[str, Any], before: int) -> Any:
        if before == 0:
            answer = call("bash", "")
            answer["tool_calls"][0]["function"]["arguments"] = {"command": "echo hi"}  # an object, and no id
            del answer["tool_calls"][0]["id"]
            return {
                "choices": [{"message": {**answer, "content": [{"type": "text", "text": "so"}]}}]
            }  # no usage, no id
        return completion({**final(), "content": "", "reasoning": "because"}, body)

    with chat_server(script) as server:
        (row,) = collected(server)
    first, second = row["llm_steps"]
    assert (first["model_output"], first["input_tokens"], first["request_id"]) == ("so", None, None)
    assert (second["model_output"], second["reasoning_content"]) == (None, "because")
    assert row["spans"][0]["tool_output"] == "exit_code: 0\nstdout:\nhi"
    assistant, tool = server.bodies[1]["messages"][-2:]
    assert assistant["tool_calls"][0]["id"] == tool["tool_call_id"] == row["spans"][0]["tool_call_id"]
    assert "reasoning" not in json.dumps(server.bodies[1])  # reasoning is not carried over


def test_fields_that_a_server_refuses_are_replaced(collected: Any) -> None:
    def script(body: dict[str, Any], _before: int) -> Any:
        for name in ("max_tokens", "seed", "tool_choice"):
            if name in body:
                return HttpError(400, {"error": {"message": f"Unsupported parameter: '{name}' is not supported."}})
        return final()

    with chat_server(script) as server:
        collected(server, "--seed", 1, n=2, code=0)
    assert "max_completion_tokens" in server.bodies[-1]
    assert len(server.bodies) <= 2 * 3 + 2  # found out once for each of the tasks that ran side by side


@pytest.mark.parametrize("actions", ["tools", "json"])
def test_the_embedded_server_accepts_the_history_and_finds_each_prompt_in_the_next(
    actions: str, tasks: Path, tmp_path: Path, invoke: Invoke
) -> None:
    output, block = tmp_path / "out.jsonl", 16
    with agentgen.serve(
        tool_calls=1, block_size=block, prefill_tokens_per_second=0, decode_tokens_per_second=0
    ) as server:
        options = ("--url", server.url, "--tasks", tasks, "-o", output, "--no-sandbox", "--actions", actions)
        invoke("collect", *options, "-n", 2, "--max-steps", 4, "--max-tokens", 30)
    for row in map(json.loads, output.read_text().splitlines()):
        assert row["metadata"]["end_reason"] == "max_steps"  # no request was refused
        steps = row["llm_steps"]
        assert len(steps) == 4
        for before, step in itertools.pairwise(steps):
            assert step["cached_tokens"] >= before["input_tokens"] // block * block


@pytest.mark.parametrize(
    ("answer", "mode"),
    [
        (bash("echo ready"), "tools"),
        (message("ready"), "json"),
        (HttpError(400, {"error": {"message": '"auto" tool choice requires --enable-auto-tool-choice'}}), "json"),
        (HttpError(500, {"error": {"message": "tools param requires --jinja flag"}}), "json"),
    ],
)
def test_auto_asks_the_model_once_how_it_calls_tools(collected: Any, answer: Any, mode: str) -> None:
    def script(body: dict[str, Any], _before: int) -> Any:
        if "echo ready" in body["messages"][1]["content"]:
            return answer
        return final() if "tools" in body else message('{"tool": "final_answer", "input": "x"}')

    with chat_server(script) as server:
        rows = collected(server, "--actions", "auto", n=3)
    assert {row["metadata"]["actions"] for row in rows} == {mode}
    assert {row["metadata"]["end_reason"] for row in rows} == {"final_answer"}


@pytest.mark.parametrize(
    "fault",
    [
        HttpError(429, headers={"Retry-After": "0"}),
        HttpError(429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        HttpError(503),
        HttpError(0),
        HttpError(200, b"<html>proxy</html>"),
        HttpError(200, {"error": {"message": "overloaded"}}),
    ],
    ids=["seconds", "date", "503", "closed", "no JSON", "error document"],
)
def test_requests_are_tried_again(collected: Any, fault: HttpError) -> None:
    lock, faults = threading.Lock(), [fault, fault]

    def script(_body: dict[str, Any], _before: int) -> Any:
        with lock:
            return faults.pop() if faults else final()

    with chat_server(script) as server:
        (row,) = collected(server)
        assert len(server.bodies) == 3
    assert len(row["llm_steps"]) == 1


def test_a_refused_request_ends_the_task_and_keeps_its_row(collected: Any) -> None:
    too_long = HttpError(400, {"error": {"message": "This model's maximum context length is 4096 tokens"}})
    with chat_server(lambda _, before: bash("true") if before == 0 else too_long) as server:
        (row,) = collected(server)
    assert row["metadata"]["end_reason"] == "request_refused"
    assert "maximum context length" in row["metadata"]["error"]
    assert len(row["llm_steps"]) == 1


def test_a_refused_first_request_ends_the_collection(
    tmp_path: Path, tasks: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "zebrafish")
    with chat_server(lambda *_: HttpError(401, {"error": {"message": "Incorrect API key"}})) as server:
        options = (
            "--tasks",
            tasks,
            "--url",
            server.url,
            "-o",
            tmp_path / "out.jsonl",
            "--api-key-env",
            "MY_KEY",
            *PLAIN,
        )
        result = invoke("collect", *options, code=1)
    assert result.output == f"agentgen: error: {server.url}: HTTP 401: Incorrect API key\n"
    assert server.headers[0]["Authorization"] == "Bearer zebrafish"
    assert not list(tmp_path.glob("out*"))


def test_no_key_is_in_the_rows(collected: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "zebrafish")
    with chat_server(lambda _, before: bash("env") if before == 0 else final()) as server:
        collected(server)
    assert server.headers[0]["Authorization"] == "Bearer zebrafish"
    assert b"zebrafish" not in (tmp_path / "out.jsonl").read_bytes()


def test_failed_tasks_are_run_again_by_resume(collected: Any, tmp_path: Path) -> None:
    is_down = True

    def script(body: dict[str, Any], _before: int) -> Any:
        return HttpError(503) if is_down and body["messages"][1]["content"] in {"Task 1.", "Task 4."} else final()

    with chat_server(script) as server:
        assert collected(server, n=6, code=1) == []
        kept = (tmp_path / "out.partial.jsonl").read_text().splitlines()
        assert sorted(json.loads(line)["task_id"] for line in kept) == ["t0", "t2", "t3", "t5"]
        is_down = False
        server.bodies.clear()
        rows = collected(server, "--resume", n=6)
        assert sorted(server.prompts()) == ["Task 1.", "Task 4."]
    assert [row["task_id"] for row in rows] == [f"t{number}" for number in range(6)]  # in the order of the tasks
    assert not (tmp_path / "out.partial.jsonl").exists()


def test_a_server_that_is_down_ends_the_collection(collected: Any, tmp_path: Path) -> None:
    with chat_server(lambda *_: HttpError(500)) as server:
        assert collected(server, "--concurrency", 1, n=6, code=1) == []
        assert len(set(server.prompts())) == 5  # not all tasks are tried
    assert not list(tmp_path.glob("out*"))


def test_what_is_there_is_never_replaced_unasked(collected: Any, tmp_path: Path) -> None:
    with chat_server(lambda *_: final()) as server:
        collected(server)
        before = (tmp_path / "out.jsonl").read_bytes()
        collected(server, code=1)
        assert (tmp_path / "out.jsonl").read_bytes() == before
        assert collected(server, "--force") != [json.loads(before)]


def test_resume_extends_and_refuses_other_settings(collected: Any, invoke: Invoke, tmp_path: Path, tasks: Path) -> None:
    with chat_server(lambda *_: final()) as server:
        first = collected(server, n=2)
        assert collected(server, "--resume", n=5)[:2] == first
        assert len(server.bodies) == 5
        arguments = ("--tasks", tasks, "--url", server.url, "-o", tmp_path / "out.jsonl", "--resume", *PLAIN)
        result = invoke("collect", *arguments, "--actions", "tools", "--seed", 3, code=1)
        assert "found rows with seed null, expected 3" in result.output
        assert collected(server, "--resume", n=2) == collected(server, "--resume", n=5)  # a smaller n drops nothing
        assert len(server.bodies) == 5


def test_a_row_that_a_crash_has_cut_is_run_again(collected: Any, tmp_path: Path) -> None:
    with chat_server(lambda *_: final()) as server:
        collected(server, n=2)
        lines = (tmp_path / "out.jsonl").read_bytes().splitlines(keepends=True)
        (tmp_path / "out.partial.jsonl").write_bytes(lines[0] + lines[1][:100])
        (tmp_path / "out.jsonl").unlink()
        (tmp_path / "out.parquet").unlink()
        server.bodies.clear()
        rows = collected(server, "--resume", n=2)
        assert server.prompts() == ["Task 1."]
    assert [row["task_id"] for row in rows] == ["t0", "t1"]


@pytest.mark.parametrize("line", ["{}", "not JSON", "[]", '{"task_id": [], "metadata": {"run_id": 1}}', "[" * 100_000])
def test_a_file_of_other_lines_is_not_continued(collected: Any, tmp_path: Path, line: str) -> None:
    (tmp_path / "out.partial.jsonl").write_text(line + "\n")
    with chat_server(lambda *_: final()) as server:
        collected(server, "--resume", code=1)
        assert not server.bodies
    assert (tmp_path / "out.partial.jsonl").read_text() == line + "\n"


def started(server: ChatServer, tasks: Path, output: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "agentgen", "collect", "--tasks", str(tasks), "--url", server.url]
    command += ["-o", str(output), "--actions", "tools", "--concurrency", "2", *PLAIN, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_collection_goes_on_after_any_end(number: signal.Signals, tasks: Path, tmp_path: Path) -> None:
    held, release = threading.Event(), threading.Event()

    def script(body: dict[str, Any], before: int) -> dict[str, Any]:
        if not release.is_set() and body["messages"][1]["content"] == "Task 3." and before == 1:
            held.set()
            release.wait()
        return bash("echo step") if before == 0 else final()

    output = tmp_path / "out.jsonl"
    with chat_server(script) as server:
        with started(server, tasks, output) as running:
            assert held.wait(60)
            running.send_signal(number)
            _, error = running.communicate()
        release.set()
        kept = [json.loads(line)["task_id"] for line in (tmp_path / "out.partial.jsonl").read_text().splitlines()]
        assert "t3" not in kept
        assert not output.exists()
        if number == signal.SIGINT:
            assert running.returncode == 130
            line = f"interrupted; {len(kept)} of 6 tasks are kept in {output.with_suffix('.partial.jsonl')}"
            assert error.strip() == f"agentgen: error: {line}; --resume continues"
        server.bodies.clear()
        with started(server, tasks, output, "--resume") as running:
            _, error = running.communicate()
        assert running.returncode == 0, error
        assert not {f"Task {task[1:]}." for task in kept} & set(server.prompts())  # nothing is asked twice
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["task_id"] for row in rows] == [f"t{number}" for number in range(6)]
    assert all(len(row["llm_steps"]) == 2 for row in rows)


def test_a_collection_in_the_sandbox(tasks: Path, tmp_path: Path, invoke: Invoke) -> None:
    try:
        calls("true")
    except CollectError as error:
        pytest.skip(f"tools cannot be run in a sandbox here: {error}")
    program = "import os; print(os.getuid()); print(os.path.exists('/root'), len(os.listdir('/testbed')))"

    def script(_body: dict[str, Any], before: int) -> dict[str, Any]:
        return [bash("rm -rf /testbed/*; ls"), call("python", {"code": program}), final()][before]

    output = tmp_path / "out.jsonl"
    with chat_server(script) as server:
        invoke("collect", "--tasks", tasks, "--url", server.url, "-o", output, "--actions", "tools", "--concurrency", 2)
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(rows) == 6
    for row in rows:
        assert row["spans"][1]["tool_output"] == "exit_code: 0\nstdout:\n65534\nFalse 0"
        assert (row["metadata"]["sandbox"], row["metadata"]["fixture_version"]) == ("bubblewrap", FIXTURE.version)
        assert (row["model"], row["metadata"]["context_length"]) == ("m", 4096)


def test_without_bubblewrap_no_request_is_sent(
    tasks: Path, tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with chat_server(lambda *_: final()) as server:
        result = invoke("collect", "--tasks", tasks, "--url", server.url, "-o", tmp_path / "o.jsonl", code=1)
        assert not server.bodies
    assert "found no bubblewrap" in result.output
    assert "--no-sandbox" in result.output
    with pytest.raises(CollectError):
        Workplace(FIXTURE)


def test_a_tool_that_takes_too_long_is_told_so(collected: Any) -> None:
    with chat_server(lambda _, before: bash("echo on; sleep 100") if before == 0 else final()) as server:
        (row,) = collected(server, "--tool-timeout", "1s")
    assert row["spans"][0]["tool_output"] == "exit_code: 137\nstdout:\non\nkilled: it took longer than 1 s"
    assert (row["spans"][0]["exit_code"], row["spans"][0]["killed_by"]) == (137, "time")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--tasks", "nl2bash", "-o", "o.jsonl"), "expected --tasks, -o, and one of --url and --local"),
        (("--tasks", "nl2bash", "--url", "http://h", "--local", "-o", "o.jsonl"), "one of --url and --local"),
        (("--tasks", "nl2bash", "--url", "h", "-o", "o.jsonl"), "--url: expected a URL such as"),
        (("--tasks", "nl2bash", "--url", "http://h", "-o", "o.csv"), "expected a name that ends with .jsonl"),
        (("--tasks", "nl2bash", "--url", "http://h", "-o", "o.jsonl", "--resume", "--force"), "found both"),
        (
            ("--tasks", "nl2bash", "--url", "http://h", "-o", "o.jsonl", "--request-json", "[]"),
            "expected a JSON object",
        ),
        (("--tasks", "missing.jsonl", "--url", "http://h", "-o", "o.jsonl"), "missing.jsonl: No such file"),
        (("--tasks", "mbpp", "--url", "http://h", "-o", "o.jsonl"), "found no mbpp.jsonl or mbpp.json here"),
    ],
)
def test_options_that_do_not_go_together(
    arguments: tuple[str, ...], problem: str, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert problem in invoke("collect", *arguments, code=2).output


def test_a_server_that_is_not_there_is_one_line(invoke: Invoke, tmp_path: Path, tasks: Path) -> None:
    options = ("--tasks", tasks, "--url", "http://127.0.0.1:9", "-o", tmp_path / "o.jsonl", "--no-sandbox")
    output = invoke("collect", *options, code=1).output
    assert output.startswith("agentgen: error: http://127.0.0.1:9/v1: Cannot connect to host")
    assert output.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["tasks.jsonl"]


def test_missing_packages_are_named(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    output = invoke("collect", "--tasks", "nl2bash", "--url", "http://h", "-o", "o.jsonl", code=1).output
    assert output == "agentgen: error: collect needs aiohttp and polars: pip install 'agentgen-traces[collect]'\n"


def test_tools_end_with_a_collection_that_is_killed(tasks: Path, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    with (
        chat_server(lambda *_: bash(f"echo $PPID > {file}; exec sleep 31338")) as server,
        started(server, tasks, tmp_path / "out.jsonl", "--concurrency", "1") as running,
    ):
        while not (file.exists() and file.read_text().strip()):
            assert running.poll() is None
        running.kill()
    status = Path("/proc", file.read_text().strip(), "stat")
    for _ in range(100_000):
        if not status.exists() or " Z " in status.read_text():
            return
    pytest.fail("the tools are left")
