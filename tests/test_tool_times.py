"""Time in tools beside time in the model: AgentTrace data sets and imported runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import agentgen
import jsonschema
import polars as pl
import pytest
from conftest import ROOT
from test_import import Log, imported

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Invoke

SAMPLE = ROOT.parent / "shared" / "data" / "rollouts" / "agenttrace" / "agenttrace_row_nl2bash_1_7B_task138.json"


def span(tool: str, start_ms: int, ms: float, code: int, **fields: Any) -> dict[str, Any]:
    telemetry = {"user_time_s": ms / 2000, "system_time_s": 0.0, "max_rss_bytes": 2**20, "read_bytes": 0}
    times = {"start_ns": start_ms * 1_000_000, "end_ns": (start_ms + round(ms)) * 1_000_000, "duration_ms": ms}
    return {"span_id": f"s{start_ms}", "tool_name": tool, "exit_code": code, "telemetry": telemetry, **times, **fields}


def step(number: int, tokens: int, *tools: str) -> dict[str, Any]:
    calls = [{"name": tool, "arguments": {"command": "ls"}} for tool in tools]
    reasoning = "x" * (4 * tokens)
    counts = {"input_tokens": 100 * number, "output_tokens": tokens}
    return {"step_number": number, "reasoning_content": reasoning, "tool_calls": calls or None, **counts}


TRACES = [
    {
        "trace_id": "t1",
        "model": "small",
        "dataset_name": "mbpp",
        "total_duration_ms": 1000.0,
        "spans": [
            span("bash", 0, 100.0, 0, tool_input="kwargs={'command': 'ls'}", tool_output="exit_code: 0"),
            span("bash", 500, 300.0, -1, tool_input="ls"),
        ],
        "llm_steps": [step(1, 10, "bash"), step(2, 20), step(3, 30, "bash")],
    },
    {
        "trace_id": "t2",
        "model": "large",
        "dataset_name": "mbpp",
        "total_duration_ms": 200.0,
        "spans": [],
        "llm_steps": [step(1, 5)],
    },
]


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    path = tmp_path / "traces.jsonl"
    path.write_text("".join(json.dumps(trace) + "\n" for trace in TRACES), encoding="utf-8")
    return path


def test_the_time_of_traces_is_split_by_model_and_data_set(traces: Path) -> None:
    times = agentgen.agenttrace(traces)
    large, small = times.to_polars().to_dicts()
    assert (large["model"], large["steps"], large["tools_ms"], large["model_ms"]) == ("large", 1, 0, 200)
    assert (small["model"], small["dataset"], small["traces"], small["steps"]) == ("small", "mbpp", 1, 3)
    assert (small["tool_calls"], small["tools_ms"], small["model_ms"], small["share_max"]) == (2, 400, 600, 0.4)
    data = times.to_dict()
    jsonschema.validate(data, json.loads((ROOT / "schemas" / "tool-times.schema.json").read_text(encoding="utf-8")))
    (bash,) = data["groups"][1]["tools"]
    assert (bash["exit_codes"], bash["errors"], bash["latency_ms"]["median"]) == ({"-1": 1, "0": 1}, 1, 200)
    assert (bash["cpu_s"]["max"], bash["max_rss_bytes"]["max"], bash["write_bytes"]) == (0.15, 2**20, None)
    reasoning = data["groups"][1]["reasoning"]
    assert (reasoning["unit"], reasoning["per_output_token"], reasoning["correlation"]) == ("characters", 4, 1)


def test_rows_are_frames_that_are_joined_by_name_and_order(traces: Path) -> None:
    times = agentgen.agenttrace(traces)
    assert times.spans.select("trace_id", "span_index", "step_number", "arguments", "exit_code").rows() == [
        ("t1", 0, 1, '{"command":"ls"}', 0),
        ("t1", 1, 3, None, -1),
    ]
    steps = times.llm_steps
    assert steps["output_tokens"].to_list() == [10, 20, 30, 5]
    assert json.loads(steps["tool_calls"][0]) == [{"name": "bash", "arguments": {"command": "ls"}}]


def test_the_view_in_parquet_is_the_same(traces: Path, tmp_path: Path) -> None:
    about = ("trace_id", "model", "dataset_name", "total_duration_ms")
    rows = [
        {
            **{name: trace[name] for name in about},
            "spans_json": json.dumps(trace["spans"]),
            "llm_steps_json": json.dumps(trace["llm_steps"]),
        }
        for trace in TRACES
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "view.parquet")
    assert agentgen.agenttrace(tmp_path / "view.parquet") == agentgen.agenttrace(traces)


def test_the_command_prints_tables_and_draws_plots(traces: Path, tmp_path: Path, invoke: Invoke) -> None:
    outcome = invoke("analyze", str(traces), "--plot", str(tmp_path / "plots"))
    assert "time in tools and in the model" in outcome.output
    assert "tools of small, mbpp" in outcome.output
    assert "-1:1 0:1" in outcome.output
    assert (tmp_path / "plots" / "tool_latency.png").stat().st_size > 0
    # Numbers of an axis are plain: mathematical text is off, since names may have any letters.
    assert b"mathdefault" not in (tmp_path / "plots" / "tool_latency.svg").read_bytes()
    assert json.loads(invoke("analyze", str(traces), "--json").output) == agentgen.agenttrace(traces).to_dict()
    other = tmp_path / "other.jsonl"
    other.write_text('{"input_length": 5, "output_length": 1, "hash_ids": [0]}\n', encoding="utf-8")
    outcome = invoke("analyze", str(traces), str(other), code=2)
    assert "expected AgentTrace data sets only" in outcome.output


def test_an_imported_run_has_the_times_of_its_tools(tmp_path: Path, invoke: Invoke) -> None:
    log = Log()
    log.human()
    log.call(20_000, 15_000, 300, "AskUserQuestion")
    log.call(20_900, 20_000, 100, "Bash")
    log.call(21_900, 20_000, 100)
    imported(log.write(tmp_path / "logs" / "one.jsonl"), tmp_path / "run")
    data = json.loads(invoke("analyze", str(tmp_path / "run"), "--json").output)
    (group,) = data["tool_times"][str(tmp_path / "run")]["groups"]
    # The question is a person's time: only the command's ten seconds are a tool's.
    assert [(tool["name"], tool["latency_ms"]["median"]) for tool in group["tools"]] == [("Bash", 10_000)]
    assert (group["time"]["tools_ms"], group["time"]["model_ms"], group["steps"]) == (10_000, 30_000, 3)
    assert "tools of claude-opus-4-5" in invoke("analyze", str(tmp_path / "run")).output


def test_a_row_that_cannot_be_used_is_told(traces: Path) -> None:
    traces.write_text(traces.read_text(encoding="utf-8") + '{"trace_id": 1}\n', encoding="utf-8")
    times = agentgen.agenttrace(traces)
    assert [problem.line for problem in times.problems] == [3]
    assert "left out  1 row" in str(times)


@pytest.mark.skipif(not SAMPLE.is_file(), reason="no shared data")
def test_the_real_row_gives_the_figures_of_its_spans() -> None:
    times = agentgen.agenttrace(SAMPLE)
    (row,) = times.to_polars().to_dicts()
    assert (row["steps"], row["tool_calls"], round(row["tools_ms"], 3)) == (10, 9, 1.248)
    assert round(row["tools_ms"] + row["model_ms"]) == 353_306
    assert times.spans["arguments"].null_count() == 0
    # The first step called no tool.
    assert times.spans["step_number"].to_list() == list(range(2, 11))
