"""Sessions of agents: the preset of real conversations, from generation to validation and analysis."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import agentgen
import polars as pl
import pytest
from conftest import command

if TYPE_CHECKING:
    from pathlib import Path

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


def test_list_says_where_presets_come_from(run: Run) -> None:
    listed = run("config", "list").stdout
    assert "weka-claude-code     fitted to 350 real conversations of Claude Code" in listed
