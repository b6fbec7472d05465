"""Pages as a browser shows them: no request, no error, every chart drawn, and the numbers of `analyze --json`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import agentgen
import pytest
from agentgen import _native
from agentgen.analysis.figures import assumptions
from agentgen.pages import replay
from replayed import replayed

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Open
    from playwright.sync_api import Page

HOSTILE = [
    "</script><script>window.hostile = 1</script>",
    "<img src=x onerror='window.hostile = 2'>",
    "\"><svg onload=window.hostile=3> ' `${window.hostile = 4}`",
    "emoji 🦀 and \u202eright to left\u202c שלום",
    "javascript:window.hostile=5",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pages") / "run"
    agentgen.write_run(directory, "aiperf-1k-200k", sessions=200, seed=7)
    agentgen.report(directory)
    return directory


@pytest.fixture(scope="module")
def trace(run: Path) -> Any:
    return agentgen.analyze(run).to_dict()["traces"][0]


def explored(run: Path) -> Any:
    """Sessions request by request, from the compiled core."""
    return json.loads(_native.survey([str(run)], assumptions(), sessions=100_000, turns=12_000))["explored"]


def hostile_trace(directory: Path) -> Path:
    trace = directory / "x<b>&'.jsonl"
    rows = []
    for number, name in enumerate(HOSTILE):
        for turn in range(3):
            row = {"session_id": name, "input_length": 40, "output_length": 9, "hash_ids": [9 * number + turn]}
            rows.append(row | ({"delay": 10.0} if turn else {"timestamp": 0.0, "group_id": number}))
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return trace


def test_every_chart_of_the_report_is_drawn(show: Open, run: Path) -> None:
    page = show(run / "report.html")
    charts = page.locator(".chart").all()
    assert len(charts) >= 14
    for chart in charts:
        marks = chart.locator("svg .mark-line path, svg .mark-rect path, svg .mark-area path")
        assert marks.count() > 0, chart.locator("xpath=..").get_attribute("id")
    for figure in page.locator("figure").all():
        assert figure.locator("h3 .units").inner_text()
        figure.locator("summary").click()
        figure.locator("tbody tr").first.wait_for()
    assert page.locator("figure svg[role=img][aria-label]").count() == len(charts)


def test_the_report_has_the_numbers_of_analyze(show: Open, run: Path, trace: Any) -> None:
    page = show(run / "report.html")
    tiles = page.locator("#tiles dd").all_inner_texts()
    assert tiles[0].startswith(f"{trace['sessions']:,}")
    assert tiles[1].startswith(f"{trace['requests']:,}")
    found = {cells[0]: cells[2:] for cells in table(page, "#rates-table")}
    for definition, rate in trace["reuse"]["linked"].items():
        assert found[definition] == [f"{100 * rate:.1f} %", f"{100 * trace['reuse']['standalone'][definition]:.1f} %"]
    curve = [point for point in trace["reuse"]["capacity_curve"] if point["capacity_blocks"] > 0]
    assert numbers(page, "capacity-curve") == [
        [f"{point['capacity_tokens']:,}", f"{point['capacity_blocks']:,}", f"{100 * point['hit_rate']:.1f} %"]
        for point in curve
    ]
    assert [row[1] for row in numbers(page, "ttl-curve")] == [
        f"{100 * point['hit_rate']:.1f} %" for point in trace["reuse"]["ttl"] if point["ttl_ms"] != 0
    ]
    quality = json.loads((run / "quality.json").read_text(encoding="utf-8"))["metrics"]["generation_length"]
    (row,) = (cells for cells in table(page, "#targets-table") if cells[0] == "Output")
    assert row[1:3] == ["1,000", f"{quality['observed']['mean']:,.0f}"]
    assert row[3] == f"{quality['error_percent']['mean']:+.2f} %".replace("-", "\N{MINUS SIGN}")


def table(page: Page, selector: str) -> list[list[str]]:
    return [row.locator("th, td").all_inner_texts() for row in page.locator(f"{selector} tbody tr").all()]


def numbers(page: Page, figure: str) -> list[list[str]]:
    page.locator(f"#{figure} summary").click()
    page.locator(f"#{figure} tbody tr").first.wait_for()
    script = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    cells: list[list[str]] = page.locator(f"#{figure} tbody tr").evaluate_all(script)
    return cells


def test_values_show_under_the_pointer(show: Open, run: Path) -> None:
    page = show(run / "report.html")
    bar = page.locator("#distribution-generation_length .mark-rect path").nth(30)
    bar.hover()
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert "Target" in page.locator("#vg-tooltip-element").inner_text()


def test_sessions_are_found_sorted_and_filtered(show: Open, run: Path) -> None:
    page = show(run / "cache_explorer.html")
    sessions = page.locator("#sessions button")
    assert sessions.count() == 25
    first = sessions.first.locator(".name").inner_text()
    page.locator("#next").click()
    assert sessions.first.locator(".name").inner_text() != first
    page.locator("#search").fill(first.upper()[-8:])
    assert sessions.locator(".name").all_inner_texts() == [first]
    page.locator("#search").fill("")
    page.locator("#order").select_option("turns")
    counts = [int(text.split(" · ")[1].split()[0]) for text in sessions.locator(".about").all_inner_texts()]
    assert counts == sorted(counts, reverse=True)
    page.locator("#end").select_option("forced_retire")
    assert 0 < int(page.locator("#status").inner_text().split()[-2]) < 200
    page.locator("#search").fill("no such session")
    assert page.locator("#status").inner_text() == "No matching session."


def test_a_continuation_leads_to_its_origin(show: Open, run: Path) -> None:
    page = show(run / "cache_explorer.html")
    page.locator("#kind").select_option("continuation")
    page.locator("#sessions details button").first.click()
    name = page.locator("#detail-title").inner_text()
    facts = page.locator("#detail dl").inner_text()
    assert "tokens carried over" in facts
    origin = page.locator("#detail dd a").first
    parent = origin.inner_text()
    origin.click()
    assert page.locator("#detail-title").inner_text() == parent
    assert "restart_split" in page.locator("#detail dl").inner_text()
    page.get_by_role("link", name=name).click()
    assert page.locator("#detail-title").inner_text() == name


def test_a_tree_is_one_row_that_opens(show: Open, tmp_path: Path) -> None:
    run = tmp_path / "agents"
    agentgen.write_run(run, "weka-claude-code", sessions=60, seed=3)
    agentgen.report(run)
    trees: dict[int, list[Any]] = {}
    roots: dict[int, int] = {}
    for session in explored(run)["sessions"]:
        number = session["number"]
        roots[number] = roots.get(session["parent"], number)
        trees.setdefault(roots[number], []).append(session)
    page = show(run / "cache_explorer.html")
    assert page.locator("#status").inner_text().endswith(f"of {len(trees)} trees")
    rows = page.locator("#sessions > li")
    for row, (number, members) in zip(rows.all(), trees.items(), strict=False):
        assert row.locator("button").first.get_attribute("data-number") == str(number)
        assert (
            f" {sum(member['turn_count'] for member in members):,} request" in f" {row.locator('.about').inner_text()}"
        )
    number, members = next(
        (number, tree) for number, tree in trees.items() if any("kept_tokens" in m for m in tree[1:])
    )
    row = page.locator(f"#sessions > li:has(> button[data-number='{number}'])")
    assert row.locator("details button").count() == 0
    row.locator("summary").click()
    assert row.locator("details button").count() == len(members) - 1
    (broken, *_) = [member for member in members if "kept_tokens" in member]
    (parent,) = [member for member in members if member["number"] == broken["parent"]]
    lost = sum(parent["turns"][-1][4]) - broken["kept_tokens"]
    shown = row.locator(f"button[data-number='{broken['number']}']")
    assert f"lost {lost:,} tokens" in shown.inner_text()
    shown.click()
    assert f"Lost\n{lost:,} tokens" in page.locator("#detail dl").inner_text()


def test_a_turn_has_the_tokens_that_the_core_tells(show: Open, run: Path) -> None:
    turns = explored(run)["sessions"][0]["turns"]
    page = show(run / "cache_explorer.html", fragment="#session-0")
    page.locator("#detail summary").click()
    page.locator("#detail tbody tr").first.wait_for()
    rows = [row.locator("th, td").all_inner_texts() for row in page.locator("#detail tbody tr").all()]
    assert [(int(row[0]), row[3], row[-1]) for row in rows] == [
        (index, f"{sum(turn[4]):,}", f"{turn[3]:,}") for index, turn in enumerate(turns)
    ]
    bars = page.locator("#detail .turns .what").all_inner_texts()
    assert [text.split(", ")[1] for text in bars] == [f"{100 * sum(t[5]) / sum(t[4]):.1f} % cached" for t in turns]
    # Nothing is cached before the first request of all.
    assert page.locator("#detail .turns li").first.locator(".cached").count() == 0


def test_the_keyboard_is_enough(show: Open, run: Path) -> None:
    page = show(run / "cache_explorer.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.number !== undefined"):
            break
    page.keyboard.press("ArrowDown")
    number = page.evaluate("document.activeElement.dataset.number")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == f"#session-{number}"
    assert page.evaluate("document.activeElement.id") == "detail-title"


@pytest.mark.parametrize("name", ["report.html", "cache_explorer.html", "replay.html"])
@pytest.mark.parametrize("width", [390, 800, 1280])
def test_nothing_is_wider_than_the_window(
    name: str, width: int, show: Open, run: Path, played: tuple[Path, Any]
) -> None:
    page = show(played[0] if name == "replay.html" else run / name, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = """() => [...document.querySelectorAll("main *")].filter((element) => {
        const box = element.getBoundingClientRect();
        return box.width > 0 && box.right > innerWidth + 1 && !element.closest(".scroll, pre, .vega-bind");
    }).map((element) => element.outerHTML.slice(0, 90))"""
    assert page.evaluate(wide) == []


def test_labels_of_a_chart_do_not_overlap(show: Open, run: Path, played: tuple[Path, Any]) -> None:
    overlap = """() => [...document.querySelectorAll(".chart svg")].flatMap((svg) => {
        const shown = (text) => text.textContent && text.getAttribute("opacity") !== "0" && text.style.opacity !== "0";
        const texts = [...svg.querySelectorAll("text")].filter(shown);
        const boxes = texts.map((text) => [text.textContent, text.getBoundingClientRect()]);
        const beside = (a, b) => a.left > b.right - 1 || b.left > a.right - 1;
        const below = (a, b) => a.top > b.bottom - 2 || b.top > a.bottom - 2;
        const under = ([, box], index) => boxes.slice(index + 1).filter(([, b]) => !beside(box, b) && !below(box, b));
        return boxes.flatMap((one, index) => under(one, index).map(([other]) => `${one[0]} | ${other}`));
    })"""
    for width in (390, 1280):
        assert show(run / "report.html", width=width).evaluate(overlap) == []
        assert show(played[0], width=width).evaluate(overlap) == []


def test_dark_and_light_follow_the_system_and_the_button(show: Open, run: Path) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    line = "getComputedStyle(document.querySelector('#capacity-curve .mark-line path')).stroke"
    light, dark = show(run / "report.html"), show(run / "report.html", scheme="dark")
    assert light.evaluate(paper) == "rgb(255, 255, 255)"
    assert dark.evaluate(paper) != light.evaluate(paper)
    assert dark.evaluate(line) != light.evaluate(line)
    button = dark.locator("#theme")
    assert button.inner_text() == "Theme: system"
    button.click()
    assert button.inner_text() == "Theme: light"
    assert dark.evaluate(paper) == "rgb(255, 255, 255)"
    assert dark.evaluate(line) == light.evaluate(line)


def test_print_is_light_and_without_controls(show: Open, run: Path) -> None:
    page = show(run / "report.html", scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("#theme").is_visible()
    assert page.locator(".chart svg").first.is_visible()
    assert len(page.pdf()) > 50_000


def test_hostile_names_do_nothing(show: Open, tmp_path: Path) -> None:
    trace = hostile_trace(tmp_path)
    pages = agentgen.report(trace, output=tmp_path / "pages", trace_block_size=64, trace_layout="incremental")
    for path in pages[:2]:
        page = show(path)
        assert page.evaluate("window.hostile") is None
        assert trace.name in page.title()
    names = page.locator("#sessions .name").all_inner_texts()
    assert names[0] == HOSTILE[0]
    for button in page.locator("#sessions button").all():
        button.click()
    assert page.evaluate("window.hostile") is None


def test_two_traces_lie_on_each_other(show: Open, run: Path, tmp_path: Path) -> None:
    agentgen.write_run(tmp_path / "other", sessions=50)
    report, *_ = agentgen.report(run, compare=tmp_path / "other", output=tmp_path)
    page = show(report)
    distances = {d["metric"]: d["ks"] for d in agentgen.analyze([run, tmp_path / "other"]).to_dict()["distances"]}
    shown = {row[0]: row[-1] for row in table(page, "#distances-table")}
    assert shown["Output"] == f"{distances['generation_length']:.3f}"
    assert page.locator("#capacity-curve .mark-line path").count() >= 2
    assert page.get_by_role("link", name="Fidelity").get_attribute("href") == "fidelity.html"
    page = show(tmp_path / "fidelity.html")
    found = agentgen.fidelity(tmp_path / "other", run).to_dict()
    assert f"{found['quantities'][0]['ks']:.3f}" in page.locator("#main").inner_text()


def test_a_trace_without_sessions_or_manifest(show: Open, tmp_path: Path) -> None:
    trace = tmp_path / "requests.jsonl"
    rows = (
        {"timestamp": 1_000 * n, "input_length": 1_200, "output_length": 50, "hash_ids": [0, 1, n + 2]}
        for n in range(40)
    )
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    report, explorer, _ = agentgen.report(trace, output=tmp_path, trace_layout="cumulative", trace_block_size=512)
    page = show(report)
    assert "This trace has no manifest" in page.locator("#made").inner_text()
    assert show(explorer).locator("#sessions .name").first.inner_text() == "request 0"


# --- the page of a replay -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The page of a replay with failures, a warm-up and grouped turns, and its summary."""
    directory = tmp_path_factory.mktemp("replayed") / "run"
    summary = replayed(directory, incomplete="interrupted")
    summary["client"] |= {"client_limited": True, "share_of_ttft": 0.25}
    return replay.write(directory, summary), summary


