"""The simulation page: the numbers of the Rust simulator, under Node and in a browser, and controls that work."""

from __future__ import annotations

import collections
import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import agentgen
import pytest
from agentgen import _native
from agentgen.analysis.figures import assumptions
from agentgen.pages import render, simulation
from conftest import ROOT, needs_charts

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Open
    from playwright.sync_api import Page

STATIC = ROOT / "python" / "agentgen" / "pages" / "static"
GOLDEN = sorted((ROOT / "tests" / "golden" / "simulation").glob("*.json"))
ASSUMED = assumptions()
# Runs the page's worker on a golden file, as the page does, and returns what it answers.
IN_WORKER = """([adapter, golden]) => new Promise((answer, fail) => {
    const { sample, settings } = new Function(`${adapter}; return twinOf;`)()(JSON.parse(golden));
    const text = document.getElementById("worker-simulation").textContent;
    const worker = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
    worker.onerror = (event) => fail(event.message);
    worker.onmessage = ({ data: { figures, requests } }) => {
        if (!figures) return;
        const { session, turn, sentMs, admittedMs, firstTokenMs, endMs, hitTokens } = requests;
        const columns = [session, turn, sentMs, admittedMs, firstTokenMs, endMs, hitTokens];
        answer(JSON.stringify({ figures, columns: columns.map((column) => [...column]) }));
    };
    worker.postMessage({ sample });
    worker.postMessage({ run: 1, settings });
})"""


@pytest.fixture
def show(show: Open) -> Open:
    """Opens a page and waits for its first simulation."""

    def opened(*arguments: Any, **more: Any) -> Page:
        page = show(*arguments, **more)
        settled(page)
        return page

    return opened


