"""`agentgen distill` from sessions to files, against a stand-in server."""

from __future__ import annotations

import hashlib
import json
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from agentgen._rollouts import rollouts
from agentgen.distill import client
from agentgen.local import LocalModel
from distilled import dataset, manifest, records, session, sessions
from fake_model import Call, FakeModel, Reply, answered, good

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Invoke

SOURCE_COLUMNS = (
    *("trace_id", "source_kind", "source_path", "root_session_id", "agent_id", "is_sidechain", "cwd", "project_path"),
    *("git_branch", "started_at", "ended_at", "messages", "source_meta", "message_count", "tool_call_count"),
    "final_assistant_message",
)
MADE_COLUMNS = (
    *("trace_digest", "sft_record", "sft_quality_judge_result", "sft_instruction", "sft_response", "sft_skill_tags"),
    *("groundedness_score", "standalone_task_score", "response_quality_score", "faithfulness_score"),
    *("training_utility_score", "trace_training_value", "recommended_for_sft", "duplicate_of", "masked_secrets"),
    *("cut_characters", "failed_column", "failure"),
)


@pytest.fixture
def model() -> Iterator[FakeModel]:
    with FakeModel().running() as running:
        yield running


def changed(column: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Call], Reply]:
    """A server that answers something else for one column."""

    def respond(call: Call) -> Reply:
        if call.column != column:
            return answered(call)
        found = change(good(call.column, call.user))
        return found if isinstance(found, Reply) else Reply(json.dumps(found))

    return respond


