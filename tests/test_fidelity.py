"""`agentgen.fidelity`: distances of traces, against their definitions in numpy."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import agentgen
import jsonschema
import numpy as np
import pytest
from agentgen import _native
from recorded import BLOCK, conversations, write

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Open
    from recorded import Call


def features(made: list[list[Call]]) -> dict[str, list[float]]:
    """The values of each quantity."""
    found: dict[str, list[float]] = {}

    def add(name: str, value: float) -> None:
        found.setdefault(name, []).append(float(value))

    for calls in made:
        add("calls", len(calls))
        add("human_turns", sum(call["trigger"] == "human" for call in calls))
        add("first_prompt", calls[0]["prompt"])
        add("last_prompt", calls[-1]["prompt"])
        starts = [index for index, call in enumerate(calls) if call["trigger"] == "human"]
        for start, end in zip(starts, [*starts[1:], len(calls)], strict=True):
            add("calls_per_human_turn", end - start)
        means: dict[str, list[float]] = {"growth": [], "output": [], "wait": []}
        for call in calls:
            add("prompt", call["prompt"])
            add("output", call["output"])
            means["output"].append(call["output"])
        for before, call in pairwise(calls):
            if call["kept"] >= before["prompt"] / 2:
                growth = max(0, call["prompt"] - before["prompt"] - before["output"])
                add(f"new_{call['trigger']}", growth)
                add("growth", growth)
                means["growth"].append(growth)
            add(f"wait_{call['trigger']}_s", call["wait"] / 1000)
            add("wait_s", call["wait"] / 1000)
            means["wait"].append(call["wait"] / 1000)
        for name, values in means.items():
            if len(values) >= 5:
                add(f"session_mean_log_{name}", np.log1p(values).mean())
    return found


def ks(a: list[float], b: list[float]) -> float:
    x, y = np.sort(a), np.sort(b)
    z = np.concatenate([x, y])
    return float(np.abs(np.searchsorted(x, z, "right") / len(x) - np.searchsorted(y, z, "right") / len(y)).max())


def reuse(made: list[list[Call]], ttl_s: float) -> float:
    found = prompts = 0.0
    for calls in made:
        prompts += sum(call["prompt"] for call in calls)
        for index in range(1, len(calls)):
            before, call = calls[index - 1], calls[index]
            uncached = before["prompt"] - min(before["kept"] or 0, before["prompt"])
            service = 1.18 + 0.0159 * before["output"] + 12.4e-6 * uncached + 10.4e-6 * before["prompt"]
            if service + call["wait"] / 1000 <= ttl_s:
                found += min(call["kept"], call["prompt"]) // BLOCK * BLOCK
    return found / prompts


@pytest.fixture(scope="module")
def made() -> tuple[list[list[Call]], list[list[Call]]]:
    return conversations(1, 150, 1.0), conversations(2, 90, 1.1)


def test_distances_are_those_of_their_definitions(
    tmp_path: Path, made: tuple[list[list[Call]], list[list[Call]]]
) -> None:
    source, other = write(tmp_path / "source.parquet", made[0]), write(tmp_path / "other.parquet", made[1])
    found = agentgen.fidelity(source, other)
    data = found.to_dict()
    jsonschema.validate(data, json.loads(_native.schema("fidelity")))
    expected = [features(part) for part in made]
    assert {quantity["quantity"] for quantity in data["quantities"]} == set(expected[0])
    for quantity in data["quantities"]:
        a, b = (part[quantity["quantity"]] for part in expected)
        assert quantity["ks"] == pytest.approx(ks(a, b)), quantity["quantity"]
        for share, name in ((50, "p50"), (90, "p90")):
            assert quantity[name]["source"] == pytest.approx(np.percentile(a, share)), quantity["quantity"]
            assert quantity[name]["generated"] == pytest.approx(np.percentile(b, share)), quantity["quantity"]
        assert quantity["is_far"] == (quantity["ks"] > 1.5 * quantity["ks_of_halves"])
    for side, part in zip(("source", "generated"), made, strict=True):
        steps = [pair for calls in part for pair in pairwise(calls)]
        lost = sum(call["kept"] < before["prompt"] / 2 for before, call in steps) / len(steps)
        assert data["breaks"]["lost"][side] == pytest.approx(lost)
        assert data["reuse"]["infinite"][side] == pytest.approx(reuse(part, float("inf")))
        assert data["reuse"]["ttl_01_min"][side] == pytest.approx(reuse(part, 60))
        assert data["reuse"]["ttl_05_min"][side] == pytest.approx(reuse(part, 300))
    assert found.far == tuple(quantity["quantity"] for quantity in data["quantities"] if quantity["is_far"])
    assert found.to_polars().height == len(data["quantities"])


def test_a_trace_is_at_no_distance_from_itself(tmp_path: Path, made: tuple[list[list[Call]], list[list[Call]]]) -> None:
    source = write(tmp_path / "source.parquet", made[0])
    found = agentgen.fidelity(source, source)
    assert found.far == ()
    assert {quantity["ks"] for quantity in found.to_dict()["quantities"]} == {0.0}
    assert "no quantity is more than 1.5 times as far as the halves" in str(found)
    # One half and the other are each other's complement.
    half = agentgen.fidelity(source, source, half=True).to_dict()["source"]["conversations"]
    assert 0 < half < len(made[0])


def test_the_page_shows_every_quantity(
    tmp_path: Path, made: tuple[list[list[Call]], list[list[Call]]], show: Open
) -> None:
    source, other = write(tmp_path / "source.parquet", made[0]), write(tmp_path / "other.parquet", made[1])
    found = agentgen.fidelity(source, other)
    written = found.write_page(tmp_path / "pages")
    assert written.name == "fidelity.html"
    page = show(written)
    quantities = found.to_dict()["quantities"]
    rows = page.locator("#distances-table tbody tr")
    assert rows.count() == len(quantities)
    for row, quantity in zip(rows.all_inner_texts(), quantities, strict=True):
        assert f"{quantity['ks']:.3f}" in row
        assert row.split("\t")[3].strip() == ("far" if quantity["is_far"] else "")
    # A distribution and a quantile plot each, the sessions, reuse and breaks.
    page.wait_for_function(
        "count => document.querySelectorAll('.chart[data-drawn]').length === count", arg=2 * len(quantities) + 3
    )


def test_several_traces_are_one_source(tmp_path: Path, made: tuple[list[list[Call]], list[list[Call]]]) -> None:
    whole = write(tmp_path / "whole.parquet", made[0])
    parts = [write(tmp_path / "a.parquet", made[0][:60]), write(tmp_path / "b.parquet", made[0][60:])]
    assert agentgen.fidelity(parts, whole).to_dict()["source"]["conversations"] == len(made[0])
    assert {quantity["ks"] for quantity in agentgen.fidelity(parts, whole).to_dict()["quantities"]} == {0.0}


def test_a_trace_without_triggers_has_no_quantities_by_trigger(tmp_path: Path) -> None:
    agentgen.write_run(tmp_path / "run", sessions=40, formats=("parquet",))
    names = {row["quantity"] for row in agentgen.fidelity(tmp_path / "run", tmp_path / "run").to_dict()["quantities"]}
    assert {"growth", "wait_s", "calls", "first_prompt"} <= names
    assert not names & {"new_tool", "wait_human_s", "human_turns", "calls_per_human_turn"}