def digits(value: float | None, unit: str = "") -> str:
    """Three digits, as the pages write them."""
    return "\N{EN DASH}" if value is None else f"{float(f'{value:.3g}'):.15g}{unit}"


def lasting(ms: float | None) -> str:
    """A time of less than a minute, as the pages write it."""
    return digits(ms and ms / 1000, " s") if ms is not None and ms >= 1000 else digits(ms, " ms")


def test_a_replay_is_drawn_with_the_numbers_of_its_summary(show: Open, played: tuple[Path, Any]) -> None:
    path, summary = played
    run = summary["run"]
    page = show(path)
    for chart in page.locator(".chart").all():
        assert chart.locator("svg .mark-line path, svg .mark-rect path").count() > 0
    assert page.locator(".chart").count() == 15
    names = page.locator("[id]").evaluate_all("all => all.map(element => element.id)")
    assert len(names) == len(set(names))
    tiles = [text.split("\n")[0] for text in page.locator("#tiles dd").all_inner_texts()]
    ttft, tpot = run["latency"]["ttft_ms"], run["latency"]["tpot_ms"]
    assert tiles == [
        *(digits(run["full"][name]) for name in ("requests_per_second", "output_tokens_per_second")),
        *(lasting(value) for value in (ttft["p50"], ttft["p99"], tpot["p50"])),
        f"{100 * run['cache']['reported']['hit_rate']:.1f} %",
        f"{run['counters']['failed']:,}",
    ]
    ends = ("planned", "succeeded", "failed", "cancelled", "skipped", "never_issued")
    assert table(page, "#counters-table") == [
        [name, *(f"{summary[phase]['counters'][end]:,}" for end in ends), "yes"]
        for name, phase in (("run", "run"), ("warm-up", "warmup"))
    ]
    assert [(row[0], row[2]) for row in table(page, "#outcomes-table")] == [
        ("ok", f"{run['outcomes']['ok']:,}"),
        ("http_error", f"{run['outcomes']['http_error']:,}"),
        ("status 503", f"{run['http_errors']['503']:,}"),
    ]
    statistics = ("mean", "min", "p50", "p90", "p95", "p99", "p99_9", "max")
    assert [row[1:] for row in table(page, "#latency-table")] == [
        [f"{statistic['count']:,}", *(lasting(statistic[name]) for name in statistics)]
        for statistic in run["latency"].values()
        if statistic
    ]
    assert numbers(page, "ttft-over-time") == [
        [lasting(part[name]) for name in ("from_ms", "ttft_p50_ms", "ttft_p99_ms")] for part in run["over_time"]
    ]
    assert [row[1::2] for row in numbers(page, "requests-over-time")] == [
        [str(part[name]) for name in ("sent", "succeeded", "failed")] for part in run["over_time"]
    ]
    turns = numbers(page, "cached-by-turn")
    assert [row[1:4] for row in turns] == [
        [str(turn["requests"]), str(turn["succeeded"]), f"{100 * turn['reported']['hit_rate']:.1f} %"]
        for turn in run["by_turn"]
    ]
    assert turns[-1][0] == "32 to 63"


