"""`agentgen fit`: from a trace to a configuration, and how far a run of it is from the trace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import agentgen
import jsonschema
import pytest
import yaml
from agentgen import _native
from recorded import conversations, write

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Invoke


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("source") / "source.parquet", conversations(7, 240, 1.0))


def test_a_run_of_the_fitted_configuration_is_near_its_source(invoke: Invoke, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.yaml"
    result = invoke("fit", source, "-o", target, "--report", "--sessions", 400, "--json")
    found = json.loads(result.stdout)
    jsonschema.validate(found["fit"], json.loads(_native.schema("fit")))
    jsonschema.validate(found["fidelity"], json.loads(_native.schema("fidelity")))
    assert found["fit"]["conversations"] == found["fidelity"]["source"]["conversations"] == 240
    assert found["fidelity"]["generated"]["conversations"] == 400
    near = {row["quantity"]: row["ks"] for row in found["fidelity"]["quantities"]}
    for quantity in ("first_prompt", "output", "new_tool", "wait_tool_s", "wait_human_s"):
        assert near[quantity] < 0.09, (quantity, near)
    breaks = found["fidelity"]["breaks"]["lost"]
    assert breaks["generated"] == pytest.approx(breaks["source"], rel=0.2)
    assert invoke("config", "check", target).exit_code == 0


def test_the_file_is_a_function_of_the_rows_and_says_where_its_values_come_from(
    invoke: Invoke, source: Path, tmp_path: Path
) -> None:
    files = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    for file, threads in zip(files, (1, 3), strict=True):
        assert "estimated from" in invoke("fit", source, "-o", file, "--threads", threads).stdout
    text = files[0].read_text(encoding="utf-8")
    assert text == files[1].read_text(encoding="utf-8")
    assert yaml.safe_load(text) == agentgen.fit(source).config
    assert text.startswith("# Estimated by agentgen fit from ")
    sections = [line.split(":")[0] for line in text.splitlines() if line[:1].isalpha()]
    assert sections == list(agentgen.fit(source).config)
    assert text.count("\n\n# ") == len(sections)


def test_families_are_chosen_by_values_that_the_estimate_has_not_seen(source: Path) -> None:
    choices = {choice["field"]: choice for choice in agentgen.fit(source).choices}
    outputs = dict(choices["generation_length"]["scores"])
    # Outputs are lognormal with sigma 1: a family that is not the best is not chosen for more parameters alone.
    assert choices["generation_length"]["chosen"] == "lognormal", outputs
    assert outputs["lognormal"] > outputs["weibull"] > outputs["pareto"] - 1
    stated = agentgen.fit(source).config["generation_length"]
    assert stated["median"] == pytest.approx(148, rel=0.08)
    assert stated["sigma"] == pytest.approx(1, rel=0.05)


def test_half_of_the_sessions_is_compared_with_the_other(invoke: Invoke, source: Path, tmp_path: Path) -> None:
    found: dict[str, Any] = json.loads(
        invoke(
            *("fit", source, "-o", tmp_path / "half.yaml", "--half", "--report", "--sessions", 60, "--json"),
            *("--page", tmp_path / "pages"),
        ).stdout
    )
    page = (tmp_path / "pages" / "fidelity.html").read_text(encoding="utf-8")
    assert f'"source":{{"conversations":{found["fidelity"]["source"]["conversations"]},' in page
    fitted, compared = found["fit"]["conversations"], found["fidelity"]["source"]["conversations"]
    assert fitted + compared == 240
    assert min(fitted, compared) > 80


def test_the_report_names_what_is_far_off(invoke: Invoke, tmp_path: Path) -> None:
    # Lengths that alternate between two values within a session have no session effects, and no family.
    made = conversations(3, 60, 1.0)
    for number, calls in enumerate(made):
        for call in calls:
            call["output"] = 1_000_000 if number % 10 == 0 else 10
    source = write(tmp_path / "odd.parquet", made)
    text = invoke("fit", source, "-o", tmp_path / "odd.yaml", "--report", "--sessions", 100).stdout
    assert "distances (KS" in text
    assert "more than 1.5 times as far as the halves" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sessions", "5"], "--sessions needs --report."),
        (["--seed", "5"], "--seed needs --report."),
        (["--page", "pages"], "--page needs --report."),
    ],
)
def test_options_of_the_report_need_it(
    invoke: Invoke, source: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    assert message in invoke("fit", source, "-o", tmp_path / "x.yaml", *arguments, code=2).stderr


def test_an_existing_file_is_kept(invoke: Invoke, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.yaml"
    target.write_text("mine", encoding="utf-8")
    assert "expected a new name (or --force)" in invoke("fit", source, "-o", target, code=2).stderr
    assert target.read_text(encoding="utf-8") == "mine"
    invoke("fit", source, "-o", target, "--force")
    assert target.read_text(encoding="utf-8").startswith("# Estimated")


def test_a_few_sessions_are_not_enough(tmp_path: Path) -> None:
    few = write(tmp_path / "few.parquet", conversations(1, 9, 1.0))
    with pytest.raises(agentgen.TraceError, match="found 9 sessions of main agents, expected at least 10"):
        agentgen.fit(few)


def test_a_trace_without_triggers_and_links_can_be_fitted(tmp_path: Path) -> None:
    agentgen.write_run(tmp_path / "run", sessions=120, formats=("parquet",))
    config = agentgen.fit(tmp_path / "run").config
    assert "breaks" not in config
    assert "subagents" not in config
    agentgen.write_run(tmp_path / "again", config, sessions=20, formats=("parquet",))
