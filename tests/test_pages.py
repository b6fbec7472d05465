"""Pages without a browser: what a file holds, how large it may be, and that a run never depends on them."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import re
import shutil
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import agentgen
import pytest
from agentgen.errors import AgentgenError
from agentgen.pages import render, replay
from agentgen.pages.explorer import page as explorer_page
from agentgen.pages.survey import Survey, clipped, survey
from conftest import ROOT, needs, one_line_only
from replayed import replayed

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from conftest import Invoke

PAGES = ["report.html", "cache_explorer.html", "simulation.html"]
HOSTILE = "</script><script>alert(1)</script>&\u2028'\""

pytestmark = pytest.mark.skipif(
    not (ROOT / "python" / "agentgen" / "pages" / "static" / render.CHARTS).exists(),
    reason="the chart library is not there: python build_backend/agentgen_build.py writes it",
)


def data_of(page: bytes | Path) -> Any:
    """What a page was made from, as a browser would read it."""
    text = (page if isinstance(page, bytes) else page.read_bytes()).decode()
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found)


def assumed() -> Any:
    return {
        "trace_layout": None,
        "trace_block_size": None,
        "block_size": None,
        "cached_outputs": True,
        "concurrency": 50,
        "prefill_tokens_per_second": 20_000.0,
        "decode_tokens_per_second": 60.0,
        "threads": None,
    }


@pytest.fixture
def backend() -> ModuleType:
    pytest.importorskip("maturin")
    spec = importlib.util.spec_from_file_location("agentgen_build", ROOT / "build_backend" / "agentgen_build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_data_cannot_end_its_script() -> None:
    text = render.embedded({HOSTILE: [HOSTILE, 1.5, None, "\ud800"]})
    assert text.isascii()
    assert not {"<", ">", "&"} & set(text)
    assert json.loads(text) == {HOSTILE: [HOSTILE, 1.5, None, "\ud800"]}


def test_a_page_allows_its_own_scripts_and_nothing_else(small_run: Path, tmp_path: Path) -> None:
    for path in agentgen.report(small_run, output=tmp_path):
        text = path.read_bytes().decode()
        (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
        rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
        assert rules["default-src"] == "'none'"
        assert "unsafe" not in rules["script-src"]
        scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
        assert rules["script-src"].split() == [f"'sha256-{digest}'" for digest in digests]
        assert not re.findall(r"<(?:link|img|iframe|object|embed)\b|\bsrc=|@import|url\(", text.replace(scripts[0], ""))


def test_modules_become_one_script() -> None:
    script = render.joined(("format.js", "dom.js", "chart.js"))
    assert script.startswith('(() => {\n"use strict";\n')
    assert not re.findall(r"^(import|export)\b", script, re.MULTILINE)


def test_the_pages_hold_the_figures_of_the_analysis(small_run: Path, tmp_path: Path) -> None:
    report, explorer, _ = agentgen.report(small_run, output=tmp_path / "pages", block_size=64, concurrency=7)
    analysis = agentgen.analyze(small_run, block_size=64, concurrency=7).to_dict()
    shown = data_of(report)
    assert shown["traces"] == analysis["traces"]
    assert shown["cut"] == [False]
    assert shown["runs"][0]["quality"] == json.loads((small_run / "quality.json").read_text(encoding="utf-8"))
    sessions = data_of(explorer)["sessions"]
    assert len(sessions) == analysis["traces"][0]["sessions"]
    layers = {rate["layer"]: rate for rate in analysis["traces"][0]["reuse"]["by_layer"]}
    hits = [sum(turn[5][part] for session in sessions for turn in session["turns"]) for part in range(6)]
    assert hits[:4] == [layers[layer]["hit_tokens"] for layer in ("l1", "l1_5", "l2", "carried")]
    assert sum(hits[4:]) == layers["history"]["hit_tokens"]


def test_targets_are_told_bin_by_bin(small_run: Path) -> None:
    quality = json.loads((small_run / "quality.json").read_text(encoding="utf-8"))
    analyzed = agentgen.analyze(small_run).to_dict()["traces"][0]["histograms"]
    assert quality["histograms"]["generation_length"] == analyzed["generation_length"]
    for name, histogram in quality["histograms"].items():
        observed = quality["metrics"][name]["observed"]
        assert sum(histogram["counts"]) == observed["count"]
        for shares in histogram["expected"].values():
            assert len(shares) == len(histogram["counts"])
            assert 0 < sum(shares) <= 1 + 1e-9
            assert min(shares) >= 0


def test_rows_that_were_changed_are_not_shown_with_the_quality_of_others(
    small_run: Path, tmp_path: Path, invoke: Invoke
) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    data = run / "dataset.parquet"
    agentgen.convert(run, tmp_path / "other.parquet", layout="cumulative")
    whole = data.read_bytes()
    for changed in ((tmp_path / "other.parquet").read_bytes(), whole[:-8] + bytes(1) + whole[-7:]):
        data.write_bytes(changed)
        for trace in (run, data):
            result = invoke("report", trace, code=2)
            assert f"{data}: digest: found " in result.stderr
            assert "as manifest.json says (it is not the file of this run" in result.stderr
            assert not list(run.glob("*.html"))
    data.write_bytes(whole)
    quality = run / "quality.json"
    quality.write_text(quality.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert f"{quality}: digest: found " in invoke("report", run, code=2).stderr
    quality.unlink()
    invoke("report", run)


@pytest.mark.parametrize("manifest", ['{"a": 1}', '{"files": ["trace.parquet"]}', "[]", "{"])
def test_a_manifest_of_another_program_says_nothing(
    manifest: str, small_run: Path, tmp_path: Path, invoke: Invoke
) -> None:
    trace = tmp_path / "trace.parquet"
    shutil.copy(small_run / "dataset.parquet", trace)
    (tmp_path / "manifest.json").write_text(manifest, encoding="utf-8")
    invoke("report", trace, "--output", tmp_path / "pages")
    assert data_of(tmp_path / "pages" / "report.html")["runs"] == [None]


def test_what_cannot_be_written_is_no_bad_input(small_run: Path, tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "file").touch()
    result = invoke("report", small_run, "--output", tmp_path / "file" / "pages", code=1)
    assert result.stderr == f"agentgen: error: {tmp_path / 'file' / 'pages'}: Not a directory\n"
    one_line_only(result.exit_code, result.stderr)


def test_what_is_not_known_is_left_out(small_run: Path, tmp_path: Path) -> None:
    trace = tmp_path / "alone.jsonl"
    shutil.copy(small_run / "dataset.jsonl", trace)
    shown = data_of(agentgen.report(trace, output=tmp_path)[0])
    assert shown["runs"] == [None]
    assert shown["traces"][0]["histograms"]["generation_length"]["expected"] == {}


def test_two_traces_and_how_far_they_are_apart(small_run: Path, tmp_path: Path, invoke: Invoke) -> None:
    agentgen.write_run(tmp_path / "other", sessions=30)
    invoke("report", small_run, "--compare", tmp_path / "other", "--output", tmp_path / "pages")
    shown = data_of(tmp_path / "pages" / "report.html")
    both = [small_run, tmp_path / "other"]
    assert shown["distances"] == agentgen.analyze(both).to_dict()["distances"]
    assert "found the trace itself" in invoke("report", small_run, "--compare", small_run, code=2).stderr
    with pytest.raises(ValueError, match="twice, expected another trace"):
        agentgen.report(small_run, compare=small_run)


def test_a_page_has_its_limit_whatever_the_data(tmp_path: Path) -> None:
    trace = tmp_path / "long.jsonl"
    with trace.open("w", encoding="utf-8") as file:
        for session in range(2_500):
            name = f"{session}{HOSTILE}" + "€" * (session % 7 * 300)
            for turn in range(12 if session else 3_000):
                row = {
                    "session_id": name,
                    "input_length": 512,
                    "output_length": 7 + turn,
                    "hash_ids": [session << 14 | turn],
                }
                file.write(
                    json.dumps(row | ({"delay": 1.0} if turn else {"timestamp": 0.0, "group_id": session})) + "\n"
                )
    pages = agentgen.report(trace, output=tmp_path, trace_block_size=512, trace_layout="incremental")
    assert [path.name for path in pages] == PAGES
    assert all(path.stat().st_size <= render.LIMIT for path in pages)
    shown = data_of(pages[1])
    assert shown["every"] > 1
    assert shown["sessions"][0]["turn_count"] == 3_000


def test_what_does_not_fit_is_left_out_and_said(small_run: Path) -> None:
    found = survey([str(small_run)], assumed())
    session = found.explored["sessions"][-1]
    many = [{**session, "number": number, "session_id": "<" * 120} for number in range(6_000)]
    larger = Survey(found.analysis, found.cut, {"every": 1, "sessions": many}, found.runs, found.names)
    page = explorer_page(larger, (), sample=100)
    assert 0 < page.data["left_out"] < 6_000
    assert render.LIMIT * 0.9 < len(render.render(page)) <= render.LIMIT


def test_a_sample_is_said_to_be_one(small_run: Path) -> None:
    whole, part = survey([str(small_run)], assumed()), survey([str(small_run)], assumed(), sessions=11)
    assert (whole.cut, part.cut) == ([False], [True])
    assert part.analysis["traces"][0]["sessions"] == 11
    assert [s["session_id"] for s in part.explored["sessions"]] == [
        s["session_id"] for s in whole.explored["sessions"][:11]
    ]


def test_names_are_short_and_can_be_written() -> None:
    assert clipped("a\ud800\x1bb") == "a\\ud800\\x1bb"
    assert len(clipped("x" * 500)) == 120


def test_generate_writes_pages_beside_a_valid_run(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("generate", "--sessions", 20, "--output", tmp_path, "--name", "run")
    assert all(f"  {page}" in result.stdout for page in PAGES)
    assert invoke("validate", tmp_path / "run").exit_code == 0
    invoke("generate", "--sessions", 20, "--output", tmp_path, "--name", "run", "--force", "--no-pages")
    assert not any((tmp_path / "run" / page).exists() for page in PAGES)
    assert "dataset.jsonl" in invoke("report", tmp_path / "run").stdout or (tmp_path / "run" / PAGES[0]).exists()


def test_a_run_is_complete_without_its_pages(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "CHARTS", "missing.js")
    result = invoke("generate", "--sessions", 20, "--output", tmp_path, "--name", "run")
    (line,) = result.stderr.splitlines()
    assert line.startswith("agentgen: warning: the run is complete, but has no pages: pages: found no chart library")
    assert agentgen.validate(tmp_path / "run").ok
    failed = invoke("report", tmp_path / "run", code=1)
    one_line_only(1, failed.stderr)
    assert "python build_backend/agentgen_build.py writes it" in failed.stderr


def test_too_large_a_page_is_refused() -> None:
    page = render.Page("a.html", "A", "b", ("report/plots.js",), {"x": "y" * render.LIMIT})
    with pytest.raises(AgentgenError, match="expected at most 3,000,000"):
        render.render(page)


@needs("vl_convert")
def test_the_build_writes_the_chart_library(
    backend: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert backend.write_bundle(tmp_path / "vega.js").read_bytes() == backend.BUNDLE.read_bytes()
    built: list[str] = []

    def record(kind: str, *_: object) -> str:
        built.append(kind)
        return kind

    monkeypatch.setattr(backend, "write_bundle", partial(record, "bundle"))
    for kind in ("wheel", "editable", "sdist"):
        monkeypatch.setattr(backend.maturin, f"build_{kind}", partial(record, kind))
        assert getattr(backend, f"build_{kind}")("dist") == kind
    assert built == ["bundle", "wheel", "bundle", "editable", "bundle", "sdist"]


def test_without_the_chart_library_nothing_is_built(backend: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(SystemExit, match=r"^agentgen: error: vl-convert-python: found none, expected it to build with"):
        backend.write_bundle()


# --- the page of a replay -----------------------------------------------------------------------------------------


def test_the_page_of_a_replay_holds_its_summary_without_secrets(tmp_path: Path) -> None:
    summary = replayed(tmp_path / "run")
    shown = data_of(replay.write(tmp_path / "run", summary))
    for part in ("run", "warmup", "client", "records", "incomplete", "warnings", "errors"):
        assert shown[part] == summary[part]
    assert shown["settings"]["header"] == ["X-Tenant"]
    assert shown["settings"]["request_fields"] == ["user"]
    assert "sk-secret" not in json.dumps(shown)


def test_hostile_texts_of_a_replay_are_short_and_escaped(tmp_path: Path) -> None:
    long = HOSTILE + "€" * render.LIMIT
    summary = replayed(tmp_path / "run", trace={"path": long}, incomplete=HOSTILE)
    summary["settings"] = {"url": [long] * 1_000, "model": long, "request_json": {long: long}, "other": long}
    summary["errors"] = [long] * 1_000
    path = replay.write(tmp_path / "run", summary)
    assert path.stat().st_size < render.LIMIT
    shown = data_of(path)
    assert shown["trace"]["path"].startswith("</script>")
    assert f"incomplete: {HOSTILE.split(chr(0x2028), maxsplit=1)[0]}" in shown["warnings"][-1]
    assert "other" not in shown["settings"]
    assert shown["settings"]["url"][-1] == "and 980 more"
    assert len(path.read_text(encoding="utf-8").split("<script>")) == 3


def test_a_replay_is_complete_without_its_page(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_run: Path
) -> None:
    monkeypatch.setattr(render, "CHARTS", "missing.js")
    more = ("--time-scale", 0, "--max-sessions", 3, "--duration", "1s", "--grace", 0, "--quiet")
    # 1: in that time nothing is answered.
    result = invoke("replay", small_run, *more, "--output", tmp_path, "--name", "run", code=1)
    (line,) = result.stderr.splitlines()
    assert line.startswith("agentgen: warning: the result is complete, but has no page: pages: found no chart library")
    assert (tmp_path / "run" / "summary.json").exists()
    assert not (tmp_path / "run" / replay.NAME).exists()
