"""Takes pictures of all HTML pages, light and dark, wide and narrow, and the two of README.md (`make screenshots`)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import agentgen
from agentgen import _native
from agentgen.cli.replay import command as replay

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "screenshots"
IMAGES = ROOT / "docs" / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")
# Pictures of README.md, one of each run: page, scheme, selector to scroll to the top, height in pixels.
README = {
    "report.png": ("report.html", "light", "#distribution-new_tokens_per_turn", 740),
    "cache-explorer.png": ("cache_explorer.html", "light", "#legend", 640),
}


def take(browser: Browser, page: Path, name: str, scheme: Any, width: int) -> None:
    """Take one picture of a whole page."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    shown = context.new_page()
    shown.goto(page.as_uri())
    shown.wait_for_function("() => !document.querySelector('[aria-busy=true], .chart:not([data-drawn])')")
    shown.screenshot(path=TARGET / f"{name}-{scheme}-{width}.png", full_page=True)
    context.close()


def take_readme(browser: Browser, run: Path, other: Path) -> None:
    """Take the pictures of README.md, which are kept in docs/images."""
    for home, (name, (page, scheme, selector, height)) in zip((run, other), README.items(), strict=True):
        context = browser.new_context(viewport={"width": 1180, "height": height}, color_scheme=scheme)
        shown = context.new_page()
        shown.goto((home / page).as_uri())
        shown.wait_for_function("() => !document.querySelector('[aria-busy=true], .chart:not([data-drawn])')")
        top = shown.locator(selector).first.evaluate("element => element.getBoundingClientRect().top") - 16
        shown.evaluate(f"scrollTo({{ top: {top}, behavior: 'instant' }})")
        shown.wait_for_timeout(200)
        shown.screenshot(path=IMAGES / name)
        context.close()


def replayed(run: Path, scratch: Path) -> Path:
    """Replay a run for 20 s against a fast embedded server that injects some faults; returns the page."""
    fast = {"prefill_tokens_per_second": 400_000.0, "decode_tokens_per_second": 3_000.0, "events": "coalesced"}
    server = _native.Server(json.dumps({**fast, "faults": [{"fault": "status=503", "probability": 0.02}]}))
    try:
        options = ["--url", server.url, "--concurrency", "8", "--warmup-sessions", "2", "--slo", "ttft=400ms,tpot=50ms"]
        options += [
            "--time-scale",
            "0.001",
            "--duration",
            "20s",
            "--output",
            str(scratch),
            "--name",
            "replay",
            "--quiet",
        ]
        replay.main([str(run), *options], standalone_mode=False)
    finally:
        server.stop()
    return scratch / "replay" / "replay.html"


def distilled(scratch: Path) -> Path:
    """Distil the samples of the import formats with a stand-in for a model; returns the page."""
    examples, port = ROOT / "docs" / "examples", "8644"
    subprocess.run([sys.executable, examples / "distill" / "model.py", port], check=True)  # noqa: S603  ours
    command = [sys.executable, "-m", "agentgen", "distill", examples / "import", "--url", f"http://127.0.0.1:{port}"]
    subprocess.run([*command, "--output", scratch / "distilled", "--quiet"], check=True)  # noqa: S603  ours
    return scratch / "distilled" / "report.html"


def main() -> None:
    """Write the pages of two runs, of their comparison, of a replay and of a distillation, and take the pictures."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  of the dependency group `dev`

    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        sys.exit("no chromium on the PATH (apt-get install chromium)")
    TARGET.mkdir(exist_ok=True)
    IMAGES.mkdir(exist_ok=True)
    with TemporaryDirectory() as scratch, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        run, other = Path(scratch) / "run", Path(scratch) / "restarts"
        agentgen.write_run(run, sessions=1000)
        agentgen.write_run(other, "aiperf-1k-200k", sessions=1000)
        pages = {f"{made.parent.name}-{made.stem}": made for home in (run, other) for made in agentgen.report(home)}
        pages["comparison"] = agentgen.report(run, compare=other, output=Path(scratch) / "comparison")[0]
        pages["replay"] = replayed(run, Path(scratch))
        pages["distilled"] = distilled(Path(scratch))
        for name, page in pages.items():
            for scheme in SCHEMES:
                for width in WIDTHS:
                    take(browser, page, name, scheme, width)
        take_readme(browser, run, other)
        browser.close()
    sys.stdout.write(f"{TARGET}\n{IMAGES}\n")


if __name__ == "__main__":
    main()
