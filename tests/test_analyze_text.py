"""`analyze` for people: tables in 80 columns, and plots."""

from __future__ import annotations

import json
import re
import shutil
import sys
from typing import TYPE_CHECKING

import agentgen
import pytest
from agentgen.text.layout import Clauses, plain
from conftest import needs
from test_analyze import mooncake, only

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Invoke


def test_reuse_below_the_block_size_of_the_trace_is_a_lower_bound(small_run: Path) -> None:
    said = "(the trace tells content apart by 512: reuse is a lower bound)"

    def words(result: object) -> str:
        return " ".join(str(result).split())

    assert said in words(agentgen.analyze(small_run, block_size=16))
    assert said in words(agentgen.simulate(small_run, block_size=16, capacity_tokens="1M"))
    assert said in words(agentgen.plan(small_run, block_size=16, target_hit_rate=0.5, kv_bytes_per_token=1))
    assert "lower bound" not in words(agentgen.analyze(small_run, block_size=1024))


def test_tables_name_definitions_in_80_columns(
    invoke: Invoke, small_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small_run.parent)
    text = invoke("analyze", "run").stdout
    reuse = only(agentgen.analyze("run"))["reuse"]
    assert max(map(len, text.splitlines())) <= 80
    lines = text.splitlines()
    assert lines[0] == "run"
    both = [f"{100 * reuse[reading]['block_references']:.1f} %" for reading in ("linked", "standalone")]
    assert both[0] != both[1]
    row = next(line for line in lines if line.startswith("  blocks found / all blocks of the prompts  "))
    assert row.endswith(f"  {both[0]}      {both[1]}")
    start = lines.index("  timeline  50 open sessions; prefill 20,000, decode 60 tokens/s")
    assert lines[start + 1].startswith("            duration ")
    assert "nodes" not in text
    assert lines[-1].split() == ["distinct", "blocks", f"{reuse['size']['distinct_blocks']:,}"]
    assert "LRU cache by capacity: blocks found / all blocks of the prompts" in lines
    assert text == str(agentgen.analyze("run")) + "\n"


