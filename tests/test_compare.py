"""`agentgen compare`: runs side by side, and warnings about what makes them hard to compare."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest
from agentgen import TraceError, _native
from agentgen.replay import compare_text
from agentgen.replay.figures import compare
from agentgen.text.layout import plain
from replayed import replayed, write_run
from small_traces import BLOCK, write_trace

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Invoke

TRACE = {"path": "a.jsonl", "files": [{"name": "a.jsonl", "bytes": 9, "sha256": "1234567890abcdef"}]}
STATED = {"load": "closed", "concurrency": 16, "history": "live", "model": "m", "salt": "x", "url": ["http://a/v1"]}


def stated(directory: Path, *, seed: int = 0, trace: Any = TRACE, **summary: Any) -> Path:
    """Write a run whose summary states its settings."""
    write_run(directory, seed=seed, sessions=8)
    result = {"settings": STATED, "trace": trace, "started": f"at {seed}", "ended": "later", **summary}
    (directory / "summary.json").write_text(json.dumps(result), encoding="utf-8")
    return directory


def test_compare_command(tmp_path: Path, invoke: Invoke) -> None:
    names = [tmp_path / name for name in ("a", "b", "c", "d")]
    for at, name in enumerate(names):
        write_run(name, scale=1 + at // 2, seed=at)
    text = invoke("compare", names[0], names[2]).output
    assert max(map(len, text.replace(str(tmp_path), "").splitlines())) <= 80
    assert "95 % bootstrap intervals from 1,000 draws of sessions" in text.replace("\n", " ")
    assert "full window; successful requests (lag: all requests sent)" in text
    row = next(line for line in text.splitlines() if line.startswith("  ttft p50, ms"))
    first, second, ratio = row.removeprefix("  ttft p50, ms").split()[:3]
    assert float(ratio) == pytest.approx(float(second) / float(first), rel=0.01), "both runs are on one line"
    result = json.loads(invoke("compare", f"old={names[0]},{names[1]}", f"new={names[2]},{names[3]}", "--json").output)
    assert [(group["label"], group["resampled"]) for group in result["groups"]] == [("old", "runs"), ("new", "runs")]
    ttft = next(row for row in result["figures"] if row["name"] == "ttft_p50_ms")
    alone = compare({name.name: [name] for name in names}).to_dict()["figures"][2]["values"]
    each = [value["value"] for value in alone]
    assert ttft["values"][1]["value"] == (each[2] + each[3]) / 2
    assert ttft["values"][1]["interval"] == [min(each[2:]), max(each[2:])]
    assert ttft["values"][1]["ratio"] == pytest.approx((each[2] + each[3]) / (each[0] + each[1]))


def test_each_figure_has_a_verdict(tmp_path: Path, invoke: Invoke) -> None:
    write_run(tmp_path / "a", seed=1, sessions=40)
    write_run(tmp_path / "b", seed=1, sessions=40, scale=3)
    write_run(tmp_path / "c", seed=2, sessions=40)
    rows = {
        row["name"]: row["values"]
        for row in compare([tmp_path / "a", tmp_path / "b", tmp_path / "c"]).to_dict()["figures"]
    }
    assert [value["verdict"] for value in rows["ttft_p50_ms"]] == [None, "worse", "within_noise"]
    assert rows["requests_per_second"][1]["verdict"] == "unknown"  # single runs: rates have no interval
    inverse = {row["name"]: row["values"] for row in compare([tmp_path / "b", tmp_path / "a"]).to_dict()["figures"]}
    assert inverse["ttft_p50_ms"][1]["verdict"] == "better"
    text = " ".join(invoke("compare", tmp_path / "a", tmp_path / "b").output.split())
    assert re.search(r"B against A: worse in ttft p50, ms \(3\.0[0-9]\); .* figures? within noise ", text)
    assert "unknown: only repeats show how much a figure varies from run to run" in text
    write_run(tmp_path / "d", seed=1, sessions=40)
    same = " ".join(invoke("compare", tmp_path / "a", tmp_path / "d").output.split())
    assert "B against A: no difference is more than noise" in same


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [(None, "-"), (0.00123456, "0.00123"), (1, "1.00"), (1.05, "1.05"), (15.26, "15.3"), (1234.5, "1,234")],
)
def test_ratios_have_three_digits(ratio: float | None, shown: str) -> None:
    assert compare_text.shown_ratio(ratio) == shown


def test_values_stay_side_by_side_at_any_width(tmp_path: Path) -> None:
    for at, name in enumerate(("a", "b")):
        write_run(tmp_path / name, seed=at, sessions=8)
    data = compare([tmp_path / "a", tmp_path / "b"]).to_dict()
    for width in (40, 60, 80, 200):
        text = plain(*compare_text.pieces(data), width=width)
        row = next(line for line in text.splitlines() if line.startswith("  ttft p50, ms"))
        assert len(row.removeprefix("  ttft p50, ms").split()) >= 2


def test_the_page_of_a_comparison(tmp_path: Path, invoke: Invoke) -> None:
    for at, name in enumerate(("a", "b")):
        write_run(tmp_path / name, seed=at, sessions=8)
    done = invoke("compare", f"<i>={tmp_path / 'a'}", tmp_path / "b", "--output", tmp_path / "pages")
    assert done.stderr == f"written to {tmp_path / 'pages' / 'compare.html'}\n"
    page = (tmp_path / "pages" / "compare.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert '"name":"ttft_p50_ms"' in page
    assert "<i>" not in page


def test_runs_with_equal_settings_have_no_warning(tmp_path: Path, invoke: Invoke) -> None:
    one = stated(tmp_path / "a")
    free = {**STATED, "url": ["http://b/v1"], "salt": "y", "seed": 7, "slo": {"ttft": 1}}
    two = stated(tmp_path / "b", seed=1, settings=free)
    assert "warning" not in invoke("compare", one, two).output
    assert compare({"A": [one], "B": [two]}).to_dict()["warnings"] == []


@pytest.mark.parametrize(
    ("other", "about", "message"),
    [
        ({"settings": {**STATED, "concurrency": 64}}, "concurrency", "runs differ in concurrency: 16 in A, 64 in B"),
        (
            {"settings": {**STATED, "history": "recorded"}},
            "history",
            "runs differ in history: live in A, recorded in B",
        ),
        (
            {"settings": {**STATED, "time_scale": 0.5}},
            "time_scale",
            "runs differ in time_scale: none in A, 0.5 in B",
        ),
        (
            {"trace": {"path": "b.jsonl", "files": [{"sha256": "ffff567890abcdef"}]}},
            "trace",
            "runs differ in trace: a.jsonl (SHA-256 1234567890ab...) in A, b.jsonl (SHA-256 ffff567890ab...) in B",
        ),
        (
            {"run": {"counters": {"cancelled": 3}}},
            "cancelled",
            "B gave up 3 requests in flight, the slow ones: in no figure",
        ),
        ({"incomplete": True}, "incomplete", "B is incomplete: it ended early, or records are missing"),
        ({"errors": ["run: counters: no"]}, "errors", "B has figures that are wrong: run: counters: no"),
        (
            {"client": {"client_limited": True, "share_of_ttft": 0.341}},
            "client_limited",
            "B is client-limited: the client's own lag is 34.1 % of the median first token",
        ),
        ({"settings": None}, "settings", "B does not state its settings"),
    ],
)
def test_each_difference_is_a_warning_of_its_own(
    other: dict[str, Any], about: str, message: str, tmp_path: Path, invoke: Invoke
) -> None:
    one, two = stated(tmp_path / "a"), stated(tmp_path / "b", seed=1, **other)
    result = json.loads(invoke("compare", one, two, "--json").output)
    assert [(warning["about"], warning["message"]) for warning in result["warnings"]] == [(about, message)]
    assert result["warnings"][0]["found"][-1]["directories"] == [str(two)]
    jsonschema.validate(result, json.loads(_native.schema("comparison")))
    lines = invoke("compare", one, two).output.splitlines()
    title = next(at for at, line in enumerate(lines) if line.startswith("full window"))
    assert f"warning: {message}" in " ".join(line.strip() for line in lines[:title])
    assert max(map(len, lines[title:])) <= 80


def test_repeats_that_differ_are_named_by_their_directories(tmp_path: Path) -> None:
    runs = [stated(tmp_path / name, seed=seed) for seed, name in enumerate("abc")]
    runs.append(stated(tmp_path / "d", seed=3, settings={**STATED, "model": "n"}))
    result = compare({"old": runs[:2], "new": runs[2:]}).to_dict()
    assert [warning["message"] for warning in result["warnings"]] == [
        f"runs differ in model: m in old, {runs[2]}, n in {runs[3]}"
    ]


def test_runs_without_successes_or_without_a_summary_have_warnings(tmp_path: Path) -> None:
    (tmp_path / "a" / "records").mkdir(parents=True)
    _native.Recorder(tmp_path / "a" / "records" / "worker-0.jsonl", 0).close()
    result = compare({"A": [tmp_path / "a"], "B": [stated(tmp_path / "b")]}).to_dict()
    assert [warning["message"] for warning in result["warnings"]] == [
        "A has no request that succeeded",
        "A has no summary.json: its settings are not known, nor whether it is complete",
    ]


def test_runs_without_any_request_have_no_table(tmp_path: Path, invoke: Invoke) -> None:
    for name in "ab":
        (tmp_path / name / "records").mkdir(parents=True)
        _native.Recorder(tmp_path / name / "records" / "worker-0.jsonl", 0).close()
    result = invoke("compare", tmp_path / "a", tmp_path / "b").output
    assert "warning: A has no request that succeeded" in result
    assert "full window" not in result


def test_summaries_of_real_replays_differ_only_in_the_changed_settings(tmp_path: Path, invoke: Invoke) -> None:
    """The result names of settings and digests are those of real summaries."""
    traces = [write_trace(tmp_path / name, 2, 1) for name in ("a.jsonl", "b.jsonl")]
    write_trace(traces[1], 3, 1)
    for name, trace, slots in (("a", traces[0], 1), ("b", traces[1], 2)):
        more = ("--trace-block-size", BLOCK, "--output", tmp_path, "--name", name, "--concurrency", slots, "--quiet")
        invoke("replay", trace, *more)
    result = compare({"A": [tmp_path / "a"], "B": [tmp_path / "b"]}).to_dict()["warnings"]
    differing = {warning["about"] for warning in result if warning["message"].startswith("runs differ")}
    assert differing == {"trace", "concurrency"}


def test_a_run_is_not_compared_with_itself(tmp_path: Path, invoke: Invoke) -> None:
    one, two = stated(tmp_path / "a"), stated(tmp_path / "b", seed=1)
    shutil.copytree(one, tmp_path / "copy")
    (tmp_path / "link").symlink_to(one)
    for runs in ((one, one), (f"x={one}", f"y={one}"), (f"x={one},{one}", two)):
        assert f"{one}: found the same run twice, expected each once" in invoke("compare", *runs, code=2).stderr
    for other in ("copy", "link"):
        result = invoke("compare", one, tmp_path / other, code=2).stderr
        assert f"{tmp_path / other}: found the same run as {one}, expected each once" in result
    assert "found the label 'x' twice" in invoke("compare", f"x={one}", f"x={two}", code=2).stderr
    assert invoke("compare", one, f"A={two}", "--json").exit_code == 0, "letters are those that no label has"


def test_invalid_arguments_of_compare(tmp_path: Path, invoke: Invoke) -> None:
    write_run(tmp_path / "a")
    assert "expected two or more" in invoke("compare", tmp_path / "a", code=2).stderr
    nothing = tmp_path / "b"
    assert f"{nothing}: found no such directory" in invoke("compare", tmp_path / "a", nothing, code=2).stderr
    nothing.mkdir()
    result = invoke("compare", tmp_path / "a", nothing, code=2).stderr
    assert f"{nothing}: found no records, expected a run directory that agentgen replay wrote (records/" in result
    for run in ("x=", f"={tmp_path}/a", f"x={tmp_path}/a,"):
        result = invoke("compare", tmp_path / "a", run, code=2).stderr
        assert f"found '{run}', expected LABEL=DIR,DIR... with a label and directories" in result
    replayed(tmp_path / "c", sessions=1, turns=2)
    (tmp_path / "c" / "summary.json").write_text("{")
    result = invoke("compare", tmp_path / "a", tmp_path / "c", code=2).stderr
    assert "summary.json: found EOF while parsing" in result
    assert ", expected the summary of a replay" in result
    with pytest.raises(TraceError):
        compare({"A": [tmp_path / "a"], "B": [nothing]})


def test_bootstrap_intervals_have_their_nominal_coverage(tmp_path: Path) -> None:
    """The 95 % intervals of 40 runs of independent sessions hold the true median about as often."""
    directories = [tmp_path / str(seed) for seed in range(40)]
    for seed, directory in enumerate(directories):
        write_run(directory, sessions=60, turns=1, seed=seed)
    result = compare({directory.name: [directory] for directory in directories}).to_dict()
    values = next(row for row in result["figures"] if row["name"] == "ttft_p50_ms")["values"]
    held = sum(value["interval"][0] <= np.exp(3) <= value["interval"][1] for value in values)
    assert 33 <= held <= 40
