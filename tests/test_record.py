"""`agentgen record`: what passes through it becomes a run whose blocks are those of the trace that was replayed."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import agentgen
import polars as pl
import pytest
from conftest import command, one_line_only

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Invoke, Run

BLOCK = 64
# Shared layers, groups, restarts, and lengths that do not fill blocks; small, since every word is sent.
CONFIG = f"""
max_prompt_tokens: 3000
block_size: {BLOCK}
cache:
  layer1_tokens: 300
  layer1_5_tokens: 200
  layer1_5_groups: {{num_groups: 3}}
  layer2: {{mean: 150, sigma: 0.5}}
new_tokens_per_turn: {{mean: 120, sigma: 0.6}}
generation_length: {{mean: 40, sigma: 0.5, min: 1}}
restart_initial_probability: 0.8
restart_turn_range: [2, 5]
"""
# Breaks of the history and sub-agents.
LINKED = f"""
max_prompt_tokens: 6000
block_size: {BLOCK}
cache: {{layer1_tokens: 300, layer2: null, first_prompt: {{median: 1500, sigma: 0.5}}}}
generation_length: {{mean: 40, sigma: 0.5, min: 1}}
triggers:
  human: {{new_tokens: [{{tokens: {{median: 90, sigma: 0.6, max: 1000}}}}], delay_ms: {{median: 100, sigma: 0.5}}}}
  tool: {{new_tokens: [{{tokens: {{median: 120, sigma: 0.6, max: 1000}}}}], delay_ms: {{median: 10, sigma: 0.5}}}}
  calls_per_human_turn: {{median: 4, sigma: 0.6}}
breaks:
  max_per_line: 5
  kinds:
    - name: compaction
      tool_probability: 0.1
      human_probability: 0.1
      at_limit: true
      keeps: [{{weight: 9, part: prefix}}, {{weight: 1, part: nothing}}]
      new_prompt: {{tokens: {{median: 1500, sigma: 0.5}}}}
subagents:
  max_per_bundle: 4
  max_breaks_per_line: 0
  kinds:
    - name: explore
      prefix_tokens: 192
      spawn_probability: 0.1
      fan_out: {{median: 1, sigma: 0}}
      first_prompt: {{median: 500, sigma: 0.3}}
      calls: {{median: 3, sigma: 0.4}}
      new_tokens: {{median: 100, sigma: 0.4}}
      output: {{mean: 40, sigma: 0.5}}
      delay_ms: {{median: 10, sigma: 0.5}}
      start_delay_ms: {{median: 10, sigma: 0.5}}
reset: {{base_probability: 0.05, context_scaling: 4}}
"""
PROMPT = "zebrafish stripes"


@contextmanager
def serving(**options: Any) -> Iterator[agentgen.Server]:
    """An embedded server that answers at once."""
    at_once = {"prefill_tokens_per_second": 0, "decode_tokens_per_second": 0, "block_size": BLOCK}
    with agentgen.serve(**(at_once | options)) as server:
        yield server


def post(url: str, path: str, body: Any, headers: dict[str, str] | None = None) -> bytes:
    data = json.dumps(body).encode()
    sent = {"content-type": "application/json"} | (headers or {})
    with urllib.request.urlopen(urllib.request.Request(url + path, data, sent)) as response:  # noqa: S310  loopback
        answer: bytes = response.read()
        return answer


def chat(url: str, *texts: str, **more: Any) -> Any:
    """A call whose messages are these texts, of the user and the assistant in turn."""
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
    body = {"model": "agentgen", "messages": messages, "max_tokens": 4}
    headers = {"x-session-id": more.pop("session")} if "session" in more else None
    return json.loads(post(url, "/v1/chat/completions", body | more, headers))


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs of 12 sessions: with restarts, and with breaks and sub-agents."""
    directory = tmp_path_factory.mktemp("generated")
    for name, config in (("restarts", CONFIG), ("linked", LINKED)):
        (directory / f"{name}.yaml").write_text(config)
        agentgen.write_run(directory / name, str(directory / f"{name}.yaml"), sessions=12, layout="cumulative")
    return {name: directory / name for name in ("restarts", "linked")}


