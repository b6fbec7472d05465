"""guidellm and datasets read exports; without them this folder is no part of a test run (`make test-interop`).

agentgen is not in their environment: it is called as a command, named by the environment variable AGENTGEN.
"""

import importlib.util
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("guidellm") else ["test_*.py"]
os.environ["HF_HUB_OFFLINE"] = "1"

BLOCK = 16
CONFIG = Path(__file__).parents[1] / "linked.json"


def agentgen(*arguments: str | Path) -> str:
    """Runs the agentgen command; its standard output."""
    command = [os.environ.get("AGENTGEN", "agentgen"), *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)} -> {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of sessions with breaks and sub-agents."""
    directory = tmp_path_factory.mktemp("run")
    options = ("--sessions", "6", "--seed", "3", "--format", "jsonl", "--quiet", "--no-pages")
    agentgen("generate", "--config", CONFIG, *options, "--output", directory, "--name", "run")
    return directory / "run"


@pytest.fixture(scope="session")
def export(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    def write(to: str, name: str) -> Path:
        target = tmp_path_factory.mktemp(to) / name
        agentgen("export", run, "--to", to, "-o", target)
        return target

    return write


@pytest.fixture(scope="session")
def rows(run: Path) -> list[dict[str, Any]]:
    """The rows of the run."""
    return [json.loads(line) for line in (run / "dataset.jsonl").read_text().splitlines()]


@contextmanager
def serving() -> Iterator[str]:
    """`agentgen serve` without delays."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = (os.environ.get("AGENTGEN", "agentgen"), "serve", "--port", str(port), "--block-size", str(BLOCK))
    rates = ("--prefill-rate", "0", "--decode-rate", "0", "--model", "m")
    server = subprocess.Popen([*command, *rates], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()
