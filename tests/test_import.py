"""`agentgen import`: from logs of agents to a run on which every command works."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import agentgen
import jsonschema
import polars as pl
import pytest
from conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Invoke

CANARY = "zebrafish"
DATA = ROOT.parent / "shared" / "data"


def usage(prompt: int, cached: int, output: int) -> dict[str, Any]:
    return {
        "input_tokens": prompt - cached,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": output,
    }


class Log:
    """A log of Claude Code whose texts, paths and names all have the canary in them."""

    def __init__(self, session: str = f"{CANARY}-session") -> None:
        self.rows: list[dict[str, Any]] = []
        self.session = session
        self.second = 0

    def row(self, **fields: Any) -> None:
        self.second += 10
        minutes, seconds = divmod(self.second, 60)
        self.rows.append(
            {
                "uuid": f"{CANARY}-{len(self.rows)}",
                "parentUuid": self.rows[-1]["uuid"] if self.rows else None,
                "isSidechain": False,
                "sessionId": self.session,
                "cwd": f"/home/{CANARY}/project",
                "gitBranch": f"{CANARY}-branch",
                "version": "2.1.3",
                "userType": "external",
                "timestamp": f"2026-01-02T03:{minutes:02}:{seconds:02}.000Z",
                **fields,
            }
        )

    def human(self) -> None:
        self.row(type="user", message={"role": "user", "content": f"Please find the {CANARY}."})

    def call(self, prompt: int, cached: int, output: int, tool: str | None = None) -> None:
        number = len(self.rows)
        content: list[dict[str, Any]] = [{"type": "text", "text": f"I look for the {CANARY}."}]
        if tool:
            arguments = {"path": f"/home/{CANARY}"}
            content.append({"type": "tool_use", "id": f"toolu_{number}", "name": tool, "input": arguments})
        message = {
            "id": f"msg_{number}_{self.session}",
            "type": "message",
            "role": "assistant",
            "model": "claude-opus-4-5",
            "content": content,
            "stop_reason": "tool_use" if tool else "end_turn",
            "usage": usage(prompt, cached, output),
        }
        self.row(type="assistant", requestId=f"req_{number}_{CANARY}", message=message)
        if tool:
            result = {"tool_use_id": f"toolu_{number}", "type": "tool_result", "content": f"A {CANARY}!"}
            self.row(type="user", message={"role": "user", "content": [result]}, toolUseResult={"file": CANARY})

    def compacted(self) -> None:
        metadata = {"trigger": "auto", "preTokens": 100}
        content = f"compacted {CANARY}"
        self.row(type="system", subtype="compact_boundary", content=content, compactMetadata=metadata)
        content = f"The summary of the {CANARY}."
        self.row(type="user", isCompactSummary=True, message={"role": "user", "content": content})

    def write(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in self.rows), encoding="utf-8")
        return path


def logs(directory: Path) -> Path:
    """A project with two sessions, one of them compacted."""
    home = directory / f"-home-{CANARY}-project"
    first = Log()
    first.human()
    first.call(20_000, 15_000, 300, "Read")
    first.call(20_900, 20_000, 100, f"mcp__{CANARY}__find")
    first.compacted()
    first.call(17_000, 15_000, 200)
    first.human()
    first.call(17_500, 17_000, 50)
    first.write(home / f"{first.session}.jsonl")
    second = Log(f"{CANARY}-the-other")
    second.human()
    second.call(19_000, 0, 10)
    second.write(home / f"{second.session}.jsonl")
    return directory


def rows(run: Path) -> pl.DataFrame:
    return pl.read_parquet(run / "dataset.parquet")


def imported(sources: Path, run: Path, **options: Any) -> agentgen.ImportedRun:
    return agentgen.import_sessions(sources, run, **options)


def test_logs_become_a_run_on_which_every_command_works(tmp_path: Path, invoke: Invoke) -> None:
    run = tmp_path / "run"
    result = imported(logs(tmp_path / "logs"), run)
    assert not result.problems
    table = rows(run)
    assert table["session_id"].to_list() == ["sess-000001"] * 2 + ["sess-000001.1"] * 2 + ["sess-000002"]
    assert table["context_length"].to_list() == [20_000, 20_900, 17_000, 17_500, 19_000]
    assert table["link"].to_list() == [None, None, "break", "break", None]
    assert table["break_kind"][2] == "compaction"
    assert table["kept_length"][2] == 15_000 // 64 * 64
    assert table["end_reason"].cast(pl.String).to_list() == [None, "break", None, None, None]
    assert table["trigger"].to_list()[:2] == ["human", "tool"]
    # The cold first call of the other session begins with the same tools and system prompt.
    shared = 15_000 // 64
    assert table["hash_ids"][0][:shared].to_list() == table["hash_ids"][4][:shared].to_list()
    assert table["hash_ids"][0][shared] != table["hash_ids"][4][shared]
    assert agentgen.validate(run).findings == ()
    assert agentgen.validate(run / "dataset.jsonl").ok
    for command in (["analyze"], ["simulate", "--capacity", "5000blocks"], ["report"]):
        invoke(command[0], str(run), *command[1:])


def test_nothing_of_the_sources_is_in_the_run(tmp_path: Path, invoke: Invoke) -> None:
    logs(tmp_path / "logs")
    outcome = invoke("import", str(tmp_path / "logs"), "--output", str(tmp_path), "--name", "run")
    assert "tool-1" in outcome.output
    assert "Read" in outcome.output
    files = [path for path in (tmp_path / "run").iterdir() if path.is_file()]
    assert {"dataset.jsonl", "dataset.parquet", "calls.parquet", "manifest.json", "quality.json", "report.html"} <= {
        path.name for path in files
    }
    for file in files:
        assert CANARY.encode() not in file.read_bytes(), file.name
    for name in ("dataset.parquet", "calls.parquet"):
        assert CANARY not in str(pl.read_parquet(tmp_path / "run" / name).to_dicts()), name


def test_calls_have_their_counts_tools_and_waits(tmp_path: Path) -> None:
    imported(logs(tmp_path / "logs"), tmp_path / "run")
    calls = pl.read_parquet(tmp_path / "run" / "calls.parquet")
    assert calls["prompt_tokens"].to_list() == [20_000, 20_900, 17_000, 17_500, 19_000]
    assert calls["cached_tokens"].to_list() == [15_000, 20_000, 15_000, 17_000, 0]
    assert calls["prompt_quality"].unique().to_list() == ["recorded"]
    assert calls["human_turn_index"].to_list() == [0, 0, 0, 1, 0]
    assert [tool["name"] for tool in calls["tools"][0]] == ["Read"]
    assert [tool["name"] for tool in calls["tools"][1]] == ["tool-1"]
    assert calls["model"].unique().to_list() == ["claude-opus-4-5"]
    assert calls["sent_ms"].min() == 0


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    sources = logs(tmp_path / "logs")
    files = sorted(sources.rglob("*.jsonl"))
    first = imported(sources, tmp_path / "a", threads=1)
    second = agentgen.import_sessions(list(reversed(files)), tmp_path / "b", threads=4)
    named = [{file["name"]: file["sha256"] for file in run.manifest["files"]} for run in (first, second)]
    assert named[0] == named[1]


def test_a_bad_line_costs_that_line_only(tmp_path: Path, invoke: Invoke) -> None:
    sources = logs(tmp_path / "logs")
    file = min(sources.rglob("*.jsonl"))
    first, rest = file.read_text(encoding="utf-8").split("\n", 1)
    file.write_text(f"{first}\n{{{CANARY}\n{rest}", encoding="utf-8")
    result = imported(sources, tmp_path / "run")
    assert result.summary["calls"] == 5
    assert [(problem.file, problem.line) for problem in result.problems] == [(str(file), 2)]
    outcome = invoke("import", str(sources), "--output", str(tmp_path), "--name", "strict", "--strict", code=2)
    assert "nothing was written" in outcome.output
    assert not (tmp_path / "strict").exists()


def test_names_are_kept_and_hidden_on_request(tmp_path: Path) -> None:
    tool = f"mcp__{CANARY}__find"
    kept = imported(logs(tmp_path / "logs"), tmp_path / "a", keep=[tool], hide=["models"])
    assert kept.names == {"tools": ["Read", tool], "agents": [], "models": ["model-1"]}


def test_files_of_no_known_format_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text('{"hello": 1}\n', encoding="utf-8")
    with pytest.raises(agentgen.TraceError, match="a file of no known format"):
        imported(other, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_block_sizes_are_not_mixed(tmp_path: Path) -> None:
    row = {"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": [0, 1]}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    result = imported(tmp_path / "a.jsonl", tmp_path / "run")
    assert result.manifest["block_size"] == 512
    with pytest.raises(agentgen.TraceError, match="block_size"):
        imported(tmp_path / "a.jsonl", tmp_path / "other", block_size=64)


def test_quality_follows_its_schema(tmp_path: Path) -> None:
    imported(logs(tmp_path / "logs"), tmp_path / "run")
    quality = json.loads((tmp_path / "run" / "quality.json").read_text(encoding="utf-8"))
    jsonschema.validate(quality, json.loads((ROOT / "schemas" / "import.schema.json").read_text(encoding="utf-8")))
    assert quality["import"]["breaks"] == {"compaction": {"count": 1, "inferred": 0}}


def test_without_logs_it_says_what_it_looked_for(
    tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for variable in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "PI_AGENT_DIR", "HERMES_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    outcome = invoke("import", "--output", str(tmp_path), code=2)
    assert outcome.output.startswith("agentgen: error: SOURCE: found no recorded sessions")
    assert f"{tmp_path}/home/.claude/projects" in outcome.output


def test_a_missing_source_cannot_be_read(tmp_path: Path, invoke: Invoke) -> None:
    outcome = invoke("import", str(tmp_path / "none.jsonl"), "--output", str(tmp_path), code=2)
    assert outcome.output.count("\n") == 1


def test_an_imported_run_is_no_configuration(tmp_path: Path, invoke: Invoke) -> None:
    imported(logs(tmp_path / "logs"), tmp_path / "run")
    outcome = invoke("generate", "--config", str(tmp_path / "run"), "--output", str(tmp_path), code=1)
    assert "found an imported run" in outcome.output


@pytest.mark.skipif(not DATA.is_dir(), reason="no shared data")
def test_the_table_of_mooncake_is_unchanged(tmp_path: Path) -> None:
    source = DATA / "mooncake" / "conversation_trace.jsonl"
    imported(source, tmp_path / "run")
    table = rows(tmp_path / "run")
    expected = pl.read_ndjson(source)
    assert table.height == 12_031
    for name, column in (("context_length", "input_length"), ("output_length", "output_length")):
        assert table[name].cast(pl.Int64).to_list() == expected[column].to_list()
    assert table["hash_ids"].to_list() == expected["hash_ids"].to_list()
    assert table["timestamp_ms"].to_list() == expected["timestamp"].to_list()


def requests_of(requests: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All requests of a Weka conversation, those of sub-agents too."""
    for request in requests:
        if "hash_ids" in request:
            yield request
        yield from requests_of(request.get("requests", []))


