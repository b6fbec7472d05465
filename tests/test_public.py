"""The public Python API as a whole: names, signatures, replay, serve and compare, and results in notebooks."""

from __future__ import annotations

import html
import inspect
import json
import urllib.request
from typing import TYPE_CHECKING, Any

import agentgen
import agentgen.replay.figures  # a submodule must not replace the function of the package's name
import pytest
from conftest import needs

if TYPE_CHECKING:
    from pathlib import Path

FAST = {"max_delay": 0, "concurrency": 4}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("tiny") / "run"
    config = {"cache": {"layer1_tokens": 512, "layer2": {"mean": 300, "sigma": 0.2}}, "max_prompt_tokens": 4_000}
    config |= {"new_tokens_per_turn": {"mean": 100, "sigma": 0.2}, "generation_length": {"mean": 40, "sigma": 0}}
    config |= {"turns": {"mean": 3, "sigma": 0, "min": 1, "max": 3}}
    agentgen.write_run(run, config, sessions=4)
    return run


def test_every_public_name_is_there_and_nothing_else() -> None:
    names = [name for name in dir(agentgen) if not name.startswith("__")]
    assert names == sorted(name for name in agentgen.__all__ if name != "__version__")
    for name in names:
        assert getattr(agentgen, name).__doc__


def test_signatures_are_complete() -> None:
    for name in ("analyze", "plan", "report", "simulate", "serve", "replay", "compare", "generate", "scan"):
        parameters = inspect.signature(getattr(agentgen, name)).parameters.values()
        assert not [one.name for one in parameters if one.kind in {one.VAR_KEYWORD, one.VAR_POSITIONAL}], name


@pytest.mark.parametrize("form", ["object", "mapping", "file"])
def test_a_replay(form: str, tiny: Path, tmp_path: Path) -> None:
    settings: Any = FAST
    if form == "object":
        settings = agentgen.ReplaySettings(max_delay=0, concurrency=4)
    elif form == "file":
        settings = tmp_path / "settings.json"
        settings.write_text(json.dumps(FAST), encoding="utf-8")
    ended: list[tuple[str, int]] = []
    summary = agentgen.replay(tiny, settings, output=tmp_path / "out", progress=lambda *counts: ended.append(counts))
    assert summary.to_dict() == json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary.to_dict()["run"]["counters"]["succeeded"] == 12
    assert summary.to_dict()["settings"]["concurrency"] == 4
    assert repr(summary).startswith(f"Summary(trace={str(tiny)!r}, planned=12, ")
    assert "time to first token" in str(summary)
    assert ended[-1][0] == "run"
    if form == "object":
        polars = pytest.importorskip("polars")
        frame = summary.to_polars()
        assert frame.schema["p99"] == polars.Float64
        assert frame.filter(metric="e2e_ms")["count"].to_list() == [12]


def test_what_a_limit_left_out_is_said(tiny: Path, tmp_path: Path) -> None:
    summary = agentgen.replay(tiny, {**FAST, "max_sessions": 1}, output=tmp_path / "out")
    assert "3 sessions of the trace never opened (--max-sessions)" in " ".join(str(summary).split())
    whole = agentgen.replay(tiny, FAST, output=tmp_path / "whole")
    assert "never opened" not in str(whole)


