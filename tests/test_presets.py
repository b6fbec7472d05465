"""`benches/presets.py`: recorded calls as canonical rows, and the tables of docs/realism.md."""

from __future__ import annotations

import importlib.util
import re
from typing import TYPE_CHECKING, Any

import agentgen
import pytest
from agentgen import _native
from conftest import ROOT, shared

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


@pytest.fixture(scope="module")
def presets() -> ModuleType:
    spec = importlib.util.spec_from_file_location("presets", ROOT / "benches" / "presets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_recorded_calls_have_the_published_figures(presets: ModuleType, tmp_path: Path) -> None:
    calls = shared("weka/calls_odd.parquet")
    presets.convert(calls, tmp_path / "rows.parquet")
    found = agentgen.fidelity(tmp_path / "rows.parquet", tmp_path / "rows.parquet").to_dict()
    assert (found["source"]["conversations"], found["source"]["calls"]) == (350, 24_989)
    # Figures of an independent study of the same calls.
    published = {"infinite": 0.9617, "ttl_01_min": 0.7805, "ttl_05_min": 0.9168, "ttl_60_min": 0.9591}
    for name, share in published.items():
        assert found["reuse"][name]["source"] == pytest.approx(share, abs=0.005), name
    assert {quantity["quantity"] for quantity in found["quantities"]} == set(presets.LIMITS)
    assert found["breaks"]["rewrite_in_place"]["source"] == pytest.approx(0.0079, abs=0.001)


def test_figures_beyond_their_limits_are_named(presets: ModuleType) -> None:
    pair = {"source": 100.0, "generated": 110.0}
    quantity: dict[str, Any] = {"quantity": "calls", "ks": 0.1, "p50": pair, "p90": pair}
    found: dict[str, Any] = {
        "quantities": [quantity],
        "breaks": {"lost": {"source": 0.02, "generated": 0.021}},
        "reuse": {"infinite": {"source": 0.96, "generated": 0.965}, "ttl_01_min": {"source": 0.78, "generated": 0.8}},
    }
    assert presets.misses(found) == []
    quantity["ks"] = 0.15
    quantity["p90"] = {"source": 100.0, "generated": 130.0}
    found["breaks"]["lost"]["generated"] = 0.03
    found["reuse"]["infinite"]["generated"] = 0.98
    assert presets.misses(found) == [
        "calls a session: KS 0.150, at most 0.14",
        "calls a session: p90 130, source 100 (within 20%)",
        "breaks, lost: 3.00 per 100 calls, source 2.00 (within 15%)",
        "reuse, infinite: 98.0%, source 96.0%",
    ]


def test_the_page_has_the_tables_of_all_presets(presets: ModuleType) -> None:
    page = presets.PAGE.read_text(encoding="utf-8")
    tables = page.partition(presets.BEGIN)[2].partition(presets.END)[0]
    assert set(presets.PRESETS) <= set(_native.preset_names())
    for preset in presets.PRESETS:
        assert f"`{preset}`" in tables
    for name in presets.LIMITS:
        row = re.escape(presets.NAMES[name])
        assert re.search(rf"^\| {row} \| 0\.\d{{3}} \|", tables, re.MULTILINE), name
