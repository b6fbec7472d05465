"""The report page of distilled sessions, in a browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from conftest import needs_charts
from distilled import sessions
from fake_model import Call, FakeModel, Reply, answered, good

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Open, Run

ROWS = 6
HOSTILE = "<img src=x onerror=alert(1)></script><b>bold</b>\u2028"


def respond(call: Call) -> Reply:
    """Row 1 fails, row 2 has low scores, the others repeat nothing; all texts try to be markup."""
    found = good(call.column, call.user)
    number = next((number for number in range(ROWS) if f"bug {number}" in call.user), 0)
    if call.column == "trace_digest":
        found |= {"user_goal": f"bug {number} {HOSTILE}", "training_value": "low" if number == 3 else "high"}
    if call.column == "sft_record":
        if number == 1:
            return Reply("too long", status=400)
        found["response"] = f"{HOSTILE}\n\nsecond line {number}"
    if call.column == "sft_quality_judge_result" and number == 2:
        found["faithfulness"] = {"reasoning": HOSTILE, "score": 1}
    return Reply(json.dumps(found))


@pytest.fixture
def distilled(run: Run, tmp_path: Path) -> Callable[..., Path]:
    def call(answer: Callable[[Call], Reply], rows: int = ROWS, code: int = 0) -> Path:
        needs_charts()
        source = sessions(tmp_path / "logs", rows)
        with FakeModel(answer).running() as model:
            out = tmp_path / "out"
            run("distill", source, "--url", model.url, "-n", rows, "-o", out, "--quiet", code=code)
        return out / "report.html"

    return call


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_page_shows_scores_reasons_and_samples(
    width: int, scheme: str, distilled: Callable[..., Path], show: Open
) -> None:
    page = show(distilled(respond), width=width, scheme=scheme)
    tiles = page.locator("#tiles > div").all_inner_texts()
    assert tiles[0].split("\n")[:2] == ["Rows", "6"]
    assert tiles[1].split("\n")[:2] == ["Recommended", "3"]
    assert tiles[2].split("\n")[:2] == ["Failed", "1"]
    assert page.locator("#scores-chart svg").count() == 1
    assert page.locator("#rejections-chart svg").count() == 1
    reasons = page.locator("#rejections-chart details")
    reasons.locator("summary").click()
    rows = [row.split("\t") for row in reasons.locator("tbody tr").all_inner_texts()]
    assert rows == [["failed", "1"], ["training value low", "1"], ["faithfulness below 4", "1"]]
    assert "sft_record: HTTP 400: too long" in page.locator("#failures-table").inner_text()
    sample = page.locator(".sample[open]")
    sample.locator(".figures").wait_for()
    assert sample.count() == 1
    assert f"bug 0 {HOSTILE[:20]}" in sample.inner_text()
    assert "second line 0" in sample.inner_text()
    page.get_by_role("button", name="failed", exact=True).click()
    failed = page.locator(".sample:visible")
    assert failed.count() == 1
    failed.locator("summary").click()
    assert failed.locator(".callout").inner_text() == "Failed. sft_record: HTTP 400: too long"
    page.get_by_role("button", name="not recommended").click()
    assert page.locator(".sample:visible").count() == 2
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_page_of_rows_that_all_failed(distilled: Callable[..., Path], show: Open) -> None:
    page = show(distilled(lambda _: Reply("no", status=422), rows=2, code=1))
    assert page.locator("#scores").count() == 0
    assert page.locator("#tiles > div").all_inner_texts()[2].split("\n")[:2] == ["Failed", "2"]
    assert "trace_digest: HTTP 422: no" in page.locator("#failures-table").inner_text()


def test_page_of_many_rows_is_small(distilled: Callable[..., Path]) -> None:
    def long(call: Call) -> Reply:
        reply = answered(call)
        if call.column == "sft_record":
            found = json.loads(reply.content or "")
            return Reply(json.dumps(found | {"response": f"{call.number} " + "long " * 4_000}))
        return reply

    path = distilled(long, rows=60)
    assert path.stat().st_size < 3_000_000
