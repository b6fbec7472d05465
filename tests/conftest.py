"""Shared pieces of the tests of the Python package and its command."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import agentgen
import pytest
from agentgen.cli._commands import main
from agentgen.pages import render
from click.testing import CliRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result
    from playwright.sync_api import Browser, Page

    Open = Callable[..., Page]

ROOT = Path(__file__).parents[1]
SHARED_DATA = Path(os.environ.get("AGENTGEN_SHARED_DATA", ROOT / "../shared/data"))


def shared(name: str) -> Path:
    """Path of a file of the shared traces; skips the test if it is missing."""
    path = SHARED_DATA / name
    if not path.is_file():
        pytest.skip(f"{path}: no such file (set AGENTGEN_SHARED_DATA to the folder of the shared traces)")
    return path


# Continuous integration installs a browser and strace, so that their absence is a failure there.
TOOLS_REQUIRED = "AGENTGEN_TOOLS_REQUIRED"
CHARTS = ROOT / "python" / "agentgen" / "pages" / "static" / render.CHARTS

# The folder brings a virtual environment and settings of its own.
collect_ignore = ["interop", "designer", "readers"]


class Invoke(Protocol):
    """Runs the command in this process."""

    def __call__(self, *arguments: object, code: int = 0) -> Result: ...


class Run(Protocol):
    """Runs the command in a process of its own."""

    def __call__(self, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]: ...


def one_line_only(result_code: int, stderr: str) -> None:
    """A failed command prints error lines, never a traceback."""
    assert "Traceback" not in stderr
    if result_code:
        assert all(line.startswith(("agentgen: ", "Usage: ")) for line in stderr.splitlines() if line), stderr


@pytest.fixture
def invoke() -> Invoke:
    def call(*arguments: object, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code == code, (result.output, result.exception)
        return result

    return call


@pytest.fixture
def run() -> Run:
    def call(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command(*arguments), capture_output=True, text=True, check=False, timeout=100)
        assert done.returncode == code, (done.stdout, done.stderr)
        return done

    return call


def command(*arguments: object) -> list[str]:
    """The command line of a process of its own."""
    return [sys.executable, "-m", "agentgen", *(str(argument) for argument in arguments)]


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate of its own for 127.0.0.1, and a server's context with it."""
    key, file = tmp_path / "key.pem", tmp_path / "certificate.pem"
    try:
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
                *("-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
                *("-keyout", str(key), "-out", str(file)),
            ],
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("openssl is not installed: no certificate to test with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    return file, context


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 40 sessions, a third of them restarted, in both formats; not to be written to."""
    directory = tmp_path_factory.mktemp("small") / "run"
    agentgen.write_run(directory, "aiperf-1k-200k", sessions=40, seed=7)
    return directory


def manifest_of(directory: Path) -> dict[str, Any]:
    """The manifest of a run directory."""
    manifest: dict[str, Any] = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def needs(module: str) -> pytest.MarkDecorator:
    """Skips where an optional library is not installed."""
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"{module} is not installed")


def missing(what: str) -> NoReturn:
    """Skip aloud, or fail where nothing may be missing."""
    if os.environ.get(TOOLS_REQUIRED):
        pytest.fail(what)
    pytest.skip(what)


def needs_charts() -> None:
    """Skips where the chart library has not been written."""
    if not CHARTS.exists():
        missing("the chart library is not there: python build_backend/agentgen_build.py writes it")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium, or what it is called elsewhere."""
    needs_charts()
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415  only the pages' tests need it
    except ImportError:
        missing("playwright is not installed: pip install playwright")
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        missing("there is no chromium on the PATH: apt-get install chromium")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def show(browser: Browser) -> Iterator[Open]:
    """Opens a page; at the end there must have been neither a request to anywhere nor a complaint."""
    said: list[str] = []
    requests: list[str] = []
    contexts = []

    def opened(path: Path, fragment: str = "", *, width: int = 1280, scheme: Any = "light") -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        url = path.resolve().as_uri() + fragment
        context.route(lambda other: other.split("#")[0] != url.split("#", maxsplit=1)[0], lambda route: route.abort())
        page.on("request", lambda request: requests.append(request.url))
        page.goto(url)
        page.wait_for_function("() => !document.querySelector('[aria-busy=true], .chart:not([data-drawn])')")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []
    fetched = [url for url in requests if not url.startswith("blob:")]  # a page's own workers
    assert all(url.startswith("file:") and ".html" in url for url in fetched), fetched
    assert len(fetched) == len(contexts)
