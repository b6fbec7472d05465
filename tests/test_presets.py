"""`benches/presets.py`: recorded calls as canonical rows, and the tables of docs/realism.md."""

from __future__ import annotations

import importlib
import re
import sys
from typing import TYPE_CHECKING, Any

import agentgen
import polars as pl
import pytest
from agentgen import _native
from conftest import ROOT, shared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType


@pytest.fixture(scope="module")
def presets() -> Iterator[ModuleType]:
    sys.path.insert(0, str(ROOT / "benches"))
    yield importlib.import_module("presets")
    sys.path.pop(0)


@pytest.fixture(scope="module")
def tables(presets: ModuleType) -> ModuleType:
    return sys.modules[presets.markdown.__module__]


@pytest.fixture(scope="module")
def published(presets: ModuleType) -> ModuleType:
    return sys.modules[presets.figures.__module__]


def test_recorded_calls_have_the_published_figures(presets: ModuleType, tables: ModuleType, tmp_path: Path) -> None:
    calls = shared("weka/calls_odd.parquet")
    presets.convert(calls, tmp_path / "rows.parquet")
    found = agentgen.fidelity(tmp_path / "rows.parquet", tmp_path / "rows.parquet").to_dict()
    assert (found["source"]["conversations"], found["source"]["calls"]) == (350, 24_989)
    # Figures of an independent study of the same calls.
    published = {"infinite": 0.9617, "ttl_01_min": 0.7805, "ttl_05_min": 0.9168, "ttl_60_min": 0.9591}
    for name, share in published.items():
        assert found["reuse"][name]["source"] == pytest.approx(share, abs=0.005), name
    assert {quantity["quantity"] for quantity in found["quantities"]} == set(tables.LIMITS)
    assert found["breaks"]["rewrite_in_place"]["source"] == pytest.approx(0.0079, abs=0.001)


def test_figures_beyond_their_limits_are_named(tables: ModuleType) -> None:
    pair = {"source": 100.0, "generated": 110.0}
    quantity: dict[str, Any] = {"quantity": "calls", "ks": 0.1, "p50": pair, "p90": pair}
    found: dict[str, Any] = {
        "quantities": [quantity],
        "breaks": {"lost": {"source": 0.02, "generated": 0.021}},
        "reuse": {"infinite": {"source": 0.96, "generated": 0.965}, "ttl_01_min": {"source": 0.78, "generated": 0.8}},
    }
    assert tables.misses(found) == []
    quantity["ks"] = 0.15
    quantity["p90"] = {"source": 100.0, "generated": 130.0}
    found["breaks"]["lost"]["generated"] = 0.03
    found["reuse"]["infinite"]["generated"] = 0.98
    assert tables.misses(found) == [
        "calls a session: KS 0.150, at most 0.14",
        "calls a session: p90 130, source 100 (within 20%)",
        "breaks, lost: 3.00 per 100 calls, source 2.00 (within 15%)",
        "reuse, infinite: 98.0%, source 96.0%",
    ]


def test_published_figures_are_those_of_the_rows(published: ModuleType, tmp_path: Path) -> None:
    agentgen.write_run(tmp_path / "run", "tracelab-codex", sessions=40, formats=("parquet",))
    rows = pl.read_parquet(tmp_path / "run/dataset.parquet").filter(pl.col("agent") == "main")
    found = {
        figure.name: value
        for figure, value in zip(published.FIGURES, published.figures(tmp_path / "run/dataset.parquet"), strict=True)
    }
    human: dict[str, int] = {}
    grows: list[bool] = []
    appended: list[int] = []
    before = ("", 0)
    for row in rows.iter_rows(named=True):
        root, tokens = row["root_session_id"], row["context_length"]
        human[root] = human.get(root, 0) + (row["trigger"] == "human")
        if root == before[0]:
            grows.append(tokens > before[1])
            appended.append(tokens - (row["kept_length"] if row["turn_index"] == 0 else before[1]))
        before = (root, tokens)
    assert found["human turns a session, mean"] == pytest.approx(sum(human.values()) / 40)
    assert found["calls whose context grows"] == pytest.approx(sum(grows) / len(grows))
    assert found["appended tokens a call, p50"] in sorted(appended)[len(appended) // 2 - 1 : len(appended) // 2 + 1]


def test_far_figures_are_named(tables: ModuleType, published: ModuleType) -> None:
    exact = {
        preset: [getattr(figure, agent) or 0 for figure in published.FIGURES]
        for agent, preset in tables.PUBLISHED.items()
    }
    assert tables.far_figures(exact) == []
    exact["tracelab-codex"][0] *= 1.5
    assert tables.far_figures(exact) == ["tracelab-codex: human turns a session, mean: 13.8, published 9.2"]


def test_the_page_has_the_tables_of_all_presets(presets: ModuleType, tables: ModuleType) -> None:
    page = presets.PAGE.read_text(encoding="utf-8")
    written = page.partition(presets.BEGIN)[2].partition(presets.END)[0]
    assert set(tables.PRESETS) <= set(_native.preset_names())
    for preset in tables.PRESETS:
        assert f"`{preset}`" in written
    for name in tables.LIMITS:
        row = re.escape(tables.NAMES[name])
        assert re.search(rf"^\| {row} \| 0\.\d{{3}} \|", written, re.MULTILINE), name