def settled(page: Page) -> None:
    """Waits until the page shows what its settings give, all charts drawn."""
    page.wait_for_function(
        """() => document.body.dataset.shown === [...document.querySelectorAll(".settings input[type=number]")]
            .map((input) => `${input.id}=${input.value}`).join("&")"""
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("simulation") / "run"
    agentgen.write_run(directory, "aiperf-1k-200k", sessions=60, seed=7)
    return directory


def page_of(trace: Path, directory: Path, **wanted: Any) -> Path:
    path = directory / simulation.NAME
    path.write_bytes(render.render(simulation.page(trace, ASSUMED, **wanted)))
    return path


@pytest.fixture(scope="module")
def html(run: Path) -> Path:
    needs_charts()
    return page_of(run, run)


def tiles(page: Page) -> dict[str, str]:
    names, values = (page.locator(f"#tiles {tag}").all_inner_texts() for tag in ("dt", "dd"))
    return {name: value.split("\n")[0] for name, value in zip(names, values, strict=True)}


# --- without a browser ------------------------------------------------------------------------------------------------


def test_under_node_it_gives_the_golden_numbers() -> None:
    if shutil.which("node") is None:
        pytest.skip("there is no node on the PATH: the golden simulations are run in the browser only")
    command = ["node", "--test", *map(str, sorted((ROOT / "tests" / "simulation").glob("*.test.mjs")))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout[-4000:]


def test_no_two_modules_of_a_script_have_a_name_in_common() -> None:
    page = (*render.SHARED, *(f"simulation/{name}.js" for name in simulation.PAGE))
    for modules in (page, [f"simulation/{name}.js" for name in simulation.ENGINE]):
        names = collections.Counter(
            name
            for module in modules
            for name in re.findall(
                r"^(?:export )?(?:async )?(?:function|const|let|class) (\w+)",
                (STATIC / module).read_text(encoding="utf-8"),
                re.MULTILINE,
            )
        )
        assert [name for name, times in names.items() if times > 1] == []


def test_a_sample_is_the_beginning_of_the_trace(run: Path) -> None:
    rows = [json.loads(line) for line in (run / "dataset.jsonl").read_text(encoding="utf-8").splitlines()]
    by_session: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_session.setdefault(row["session_id"], []).append(row)
    numbers = {name: number for number, name in enumerate(by_session)}
    whole = json.loads(_native.simulation_sample(str(run), ASSUMED, max_bytes=10_000_000))
    assert whole["is_whole"]
    assert whole["clock"] == "closed"
    for sampled, (name, stated) in zip(whole["sessions"], by_session.items(), strict=True):
        assert [(output, delay) for _, output, delay in sampled["turns"]] == [
            (row["output_length"], row.get("delay", 0.0)) for row in stated
        ]
        assert sampled["turns"][0][0] == stated[0]["input_length"]
        assert sampled["number"] == numbers[name]
        assert sampled["parent"] == numbers.get(stated[0].get("parent_session_id", ""))
        (first, runs), *_ = sampled["streams"]
        assert first == 0
        assert sum(tokens for *_, tokens in runs) >= sum(sampled["turns"][-1][:2])
    part = json.loads(_native.simulation_sample(str(run), ASSUMED, max_bytes=5_000))
    assert not part["is_whole"]
    assert len(json.dumps(part["sessions"], separators=(",", ":"))) <= 5_000
    assert [session["turns"] for session in part["sessions"]] == [
        session["turns"] for session in whole["sessions"][: len(part["sessions"])]
    ]
    least = json.loads(_native.simulation_sample(str(run), ASSUMED, max_bytes=0))
    assert len(least["sessions"]) == 1


def test_the_page_says_which_part_it_has(run: Path) -> None:
    page = simulation.page(run, ASSUMED, sessions="1,000,000", sample_bytes=8_000)
    held = len(page.data["sample"]["sessions"])
    assert f"on the first {held} of 1,000,000 sessions of run (" in page.lead
    assert f"on all {len(simulation.page(run, ASSUMED).data['sample']['sessions'])} sessions of run (" in (
        simulation.page(run, ASSUMED, sessions="75").lead
    )


# --- in a browser -----------------------------------------------------------------------------------------------------


def test_in_a_browser_it_gives_the_golden_numbers(show: Open, html: Path) -> None:
    page = show(html)
    adapter = (ROOT / "tests" / "simulation" / "golden.mjs").read_text(encoding="utf-8").replace("export ", "")
    names = ("session", "turn", "sent_ms", "admitted_ms", "prefill_end_ms", "end_ms", "hit_tokens")
    assert len(GOLDEN) >= 5
    for path in GOLDEN:
        golden = json.loads(path.read_text(encoding="utf-8"))
        answer = json.loads(page.evaluate(IN_WORKER, [adapter, path.read_text(encoding="utf-8")]))
        same(golden["figures"], answer["figures"], path.stem)
        # A request that failed found nothing.
        stated = {
            (r["session"], r["turn"]): [r[name] for name in names[2:-1]] + [r["hit_tokens"] or 0]
            for r in golden["requests"]
        }
        found = {(session, turn): rest for session, turn, *rest in zip(*answer["columns"], strict=True)}
        assert stated == found, path.stem


def same(stated: Any, found: Any, place: str) -> None:
    """Every figure that both have is the same; the page has no bound and no time to live."""
    if isinstance(stated, dict):
        for name, value in stated.items():
            absent = name in {"belady_bound", "clock", "expired", "expired_blocks"}
            if not absent and not (name == "series" and value == []):
                same(value, found[name], f"{place}.{name}")
    elif isinstance(stated, list):
        assert len(stated) == len(found), place
        for index, (one, other) in enumerate(zip(stated, found, strict=True)):
            same(one, other, f"{place}[{index}]")
    else:
        assert stated == found, place


def test_every_chart_is_drawn_and_has_its_numbers(show: Open, html: Path) -> None:
    page = show(html, "#capacity=30")
    figures = page.locator("figure").all()
    assert len(figures) == 11
    for figure in figures:
        marks = figure.locator("svg .mark-line path, svg .mark-rect path, svg .mark-area path, svg .mark-rule line")
        assert marks.count() > 0, figure.get_attribute("id")
        assert figure.locator("h3 .units").inner_text()
        figure.locator("summary").click()
        figure.locator("tbody tr").first.wait_for()


def test_the_page_has_the_numbers_of_simulate(show: Open, html: Path) -> None:
    stated = _native.simulate(str(html.parent), ASSUMED, capacities=[20_000_000_000], kv_bytes_per_token=70_272)
    figures = json.loads(stated)["points"][0]
    page = show(html, "#capacity=20")
    shown = tiles(page)
    assert shown["Hit rate"] == percent(figures["hit_rates"]["token_weighted"])
    assert shown["Failed"] == f"{figures['requests']['failed']:,}"
    assert page.locator("#definitions dd").all_inner_texts() == [
        percent(figures["hit_rates"][name])
        for name in ("token_weighted", "block_references", "full_blocks", "request_mean", "session_mean")
    ]
    assert [row[1:] for row in numbers(page, "evictions")] == [
        [f"{layer[name]:,}" for name in ("added", "evicted", "refetched")] for layer in figures["blocks_by_layer"]
    ]
    assert [row[1:] for row in numbers(page, "layers")] == [
        [f"{layer['prompt_tokens']:,}", f"{layer['hit_tokens']:,}", percent(layer["hit_rate"])]
        for layer in figures["by_layer"]
    ]
    assert [row[1:3] for row in numbers(page, "turns")] == [
        [f"{turn['requests']:,}", percent(turn["hit_rate"])] for turn in figures["by_turn"]
    ]
    assert [row[1] for row in numbers(page, "hit-rate")] == [
        "\u2013" if point["hit_rate"] is None else percent(point["hit_rate"]) for point in figures["series"]
    ]


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def numbers(page: Page, figure: str) -> list[list[str]]:
    page.locator(f"#{figure} summary").click()
    page.locator(f"#{figure} tbody tr").first.wait_for()
    script = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    cells: list[list[str]] = page.locator(f"#{figure} tbody tr").evaluate_all(script)
    return cells


def test_controls_change_the_result_and_the_address(show: Open, html: Path) -> None:
    page = show(html)
    before = tiles(page)
    page.locator("#capacity").fill("20")
    settled(page)
    assert page.url.endswith("#capacity=20")
    assert tiles(page)["Hit rate"] != before["Hit rate"]
    page.locator("#concurrency").fill("3")
    settled(page)
    changed = tiles(page)
    assert page.url.endswith("#concurrency=3&capacity=20")
    assert tiles(show(html, "#concurrency=3&capacity=20")) == changed
    page.locator("#reset").click()
    settled(page)
    assert page.url.endswith(simulation.NAME)
    assert tiles(page) == before


def test_a_model_sets_the_bytes_of_a_token(show: Open, html: Path) -> None:
    page = show(html)
    assert page.locator("#model").input_value() == "deepseek-v3, bf16"
    page.locator("#model").select_option("llama-3.1-70b, fp8")
    settled(page)
    assert page.locator("#kv").input_value() == "163840"
    assert page.url.endswith("#kv=163840")
    page.locator("#kv").fill("12345")
    assert page.locator("#model").input_value() == ""


def test_what_cannot_be_is_refused_with_a_sentence(show: Open, html: Path) -> None:
    page = show(html)
    url = page.url
    page.locator("#concurrency").fill("1.5")
    assert page.locator("#concurrency-fault").inner_text() == "Concurrency: expected a whole number from 1 to 2,000."
    assert page.locator("#concurrency").get_attribute("aria-invalid") == "true"
    page.locator("#capacity").fill("")
    assert "Capacity: expected a number" in page.locator("#capacity-fault").inner_text()
    assert page.url == url
    page.locator("#capacity").fill("40")
    page.locator("#concurrency").fill("5")
    settled(page)
    assert page.locator(".fault:visible").count() == 0


def test_the_keyboard_moves_a_slider(show: Open, html: Path) -> None:
    page = show(html)
    page.locator("#decode").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "range"
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    settled(page)
    assert float(page.locator("#decode").input_value()) > 60
    assert f"decode={page.locator('#decode').input_value()}" in page.url


def test_the_last_setting_wins(show: Open, html: Path) -> None:
    page = show(html)
    for capacity in (10, 20, 30, 50, 70, 40):
        page.locator("#capacity").fill(str(capacity))
    settled(page)
    last = tiles(page)
    for capacity in (10, 40):
        page.locator("#capacity").fill(str(capacity))
        settled(page)
    assert tiles(page) == last
    assert len(page.workers) == 1


def test_failures_are_listed(show: Open, html: Path) -> None:
    page = show(html)
    assert "No request failed" in page.locator("#failed").inner_text()
    page.locator("#capacity").fill("5")
    settled(page)
    failed = int(tiles(page)["Failed"].replace(",", ""))
    assert failed > 0
    assert page.locator("#failed tbody tr").count() == min(failed, 100)
    assert page.locator("#timeline").is_visible()
    # Now all of them fail.
    page.locator("#capacity").fill("0.1")
    settled(page)
    assert tiles(page)["Failed"] == str(len(simulation.page(html.parent, ASSUMED).data["sample"]["sessions"]))
    assert not page.locator("#timeline").is_visible()


def test_the_timeline_shows_another_window(show: Open, html: Path) -> None:
    page = show(html)
    units = page.locator("#timeline h3 .units")
    first = units.inner_text()
    page.locator("#span").select_option("120000")
    page.locator("#from").fill("500")
    page.wait_for_function("before => document.querySelector('#timeline h3 .units').textContent !== before", arg=first)
    settled(page)
    assert page.locator("#timeline .mark-rect path").count() > 0


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_overlaps_or_is_wider_than_the_window(width: int, show: Open, html: Path) -> None:
    page = show(html, "#capacity=30", width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    overlap = """() => [...document.querySelectorAll(".chart svg")].flatMap((svg) => {
        const labels = [...svg.querySelectorAll("text")].filter((text) => text.getAttribute("opacity") !== "0")
            .map((text) => [text.textContent, text.getBoundingClientRect()])
            .filter(([label, box]) => label && box.width > 0);
        const across = (a, b) => a.left < b.right - 1 && b.left < a.right - 1;
        const along = (a, b) => a.top < b.bottom - 2 && b.top < a.bottom - 2;
        return labels.flatMap(([label, box], index) => labels.slice(index + 1)
            .filter(([, other]) => across(box, other) && along(box, other)).map(([other]) => `${label} | ${other}`));
    })"""
    assert page.evaluate(overlap) == []


def test_a_trace_without_sessions_under_a_hostile_name(show: Open, tmp_path: Path) -> None:
    trace = tmp_path / "<img src=x onerror='window.hostile=1'>&.jsonl"
    rows = (
        {"timestamp": 1_000 * n, "input_length": 1_200, "output_length": 50, "hash_ids": [0, 1 << 50, n + 2]}
        for n in range(40)
    )
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "pages").mkdir()
    assumed: Any = {**ASSUMED, "trace_layout": "cumulative", "trace_block_size": 512}
    path = tmp_path / "pages" / simulation.NAME
    path.write_bytes(render.render(simulation.page(trace, assumed)))
    page = show(path)
    assert page.evaluate("window.hostile") is None
    assert trace.name in page.title()
    assert "on all 40 requests of" in page.locator(".lead").inner_text()
    assert page.locator("#concurrency").is_disabled()
    assert page.locator("figure").count() == 7
    # All but the first find two ids: 1,024 of 1,200 tokens.
    assert tiles(page)["Hit rate"] == f"{100 * 39 * 1_024 / (40 * 1_200):.1f} %"
