"""`agentgen import --messages`: sessions with their texts, as rows for distillation."""

from __future__ import annotations

import gzip
import json
import sys
from typing import TYPE_CHECKING, Any

import agentgen
import polars as pl
import pytest
from conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Invoke

DATA = ROOT.parent / "shared" / "data"
COLUMNS = [
    "trace_id",
    "source_kind",
    "source_path",
    "root_session_id",
    "agent_id",
    "is_sidechain",
    "cwd",
    "project_path",
    "git_branch",
    "started_at",
    "ended_at",
    "messages",
    "source_meta",
    "message_count",
    "tool_call_count",
    "final_assistant_message",
]

Row = dict[str, Any]


def write(path: Path, rows: list[Any]) -> Path:
    """A file with a line for each row; texts are lines as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(source: Path, **options: Any) -> list[Row]:
    return agentgen.rollouts(source, **options).collect().to_dicts()


def said(row: Row) -> list[tuple[str, str]]:
    """Role and text of each message; a call is its name and arguments, reasoning is in parentheses."""
    return [(message["role"], _text(message)) for message in row["messages"]]


def _text(message: Row) -> str:
    reasoning = [f"({message['reasoning_content']})"] if message["reasoning_content"] else []
    calls = [f"{call['function']['name']} {call['function']['arguments']}" for call in message["tool_calls"] or ()]
    texts = [block["text"] for block in message["content"] if block["text"]]
    return "; ".join(reasoning + texts + calls)


def claude(kind: str, content: Any, *, message: Row | None = None, **fields: Any) -> Row:
    """A row of Claude Code."""
    uuid = fields.pop("uuid", f"{kind}-{content!r}"[:80])
    fields = {"sessionId": "one", "timestamp": "2026-01-02T03:00:00.000Z", "isSidechain": False, **fields}
    return {"type": kind, "uuid": uuid, **fields, "message": {"role": kind, "content": content, **(message or {})}}


def tool_use(number: int) -> Row:
    return {"type": "tool_use", "id": f"call_{number}", "name": "Read", "input": {"path": "b", "é": number}}


def tool_result(number: int, text: str) -> Row:
    return {"type": "tool_result", "tool_use_id": f"call_{number}", "content": text}


SESSION = [
    claude("user", "Find it.", cwd="/home/me", gitBranch="main", version="2.1.3"),
    claude("assistant", [{"type": "thinking", "thinking": "Hm."}], message={"id": "a"}),
    claude("assistant", [tool_use(1)], message={"id": "a"}, uuid="2"),
    claude("user", [tool_result(1, "Here.")]),
    claude("assistant", [{"type": "text", "text": "Found."}], message={"id": "b"}, timestamp="2026-01-02T03:00:09Z"),
]


def test_a_row_has_the_sixteen_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "one.jsonl", SESSION)
    frame = agentgen.rollouts(path)
    assert frame.collect_schema().names() == COLUMNS
    (row,) = frame.collect().to_dicts()
    assert said(row) == [
        ("user", "Find it."),
        ("assistant", '(Hm.); Read {"path": "b", "\\u00e9": 1}'),
        ("tool", "Here."),
        ("assistant", "Found."),
    ]
    del row["messages"]
    assert json.loads(row.pop("source_meta")) == {
        "record_count": 5,
        "record_types": ["assistant", "user"],
        "claude_versions": ["2.1.3"],
    }
    assert row == {
        "trace_id": "one",
        "source_kind": "claude_code",
        "source_path": str(path),
        "root_session_id": "one",
        "agent_id": None,
        "is_sidechain": False,
        "cwd": "/home/me",
        "project_path": "/home/me",
        "git_branch": "main",
        "started_at": "2026-01-02T03:00:00.000Z",
        "ended_at": "2026-01-02T03:00:09Z",
        "message_count": 4,
        "tool_call_count": 1,
        "final_assistant_message": "Found.",
    }
    assert frame.select("trace_id").filter(pl.col("trace_id") == "one").collect().height == 1


# What Data Designer 0.9.7 gets wrong; the names are those of the table in docs/import.md.


def test_a_bad_line_costs_that_line(tmp_path: Path) -> None:
    path = write(tmp_path / "one.jsonl", [SESSION[0], "{", '"text"', *SESSION[1:], '{"type":"user","mess'])
    with pytest.warns(
        UserWarning, match="3 parts of the sources could not be used: .*one.jsonl:2: JSON that ends early"
    ):
        (row,) = read(path)
    assert row["message_count"] == 4


def test_a_truncated_last_line_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "one.jsonl", SESSION)
    path.write_text(path.read_text(encoding="utf-8") + '{"type":"user","mess', encoding="utf-8")
    assert read(path)[0]["message_count"] == 4


def test_a_mark_of_byte_order_and_compression_are_read(tmp_path: Path) -> None:
    text = write(tmp_path / "one.jsonl", SESSION).read_bytes()
    (tmp_path / "one.jsonl").write_bytes(b"\xef\xbb\xbf" + text)
    (tmp_path / "two.jsonl.gz").write_bytes(gzip.compress(text))
    first, second = read(tmp_path)
    assert first["messages"] == second["messages"]


def test_repeated_rows_of_claude_count_once(tmp_path: Path) -> None:
    (row,) = read(write(tmp_path / "one.jsonl", [*SESSION, *SESSION]))
    assert row["message_count"] == 4


def test_results_of_claude_come_before_text_of_the_same_row(tmp_path: Path) -> None:
    mixed = claude("user", [{"type": "text", "text": "And this."}, tool_result(1, "Here.")])
    (row,) = read(write(tmp_path / "one.jsonl", [*SESSION[:3], mixed]))
    assert said(row)[2:] == [("tool", "Here."), ("user", "And this.")]


def test_messages_that_the_client_of_claude_made_are_none(tmp_path: Path) -> None:
    error = [{"type": "text", "text": "API Error"}]
    rows = [
        *SESSION,
        claude("assistant", error, message={"model": "<synthetic>"}),
        claude("assistant", error, isApiErrorMessage=True, uuid="e"),
    ]
    assert read(write(tmp_path / "one.jsonl", rows))[0]["final_assistant_message"] == "Found."


def test_a_summary_of_claude_is_no_text_of_the_user(tmp_path: Path) -> None:
    summary = claude("user", "What came before.", isCompactSummary=True)
    assert said(read(write(tmp_path / "one.jsonl", [*SESSION, summary]))[0])[-1] == ("system", "What came before.")


def test_prompts_that_waited_are_messages(tmp_path: Path) -> None:
    attachment = {"type": "queued_command", "commandMode": "prompt", "prompt": "Also that."}
    queued = {"type": "attachment", "uuid": "q", "sessionId": "one", "attachment": attachment}
    assert said(read(write(tmp_path / "one.jsonl", [*SESSION, queued]))[0])[-1] == ("user", "Also that.")


def test_sub_agents_of_claude_have_the_id_of_their_file(tmp_path: Path) -> None:
    result = claude("user", [tool_result(1, "Here.")], agentId="abc")
    write(tmp_path / "one.jsonl", [*SESSION[:3], result])
    write(tmp_path / "one" / "subagents" / "agent-abc.jsonl", [claude("user", "Look.", isSidechain=True)])
    write(tmp_path / "one" / "subagents" / "agent-def.jsonl", [claude("user", "Look.", isSidechain=True)])
    rows = read(tmp_path)
    assert [(row["trace_id"], row["agent_id"], row["is_sidechain"]) for row in rows] == [
        ("one:abc", "abc", True),
        ("one:def", "def", True),
        ("one", None, False),
    ]
    assert {row["root_session_id"] for row in rows} == {"one"}


def test_sub_agents_in_the_file_of_claude_are_rows_of_their_own(tmp_path: Path) -> None:
    side = [
        claude("user", "Look.", isSidechain=True, uuid="s1", parentUuid=None),
        claude("assistant", "I see.", isSidechain=True, uuid="s2", parentUuid="s1"),
    ]
    main, sub = read(write(tmp_path / "one.jsonl", [*SESSION[:2], *side, *SESSION[2:]]))
    assert (main["message_count"], main["is_sidechain"]) == (4, False)
    assert said(sub) == [("user", "Look."), ("assistant", "I see.")]
    assert (sub["trace_id"], sub["root_session_id"], sub["is_sidechain"]) == ("one:sidechain-1", "one", True)


def test_rows_of_claude_without_a_type_have_a_role(tmp_path: Path) -> None:
    row = {"sessionId": "one", "message": {"role": "assistant", "content": "Yes.", "usage": {}}}
    assert said(read(write(tmp_path / "one.jsonl", [row]))[0]) == [("assistant", "Yes.")]


def codex(kind: str, **payload: Any) -> Row:
    return {"timestamp": "2026-01-02T03:00:00Z", "type": kind, "payload": payload}


def item(kind: str, **payload: Any) -> Row:
    return codex("response_item", type=kind, **payload)


def message(role: str, text: str) -> Row:
    return item("message", role=role, content=[{"type": "input_text", "text": text}])


META = codex("session_meta", id="thread", cwd="/home/me", git={"branch": "main"}, source={"custom": [1]})


def test_codex_has_the_branch_and_the_source_as_they_are(tmp_path: Path) -> None:
    (row,) = read(write(tmp_path / "rollout-1.jsonl", [META, message("user", "Go.")]))
    assert row["git_branch"] == "main"
    assert json.loads(row["source_meta"])["source"] == {"custom": [1]}


def test_the_items_of_one_call_of_codex_are_one_message(tmp_path: Path) -> None:
    calls = [item("function_call", call_id=f"c{n}", name="shell", arguments="{}") for n in (1, 2)]
    outputs = [item("function_call_output", call_id=f"c{n}", output=f"out {n}") for n in (1, 2)]
    rows = [
        META,
        message("user", "Go."),
        message("assistant", "I run."),
        *calls,
        *outputs,
        message("assistant", "Done."),
    ]
    (row,) = read(write(tmp_path / "rollout-1.jsonl", rows))
    assert said(row) == [
        ("user", "Go."),
        ("assistant", "I run.; shell {}; shell {}"),
        ("tool", "out 1"),
        ("tool", "out 2"),
        ("assistant", "Done."),
    ]


def test_reasoning_of_codex_counts_once_and_is_not_lost(tmp_path: Path) -> None:
    event = codex("event_msg", type="agent_reasoning", text="Hm.")
    summary = item("reasoning", summary=[{"type": "summary_text", "text": "Hm."}])
    rows = [META, event, summary, message("assistant", "Yes."), event, message("user", "Stop.")]
    (row,) = read(write(tmp_path / "rollout-1.jsonl", rows))
    assert said(row) == [("assistant", "(Hm.); Yes."), ("user", "Stop.")]
    assert json.loads(row["source_meta"])["unattached_reasoning"] == ["Hm."]


def test_a_fork_of_codex_keeps_its_own_id(tmp_path: Path) -> None:
    spawn = {"subagent": {"thread_spawn": {"parent_thread_id": "thread", "depth": 1}}}
    rows = [codex("session_meta", id="child", source=spawn), META, message("user", "Go.")]
    (row,) = read(write(tmp_path / "rollout-1.jsonl", rows))
    assert (row["trace_id"], row["root_session_id"], row["agent_id"]) == ("child", "thread", "child")
    assert row["is_sidechain"]


def test_shells_and_summaries_of_codex_are_messages(tmp_path: Path) -> None:
    shell = item("local_shell_call", call_id="c", action={"type": "exec", "command": ["ls"]})
    rows = [
        META,
        shell,
        item("function_call_output", call_id="c", output={"text": "a"}),
        codex("compacted", message="So far."),
    ]
    (row,) = read(write(tmp_path / "rollout-1.jsonl", rows))
    assert said(row) == [
        ("assistant", 'local_shell {"command": ["ls"], "type": "exec"}'),
        ("tool", '{"text": "a"}'),
        ("system", "So far."),
    ]


def pi(role: str, text: str, **fields: Any) -> Row:
    content = [{"type": "text", "text": text}]
    return {
        "type": "message",
        "timestamp": "2026-01-02T03:00:00Z",
        "message": {"role": role, "content": content, **fields},
    }


def test_pi_without_ids_is_a_line_of_entries(tmp_path: Path) -> None:
    rows = [{"type": "session", "id": "one", "cwd": "/home/me"}, pi("user", "Go."), pi("assistant", "Done.")]
    assert said(read(write(tmp_path / "one.jsonl", rows))[0]) == [("user", "Go."), ("assistant", "Done.")]


def test_a_result_of_pi_without_an_id_is_of_the_call_that_waits(tmp_path: Path) -> None:
    call = {"type": "toolCall", "id": "c1", "name": "read", "arguments": {}}
    answer = pi("assistant", "I look.")
    answer["message"]["content"].append(call)
    rows = [{"type": "session", "id": "one", "version": 3}, answer, pi("toolResult", "Here.", toolName="read")]
    (row,) = read(write(tmp_path / "one.jsonl", rows))
    assert row["messages"][1]["tool_call_id"] == "c1"


def test_times_of_pi_are_compared_as_times(tmp_path: Path) -> None:
    later = {**pi("assistant", "Done."), "timestamp": "2026-01-02T02:30:00-01:00"}
    header = {"type": "session", "id": "one", "version": 1, "timestamp": "2026-01-02T03:00:00Z"}
    (row,) = read(write(tmp_path / "one.jsonl", [header, pi("user", "Go."), later]))
    assert row["ended_at"] == "2026-01-02T02:30:00-01:00"


def atif(**fields: Any) -> Row:
    steps = [
        {"step_id": 1, "source": "user", "message": "Go."},
        {
            "step_id": 2,
            "source": "agent",
            "message": "",
            "tool_calls": [{"tool_call_id": "c1", "function_name": "run", "arguments": {}}],
            "observation": {"results": [{"content": "ok", "subagent_trajectory_ref": [{"trajectory_id": "t2"}]}]},
        },
        {"step_id": 3, "source": "system", "message": "Note.", "observation": {"results": [{"content": "more"}]}},
    ]
    return {"schema_version": "ATIF-v1.7", "agent": {"name": "me", "version": "1"}, "steps": steps, **fields}


def test_atif_is_read_as_its_specification_says(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(atif(session_id="one")), encoding="utf-8")
    (row,) = read(path)
    assert said(row) == [
        ("user", "Go."),
        ("assistant", "run {}"),
        ("tool", "ok"),
        ("system", "Note."),
        ("tool", "more"),
    ]
    assert row["messages"][2]["tool_call_id"] == "c1"
    refs = json.loads(row["source_meta"])["subagent_trajectory_refs"]
    assert refs == [{"step_id": 2, "refs": [{"trajectory_id": "t2"}]}]


def test_embedded_trajectories_and_lines_of_atif_are_rows(tmp_path: Path) -> None:
    whole = atif(session_id="one", trajectory_id="t1", subagent_trajectories=[atif(trajectory_id="t2")])
    rows = read(write(tmp_path / "all.jsonl", [whole, atif(trajectory_id="t3")]))
    assert [(row["trace_id"], row["root_session_id"], row["is_sidechain"]) for row in rows] == [
        ("one", "one", False),
        ("t2", "one", True),
        ("t3", "t3", False),
    ]


def test_records_of_the_gateway_of_hermes_are_no_messages(tmp_path: Path) -> None:
    rows = [
        {"role": "session_meta", "model": "m"},
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": None, "reasoning_content": "Hm.", "finish_reason": "stop"},
        {"role": "moderator", "content": "No."},
    ]
    write(
        tmp_path / "sessions.json",
        [{"chat:1": {"session_id": "s1", "created_at": "2026-01-02T03:00:00", "platform": "cli"}}],
    )
    with pytest.warns(UserWarning, match="s1.jsonl:4: an unknown role"):
        (row,) = read(write(tmp_path / "s1.jsonl", rows))
    assert said(row) == [("user", "Go."), ("assistant", "(Hm.)")]
    meta = json.loads(row["source_meta"])
    assert (row["started_at"], meta["session_key"], meta["platform"]) == ("2026-01-02T03:00:00", "chat:1", "cli")


# Selection and the command.


@pytest.fixture
def many(tmp_path: Path) -> Path:
    for number in range(7):
        write(tmp_path / "logs" / f"{number}.jsonl", [claude("user", "Go.", sessionId=f"s{number}")])
    return tmp_path / "logs"


def test_partitions_are_disjoint_and_cover_the_files(many: Path) -> None:
    parts = [[row["trace_id"] for row in read(many, partition=(index, 3))] for index in range(3)]
    assert parts == [["s0", "s1"], ["s2", "s3"], ["s4", "s5", "s6"]]
    with pytest.raises(agentgen.TraceError, match="found 8 partitions, expected at most as many as files, 7"):
        read(many, partition=(0, 8))


def test_a_shuffled_order_is_that_of_its_seed(many: Path) -> None:
    order = [row["trace_id"] for row in read(many, shuffle=True, seed=1)]
    assert order == [row["trace_id"] for row in read(many, shuffle=True, seed=1, threads=1)]
    assert order != sorted(order)
    assert sorted(order) == [row["trace_id"] for row in read(many)]
    assert [row["trace_id"] for row in read(many, shuffle=True, seed=1, limit=2)] == order[:2]


def test_the_command_writes_a_file_and_says_what_is_in_it(many: Path, tmp_path: Path, invoke: Invoke) -> None:
    target = tmp_path / "rows.parquet"
    outcome = invoke("import", str(many), "--messages", str(target), "--limit", "3")
    assert "3 sessions, 3 messages," in outcome.output
    assert "The file holds the texts, paths and names of the sessions." in outcome.output
    assert pl.read_parquet(target).equals(agentgen.rollouts(many, limit=3).collect())
    outcome = invoke("import", str(many), "--messages", str(target), code=1)
    assert "found a file, expected none; choose another name or give --force" in outcome.output
    partition = ("--partition-index", "1", "--num-partitions", "3")
    invoke("import", str(many), "--messages", str(target), "--force", *partition)
    assert pl.read_parquet(target)["trace_id"].to_list() == ["s2", "s3"]


def test_a_preview_writes_nothing(many: Path, invoke: Invoke, tmp_path: Path) -> None:
    outcome = invoke("import", str(many), "--preview", "1", "--output", str(tmp_path), code=2)
    assert "--output is of a run directory" in outcome.output
    outcome = invoke("import", str(many), "--preview", "2")
    assert outcome.output.count("claude_code s") == 2
    assert "  user       Go." in outcome.output
    assert [row["trace_id"] for row in json.loads(invoke("import", str(many), "--preview", "1", "--json").output)] == [
        "s0"
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"logs"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--limit", "3"], "--limit needs --messages or --preview."),
        (["--preview", "1", "--seed", "3"], "--seed needs --shuffle."),
        (["--preview", "1", "--num-partitions", "3"], "--partition-index and --num-partitions need each other."),
        (["--preview", "1", "--format", "weka"], "expected auto, claude-code, codex, pi, atif, hermes"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    many: Path, invoke: Invoke, arguments: list[str], message: str
) -> None:
    assert message in invoke("import", str(many), *arguments, code=2).output


def test_a_strict_import_of_messages_writes_nothing(tmp_path: Path, invoke: Invoke) -> None:
    path = write(tmp_path / "one.jsonl", [*SESSION, "{"])
    target = tmp_path / "rows.parquet"
    outcome = invoke("import", str(path), "--messages", str(target), "--strict", code=2)
    assert "nothing was written" in outcome.output
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not DATA.is_dir(), reason="no shared data")
def test_the_calls_of_the_reference_are_one_message_each() -> None:
    (row,) = read(DATA / "rollouts" / "claude" / "tracelab_claude_session.jsonl")
    answers = [message for message in row["messages"] if message["role"] == "assistant"]
    # Two of the ten calls have nothing but reasoning without text.
    assert (len(answers), row["tool_call_count"]) == (10, 9)


def test_a_preview_without_polars_says_what_to_install(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    failed = invoke("import", str(tmp_path), "--preview", "1", code=1)
    assert failed.stderr == "agentgen: error: --preview needs polars: pip install 'agentgen-traces[polars]'\n"