def sessions_of(directory: Path) -> dict[tuple[tuple[int, int], ...], list[list[int]]]:
    """The full blocks of each prompt, by the lengths of a session's prompts and outputs."""
    found = {}
    for _, rows in pl.read_parquet(directory / "dataset.parquet").group_by("session_id", maintain_order=True):
        lengths = tuple(zip(rows["context_length"], rows["output_length"], strict=True))
        assert lengths not in found  # random lengths: else sessions could not be told apart
        found[lengths] = [
            list(ids[: n // BLOCK]) for ids, n in zip(rows["hash_ids"], rows["context_length"], strict=True)
        ]
    return found


def assert_same_blocks(one: Path, other: Path) -> None:
    """The same sessions, and a bijection between the ids of all full blocks of their prompts."""
    first, second = sessions_of(one), sessions_of(other)
    assert first.keys() == second.keys()
    there: dict[int, int] = {}
    back: dict[int, int] = {}
    for lengths, prompts in first.items():
        for a, b in zip(prompts, second[lengths], strict=True):
            for x, y in zip(a, b, strict=True):
                assert there.setdefault(x, y) == y
                assert back.setdefault(y, x) == x
    shared = sum(len(ids) for prompts in first.values() for ids in prompts[:1]) - len(
        {block for prompts in first.values() for block in prompts[0]}
    )
    assert shared > 100  # the first prompts of sessions share blocks


@pytest.mark.parametrize(
    ("trace", "mode"),
    [
        ("restarts", ("--endpoint", "chat", "--history", "live")),
        ("linked", ("--endpoint", "chat", "--history", "recorded", "--no-stream")),
        ("restarts", ("--endpoint", "completions", "--history", "live")),
        ("restarts", ("--endpoint", "completions", "--prompt-mode", "token-ids")),
        ("restarts", ("--endpoint", "responses", "--history", "live")),
        ("linked", ("--endpoint", "messages", "--history", "live")),
        ("restarts", ("--endpoint", "messages", "--history", "recorded", "--no-stream")),
    ],
)
def test_a_replay_is_recorded_block_for_block(
    trace: str, mode: tuple[str, ...], generated: dict[str, Path], run: Run, tmp_path: Path
) -> None:
    source = generated[trace]
    with serving() as server, agentgen.record(server.url, tmp_path / "recorded") as recorder:
        run(
            *("replay", source, "--url", recorder.url, "--skip-checks", "--model", "agentgen", *mode),
            *("--concurrency", 8, "--time-scale", 0, "--output", tmp_path, "--name", "out", "--quiet"),
        )
    assert recorder.run is not None
    assert recorder.run.summary["calls"] == pl.read_parquet(source / "dataset.parquet").height
    assert recorder.run.summary["prompt_error_tokens_max"] == 0
    assert recorder.run.problems == ()
    assert recorder.run.manifest["import"]["left_out"] == {}
    assert_same_blocks(source, tmp_path / "recorded")
    assert agentgen.validate(tmp_path / "recorded").ok


def test_analysis_of_the_recorded_run_is_that_of_the_replayed_one(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "small.yaml"
    config.write_text(re.sub(r"restart_initial_probability: .*", "restart_initial_probability: 0", CONFIG))
    agentgen.write_run(tmp_path / "run", str(config), sessions=12)
    with serving() as server, agentgen.record(server.url, tmp_path / "recorded") as recorder:
        run(
            *("replay", tmp_path / "run", "--url", recorder.url, "--skip-checks", "--model", "agentgen"),
            *("--concurrency", 1, "--time-scale", 0, "--output", tmp_path, "--name", "out", "--quiet"),
        )
    stats = recorder.stats()
    # One session after the other, as they were replayed.
    generated = agentgen.analyze(tmp_path / "run", concurrency=1).to_dict()["traces"][0]
    recorded = agentgen.analyze(tmp_path / "recorded").to_dict()["traces"][0]
    for key in ("requests", "sessions", "prompt_tokens", "output_tokens"):
        assert generated[key] == recorded[key], key
    assert generated["reuse"]["linked"] == pytest.approx(recorded["reuse"]["linked"], rel=1e-12)
    assert stats["prompt_tokens"] == stats["estimated_tokens"] == recorded["prompt_tokens"]
    assert stats["output_tokens"] == recorded["output_tokens"]
    # The server has an infinite cache, which finds whole blocks.
    assert stats["cached_tokens"] <= stats["known_tokens"]
    assert stats["known_tokens"] - stats["cached_tokens"] < BLOCK * recorded["requests"]


def test_no_text_and_no_key_is_stored(tmp_path: Path) -> None:
    key = "Bearer sk-zebrafish"
    with serving(debug=True) as server, agentgen.record(server.url, tmp_path / "run") as recorder:
        url = recorder.url
        answer = chat(url, PROMPT, session="zebrafish-session")["choices"][0]["message"]["content"]
        body = {
            "model": "agentgen",
            "messages": [{"role": "user", "content": PROMPT}],
            "max_tokens": 3,
            "system": PROMPT,
        }
        tools = [{"name": "zebrafish_find", "description": PROMPT, "input_schema": {}}]
        post(url, "/v1/messages", body | {"tools": tools}, {"authorization": key, "x-api-key": key})
    assert recorder.run is not None
    assert recorder.run.summary["calls"] == 2
    words = ["zebrafish", "stripes", *answer.split()]
    names = [file.name for file in (tmp_path / "run").iterdir()]
    assert "journal.jsonl" in names
    for name in names:
        text = (tmp_path / "run" / name).read_bytes()
        if name == "journal.jsonl":  # tools have their names there, as in other logs; the run has numbers
            text = text.replace(b'"zebrafish_find"', b"")
        assert not any(word.encode() in text for word in words), name


def test_breaks_and_sub_agents_of_one_client(tmp_path: Path) -> None:
    """A compaction of the main agent, and a sub-agent with a system prompt of its own that its next call waits for."""
    tools = [{"type": "function", "function": {"name": "Task", "parameters": {}}}]

    def call(system: str, *messages: dict[str, Any], tools: list[Any] = tools, answer_calls: bool = False) -> Any:
        body: dict[str, Any] = {
            "model": "agentgen",
            "max_tokens": 4,
            "messages": [{"role": "system", "content": system}],
        }
        body["messages"] += messages
        if tools:
            body |= {"tools": tools, "tool_choice": "required" if answer_calls else "none"}
        headers = {"x-session-id": "one"}
        return json.loads(post(recorder.url, "/v1/chat/completions", body, headers))["choices"][0]["message"]

    main = "main agent " + " ".join(f"rule{n}" for n in range(200))
    explorer = "explorer " + " ".join(f"hint{n}" for n in range(100))
    with serving() as server, agentgen.record(server.url, tmp_path / "run") as recorder:
        call("make a title", {"role": "user", "content": "find the bug"}, tools=[])
        asked = {"role": "user", "content": "find the bug " + " ".join(f"detail{n}" for n in range(150))}
        answer = call(main, asked, answer_calls=True)
        assert answer["tool_calls"]
        task = {"role": "user", "content": "look for it"}
        found = call(explorer, task, tools=[])
        call(
            explorer,
            task,
            {"role": "assistant", "content": found["content"]},
            {"role": "user", "content": "go on"},
            tools=[],
        )
        result = {"role": "tool", "tool_call_id": answer["tool_calls"][0]["id"], "content": "it is here"}
        call(main, asked, answer, result)
        call(main, {"role": "user", "content": "a summary of all that"})
    assert recorder.run is not None
    rows = pl.read_parquet(tmp_path / "run" / "dataset.parquet")
    first = rows.filter(pl.col("turn_index") == 0)
    shown = first.select("link", "parent_turn", "join_turn", "agent").rows()
    assert shown == [
        (None, None, None, "main"),  # the title: before the first call of the main agent
        (None, None, None, "main"),
        ("subagent", 0, 1, "agent-1"),
        ("break", None, None, "main"),
    ]
    kept = first["kept_length"][3]
    assert 200 // BLOCK * BLOCK <= kept <= 210  # the system prompt
    calls = pl.read_parquet(tmp_path / "run" / "calls.parquet")
    assert calls["trigger"].to_list() == ["human", "human", "tool", "human", "human", "human"]
    assert calls["wait_kind"].to_list()[2] == "tool"
    assert [tool["name"] for tool in calls["tools"][1]] == ["Task"]
    assert calls["tools"][1][0]["wall_ms"] >= 0


def test_sessions_that_name_their_parent_are_its_sub_agents(tmp_path: Path) -> None:
    def call(session: str, *texts: str, parent: str | None = None) -> str:
        roles = ("user", "assistant")
        messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
        headers = {"x-session-affinity": session} | ({"x-parent-session-id": parent} if parent else {})
        body = {"model": "agentgen", "messages": messages, "max_tokens": 4}
        text: str = json.loads(post(recorder.url, "/v1/chat/completions", body, headers))["choices"][0]["message"][
            "content"
        ]
        return text

    with serving() as server, agentgen.record(server.url, tmp_path / "run") as recorder:
        answer = call("main", "do it all")
        call("child", "do a part", parent="main")
        call("main", "do it all", answer, "go on")
    rows = pl.read_parquet(tmp_path / "run" / "dataset.parquet")
    assert rows.select("link", "parent_turn", "turn_index").rows() == [
        (None, None, 0),
        (None, None, 1),
        ("subagent", 0, 0),
    ]


def test_a_line_that_differs_in_each_request_does_not_split_an_agent(tmp_path: Path) -> None:
    """Claude Code puts one before its system prompt; a server that does not know it finds nothing in its cache."""
    system = " ".join(f"rule{n}" for n in range(200))
    messages: list[dict[str, Any]] = [{"role": "user", "content": "begin"}]
    with serving() as server, agentgen.record(server.url, tmp_path / "run") as recorder:
        for number in range(3):
            line = f"x-anthropic-billing-header: cc_version=2.1.1; cch={number:05x};"
            blocks = [{"type": "text", "text": text} for text in (line, system)]
            body: dict[str, Any] = {"model": "agentgen", "max_tokens": 4, "messages": messages, "system": blocks}
            body["metadata"] = {"user_id": "user_0_account__session_1"}
            answer = json.loads(post(recorder.url, "/v1/messages", body))
            assert answer["usage"]["cache_read_input_tokens"] == 0
            messages += [
                {"role": "assistant", "content": answer["content"]},
                {"role": "user", "content": f"go on {number}"},
            ]
    rows = pl.read_parquet(tmp_path / "run" / "dataset.parquet")
    assert rows.select("link", "kept_length", "agent").rows() == [(None, None, "main"), *[("break", 0, "main")] * 2]
    stats = recorder.stats()
    assert stats["sessions"] == 1
    assert stats["known_tokens"] < BLOCK  # the beginning of the line


def test_an_agent_s_calls_at_the_same_time_stay_apart(tmp_path: Path) -> None:
    """Two sessions without ids that begin alike, and one that goes on."""
    system = " ".join(f"rule{n}" for n in range(100))

    def call(*texts: str) -> str:
        messages = [{"role": "system", "content": system}]
        messages += [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts)]
        body = {"model": "agentgen", "messages": messages, "max_tokens": 4}
        text: str = json.loads(post(recorder.url, "/v1/chat/completions", body))["choices"][0]["message"]["content"]
        return text

    with serving() as server, agentgen.record(server.url, tmp_path / "run") as recorder:
        one = call("first task")
        other = call("second task")
        call("first task", one, "go on")
        call("second task", other, "go on")
        call("second task", other, "go back and go on otherwise")
        call("second task")
    assert recorder.run is not None
    rows = pl.read_parquet(tmp_path / "run" / "dataset.parquet")
    turns = rows.group_by("session_id", maintain_order=True).agg(pl.len(), pl.col("link").first()).rows()
    assert [(count, link) for _, count, link in turns] == [(2, None), (2, None), (1, "break"), (1, None)]
    # Without an id, the last call may be that of another session: it began anew.
    assert recorder.stats()["sessions"] == 3


def test_a_run_can_be_fitted(generated: dict[str, Path], run: Run, tmp_path: Path) -> None:
    with serving() as server, agentgen.record(server.url, tmp_path / "recorded") as recorder:
        run(
            *("replay", generated["linked"], "--url", recorder.url, "--skip-checks", "--model", "agentgen"),
            *("--concurrency", 8, "--time-scale", 0, "--output", tmp_path, "--name", "out", "--quiet"),
        )
    run("fit", tmp_path / "recorded", "--output", tmp_path / "fitted.yaml")
    run("config", "check", tmp_path / "fitted.yaml")


@contextmanager
def recording(tmp_path: Path, upstream: str, *options: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command in a process of its own, and its URL."""
    arguments = command("record", "--upstream", upstream, "--port", 0, "--output", tmp_path, "--name", "run", *options)
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def test_a_killed_recorder_loses_at_most_a_second(tmp_path: Path, invoke: Invoke) -> None:
    with serving() as server, recording(tmp_path, server.url) as (process, url):
        for number in range(20):
            chat(url, f"prompt {number}")
        time.sleep(1)
        process.kill()
        process.wait()
    journal = tmp_path / "run" / "journal.jsonl"
    # Nothing may begin where a recording was not finished.
    outcome = invoke("record", "--upstream", "http://127.0.0.1:1", "--output", tmp_path, "--name", "run", code=1)
    finish = re.search(r"agentgen (import .* --force)", outcome.output)
    assert finish is not None
    assert str(journal) in finish[1]
    with journal.open("a") as file:
        file.write('{"call":20,"api":"chat"')  # a line that was being written
    invoke(*finish[1].split(), "--no-pages")
    assert pl.read_parquet(tmp_path / "run" / "dataset.parquet").height == 20
    assert agentgen.validate(tmp_path / "run").ok


def test_ctrl_c_lets_open_streams_end(tmp_path: Path) -> None:
    with serving(decode_tokens_per_second=20) as server, recording(tmp_path, server.url) as (process, url):
        body: dict[str, Any] = {"model": "agentgen", "stream": True, "max_tokens": 20}
        body |= {"messages": [{"role": "user", "content": "x y"}], "stream_options": {"include_usage": True}}
        request = urllib.request.Request(url + "/v1/chat/completions", json.dumps(body).encode())  # noqa: S310
        with urllib.request.urlopen(request) as response:  # noqa: S310  loopback
            response.readline()
            process.send_signal(signal.SIGINT)
            events = [line for line in response if line.startswith(b"data: ")]
        assert events[-1] == b"data: [DONE]\n"
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    one_line_only(0, errors)
    assert "waiting for 1 open call" in errors
    assert "stopped; 1 session, 1 call" in errors
    assert "report.html" in output
    assert pl.read_parquet(tmp_path / "run" / "dataset.parquet")["output_length"].to_list() == [20]


def test_a_second_ctrl_c_cuts_open_streams(tmp_path: Path) -> None:
    with serving(decode_tokens_per_second=5) as server, recording(tmp_path, server.url, "--no-pages") as (process, url):
        chat(url, "complete")
        body = {"model": "agentgen", "stream": True, "max_tokens": 500, "messages": [{"role": "user", "content": "x"}]}
        request = urllib.request.Request(url + "/v1/chat/completions", json.dumps(body).encode())  # noqa: S310
        with urllib.request.urlopen(request) as response:  # noqa: S310  loopback
            for _ in range(8):
                response.readline()
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            assert "waiting" in process.stderr.readline()
            process.send_signal(signal.SIGTERM)
            with pytest.raises(http.client.IncompleteRead):  # the client sees that the answer is not complete
                response.read()
        assert process.wait(timeout=60) == 0
    calls = pl.read_parquet(tmp_path / "run" / "calls.parquet").sort("sent_ms")
    assert calls["output_quality"].to_list() == ["recorded", "estimated"]


def test_a_recorder_without_a_call_leaves_nothing(tmp_path: Path) -> None:
    with serving() as server, recording(tmp_path, server.url) as (process, _):
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1
    one_line_only(1, errors)
    assert "no call was recorded; nothing is written" in errors
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--upstream", "ftp://x"), 2, "--upstream: found another text, expected a URL such as"),
        (("--upstream", "http://me:secret@x"), 2, "expected a URL without"),
        (("--upstream", "https://127.0.0.1:1", "--ca-file", "missing.pem"), 2, "missing.pem"),
        (("--upstream", "http://127.0.0.1:1", "--name", "a/b"), 2, "expected a name without a path"),
        (("--upstream", "http://127.0.0.1:1", "--host", "203.0.113.1"), 1, "203.0.113.1:0"),
        ((), 2, "Missing option '--upstream'"),
    ],
)
def test_what_cannot_start_is_said_in_one_line(
    arguments: tuple[str, ...], code: int, said: str, tmp_path: Path, invoke: Invoke
) -> None:
    where = ("--output", tmp_path) if arguments else ()
    outcome = invoke("record", "--port", 0, *arguments, *where, code=code)
    assert said in outcome.output
    assert "secret" not in outcome.output
    assert list(tmp_path.iterdir()) == []


def test_a_full_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(agentgen.RunError, match="found a directory with files"):
        agentgen.record("http://127.0.0.1:1", tmp_path)


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        agentgen.record("http://127.0.0.1:1", tmp_path / "file" / "run")


def test_conversations_are_written_with_their_texts_if_that_is_wanted(tmp_path: Path, invoke: Invoke) -> None:
    file = tmp_path / "texts.jsonl"
    system = " ".join(f"rule{n}" for n in range(20))
    with serving() as server, agentgen.record(server.url, tmp_path / "run", messages=file) as recorder:
        url = recorder.url
        first = chat(url, "begin here", session="one")["choices"][0]["message"]["content"]
        second = chat(url, "begin here", first, "go on", session="one")["choices"][0]["message"]["content"]
        tool = {"name": "Read", "input_schema": {}}
        ask: dict[str, Any] = {"model": "agentgen", "max_tokens": 6, "system": system, "tools": [tool]}
        asked = {"role": "user", "content": "read it"}
        answer = json.loads(post(url, "/v1/messages", ask | {"messages": [asked], "tool_choice": {"type": "any"}}))
        call = answer["content"][0]
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": "its text"}
        messages = [asked, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
        done = json.loads(post(url, "/v1/messages", ask | {"messages": messages}))["content"][0]["text"]
        assert not file.exists()
    conversations = [json.loads(line) for line in file.read_text().splitlines()]
    assert recorder.stats()["conversations"] == len(conversations) == 2
    texts = [[message["content"] for message in one["messages"]] for one in conversations]
    assert texts[0] == ["begin here", first, "go on", second]
    assert conversations[0]["session_id"] == "one"
    assert [message["role"] for message in conversations[1]["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert conversations[1]["messages"][2]["tool_calls"][0]["function"]["name"] == "Read"
    outcome = invoke("import", file, "--messages", tmp_path / "rows.parquet")
    assert "2 sessions, 9 messages" in outcome.output
    rows = pl.read_parquet(tmp_path / "rows.parquet")
    assert rows["final_assistant_message"].to_list() == [second, done]
    with pytest.raises(agentgen.RunError, match="found a file, expected none"):
        agentgen.record("http://127.0.0.1:1", tmp_path / "other", messages=file)


def test_a_response_that_follows_another_has_its_whole_conversation(tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    with serving() as server, agentgen.record(server.url, tmp_path / "run", messages=file) as recorder:
        body: dict[str, Any] = {"model": "agentgen", "max_output_tokens": 3, "instructions": "be brief"}
        first = json.loads(post(recorder.url, "/v1/responses", body | {"input": "one"}))
        follow = {"input": "two", "previous_response_id": first["id"], "instructions": "be long"}
        second = json.loads(post(recorder.url, "/v1/responses", body | follow))
        third = body | {"input": "three", "previous_response_id": second["id"]}
        post(recorder.url, "/v1/responses", third)
    lines = [json.loads(line)["messages"] for line in file.read_text().splitlines()]
    longest = max(lines, key=len)
    assert [message["role"] for message in longest] == ["system", *["user", "assistant"] * 3]
    assert [message["content"] for message in longest][:2] == ["be brief", "one"]
