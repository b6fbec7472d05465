"""The command: its help, its messages and exit codes, and what it does not import."""

from __future__ import annotations

import errno
import os
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import agentgen
import pytest
from agentgen.cli._commands import COMMANDS
from conftest import ROOT, command, one_line_only

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Invoke, Run

HELP = {
    "agentgen": (),
    **{f"agentgen-{name}": (name,) for name in COMMANDS},
    **{f"agentgen-config-{name}": ("config", name) for name in ("list", "show", "schema", "check")},
    "agentgen-collect-fixture": ("collect", "fixture"),
}


@pytest.mark.parametrize("name", HELP)
def test_help_is_the_golden_one_and_fits_80_columns(name: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = invoke(*HELP[name], "--help").output
    assert max(map(len, text.splitlines())) <= 80
    golden = ROOT / "tests" / "golden" / "help" / f"{name}.txt"
    if os.environ.get("AGENTGEN_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8"), "AGENTGEN_UPDATE_GOLDEN=1 pytest tests/test_cli.py rewrites it"


def test_version(run: Run) -> None:
    assert run("--version").stdout == f"agentgen {agentgen.__version__}\n"


# (arguments, exit code, part of the message)
BAD: list[tuple[tuple[str, ...], int, str]] = [
    (("generat",), 2, "No such command 'generat' (did you mean generate?)."),
    (("zzz",), 2, "No such command 'zzz'. (see"),
    (("config", "lst"), 2, "No such command 'lst' (did you mean list?)."),
    (("generate", "--sesions", "5"), 2, "No such option '--sesions' (did you mean --sessions?). (see"),
    (("generate", "--session", "5"), 2, "(did you mean --sessions?)"),
    (("simulate", ".", "--bound"), 2, "No such option '--bound' (did you mean --belady-bound?)."),
    (("validate", ".", "--block-size", "16"), 2, "(did you mean --trace-block-size?)"),
    (("generate", "--zzz"), 2, "No such option '--zzz'. (see"),
    (("generate", "--sessions", "0"), 2, "found 0, expected a whole number from 1"),
    (("generate", "--sessions", "1e3"), 2, "found 1e3, expected a whole number"),
    (("generate", "--sessions", "9" * 5000), 2, "expected a whole number"),
    (("generate", "--sessions", "1__0"), 2, "found 1__0, expected a whole number"),
    (("generate", "--seed", "-1"), 2, "found -1, expected a whole number from 0"),
    (("generate", "--seed", str(2**64)), 2, "expected a whole number from 0 to 18446744073709551615"),
    (("generate", "--threads", "0"), 2, "found 0, expected a whole number from 1"),
    (("generate", "--format", "csv"), 2, "found 'csv', expected jsonl or parquet"),
    (("generate", "--format", ""), 2, "found '', expected jsonl or parquet"),
    (("generate", "--layout", "flat"), 2, "'flat' is not one of 'incremental', 'cumulative'"),
    (("generate", "--compression", "gzip"), 2, "'gzip' is not one of 'none', 'zstd'"),
    (("generate", "--shard", "3/3"), 2, "found '3/3', expected i/n with 0 <= i < n"),
    (("generate", "--shard", "1"), 2, "found '1', expected i/n"),
    (("generate", "--shard", "0/99999999999999999999999"), 2, "0 <= i < n <= 140737488355328"),
    (("generate", "--shard", "0/" + "9" * 5000), 2, "0 <= i < n <= 140737488355328"),
    (("generate", "--shard", "0/\u0664"), 2, "expected i/n"),
    (("generate", "--sessions", "\u0664"), 2, "expected a whole number from 1 to 140737488355328"),
    (("generate", "--sessions", str(2**47 + 1)), 2, "expected a whole number from 1 to 140737488355328"),
    (("generate", "--config", ""), 2, "config: found an empty name, expected a preset"),
    (("config", "check", ""), 2, "config: found an empty name, expected a preset"),
    (("config", "check", "a\nb\x1b[31m.json"), 2, "a\\nb\\x1b[31m.json: no such file"),
    (("config", "check", "\udcff.json"), 2, "\\udcff.json: no such file"),
    (("generate", "--shard", "0/2", "--shards", "2"), 2, "--shard and --shards: found both, expected one of them."),
    (("generate", "--resume"), 2, "--resume needs --shards and --name"),
    (("generate", "--name", "a/b"), 2, "found 'a/b', expected a name without a path"),
    (("generate", "--name", "-x"), 2, "found '-x', expected a name that does not start with -"),
    (("generate", "--format", "parquet", "--compression", "zstd"), 2, "--compression needs jsonl in --format."),
    (("generate", "--name", ".."), 2, "found '..', expected a name without a path"),
    (("generate", "--max-isl", "2"), 2, "found 2, expected a whole number from 3"),
    (("generate", "--max-isl", "32000"), 1, "default: max_prompt_tokens: found 32000, expected at least"),
    (("generate", "--config", "defualt"), 2, "defualt: no such file, and the presets are default,"),
    (("generate", "--config", "defualt"), 2, "did you mean default?"),
    (("generate", "--config", "aiperf"), 2, "(did you mean aiperf-0.13-default?)"),
    (("generate", "--config", "run.jsonl"), 2, "run.jsonl: no such file"),
    (("validate",), 2, "Missing argument 'TRACE...'"),
    (("validate", "nowhere.jsonl"), 2, "Path 'nowhere.jsonl' does not exist"),
    (("validate", ".", "--format", "json"), 2, "--format"),
    (("validate", "."), 2, "agentgen: error: "),
    (("convert", "nowhere.jsonl", "x.parquet"), 2, "Path 'nowhere.jsonl' does not exist"),
    (("convert", ".", "x.csv"), 2, "found 'x.csv', expected a name that ends in .jsonl, .jsonl.zst, .parquet"),
    (("merge", "nowhere", "--output", "x"), 2, "Directory 'nowhere' does not exist"),
    (("merge", ".", "--output", "x"), 1, "agentgen: error: "),
    (("config", "show", "nothing.json"), 2, "nothing.json: no such file"),
    (("config", "check"), 2, "Missing argument"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), BAD, ids=[" ".join(bad[0])[:40] for bad in BAD])
def test_bad_usage(
    arguments: tuple[str, ...],
    code: int,
    message: str,
    invoke: Invoke,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke(*arguments, code=code)
    assert result.stdout == ""
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    one_line_only(result.exit_code, result.stderr)
    assert list(tmp_path.iterdir()) == []


def test_a_bad_configuration_fails_with_its_lines(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"block_size": 0, "calibrate": 1}')
    result = invoke("generate", "--config", tmp_path / "a.json", "--output", tmp_path, code=1)
    assert result.stderr.splitlines() == [
        f"agentgen: error: {tmp_path / 'a.json'}: block_size: found 0, expected at least 1",
        f"agentgen: error: {tmp_path / 'a.json'}: calibrate: found 1, expected true or false",
    ]


def test_no_arguments_show_the_help(run: Run) -> None:
    done = run(code=2)
    assert done.stderr.startswith("Usage: agentgen ")


def test_config_commands(invoke: Invoke) -> None:
    listed = invoke("config", "list").output.splitlines()
    assert max(map(len, listed)) <= 80
    names = [line.split()[0] for line in listed]
    assert names[0] == "default"
    for name in names:
        checked = invoke("config", "check", name).output
        assert checked.startswith(f"{name}: ok\n")
        assert ("cache.layer2 " in checked) != ("cache.first_prompt " in checked)
        assert checked.splitlines()[-1].startswith("prefix: L1 ")
        assert not re.search(r"\bturns\b(?! are dropped)", checked)
        assert max(map(len, checked.splitlines())) <= 80
    shown = invoke("config", "show", "default").output
    assert '"block_size": 512' in shown


def test_turn_counts_are_checked_too(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("turns: {mean: 10, median: 8, min: 2, max: 20, allow_truncation: true}")
    checked = invoke("config", "check", tmp_path / "a.yaml").output
    assert re.search(r"^  turns +10 +8 +10 +8$", checked, re.MULTILINE)


def test_a_check_refuses_what_generation_refuses(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("turns: {mean: 10, median: 8, min: 2, max: 20}")
    checked = invoke("config", "check", tmp_path / "a.yaml", code=1).stderr
    generating = invoke("generate", "--config", tmp_path / "a.yaml", "--output", tmp_path, "--name", "run", code=1)
    assert checked == generating.stderr
    assert ": turns: session 4: no draw of " in checked
    assert not (tmp_path / "run").exists()


def test_a_shown_configuration_is_a_configuration(invoke: Invoke, tmp_path: Path) -> None:
    shown = invoke("config", "show", "aiperf-1k-200k").output
    (tmp_path / "a.json").write_text(shown)
    assert invoke("config", "show", tmp_path / "a.json").output == shown


def test_the_checked_in_schema_is_printed(invoke: Invoke) -> None:
    assert invoke("config", "schema").output == (ROOT / "schemas" / "config.schema.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("generate", "--help"), ("config", "list")])
def test_quick_commands_import_nothing_slow(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "agentgen", *arguments], capture_output=True, text=True, check=True
    )
    imported = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "click" in imported
    assert imported.isdisjoint({"rich", "jinja2", "pydantic", "yaml", "polars", "pyarrow", "numpy"})


@pytest.mark.skipif(sys.platform == "win32", reason="a closed pipe is another error there")
def test_a_closed_pipe_is_no_failure_to_talk_about() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(command("config", "schema"), stdout=write_end, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_terminal_without_the_letters_of_a_name(tmp_path: Path) -> None:
    done = subprocess.run(
        command("generate", "--sessions", "1", "--output", tmp_path, "--name", "café-日本", "--quiet"),
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
        check=True,
    )
    assert done.stdout.decode("latin-1").rstrip().endswith("café-\\u65e5\\u672c")
    assert (tmp_path / "café-日本" / "manifest.json").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize("arguments", ["config list", "generate --sessions 5 --name a"])
def test_closed_streams_are_no_failure(arguments: str, closed: str, tmp_path: Path) -> None:
    script = f"exec {shlex.join(command())} {arguments} {closed}"
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert bool(done.stdout) == (closed == "2>&-")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")  # noqa: PTH110
def test_a_full_standard_output_is_named() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(command("config", "list"), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"agentgen: error: standard output: {os.strerror(errno.ENOSPC)}\n")


def test_nothing_is_imported_before_an_interrupt_is_met() -> None:
    script = (
        "import os, signal, sys; known = set(sys.modules); import agentgen.cli; print(*sorted({*sys.modules} - known))"
    )
    # -S: what an environment imports at its start is not ours.
    environment = os.environ | {"PYTHONPATH": str(ROOT / "python")}
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout.split(), done.stderr) == (["__future__", "agentgen", "agentgen.cli"], "")


@pytest.mark.parametrize("becomes", ["raise", "swallow"])
@pytest.mark.parametrize("module", ["click", "agentgen._native", "agentgen.cli.config"])
def test_an_interrupt_while_modules_are_imported(module: str, becomes: str) -> None:
    """Python may swallow an interrupt within an import and report another error."""
    script = f"""
import runpy, signal, sys
class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                if {becomes!r} == "raise":
                    raise
                raise SyntaxError("cannot load unicodedata") from None
sys.meta_path.insert(0, Interrupted())
sys.argv = ["agentgen", "config", "list"]
runpy.run_module("agentgen", run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "agentgen: error: interrupted")
