"""`analyze`: figures against known ones and a slow oracle, JSON, frames and bad arguments."""

from __future__ import annotations

import doctest
import importlib
import json
import signal
import sys
from typing import TYPE_CHECKING, Any

import agentgen
import jsonschema
import pytest
from agentgen import _native
from agentgen.analysis.text import rate_at
from conftest import ROOT, needs, one_line_only, shared
from reuse_oracle import Oracle

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Invoke, Run


# Short enough to be followed token by token; half of the sessions are restarted.
SMALL: dict[str, Any] = {
    "max_prompt_tokens": 3_000,
    "block_size": 32,
    "cache": {
        "layer1_tokens": 200,
        "layer1_5_tokens": 100,
        "layer1_5_groups": {"num_groups": 4, "zipf_alpha": 0.6},
        "layer2": {"mean": 150, "median": 100, "max": 500},
    },
    "new_tokens_per_turn": {"mean": 120, "median": 80, "max": 1_000, "bias": 1},
    "generation_length": {"mean": 60, "median": 40, "max": 300},
    "restart_initial_probability": 0.5,
    "restart_turn_range": [3, 8],
    "calibrate": False,
}


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tiny") / "run"
    agentgen.write_run(directory, SMALL, sessions=60, seed=3)
    return directory


def mooncake() -> Path:
    return shared("mooncake/conversation_trace.jsonl")


def only(analysis: agentgen.Analysis) -> dict[str, Any]:
    """The one trace of an analysis."""
    (trace,) = analysis.to_dict()["traces"]
    result: dict[str, Any] = trace
    return result


def test_the_published_figures_of_mooncake() -> None:
    reuse = only(agentgen.analyze(mooncake()))["reuse"]
    assert {name: rate and round(100 * rate, 1) for name, rate in reuse["linked"].items()} == {
        "block_references": 36.6,
        "full_blocks": 38.2,
        "token_weighted": 37.4,
        "request_mean": 40.9,
        "session_mean": None,
    }
    assert reuse["standalone"] is None
    curve = reuse["capacity_curve"]
    for tokens, percent in ((1e6, 5.3), (3e6, 13.6), (10e6, 28.5), (30e6, 35.9), (50e6, 36.35)):
        assert 100 * rate_at(curve, int(tokens)) == pytest.approx(percent, abs=0.05)
    assert curve[-1]["hit_rate"] == reuse["linked"]["block_references"]


@pytest.mark.parametrize("outputs", [True, False])
@pytest.mark.parametrize("block", [8, 32, 100])
def test_figures_are_those_of_the_slow_way(block: int, *, outputs: bool, tiny_run: Path) -> None:
    file = tiny_run / "dataset.jsonl"
    reuse = only(agentgen.analyze(file, block_size=block, cached_outputs=outputs, concurrency=7))["reuse"]
    for reading in ("linked", "standalone"):
        oracle = Oracle(file, 32, block, reading=reading, outputs=outputs, concurrency=7)
        rates = {name: reuse[reading][name] for name in oracle.rates}
        assert rates == pytest.approx(oracle.rates, abs=1e-12)
        if reading == "linked":
            assert {turn["turn_index"]: turn["hit_tokens"] for turn in reuse["by_turn"]} == dict(oracle.by_turn)
            assert reuse["size"]["distinct_blocks"] == oracle.distinct_blocks
            for point in reuse["ttl"][:-1]:
                assert point["hit_rate"] == pytest.approx(oracle.within(point["ttl_ms"]), abs=1e-12)
            for point in reuse["capacity_curve"][:: 5 * block]:
                assert point["hit_rate"] == pytest.approx(oracle.lru(point["capacity_blocks"]), abs=1e-12)
    assert reuse["linked"]["token_weighted"] > reuse["standalone"]["token_weighted"]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("block", [16, 64, 512, 1024])