@pytest.mark.skipif(not DATA.is_dir(), reason="no shared data")
def test_what_prompts_of_weka_share_is_what_their_ids_say(tmp_path: Path) -> None:
    sources = sorted((DATA / "weka").glob("trace_*.json"))[:4]
    blocks = 0
    distinct = set()
    for source in sources:
        conversation = json.loads(source.read_text(encoding="utf-8"))
        assert conversation["hash_id_scope"] == "local"
        for request in requests_of(conversation["requests"]):
            blocks += len(request["hash_ids"])
            before = hash(source)
            for block in request["hash_ids"]:
                before = hash((before, block))
                distinct.add(before)
    result = agentgen.import_sessions(sources, tmp_path / "run")
    full = rows(tmp_path / "run").select(
        pl.col("hash_ids").list.head(pl.col("context_length") // result.manifest["block_size"])
    )
    ids = full["hash_ids"].explode()
    # An infinite cache finds all but the first occurrence of each block.
    assert (ids.len(), ids.n_unique()) == (blocks, len(distinct))


@pytest.mark.skipif(not DATA.is_dir(), reason="no shared data")
@pytest.mark.parametrize("source", ["weka", "rollouts", "mlperf"])
def test_samples_give_valid_runs(source: str, tmp_path: Path) -> None:
    result = imported(DATA / source, tmp_path / "run")
    assert result.summary["calls"] > 0
    assert agentgen.validate(tmp_path / "run").findings == ()


def test_calls_tell_whom_they_waited_for_and_how_much_came(tmp_path: Path) -> None:
    log = Log()
    log.human()
    log.call(20_000, 15_000, 300, "AskUserQuestion")
    log.call(20_900, 20_000, 100, "Bash")
    log.call(21_900, 20_000, 100)
    log.row(type="system", subtype="turn_duration", durationMs=42_000)
    imported(log.write(tmp_path / "logs" / "one.jsonl"), tmp_path / "run")
    calls = pl.read_parquet(tmp_path / "run" / "calls.parquet")
    assert calls["wait_kind"].to_list() == [None, "human", "tool"]
    assert [tool["asks_person"] for tools in calls["tools"] for tool in tools] == [True, False]
    assert calls["human_turn_ms"].to_list() == [42_000, None, None]
    assert calls["sent_quality"].unique().to_list() == ["derived"]
    result = len(f"A {CANARY}!")
    assert calls["input_bytes"].to_list() == [len(f"Please find the {CANARY}."), result, result]
    assert all(size >= len(f"I look for the {CANARY}.") for size in calls["output_bytes"])
