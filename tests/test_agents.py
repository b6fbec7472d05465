"""Sessions of agents: the preset of real conversations, from generation to validation and analysis."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import agentgen
import polars as pl
import pytest
from conftest import command

if TYPE_CHECKING:
    from conftest import Run

SESSIONS = 60


def busy() -> dict[str, Any]:
    """The preset with more sub-agents, two levels of them, and restarts."""
    config: dict[str, Any] = json.loads(json.dumps(agentgen.presets()["weka-claude-code"]))
    config["restart_initial_probability"] = 1
    config["subagents"]["depth"] = 2
    config["subagents"]["kinds"][0]["spawn_probability"] = 0.05
    return config


@pytest.fixture(scope="module")
def config_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("agents") / "busy.json"
    file.write_text(json.dumps(busy()), encoding="utf-8")
    return file


def generated(config: Path, directory: Path, name: str, *options: str) -> Path:
    arguments = (
        "--config",
        config,
        "--sessions",
        SESSIONS,
        "--output",
        directory,
        "--name",
        name,
        "--no-pages",
        *options,
    )
    subprocess.run(command("generate", *arguments), check=True, capture_output=True, timeout=100)
    return directory / name


@pytest.mark.parametrize("layout", ["incremental", "cumulative"])
def test_a_run_is_valid_in_both_formats(run: Run, config_file: Path, tmp_path: Path, layout: str) -> None:
    made = generated(config_file, tmp_path, "run", "--layout", layout)
    for trace in (made / "dataset.jsonl", made / "dataset.parquet"):
        assert "ok:" in run("validate", trace).stdout
    rows = pl.read_parquet(made / "dataset.parquet")
    links = rows.filter(pl.col("turn_index") == 0)["link"].value_counts()
    assert {"break", "subagent", "restart", None} <= set(links["link"])
    assert rows["root_session_id"].n_unique() == SESSIONS
    agents = rows.filter(pl.col("agent") != "main")
    assert agents["group_id"].null_count() == agents.height


def test_a_changed_row_is_found(run: Run, config_file: Path, tmp_path: Path) -> None:
    made = generated(config_file, tmp_path, "run", "--format", "jsonl")
    file = made / "dataset.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines()
    row = json.loads(lines[40])
    row["output_length"] += 1
    lines[40] = json.dumps(row, separators=(",", ":"))
    changed = tmp_path / "changed.jsonl"
    changed.write_text("\n".join(lines) + "\n", encoding="utf-8")
    manifest = json.loads((made / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["linked"] is True
    file.write_text(changed.read_text(encoding="utf-8"), encoding="utf-8")
    found = run("validate", made, code=1).stdout
    assert "error[generated-row]" in found


def test_shards_are_the_same_rows(config_file: Path, tmp_path: Path) -> None:
    whole = pl.read_parquet(generated(config_file, tmp_path, "whole") / "dataset.parquet")
    parts = generated(config_file, tmp_path, "parts", "--shards", "3")
    shards = [pl.read_parquet(file) for file in sorted(parts.glob("shard-*/dataset.parquet"))]
    assert pl.concat(shards).equals(whole)


def test_both_layouts_have_the_same_reuse(run: Run, config_file: Path, tmp_path: Path) -> None:
    reuse = []
    for layout in ("incremental", "cumulative"):
        made = generated(config_file, tmp_path, layout, "--layout", layout, "--format", "parquet")
        reuse.append(json.loads((made / "quality.json").read_text(encoding="utf-8"))["reuse"])
        analyzed = json.loads(run("analyze", made, "--json").stdout)["traces"][0]["reuse"]
        # Requests in file order, and in the order of a timeline.
        assert abs(analyzed["linked"]["token_weighted"] - reuse[-1]["linked"]["token_weighted"]) < 1e-3
    assert reuse[0] == reuse[1]


def test_quality_says_what_agents_do(config_file: Path, tmp_path: Path) -> None:
    made = generated(config_file, tmp_path, "run")
    found = json.loads((made / "quality.json").read_text(encoding="utf-8"))["agents"]
    rows = pl.read_parquet(made / "dataset.parquet")
    first, later = rows.filter(pl.col("turn_index") == 0), rows.filter(pl.col("turn_index") > 0)
    for link, prompts in first.group_by(pl.col("link").fill_null("root")):
        observed = found["first_prompt_by_link"][link[0]]
        assert observed["count"] == prompts.height
        assert observed["median"] == prompts["input_length"].median()
    for agent, calls in rows.group_by("agent"):
        assert found["output_by_agent"][agent[0]]["mean"] == pytest.approx(calls["output_length"].mean())
    for trigger, calls in later.filter(pl.col("agent") == "main").group_by("trigger"):
        assert found["by_trigger"][trigger[0]]["new_tokens"]["median"] == calls["input_length"].median()
        assert found["by_trigger"][trigger[0]]["delay_ms"]["mean"] == pytest.approx(calls["delay_ms"].mean())
    for kind, broken in first.filter(pl.col("break_kind").is_not_null()).group_by("break_kind"):
        assert found["breaks"][kind[0]]["per_100_calls"] == pytest.approx(100 * broken.height / rows.height)
        assert found["breaks"][kind[0]]["kept_tokens"]["mean"] == pytest.approx(broken["kept_length"].mean())


def test_caps_that_were_reached_are_counted(tmp_path: Path) -> None:
    config = busy()
    config["breaks"]["max_per_line"] = 2
    config["subagents"] |= {"max_per_bundle": 3, "max_breaks_per_line": 1}
    config["subagents"]["kinds"][0] |= {"spawn_probability": 0.2, "breaks": config["breaks"]["kinds"][:1]}
    config["subagents"]["kinds"][0]["breaks"][0] |= {"tool_probability": 0.2, "windows": []}
    agentgen.write_run(tmp_path / "run", config, sessions=SESSIONS, formats=("parquet",))
    caps = json.loads((tmp_path / "run/quality.json").read_text(encoding="utf-8"))["agents"]["caps_reached"]
    rows = pl.read_parquet(tmp_path / "run/dataset.parquet").filter(pl.col("turn_index") == 0)
    breaks = rows.filter(pl.col("link") == "break")
    main = breaks.filter(pl.col("agent") == "main").group_by("root_session_id").len()
    assert caps["breaks_of_lines"] == main.filter(pl.col("len") == 2).height > 0
    # A sub-agent's break is its only one.
    assert caps["breaks_of_subagents"] == breaks.filter(pl.col("agent") != "main").height > 0
    # Names of sub-agents number them: those of a root's bundle come before those of its restart.
    numbers = rows.filter(pl.col("link") == "subagent")["session_id"].str.split(".").list.last().cast(pl.Int64)
    agents = (numbers - 3) // 2
    assert caps["subagents_of_bundles"] == (agents % 3 == 2).sum() > 0


@pytest.mark.parametrize("section", ["breaks", "subagents", "output_kept", "session_effects", "context_windows"])
def test_each_section_can_be_added_to_the_default(run: Run, tmp_path: Path, section: str) -> None:
    stated = {section: busy()[section]}
    if section == "context_windows":
        stated["context_windows"][-1]["max_prompt_tokens"] = 500_000
        stated["max_prompt_tokens"] = 500_000
    if section == "breaks":
        for kind in stated["breaks"]["kinds"]:
            kind.pop("windows", None)
            kind["tool_probability"] = 0.05
    agentgen.write_run(tmp_path / "run", stated, sessions=SESSIONS, formats=("parquet",))
    assert "ok:" in run("validate", tmp_path / "run").stdout
    rows = pl.read_parquet(tmp_path / "run/dataset.parquet")
    calls = rows.filter(pl.col("agent") == "main", pl.col("turn_index") > 0)
    # agentic_fraction of the default
    assert (calls["trigger"] == "tool").mean() == pytest.approx(0.7, abs=0.06)
    if section in {"breaks", "subagents"}:
        assert rows["link"].unique().drop_nulls().to_list() == [section.removesuffix("s")]


def test_other_families_need_no_section(tmp_path: Path) -> None:
    stated = {"generation_length": {"family": "gamma", "median": 300, "shape": 2, "max": 4000}}
    agentgen.write_run(tmp_path / "run", stated, sessions=200, formats=("parquet",))
    outputs = pl.read_parquet(tmp_path / "run/dataset.parquet")["output_length"]
    assert outputs.median() == pytest.approx(300, rel=0.05)


def test_check_shows_what_is_drawn(run: Run) -> None:
    lines = run("config", "check", "weka-claude-code").stdout.splitlines()
    (heading,) = [line for line in lines if line.split() == ["mean", "median", "p90"]]
    (waits,) = [line for line in lines if "triggers.tool.delay_ms" in line]
    assert heading
    assert waits.split()[1:] == ["74,138.9", "8,554.1", "73,788.5"]


def test_default_says_that_there_are_presets_of_agents(run: Run, tmp_path: Path) -> None:
    common = ("generate", "--sessions", "5", "--output", tmp_path, "--no-pages")
    assert "note: default is far from recorded agents" in run(*common, "--name", "a").stdout
    assert "note:" not in run(*common, "--name", "b", "--config", "default").stdout
    assert "note:" not in run(*common, "--name", "c", "--quiet").stdout
    table = (Path(__file__).parents[1] / "docs/realism.md").read_text(encoding="utf-8")
    of_presets = table.split("All presets, KS distance")[1].splitlines()
    names, growth = (
        next(line.split(" | ") for line in of_presets if line.startswith(f"| {name} "))
        for name in ("quantity", "growth, tokens")
    )
    assert f"{float(growth[names.index('`default`')]):.2f}" == "0.87"
    assert f"{float(growth[names.index('`weka-claude-code`')]):.2f}" == "0.01"


def test_list_says_where_presets_come_from(run: Run) -> None:
    listed = run("config", "list").stdout
    assert "weka-claude-code     turn = model call; 350 conversations of Claude Code" in listed