def test_a_replay_that_cannot_start(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(agentgen.ReplayError, match=r"^settings.concurrency: found 0, expected a whole number from 1"):
        agentgen.replay(tiny, {"concurrency": 0}, output=tmp_path / "out")
    with pytest.raises(agentgen.ReplayError, match=r"^settings.concurency: no such option \(did you mean concurrency"):
        agentgen.replay(tiny, {"concurency": 1}, output=tmp_path / "out")
    with pytest.raises(agentgen.ReplayError, match=r"^output: found .*, which exists, expected a new directory"):
        agentgen.replay(tiny, output=tmp_path)
    with pytest.raises(FileNotFoundError, match="nothing: no such file or directory"):
        agentgen.replay(tmp_path / "nothing")


@needs("polars")
def test_a_comparison(tiny: Path, tmp_path: Path) -> None:
    runs = [tmp_path / name for name in ("one", "two", "three")]
    for run in runs:
        agentgen.replay(tiny, FAST, output=run)
    comparison = agentgen.compare(runs[:2])
    assert repr(comparison) == "Comparison(succeeded: A=12, B=12)"
    frame = comparison.to_polars()
    assert frame["run"].unique(maintain_order=True).to_list() == ["A", "B"]
    assert frame.filter(run="A", figure="success_share")["value"].to_list() == [1.0]
    labelled = agentgen.compare({"base": runs[0], "other": runs[1:]})
    assert [group["label"] for group in labelled.to_dict()["groups"]] == ["base", "other"]
    with pytest.raises(ValueError, match="runs: found 1 runs, expected two or more"):
        agentgen.compare(runs[:1])
    with pytest.raises(TypeError, match="expected a list of run directories"):
        agentgen.compare(runs[0])  # type: ignore[arg-type]


def test_a_server() -> None:
    with agentgen.serve(prefill_tokens_per_second=0, decode_tokens_per_second=0, capacity_tokens="1k") as server:
        body = {"model": "agentgen", "messages": [{"role": "user", "content": "a b"}], "max_tokens": 2}
        request = urllib.request.Request(  # noqa: S310  of this machine
            f"{server.url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  as above
            assert answer.status == 200
        assert server.stats()["answered"] == 1
        assert repr(server) == f"Server(url={server.url!r})"
    with pytest.raises(OSError, match=r"refused|timed out"):
        urllib.request.urlopen(server.url, timeout=60)  # noqa: S310  as above


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"port": 70_000}, ValueError, "port: found 70000, expected a whole number from 0 to 65535"),
        ({"capacity_bytes": "1GB"}, TypeError, "capacity_bytes: found no KV size, expected model or kv_bytes"),
        ({"capacity_tokens": 15}, ValueError, "capacity_tokens: found 15, expected a whole number from 16"),
        ({"capacity_tokens": 16, "capacity_blocks": 1}, TypeError, "capacity_blocks and capacity_tokens: found both"),
        ({"kv_dtype": "fp8"}, TypeError, "kv_dtype: found 'fp8', expected nothing without capacity_bytes"),
        ({"faults": ["crlf"]}, ValueError, "faults: found 'crlf', expected a share and a fault"),
        ({"decode_tokens_per_second": -1}, ValueError, "decode_tokens_per_second: found -1, expected a number of at"),
        ({"events": "all"}, ValueError, "unknown variant `all`"),
    ],
)
def test_a_server_that_cannot_start(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        agentgen.serve(**arguments)


@needs("polars")
def test_results_in_notebooks(small_run: Path) -> None:
    analysis = agentgen.analyze(small_run)
    simulation = agentgen.simulate(small_run, capacity_tokens="1M")
    plan = agentgen.plan(small_run, target_hit_rate=0.5, kv_bytes_per_token=1)
    report = agentgen.validate(small_run)
    trace = agentgen.read(small_run)
    counts = analysis.to_dict()["traces"][0]
    assert f"sessions={counts['sessions']}, requests={counts['requests']})" in repr(analysis)
    assert f"served={counts['requests']}, failed=0)" in repr(simulation)
    assert f"(ok=True, rows={counts['requests']}, " in repr(report)
    assert analysis.to_polars()["requests"].to_list() == [counts["requests"]]
    assert simulation.to_polars().equals(simulation.points)
    assert plan.to_polars().equals(plan.points)
    assert report.to_polars().is_empty()
    assert trace.to_polars().height == counts["requests"]
    for result in (analysis, simulation, plan, report):
        assert result._repr_html_() == f"<pre>{html.escape(str(result), quote=False)}</pre>"
    assert "<table" in trace._repr_html_()