def test_both_layouts_have_the_same_figures(block: int, form: str, tmp_path: Path) -> None:
    found = []
    for layout in ("incremental", "cumulative"):
        agentgen.write_run(tmp_path / layout, "aiperf-1k-200k", sessions=60, seed=7, layout=layout, formats=[form])
        trace = only(agentgen.analyze(tmp_path / layout, block_size=block))
        assert (trace["layout"], trace["trace_block_size"], trace["block_size"]) == (layout, 512, block)
        trace["reuse"]["size"] = trace["reuse"]["size"]["distinct_blocks"]
        found.append({part: trace[part] for part in ("sessions", "lengths", "timeline", "reuse")})
    assert found[0]["reuse"]["linked"]["token_weighted"] > 0.5
    assert found[0] == found[1]


def test_parts_add_up(small_run: Path) -> None:
    trace = only(agentgen.analyze(small_run))
    reuse = trace["reuse"]
    assert [layer["layer"] for layer in reuse["by_layer"]] == ["l1", "l1_5", "l2", "carried", "history"]
    for part in ("by_layer", "by_turn"):
        assert sum(row["prompt_tokens"] for row in reuse[part]) == trace["prompt_tokens"]
        found = sum(row["hit_tokens"] for row in reuse[part])
        assert found / trace["prompt_tokens"] == reuse["linked"]["token_weighted"]
    assert reuse["ttl"][-1] == {"ttl_ms": None, "hit_rate": reuse["linked"]["token_weighted"]}
    distinct = reuse["size"]["distinct_blocks"] * trace["block_size"]
    assert reuse["working_set"][-1]["distinct_tokens"] == distinct
    assert trace["continuations"] > 0


def test_more_sessions_at_once_need_more_memory(small_run: Path) -> None:
    few, many = (only(agentgen.analyze(small_run, concurrency=slots)) for slots in (1, 40))
    assert few["reuse"]["linked"] == pytest.approx(many["reuse"]["linked"], abs=0.02)
    assert rate_at(few["reuse"]["capacity_curve"], 500_000) > rate_at(many["reuse"]["capacity_curve"], 500_000) + 0.2
    assert few["timeline"]["concurrency"] == few["timeline"]["peak_open_sessions"] == 1
    assert many["timeline"]["peak_open_sessions"] == 40
    assert few["timeline"]["duration_ms"] > many["timeline"]["duration_ms"]


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("layout", ["incremental", "cumulative"])
def test_quality_has_the_figures_of_the_rows(seed: int, layout: str, tmp_path: Path) -> None:
    """Sessions of one or two blocks of their own, half of them continued: every way in which chains can meet."""
    config: dict[str, Any] = {
        "block_size": 16,
        "max_prompt_tokens": 300,
        "cache": {
            "layer1_tokens": 32,
            "layer1_5_tokens": 16,
            "layer1_5_groups": {"num_groups": 3},
            "layer2": {"mean": 20, "sigma": 0.5, "max": 60},
        },
        "new_tokens_per_turn": {"mean": 12, "sigma": 0.8, "max": 60, "bias": 1},
        "generation_length": {"mean": 6, "sigma": 0.8, "min": 1, "max": 30},
        "restart_initial_probability": 1,
        "restart_turn_range": [1, 4],
        "calibrate": False,
    }
    agentgen.write_run(tmp_path / "run", config, sessions=200, seed=seed, layout=layout)
    reported = json.loads((tmp_path / "run" / "quality.json").read_text())["reuse"]
    reuse = only(agentgen.analyze(tmp_path / "run"))["reuse"]
    assert reuse["linked"]["token_weighted"] > reuse["standalone"]["token_weighted"]
    for reading in ("linked", "standalone"):
        # Who of two finds what they share depends on the order: of the file here, of the timeline there.
        exact = {name: reuse[reading][name] for name in ("block_references", "full_blocks", "token_weighted")}
        assert {name: reported[reading][name] for name in exact} == pytest.approx(exact, abs=1e-12)
        assert reported[reading] == pytest.approx(reuse[reading], abs=0.01)