@pytest.mark.parametrize("count", [2, 5])
def test_several_traces_side_by_side(
    count: int, invoke: Invoke, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for index in range(1, count):
        agentgen.write_run(f"{index}", sessions=20, seed=index)
    agentgen.write_run("0", small_run, sessions=40)
    traces = [f"{index}" for index in range(count)]
    text = invoke("analyze", *traces).stdout
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert [f"{letter}  {trace}" for letter, trace in zip("ABCDE", traces, strict=False)] == [
        line for line in lines if line[:1] in "ABCDE" and line[1:3] == "  "
    ]
    analysis = agentgen.analyze(traces).to_dict()
    ks = next(each["ks"] for each in analysis["distances"] if (each["other"], each["metric"]) == ("1", "context"))
    start = next(index for index, line in enumerate(lines) if line.startswith("  prompt, tokens"))
    assert lines[start + 3].split()[:3] == ["KS", "-", f"{ks:.3f}"]
    assert "  A linked  A standalone  B linked" in text


def test_tables_break_between_traces_only(
    invoke: Invoke, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for index in range(5):
        agentgen.write_run(f"{index}", small_run if index in (1, 4) else "default", sessions=40, seed=index)
    lines = invoke("analyze", *"01234").stdout.splitlines()

    def headings(title: str) -> list[list[str]]:
        start = next(index for index, line in enumerate(lines) if line.startswith(title)) + 1
        length = lines[start:].index("")
        return [line.split() for line in lines[start : start + length] if line.split()[0] in "ABCDE"]

    for title, columns in (("by part", ["share", "found"]), ("by turn", ["requests", "found"])):
        rows = headings(title)
        assert len(rows) > 1
        whole = [
            [word for name in row[:: 2 * len(columns)] for column in columns for word in (name, column)] for row in rows
        ]
        assert rows == whole
    rates = headings("hit rate")
    expected = "A linked B linked B standalone C linked D linked E linked E standalone"
    assert " ".join(word for row in rates for word in row) == expected
    assert len(rates) > 1
    assert all(row[-2:] not in (["B", "linked"], ["E", "linked"]) for row in rates)


def test_a_trace_without_sessions_has_dashes_beside_one_that_has_them(
    invoke: Invoke, small_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small_run.parent)
    reuse = only(agentgen.analyze(mooncake()))["reuse"]
    assert (reuse["by_layer"], reuse["by_turn"]) == ([], [])
    lines = invoke("analyze", "run", mooncake()).stdout.splitlines()
    assert max(map(len, lines[lines.index("") :])) <= 80
    first = next(index for index, line in enumerate(lines) if line.startswith("  first prompt, tokens"))
    assert [line.split()[-1] for line in lines[first : first + 4]] == ["-"] * 4
    rows = [line.split() for line in lines if line.startswith(("  L1", "  turn ", "  after the first"))]
    assert len(rows) > 4
    assert all(row[-2:] == ["-", "-"] for row in rows if row[:2] != ["turns", "of"])
    assert any(row[-3] == "%" for row in rows)


@pytest.mark.parametrize(
    ("slots", "hint"),
    [
        (1, []),
        (4, []),
        (5, ["42 sessions fill 5 slots 8 times;", "more sessions come closer to a steady state"]),
        (20, ["42 sessions fill 20 slots twice;", "more sessions come closer to a steady state"]),
        (5_000, ["at most PEAK sessions open: the trace has no more"]),
    ],
)
def test_the_timeline_says_when_sessions_are_few(slots: int, hint: list[str], invoke: Invoke, small_run: Path) -> None:
    trace = only(agentgen.analyze(small_run, concurrency=slots))
    peak = trace["timeline"]["peak_open_sessions"]
    assert trace["sessions"] == 42
    assert peak == slots or 40 <= peak <= 42 < slots  # two wait for the sessions that they continue
    block = invoke("analyze", small_run, "--concurrency", slots).stdout.split("  timeline  ")[1].split("\n\n")[0]
    order, duration, *more = (line.strip() for line in block.splitlines())
    assert order.startswith(f"{slots:,} open session{'s' * (slots > 1)}; ")
    assert duration.startswith("duration ")
    assert more == [line.replace("PEAK", str(peak)) for line in hint]


def test_one_is_singular(invoke: Invoke, tmp_path: Path) -> None:
    rows = '{"session_id":"a","input_length":13,"output_length":1,"hash_ids":[0],"timestamp":0.0}\n'
    (tmp_path / "one.jsonl").write_text(rows)
    text = invoke("analyze", tmp_path / "one.jsonl", "--block-size", 1, "--trace-block-size", 16).stdout
    assert "  holds     1 request; 1 session\n" in text
    assert "  outputs   1 token\n" in text
    cached = (
        "cache blocks of 1 token (the trace tells content apart by 16: reuse is a lower bound); outputs stay cached"
    )
    assert cached in " ".join(text.split())
    assert "            at most 1 session open: the trace has no more\n" in text


def test_long_lines_break_between_clauses() -> None:
    clauses = ("12,454,000,000 requests;", "1,066,000,000 sessions,", "66,000,000 of them continue another-one")
    first, *rest = plain(Clauses(clauses, "  holds     ", " " * 12)).split("\n")
    assert [first, *rest] == [f"  holds     {clauses[0]} {clauses[1]}", f"{' ' * 12}{clauses[2]}"]


def test_mooncakes_tables_leave_out_what_it_does_not_know(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mooncake().parent)
    text = invoke("analyze", mooncake().name).stdout
    assert max(map(len, text.splitlines())) <= 80
    assert "  timeline  requests at their recorded times; prefill" in text
    for absent in ("turn", "session ", "standalone", "L1", "first prompt"):
        assert absent not in text, absent


@needs("matplotlib")
def test_plots(invoke: Invoke, small_run: Path, tmp_path: Path) -> None:
    text = invoke("analyze", small_run, mooncake(), "--plot", tmp_path / "plots").stdout
    drawn = {path.name for path in (tmp_path / "plots").iterdir()}
    kinds = ("curve", "ttl", "turns", "working_set")
    assert drawn == {f"{kind}.{form}" for kind in kinds for form in ("png", "svg")}
    for kind in kinds:
        assert (tmp_path / "plots" / f"{kind}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (tmp_path / "plots" / f"{kind}.svg").read_text()
        assert f"  {tmp_path / 'plots' / kind}.png" in text.splitlines()
    again = invoke("analyze", mooncake(), "--plot", tmp_path / "one", "--json").stdout
    assert json.loads(again)["traces"][0]["trace"] == str(mooncake())
    assert not (tmp_path / "one" / "turns.png").exists()  # its requests have no turns


@needs("matplotlib")
def test_legends_tell_several_traces_apart(small_run: Path, tmp_path: Path) -> None:
    svgs = {}
    for name, traces in {"one": [small_run], "two": [mooncake(), small_run]}.items():
        agentgen.analyze(traces).plot(tmp_path / name)
        for kind in ("curve", "turns", "working_set"):
            text = (tmp_path / name / f"{kind}.svg").read_text()
            svgs[name, kind] = set(re.findall("<!-- (.*) -->", text)), 'id="legend_1"' in text
    assert not svgs["one", "curve"][1]
    assert svgs["one", "working_set"][1]  # of the kinds of lines
    labels, legend = svgs["two", "curve"]
    assert legend
    assert {"A", "B", "100 %"} <= labels
    assert any(label.startswith("A  ") and "conversation_trace.jsonl: blocks of 512" in label for label in labels)
    labels, legend = svgs["two", "turns"]
    assert legend
    assert "B" in labels
    assert "A" not in labels  # it has no turns


@needs("matplotlib")
@pytest.mark.parametrize("name", ["_a", "$x$ 日本", "a" * 200])
def test_plots_of_traces_of_any_name(
    name: str, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(small_run, tmp_path / name)
    assert len(agentgen.analyze(name).plot(tmp_path / "plots")) == 8


def test_plots_name_what_they_need(invoke: Invoke, small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "agentgen.analysis.plots", raising=False)
    result = invoke("analyze", small_run, "--plot", "x", code=2)
    assert "--plot: needs matplotlib: pip install 'agentgen-traces[plot]'" in result.stderr