def test_all_files_are_written_and_agree(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    source = sessions(tmp_path / "logs", 6)
    result = invoke("distill", source, "--url", model.url, "-n", 6, "-o", tmp_path / "out")
    assert "6, 6 distilled, 0 failed" in result.stdout
    rows = dataset(tmp_path / "out")
    assert tuple(rows.columns) == (*SOURCE_COLUMNS, *MADE_COLUMNS)
    assert rows["trace_id"].to_list() == [f"s{number:03}" for number in range(6)]
    assert rows["recommended_for_sft"].to_list() == [True] * 6
    assert rows["failed_column"].null_count() == 6
    assert rows["sft_skill_tags"].to_list() == [["a"]] * 6
    assert rows.schema["groundedness_score"] == pl.Int64
    kept = records(tmp_path / "out")
    assert [one["trace_id"] for one in kept] == rows["trace_id"].to_list()
    assert [[one["role"] for one in record["messages"]] for record in kept] == [["user", "assistant"]] * 6
    assert [record["messages"][0]["content"] for record in kept] == rows["sft_instruction"].to_list()
    found = manifest(tmp_path / "out")
    assert found["rows"] == {
        "asked": 6,
        "in_dataset": 6,
        "distilled": 6,
        "failed": 0,
        "recommended": 6,
        "near_duplicates": 0,
    }
    assert found["calls"]["by_model"]["fake"]["calls"] == len(model.calls) == 18
    for file in found["files"]:
        content = (tmp_path / "out" / file["name"]).read_bytes()
        assert file["bytes"] == len(content)
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert card.startswith('---\npretty_name: "out"\n')
    assert "6 rows are distilled, 0 failed" in card
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Distilled: out" in page


def test_rows_of_the_sources_are_kept_as_they_are(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    source = sessions(tmp_path / "logs", 3)
    invoke("distill", source, "--url", model.url, "-n", 3, "-o", tmp_path / "out", "--quiet")
    assert dataset(tmp_path / "out").select(SOURCE_COLUMNS).equals(rollouts(source).collect())


def test_structured_output_is_asked_for_and_enough(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    source = sessions(tmp_path / "logs", 2)
    invoke("distill", source, "--url", model.url, "-n", 2, "-o", tmp_path / "out", "--quiet")
    for call in model.calls:
        assert call.body["response_format"]["json_schema"]["strict"] is True
        assert "<response_schema>" not in call.user
        assert set(call.body) == {"model", "messages", "response_format"}
    assert [call.column for call in model.calls].count("trace_digest") == 2


def test_a_server_that_refuses_structured_output_gets_the_schema_in_the_prompt(
    model: FakeModel, invoke: Invoke, tmp_path: Path
) -> None:
    model.respond = lambda call: Reply("unknown field", status=400) if call.has_format else answered(call)
    source = sessions(tmp_path / "logs", 4)
    invoke("distill", source, "--url", model.url, "-n", 4, "-o", tmp_path / "out", "--quiet")
    assert [call.has_format for call in model.calls] == [True] + [False] * 12  # one call finds out
    assert manifest(tmp_path / "out")["rows"]["distilled"] == 4


def test_a_server_that_ignores_structured_output_gets_the_schema_in_the_prompt(
    model: FakeModel, invoke: Invoke, tmp_path: Path
) -> None:
    def respond(call: Call) -> Reply:
        return answered(call) if "<response_schema>" in call.user else Reply("Sure! Here is a poem.")

    model.respond = respond
    source = sessions(tmp_path / "logs", 4)
    invoke("distill", source, "--url", model.url, "-n", 4, "-o", tmp_path / "out", "--quiet")
    assert ["<response_schema>" in call.user for call in model.calls] == [False] + [True] * 12
    assert manifest(tmp_path / "out")["rows"]["distilled"] == 4
    correction = model.calls[1].body["messages"]
    assert correction[-2] == {"role": "assistant", "content": "Sure! Here is a poem."}
    assert "no complete JSON object" in correction[-1]["content"]


def test_a_wrong_answer_goes_back_once_with_what_is_wrong(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    def change(found: dict[str, Any]) -> dict[str, Any]:
        return found | {"difficulty": "impossible"} if len(model.asked("sft_record")) == 1 else found

    model.respond = changed("sft_record", change)
    source = sessions(tmp_path / "logs", 1)
    invoke("distill", source, "--url", model.url, "-n", 1, "-o", tmp_path / "out", "--quiet")
    first, second = model.asked("sft_record")
    assert len(first.body["messages"]) == 2
    assert len(second.body["messages"]) == 4
    assert (
        "difficulty: found 'impossible', expected 'easy', 'medium' or 'hard'" in second.body["messages"][3]["content"]
    )
    assert manifest(tmp_path / "out")["calls"]["corrections"] == 1


def test_a_row_that_fails_stays_with_its_column_and_reason(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    def change(found: dict[str, Any]) -> dict[str, Any]:
        return found | {"instruction": 1}

    model.respond = changed("sft_record", change)
    source = sessions(tmp_path / "logs", 2)
    result = invoke("distill", source, "--url", model.url, "-n", 2, "-o", tmp_path / "out", code=1)
    assert re.search(r"2\s+sft_record: no answer of 3 fits", result.stdout)
    rows = dataset(tmp_path / "out")
    assert rows["failed_column"].to_list() == ["sft_record"] * 2
    assert rows["failure"][0] == "no answer of 3 fits: instruction: found 1, input should be a valid string"
    assert rows["trace_digest"].null_count() == 0
    assert rows["sft_record"].null_count() == 2
    assert rows["groundedness_score"].to_list() == [None, None]
    assert len(model.asked("sft_record")) == 6
    assert records(tmp_path / "out") == []
    # A fresh try has no trace of the first one.
    assert [len(call.body["messages"]) for call in model.asked("sft_record")].count(2) == 4


@pytest.mark.parametrize(("score", "expected"), [("4", 4), (" 3 ", 3), (2.0, 2), ("1.0", 1), (0, 0)], ids=repr)
def test_scores_are_taken_however_they_are_written(
    score: object, expected: int, model: FakeModel, invoke: Invoke, tmp_path: Path
) -> None:
    model.respond = changed(
        "sft_quality_judge_result", lambda found: {n: {**v, "score": score} for n, v in found.items()}
    )
    invoke("distill", sessions(tmp_path / "logs", 1), "--url", model.url, "-n", 1, "-o", tmp_path / "out", "--quiet")
    assert dataset(tmp_path / "out")["groundedness_score"].to_list() == [expected]


@pytest.mark.parametrize("score", [7, -1, True, "high", 3.5, None, [4]], ids=repr)
def test_other_scores_fail_the_row(score: object, model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    model.respond = changed(
        "sft_quality_judge_result", lambda found: {n: {**v, "score": score} for n, v in found.items()}
    )
    source = sessions(tmp_path / "logs", 1)
    invoke("distill", source, "--url", model.url, "-n", 1, "-o", tmp_path / "out", "--quiet", code=1)
    rows = dataset(tmp_path / "out")
    assert rows["failed_column"].to_list() == ["sft_quality_judge_result"]
    assert rows["sft_record"].null_count() == 0


def test_recommended_are_high_values_with_all_scores(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    source = sessions(tmp_path / "logs", 4)
    scores = {0: 4, 1: 3, 2: 4, 3: 2}

    def respond(call: Call) -> Reply:
        found = good(call.column, call.user)
        number = next((number for number in range(4) if f"bug {number}" in call.user), None)
        if call.column == "trace_digest":
            found |= {"training_value": "low" if number == 2 else "high", "user_goal": f"goal bug {number}"}
        if call.column == "sft_quality_judge_result" and number is not None:
            found["faithfulness"]["score"] = scores[number]
        return Reply(json.dumps(found))

    model.respond = respond
    url = ("--url", model.url, "-n", 4, "-o", tmp_path / "out")
    invoke("distill", source, *url, "--quiet")
    assert dataset(tmp_path / "out")["recommended_for_sft"].to_list() == [True, False, False, False]
    calls = len(model.calls)
    invoke("distill", source, *url, "--min-score", 3, "--resume", "--quiet")
    assert dataset(tmp_path / "out")["recommended_for_sft"].to_list() == [True, True, False, False]
    assert len(model.calls) == calls  # the answers are there


def test_near_duplicates_are_marked_and_left_out(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    words = [f"word{number}" for number in range(100)]
    texts = {0: words, 1: [*words[:99], "other"], 2: words[::-1]}

    def respond(call: Call) -> Reply:
        found = good(call.column, call.user)
        number = next((number for number in range(3) if f"bug {number}" in call.user), 0)
        if call.column == "trace_digest":
            found["user_goal"] = f"goal bug {number}"
        if call.column == "sft_record":
            found |= {"instruction": "do", "response": " ".join(texts[number])}
        return Reply(json.dumps(found))

    model.respond = respond
    source = sessions(tmp_path / "logs", 3)
    invoke("distill", source, "--url", model.url, "-n", 3, "-o", tmp_path / "out", "--quiet")
    assert dataset(tmp_path / "out")["duplicate_of"].to_list() == [None, "s000", None]
    assert [one["trace_id"] for one in records(tmp_path / "out")] == ["s000", "s002"]


def test_no_root_session_is_in_both_parts(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    for number in range(24):
        root = f"root{number}"
        session(logs / root, root, [f"please fix bug {number}", "done"])
        session(logs / root / "subagents", f"agent-{number}", [f"look {number}", "ok"], root=root, sidechain=True)
    command = ("distill", logs, "--url", model.url, "--split", "30%", "-o", tmp_path / "out", "--quiet")
    invoke(*command, "-n", 20)
    first = dataset(tmp_path / "out")
    invoke(*command, "-n", 48, "--resume")
    rows = dataset(tmp_path / "out")
    parts = {
        name: {one["root_session_id"] for one in records(tmp_path / "out", f"sft-{name}.jsonl")}
        for name in ("train", "test")
    }
    assert parts["train"]
    assert parts["test"]
    assert not parts["train"] & parts["test"]
    assert rows.group_by("root_session_id").agg(pl.col("split").n_unique())["split"].to_list() == [1] * 24
    # A longer run moves none.
    both = first.select("trace_id", "split").join(rows.select("trace_id", "split"), on="trace_id", suffix="_later")
    assert both.height == 20
    assert both["split"].to_list() == both["split_later"].to_list()
    assert not (tmp_path / "out" / "sft.jsonl").exists()


PLANTED = {
    "github-pat": "ghp_R2d7Kx9LmQ4vT8wYbN3cF6hJ1sP5zA0eG2iU",
    "huggingface-access-token": "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",
    "aws-access-key-id": "AKIAUJZDEGXDNCF32EPF",
    "api-key": "sk-ant-oat01-08qzjI6GKFSufrdZSlB5er8bOfZqfM2oeq3hDavJA76rNic",
}


def test_planted_secrets_reach_neither_server_nor_files(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    password = "Tr0ub4dor3xyzQ9"  # noqa: S105  planted
    texts = [f"my keys: {' '.join(PLANTED.values())}", f"export DB_PASSWORD={password}"]
    texts += [
        "and later",
        f"it was {password} all along",
        *["more", "text"] * 4,
        "use " + PLANTED["github-pat"],
        "done",
    ]
    session(tmp_path / "logs", "leaky", texts)
    session(tmp_path / "logs", "tidy", ["hello", "world"])
    result = invoke("distill", tmp_path / "logs", "--url", model.url, "-n", 2, "-o", tmp_path / "out")
    sent = json.dumps([call.body for call in model.calls])
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
    whole = json.dumps(dataset(tmp_path / "out").to_dicts())
    for secret in (*PLANTED.values(), password):
        assert secret not in sent
        assert secret.encode() not in written
        assert secret not in whole
    assert "[redacted github-pat]" in sent
    assert dataset(tmp_path / "out")["masked_secrets"].to_list() == [5, 0]
    assert manifest(tmp_path / "out")["secrets"]["by_rule"] == dict.fromkeys(sorted([*PLANTED, "named-value"]), 1)
    assert "5 masked in 1 row" in " ".join(result.stdout.split())


def test_a_session_longer_than_the_context_is_cut_and_counted(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    model.models = [{"id": "fake", "max_model_len": 2048}]
    session(tmp_path / "logs", "long", ["first words " + "x" * 50_000 + " last words", "short answer"])
    invoke("distill", tmp_path / "logs", "--url", model.url, "-n", 1, "-o", tmp_path / "out", "--quiet")
    user = model.asked("trace_digest")[0].user
    assert len(user.encode()) < 0.75 * 3 * 2048
    assert "first words" in user
    assert "last words" in user
    assert "short answer" in user
    left_out = sum(int(found.replace(",", "")) for found in re.findall(r"\[… ([\d,]+) characters left out …\]", user))
    assert left_out == dataset(tmp_path / "out")["cut_characters"][0] > 40_000
    assert manifest(tmp_path / "out")["cut"] == {"rows": 1, "characters": left_out}


def test_a_large_model_is_not_sent_whole_tool_results_unasked(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    model.models = [{"id": "fake", "context_length": 1_000_000}]
    session(tmp_path / "logs", "long", ["x" * 1_000_000, "short"])
    run = ("distill", tmp_path / "logs", "--url", model.url, "-n", 1, "--quiet")
    invoke(*run, "-o", tmp_path / "default")
    invoke(*run, "-o", tmp_path / "asked", "--context-tokens", 1_000_000)
    default, asked = (len(call.user) for call in model.asked("trace_digest"))
    assert default < 0.75 * 3 * 32_768
    assert asked > 1_000_000


def test_a_judge_of_its_own(model: FakeModel, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRITER_KEY", "writer-secret")
    monkeypatch.setenv("JUDGE_KEY", "judge-secret")
    source = sessions(tmp_path / "logs", 2)
    with FakeModel(models=[{"id": "judge"}, {"id": "other"}]).running() as judge:
        options = ("--judge-url", judge.url, "--judge-model", "judge", "--judge-api-key-env", "JUDGE_KEY")
        more = ("--api-key-env", "WRITER_KEY", "--price-in", "1", "--price-out", "10")
        result = invoke("distill", source, "--url", model.url, "-n", 2, "-o", tmp_path / "out", *options, *more)
    assert {call.column for call in model.calls} == {"trace_digest", "sft_record"}
    assert {call.column for call in judge.calls} == {"sft_quality_judge_result"}
    assert {call.headers["Authorization"] for call in model.calls} == {"Bearer writer-secret"}
    assert {call.headers["Authorization"] for call in judge.calls} == {"Bearer judge-secret"}
    found = manifest(tmp_path / "out")
    assert {name: one["calls"] for name, one in found["calls"]["by_model"].items()} == {"fake": 4, "judge": 2}
    assert found["cost"] == pytest.approx((6 * 100 * 1 + 6 * 10 * 10) / 1e6)
    assert "cost" in result.stdout
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
    assert b"writer-secret" not in written
    assert b"judge-secret" not in written


def test_preview_prints_a_row_and_writes_nothing(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    source = sessions(tmp_path / "logs", 3)
    before = sorted(tmp_path.rglob("*"))
    result = invoke("distill", source, "--url", model.url, "-n", 2, "--preview")
    assert "user goal: user_goal" in result.stdout
    assert "groundedness 4: because" in result.stdout
    assert "2, 2 distilled, 0 failed" in result.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_order_is_that_of_the_sources_however_answers_come(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    def respond(call: Call) -> Reply:
        time.sleep(0.03 if "bug 0" in call.user else 0.001 * (call.number % 3))
        return answered(call)

    model.respond = respond
    source = sessions(tmp_path / "logs", 20)
    invoke("distill", source, "--url", model.url, "-n", 20, "-o", tmp_path / "out", "--quiet")
    assert dataset(tmp_path / "out")["trace_id"].to_list() == [f"s{number:03}" for number in range(20)]
    assert model.most_in_flight > 1


def test_shuffled_and_partitioned_as_an_import_is(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    source = sessions(tmp_path / "logs", 9)
    parts = []
    for index in range(2):
        options = ("--partition-index", index, "--num-partitions", 2, "--shuffle", "--seed", 5)
        invoke("distill", source, "--url", model.url, "-n", 9, "-o", tmp_path / f"out{index}", *options, "--quiet")
        parts.append(dataset(tmp_path / f"out{index}")["trace_id"].to_list())
        expected = rollouts(source, partition=(index, 2), shuffle=True, seed=5).collect()["trace_id"].to_list()
        assert parts[index] == expected
    assert sorted(parts[0] + parts[1]) == [f"s{number:03}" for number in range(9)]


def test_more_rows_than_the_sources_have(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    source = sessions(tmp_path / "logs", 2)
    result = invoke("distill", source, "--url", model.url, "-n", 50, "-o", tmp_path / "out")
    assert "2 (the sources have no more, 50 asked)" in result.stdout
    assert dataset(tmp_path / "out").height == 2


def test_fields_of_requests(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    source = sessions(tmp_path / "logs", 1)
    fields = '{"temperature": 0.5, "response_format": null}'
    done = invoke("distill", source, "--url", model.url, "-o", tmp_path / "out", "--request-json", fields, code=2)
    assert "found response_format, which the command sets" in done.stderr
    invoke("distill", source, "--url", model.url, "-o", tmp_path / "out", "--request-json", '{"temperature": 0.5}')
    assert {call.body["temperature"] for call in model.calls} == {0.5}


def test_a_busy_server_is_waited_for(model: FakeModel, invoke: Invoke, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(client, "FIRST_WAIT_S", 0.01)
    seen: dict[str, int] = {}

    def respond(call: Call) -> Reply:
        seen[call.user] = seen.get(call.user, 0) + 1
        if seen[call.user] == 1:
            headers = {"Retry-After": "0.05"} if call.number % 2 else {}
            return Reply("busy", status=(429, 503, 500, 502)[call.number % 4], headers=headers)
        return answered(call)

    model.respond = respond
    source = sessions(tmp_path / "logs", 8)
    invoke("distill", source, "--url", model.url, "-n", 8, "-o", tmp_path / "out", "--quiet")
    found = manifest(tmp_path / "out")
    assert found["rows"]["distilled"] == 8
    assert found["calls"]["retries"] == 24


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "expected --output or --preview"),
        (("-o", "out", "--preview"), "found both --output and --preview"),
        (("-o", "out", "--seed", "1"), "--seed needs --shuffle"),
        (("-o", "out", "--partition-index", "0"), "--partition-index and --num-partitions need each other"),
        (("-o", "out", "--partition-index", "2", "--num-partitions", "2"), "found 2, expected less than"),
        (("-o", "out", "--format", "cluade-code"), "found 'cluade-code', expected auto, claude-code"),
        (("-o", "out", "--min-score", "5"), "found 5, expected a whole number from 0 to 4"),
        (("-o", "out", "--split", "0"), "found 0, expected a number above 0"),
        (("-o", "out", "--price-in", "-1"), "found -1, expected a number from 0"),
        (("-o", "out", "--request-json", "[]"), "found '[]', expected a JSON object"),
        (("-o", "out", "--resume", "--force"), "--resume and --force: found both"),
        (("-o", "out", "--url", "ftp://x"), "found 'ftp://x', expected a URL"),
        (("-o", "out"), "expected --url or --local"),
        (("-o", "out", "--local", "--model", "m"), "--local and --model: found both"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_usage_errors_are_one_line(options: tuple[str, ...], message: str, invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("distill", sessions(tmp_path / "logs", 1), *options, code=2)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_errors_before_the_first_call(model: FakeModel, invoke: Invoke, tmp_path: Path) -> None:
    source = sessions(tmp_path / "logs", 1)
    out = ("-o", tmp_path / "out")
    dead = invoke("distill", source, "--url", "http://127.0.0.1:1", *out, code=2)
    assert re.search(r"http://127.0.0.1:1/v1: found no server \(.*\)\n$", dead.stderr)
    model.models = [{"id": "a"}, {"id": "b"}]
    several = invoke("distill", source, "--url", model.url, *out, code=2)
    assert "found 2 models (a, b), expected one model or --model" in several.stderr
    missing = invoke("distill", tmp_path / "nothing", "--url", model.url, "--model", "a", *out, code=2)
    assert "nothing" in missing.stderr
    (tmp_path / "out").mkdir(exist_ok=True)
    (tmp_path / "out" / "mine.txt").write_text("keep")
    full = invoke("distill", source, "--url", model.url, "--model", "a", *out, code=1)
    assert "--resume, which keeps its answers, or --force" in full.stderr
    foreign = invoke("distill", source, "--url", model.url, "--model", "a", *out, "--resume", code=1)
    assert "found no journal.jsonl" in foreign.stderr
    assert model.calls == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_ends_the_run_and_is_not_repeated(
    status: int, model: FakeModel, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "very-secret-key")
    model.respond = lambda _: Reply("wrong key very-secret-key", status=status)
    source = sessions(tmp_path / "logs", 40)
    result = invoke("distill", source, "--url", model.url, "-n", 40, "-o", tmp_path / "out", code=2)
    assert f"HTTP {status}: wrong key [redacted] (the API key is that of OPENAI_API_KEY)" in result.stderr
    assert "0 of 40 rows are complete; the same command with --resume goes on" in result.stderr
    assert len(model.calls) <= 2
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_server_that_goes_away_ends_the_run(
    model: FakeModel, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "FIRST_WAIT_S", 0.001)
    model.respond = lambda call: answered(call) if call.number < 7 else Reply("out of memory", status=500)
    source = sessions(tmp_path / "logs", 30)
    command = ("distill", source, "--url", model.url, "-n", 30, "-o", tmp_path / "out", "--quiet")
    result = invoke(*command, code=2)
    assert "HTTP 500: out of memory (6 tries)" in result.stderr
    paid = 7
    model.respond = answered
    model.calls.clear()
    invoke(*command, "--resume")
    assert len(model.calls) == 90 - paid
    assert dataset(tmp_path / "out")["failed_column"].null_count() == 30


def test_a_call_that_always_fails_costs_its_row_only(
    model: FakeModel, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "FIRST_WAIT_S", 0.001)
    model.respond = lambda call: Reply("crash", status=500) if "bug 1\n" in call.user else answered(call)
    source = sessions(tmp_path / "logs", 4)
    command = ("distill", source, "--url", model.url, "-n", 4, "-o", tmp_path / "out", "--quiet")
    invoke(*command)
    assert dataset(tmp_path / "out")["failure"].to_list() == [None, "HTTP 500: crash (6 tries)", None, None]
    # What was not answered is asked again.
    model.respond = answered
    model.calls.clear()
    invoke(*command, "--resume")
    assert len(model.calls) == 3
    assert dataset(tmp_path / "out")["failed_column"].null_count() == 4


def test_a_local_model_is_asked_one_call_at_a_time(
    model: FakeModel, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[dict[str, Any]] = []

    @contextmanager
    def local_model(**options: Any) -> Iterator[LocalModel]:
        served.append(options)
        yield LocalModel(f"{model.url}/v1", "small", options["context_tokens"])
        served.append({})  # stopped

    monkeypatch.setattr("agentgen.local.local_model", local_model)
    session(tmp_path / "logs", "long", ["a " * 20_000, "b"])
    sessions(tmp_path / "logs", 3)
    invoke("distill", tmp_path / "logs", "--local", "-n", 4, "-o", tmp_path / "out", "--quiet")
    assert [list(options) for options in served] == [["context_tokens", "say"], []]
    assert model.most_in_flight == 1
    assert {call.body["model"] for call in model.calls} == {"small"}
    assert {call.body["max_tokens"] for call in model.calls} == {800}
    assert max(len(call.user) for call in model.calls) < 2_048 * 3
    format_ = model.calls[0].body["response_format"]["json_schema"]["schema"]
    assert format_["properties"]["user_goal"]["maxLength"] == 60
    assert dataset(tmp_path / "out")["failed_column"].null_count() == 4