def test_slower_requests_take_longer(small_run: Path) -> None:
    slow = agentgen.analyze(small_run, prefill_tokens_per_second=100, decode_tokens_per_second=1.5)
    assert only(slow)["timeline"]["prefill_tokens_per_second"] == 100
    slow_ms, usual_ms = (only(each)["timeline"]["duration_ms"] for each in (slow, agentgen.analyze(small_run)))
    assert slow_ms > 10 * usual_ms


@pytest.mark.parametrize(
    "name", ["analysis", "export", "fidelity", "fit", "plan", "simulation", "validation", "import", "tool-times"]
)
def test_checked_in_schemas_are_of_the_compiled_types(name: str) -> None:
    text = (ROOT / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8")
    assert text == _native.schema(name) + "\n"
    jsonschema.Draft202012Validator.check_schema(json.loads(text))


def test_json_is_all_there_is(run: Run, small_run: Path, tmp_path: Path) -> None:
    agentgen.write_run(tmp_path / "other", sessions=5)
    done = run("analyze", small_run, tmp_path / "other", "--json")
    assert done.stderr == ""
    reported = json.loads(done.stdout)
    jsonschema.validate(reported, json.loads((ROOT / "schemas" / "analysis.schema.json").read_text(encoding="utf-8")))
    analysis = agentgen.analyze([small_run, tmp_path / "other"])
    assert reported == analysis.to_dict()
    assert done.stdout == analysis.to_json() + "\n"
    assert [trace["trace"] for trace in reported["traces"]] == [str(small_run), str(tmp_path / "other")]


def test_what_it_says_is_nobodys_to_change(small_run: Path) -> None:
    analysis = agentgen.analyze(small_run)
    analysis.to_dict()["traces"].clear()
    assert only(analysis)["requests"] > 0
    assert analysis == agentgen.analyze(small_run)
    assert hash(analysis) == hash(agentgen.analyze(small_run))
    assert repr(analysis) == f"Analysis(traces=[{str(small_run)!r}], sessions=42, requests=409)"


@needs("polars")
def test_frames_hold_the_figures(small_run: Path) -> None:
    pl = importlib.import_module("polars")
    analysis = agentgen.analyze([small_run, mooncake()])
    first, second = analysis.to_dict()["traces"]
    found = {"prompt_tokens": pl.UInt64, "hit_tokens": pl.UInt64, "hit_rate": pl.Float64}
    statistics = dict.fromkeys(("mean", "std", "median", "p05", "p25", "p75", "p95", "p99"), pl.Float64)
    columns = {
        "rates": {"reading": pl.String, "definition": pl.String, "hit_rate": pl.Float64},
        "layers": {"layer": pl.String, **found},
        "turns": {"turn_index": pl.UInt32, "requests": pl.UInt64, **found},
        "curve": {"capacity_blocks": pl.UInt64, "capacity_tokens": pl.UInt64, "hit_rate": pl.Float64},
        "ttl": {"ttl_ms": pl.Float64, "hit_rate": pl.Float64},
        "working_set": {
            "time_ms": pl.Float64,
            **dict.fromkeys(("distinct_tokens", "live_tokens", "recent_tokens"), pl.UInt64),
        },
        "lengths": {"metric": pl.String, "count": pl.UInt64, **statistics},
        "distances": {"other": pl.String, "metric": pl.String, "ks": pl.Float64},
    }
    for name, schema in columns.items():
        frame = getattr(analysis, name)
        assert dict(frame.schema) == {"trace": pl.String, **schema}, name
        assert frame.height > 0
    assert analysis.rates.height == 3 * 5  # the first trace is read both ways
    rate = pl.col("definition") == "full_blocks", pl.col("reading") == "standalone"
    assert analysis.rates.filter(*rate)["hit_rate"].to_list() == [first["reuse"]["standalone"]["full_blocks"]]
    of_second = analysis.curve.filter(pl.col("trace") == str(mooncake())).drop("trace")
    assert of_second.to_dicts() == second["reuse"]["capacity_curve"]
    assert analysis.ttl["ttl_ms"].null_count() == 2
    assert set(analysis.distances["metric"]) == {"context", "generation_length"}
    assert agentgen.analyze(small_run).distances.schema == analysis.distances.schema


def test_frames_name_what_they_need(small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = agentgen.analyze(small_run)
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ImportError, match=r"^Analysis.rates needs polars: pip install 'agentgen-traces\[polars\]'$"):
        _ = analysis.rates


BAD: list[tuple[tuple[str, ...], str]] = [
    (("nowhere",), "Path 'nowhere' does not exist"),
    ((".",), ".: found no data set"),
    (("empty.jsonl",), "empty.jsonl: empty: found no rows, expected at least one row"),
    (("text.jsonl",), "text.jsonl:1: json: "),
    (("t", "t"), "TRACE...: found a trace twice, expected different traces."),
    (("t", "--block-size", "0"), "found 0, expected a whole number from 1"),
    (("t", "--trace-block-size", "0"), "found 0, expected a whole number from 1"),
    (("t", "--concurrency", "0"), "found 0, expected a whole number from 1 to 1000000"),
    (("t", "--prefill-rate", "0"), "found 0, expected a number of at least 0.001."),
    (("t", "--decode-rate", "5e-324"), "found 5e-324, expected a number of at least 0.001."),
    (("t", "--prefill-rate", "-1"), "found -1, expected a number of at least 0.001."),
    (("t", "--decode-rate", "nan"), "found nan, expected a number of at least 0.001."),
    (("t", "--decode-rate", "1e999"), "found 1e999, expected a number of at least 0.001."),
    (("t", "--trace-layout", "flat"), "'flat' is not one of"),
    (("t", "--plot", "text.jsonl"), "Directory 'text.jsonl' is a file"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(bad[0]) for bad in BAD])
def test_bad_usage(
    arguments: tuple[str, ...], message: str, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t").mkdir()
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "text.jsonl").write_text("text\n")
    result = invoke("analyze", *arguments, code=2)
    assert result.stdout == ""
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    one_line_only(result.exit_code, result.stderr)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"block_size": 0}, "block_size: found 0, expected a whole number from 1"),
        ({"trace_block_size": 0}, "trace_block_size: found 0, expected a whole number from 1"),
        ({"concurrency": 0}, "concurrency: found 0, expected a whole number from 1 to 1000000"),
        ({"threads": 0}, "threads: found 0, expected a whole number from 1"),
        ({"trace_layout": "flat"}, "trace_layout: found 'flat', expected one of incremental, cumulative"),
        ({"prefill_tokens_per_second": 0}, "prefill_tokens_per_second: found 0, expected a number of at least 0.001"),
        (
            {"decode_tokens_per_second": float("nan")},
            "decode_tokens_per_second: found nan, expected a number of at least 0.001",
        ),
        (
            {"decode_tokens_per_second": "60s"},
            "decode_tokens_per_second: found '60s', expected a number of at least 0.001",
        ),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str, small_run: Path) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        agentgen.analyze(small_run, **arguments)