def test_what_a_replay_is_not_good_for_stands_at_its_top(show: Open, played: tuple[Path, Any], tmp_path: Path) -> None:
    page = show(played[0])
    assert page.locator("#incomplete").inner_text().startswith("Incomplete: interrupted\n")
    limited = page.locator("#client-limited").inner_text()
    assert "25.0 % of the median time to the first token" in limited
    assert "Above 10.0 %" in limited
    assert page.locator("#ttft-over-time figcaption").inner_text() == "steady window."
    bare = replayed(tmp_path / "bare", sessions=0, settings=None, trace=None, slo=None)
    page = show(replay.write(tmp_path / "bare", bare))
    assert page.locator("#incomplete, #client-limited, #goodput").count() == 0
    said = " ".join(page.locator(".absent").all_inner_texts())
    for what in (
        "the settings",
        "TTFT",
        "a steady window",
        "the run over time",
        "a prediction",
        "goodput",
        "durations",
    ):
        assert what in said


def test_hostile_texts_of_a_replay_do_nothing(show: Open, tmp_path: Path) -> None:
    settings = {"url": HOSTILE, "model": HOSTILE[0], "load": HOSTILE[1], "header": HOSTILE}
    summary = replayed(
        tmp_path / "run", sessions=1, trace={"path": HOSTILE[1]}, settings=settings, incomplete=HOSTILE[0]
    )
    page = show(replay.write(tmp_path / "run", summary), width=390)
    assert page.evaluate("window.hostile") is None
    assert HOSTILE[0] in page.locator("#incomplete").inner_text()
    assert HOSTILE[1] in page.locator("#played").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