@needs("matplotlib")
def test_figures_are_not_lost_with_their_plots(invoke: Invoke, small_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = invoke("analyze", small_run, "--plot", tmp_path / "file" / "plots", code=1)
    assert result.stdout == invoke("analyze", small_run).stdout
    assert result.stderr == f"agentgen: error: {tmp_path / 'file' / 'plots'}: Not a directory\n"


def test_bad_traces(small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^traces: found none, expected at least one"):
        agentgen.analyze([])
    with pytest.raises(ValueError, match=r"^traces: found '.*' twice, expected each once$"):
        agentgen.analyze([small_run, str(small_run)])
    with pytest.raises(FileNotFoundError):
        agentgen.analyze(tmp_path / "nowhere")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("many") / "run"
    agentgen.write_run(directory, sessions=20_000, formats=["parquet"])
    return directory


def by_many_names(directory: Path) -> list[str]:
    """The directory again and again, to be analyzed for longer than it was made."""
    return [str(directory) + "/." * count for count in range(50)]


def test_a_directory_with_a_slash_is_named_once(tmp_path: Path, invoke: Invoke) -> None:
    run = tmp_path / "run"
    agentgen.write_run(run, sessions=2, formats=["jsonl"])
    rows = (run / "dataset.jsonl").read_text(encoding="utf-8").splitlines()
    (run / "dataset.jsonl").write_text("\n".join([*rows[:5], "{"]) + "\n", encoding="utf-8")
    error = invoke("analyze", f"{run}/", code=2).stderr
    assert error.startswith(f"agentgen: error: {run}/dataset.jsonl: digest: ")


def test_progress_counts_sessions(many: Path) -> None:
    seen: list[tuple[int, int]] = []

    def refuse(done: int, in_all: int) -> None:
        seen.append((done, in_all))
        if done > 0:  # a busy machine may have done nothing at the first call
            raise RuntimeError(f"{done} of {in_all}")

    with pytest.raises(RuntimeError, match=r"^[0-9]+ of 0$"):
        agentgen.analyze(by_many_names(many), progress=refuse)
    assert seen == sorted(seen)
    assert 0 < seen[-1][0] < 50 * 20_000


def test_ctrl_c_stops_the_work(many: Path) -> None:
    seen: list[int] = []

    def interrupt(done: int, _in_all: int) -> None:
        seen.append(done)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        agentgen.analyze(by_many_names(many), progress=interrupt)
    assert seen[-1] < 50 * 20_000
    with pytest.raises(KeyboardInterrupt):
        agentgen.plan(many, target_hit_rate=0.9, kv_bytes_per_token=1000, replica_bytes=10**8, progress=interrupt)


@pytest.mark.parametrize(
    ("outputs", "rates"),
    [
        (True, (10 / 18, 10 / 15, 40 / 65, (16 / 23 + 24 / 29) / 3)),
        (False, (8 / 18, 8 / 15, 32 / 65, (12 / 23 + 20 / 29) / 3)),
    ],
)
def test_the_worked_example_of_the_documentation(*, outputs: bool, rates: tuple[float, ...], tmp_path: Path) -> None:
    text = (ROOT / "docs" / "reuse.md").read_text()
    rows = text.split("```jsonl\n")[1].split("```")[0]
    (tmp_path / "example.jsonl").write_text(rows)
    arguments: dict[str, Any] = {"trace_layout": "incremental", "trace_block_size": 4, "cached_outputs": outputs}
    reuse = only(agentgen.analyze(tmp_path / "example.jsonl", **arguments))["reuse"]
    names = ("block_references", "full_blocks", "token_weighted", "request_mean", "session_mean")
    assert [reuse["linked"][name] for name in names] == pytest.approx([*rates, rates[2]], abs=1e-12)
    if outputs:
        curve = {point["capacity_blocks"]: point["hit_rate"] for point in reuse["capacity_curve"]}
        assert curve == pytest.approx({0: 0, 1: 2 / 18, 2: 4 / 18, 3: 6 / 18, 4: 8 / 18, 5: 9 / 18, 6: 10 / 18})
        ttl = {point["ttl_ms"]: point["hit_rate"] for point in reuse["ttl"]}
        assert (ttl[1_000.0], ttl[10_000.0], ttl[30_000.0]) == pytest.approx((16 / 65, 16 / 65, 40 / 65))


@needs("polars")
@pytest.mark.parametrize("name", ["analyze", "plan", "simulate"])
def test_examples_in_the_documentation(name: str, tmp_path: Path) -> None:
    module = importlib.import_module(f"agentgen.analysis.{name}")
    runner = doctest.DocTestRunner()
    for number, example in enumerate(doctest.DocTestFinder().find(module, extraglobs={"agentgen": agentgen})):
        example.globs["directory"] = tmp_path / str(number)
        runner.run(example)
    assert runner.tries > 0
    assert runner.failures == 0
