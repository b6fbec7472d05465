"""Run directories: what is written, what is never overwritten, and what remains after an interrupt."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import agentgen
import pytest
from agentgen import _native
from conftest import command, manifest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Invoke, Run

PAGES = ["cache_explorer.html", "report.html", "simulation.html"]
FILES = sorted([*PAGES, "comparison.txt", "dataset.jsonl", "dataset.parquet", "manifest.json", "quality.json"])
SMALL = ("--sessions", 20, "--quiet")


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_run_has_its_files_and_a_summary(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("generate", "--sessions", 20, "--output", tmp_path)
    (run,) = tmp_path.iterdir()
    assert re.fullmatch(r"default_20s_seed42_\d{8}-\d{6}", run.name)
    assert names(run) == FILES
    lines = result.stdout.splitlines()
    assert lines[0] == str(run)
    assert "20 sessions" in [line.strip() for line in lines]
    *_, speed, blank, note, _ = lines
    assert re.fullmatch(r"written in \d+\.\d s \([\d,]+ sessions/s\)", speed)
    assert (blank, note[:5]) == ("", "note:")
    assert (run / "comparison.txt").read_text() in result.stdout
    assert max(map(len, lines[1:])) <= 80
    assert result.stderr == ""
    assert _native.verify_run(str(run))


def test_quiet_prints_the_directory(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("generate", *SMALL, "--output", tmp_path, "--name", "a")
    assert result.output == f"{tmp_path / 'a'}\n"


def test_options_reach_the_manifest(invoke: Invoke, tmp_path: Path) -> None:
    invoke(
        *("generate", *SMALL, "--output", tmp_path, "--name", "a", "--seed", 9, "--format", "jsonl"),
        *("--compression", "zstd", "--layout", "cumulative", "--max-isl", 100_000, "--max-osl", 1200),
        *("--shard", "1/2", "--threads", 1, "--config", "aiperf-1k-200k"),
    )
    manifest = manifest_of(tmp_path / "a")
    assert (manifest["seed"], manifest["sessions"], manifest["layout"]) == (9, 20, "cumulative")
    assert manifest["overrides"] == {"max_isl": 100_000, "max_osl": 1200}
    assert manifest["shard"] == {"index": 1, "count": 2}
    assert (manifest["formats"], manifest["compression"]) == (["jsonl"], "zstd")
    assert "dataset.jsonl.zst" in names(tmp_path / "a")


def test_options_win_over_the_manifests(invoke: Invoke, small_run: Path, tmp_path: Path) -> None:
    again = ("generate", "--config", small_run / "manifest.json", "--output", tmp_path, "--quiet")
    invoke(*again, "--name", "same")
    invoke(*again, "--name", "other", "--seed", 8, "--format", "jsonl")
    assert (tmp_path / "same" / "dataset.jsonl").read_bytes() == (small_run / "dataset.jsonl").read_bytes()
    assert manifest_of(tmp_path / "same")["files"] == manifest_of(small_run)["files"]
    other = manifest_of(tmp_path / "other")
    assert (other["seed"], other["sessions"], other["formats"]) == (8, 40, ["jsonl"])


def test_a_target_given_up_is_a_warning(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("generate", *SMALL, "--output", tmp_path, "--name", "a", "--max-osl", 100)
    assert result.stderr.startswith("agentgen: warning: generation_length")
    warning = result.stderr.strip().removeprefix("agentgen: warning: ")
    assert manifest_of(tmp_path / "a")["warnings"] == [warning]
    assert warning not in result.stdout, "said once"
    assert f"\nwarning: {warning}\n" in (tmp_path / "a" / "comparison.txt").read_text(encoding="utf-8")


def test_an_existing_directory_is_left_alone(invoke: Invoke, tmp_path: Path) -> None:
    generate = ("generate", *SMALL, "--output", tmp_path, "--name", "a")
    invoke(*generate)
    before = {path: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    result = invoke(*generate, "--seed", 1, code=1)
    assert "expected none; choose another name or give --force" in result.stderr
    assert {path: path.read_bytes() for path in (tmp_path / "a").iterdir()} == before
    invoke(*generate, "--seed", 1, "--force")
    assert manifest_of(tmp_path / "a")["seed"] == 1


def test_force_leaves_nothing_of_the_old_run(invoke: Invoke, tmp_path: Path) -> None:
    generate = ("generate", *SMALL, "--output", tmp_path, "--name", "a")
    invoke(*generate)
    invoke(*generate, "--force", "--format", "parquet")
    assert names(tmp_path / "a") == [name for name in FILES if name != "dataset.jsonl"]


def test_force_checks_everything_before_it_removes_anything(invoke: Invoke, tmp_path: Path) -> None:
    generate = ("generate", *SMALL, "--output", tmp_path, "--name", "a")
    invoke(*generate)
    before = {path: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    for shards in ((), ("--shards", 2)):
        invoke(*generate, "--force", "--max-isl", 32_000, *shards, code=1)
        assert {path: path.read_bytes() for path in (tmp_path / "a").iterdir()} == before
    with pytest.raises(agentgen.ConfigError):
        agentgen.write_run(tmp_path / "a", sessions=1, max_isl=32_000, force=True)
    assert {path: path.read_bytes() for path in (tmp_path / "a").iterdir()} == before


def test_force_replaces_a_sharded_run(invoke: Invoke, tmp_path: Path) -> None:
    generate = ("generate", *SMALL, "--output", tmp_path, "--name", "a", "--force")
    invoke(*generate, "--shards", 2)
    (tmp_path / "a" / "shard-1-of-2" / "notes").write_text("mine")
    invoke(*generate)
    assert names(tmp_path / "a") == sorted([*FILES, "shard-1-of-2"])
    assert names(tmp_path / "a" / "shard-1-of-2") == ["notes"], "what no run wrote stays"
    invoke(*generate, "--shards", 3)
    assert [name for name in names(tmp_path / "a") if name.startswith("dataset")] == []
    invoke(*generate, "--shard", "0/2")
    assert "statistics.json" in names(tmp_path / "a")
    invoke(*generate)
    assert names(tmp_path / "a") == sorted([*FILES, "shard-1-of-2"])


@pytest.mark.parametrize("force", [False, True])
def test_convert_never_replaces_a_file_of_a_run(force: bool, tmp_path: Path) -> None:  # noqa: FBT001
    agentgen.write_run(tmp_path / "a", sessions=5)
    before = {path: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    jsonl, copy = tmp_path / "a" / "dataset.jsonl", tmp_path / "copy.jsonl"
    with pytest.raises(agentgen.RunError, match=r"dataset\.jsonl: found a file of a run"):
        agentgen.convert(tmp_path / "a", jsonl, force=force)
    agentgen.convert(jsonl, copy)
    with pytest.raises(agentgen.RunError, match=r"copy\.jsonl: found the source, expected another file"):
        agentgen.convert(copy, copy, force=force)
    assert {path: path.read_bytes() for path in (tmp_path / "a").iterdir()} == before


def test_an_empty_directory_may_be_filled_and_a_file_not(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    invoke("generate", *SMALL, "--output", tmp_path, "--name", "a")
    (tmp_path / "b").write_text("")
    result = invoke("generate", *SMALL, "--output", tmp_path, "--name", "b", "--force", code=1)
    assert "found a file, expected a directory" in result.stderr


class TestShards:
    SHARDED = ("generate", "--config", "aiperf-1k-200k", "--sessions", 40, "--seed", 7, "--quiet", "--name", "a")

    def test_merged_shards_are_the_whole(self, invoke: Invoke, small_run: Path, tmp_path: Path) -> None:
        invoke(*self.SHARDED, "--output", tmp_path, "--shards", 3)
        parts = sorted((tmp_path / "a").glob("shard-*"))
        assert [part.name for part in parts] == ["shard-0-of-3", "shard-1-of-3", "shard-2-of-3"]
        joined = b"".join((part / "dataset.jsonl").read_bytes() for part in parts)
        assert joined == (small_run / "dataset.jsonl").read_bytes()
        merged, whole = manifest_of(tmp_path / "a"), manifest_of(small_run)
        assert merged["written"] == whole["written"]
        for name in ("quality.json", "comparison.txt"):
            assert (tmp_path / "a" / name).read_bytes() == (small_run / name).read_bytes()
        assert "ok: " in invoke("validate", tmp_path / "a").output

    def test_shards_of_several_machines_are_merged_by_hand(self, invoke: Invoke, tmp_path: Path) -> None:
        runs = []
        for index in range(2):
            runs.append(tmp_path / str(index))
            invoke(*self.SHARDED, "--output", tmp_path, "--name", index, "--shard", f"{index}/2")
        result = invoke("merge", *reversed(runs), "--output", tmp_path / "whole")
        written = manifest_of(tmp_path / "whole")["written"]
        lines = [line.strip() for line in result.output.splitlines()]
        assert f"{written['sessions']} sessions" in lines
        assert f"{written['continuations']} of them continue another after a restart" in lines
        assert re.search(r"^  2 shards +[\d.]+ kB$", result.output, re.MULTILINE)
        assert written["sessions"] - written["continuations"] == 40
        assert "ok: " in invoke("validate", tmp_path / "whole").output
        assert "expected none" in invoke("merge", *runs, "--output", tmp_path / "whole", code=1).stderr
        invoke("merge", *runs, "--output", tmp_path / "whole", "--force")

    def test_a_resumed_run_says_what_it_kept(self, invoke: Invoke, tmp_path: Path) -> None:
        loud = [part for part in self.SHARDED if part != "--quiet"]
        generate = (*loud, "--output", tmp_path, "--shards", 4, "--resume")
        assert invoke(*generate).stderr == "agentgen: kept 0 of 4 shards\n"
        shutil.rmtree(tmp_path / "a" / "shard-1-of-4")
        again = invoke(*generate)
        assert again.stderr == "agentgen: kept 3 of 4 shards\n"
        assert re.fullmatch(r"written in \d+\.\d s", again.stdout.splitlines()[-1])

    def test_a_whole_run_is_no_shard(self, invoke: Invoke, small_run: Path, tmp_path: Path) -> None:
        result = invoke("merge", small_run, "--output", tmp_path / "whole", code=1)
        assert f"{small_run}: found a complete data set, expected a shard" in result.stderr
        result = invoke("merge", tmp_path, "--output", tmp_path / "whole", code=1)
        assert f"{tmp_path}: found no manifest.json, expected the run directory of a shard" in result.stderr
        assert not (tmp_path / "whole").exists()

    def test_what_does_not_belong_together(self, invoke: Invoke, tmp_path: Path) -> None:
        for index, seed in enumerate((7, 8)):
            invoke(
                *(*self.SHARDED, "--output", tmp_path, "--name", index),
                *("--shard", f"{index}/2", "--seed", seed),
            )
        for runs in (("0",), ("0", "0"), ("0", "1")):
            result = invoke("merge", *(tmp_path / run for run in runs), "--output", tmp_path / "whole", code=1)
            assert result.stderr.startswith("agentgen: error: ")
            assert not (tmp_path / "whole" / "manifest.json").exists()

    def test_existing_shards_can_be_kept(self, invoke: Invoke, tmp_path: Path) -> None:
        generate = (*self.SHARDED, "--output", tmp_path, "--shards", 4)
        invoke(*generate)
        assert "choose another name or give --resume, which keeps complete shards" in invoke(*generate, code=1).stderr

    def test_resume_makes_only_what_is_missing_or_damaged(self, invoke: Invoke, tmp_path: Path) -> None:
        generate = (*self.SHARDED, "--output", tmp_path, "--shards", 4, "--resume")
        invoke(*generate)
        parts = sorted((tmp_path / "a").glob("shard-*"))
        whole = [(part / "dataset.jsonl").read_bytes() for part in parts]
        shutil.rmtree(parts[1])
        (parts[2] / "dataset.jsonl").write_bytes(whole[2][:-1])
        kept = [(parts[index] / "manifest.json").stat().st_mtime_ns for index in (0, 3)]
        invoke(*generate)
        assert [(part / "dataset.jsonl").read_bytes() for part in parts] == whole
        assert [(parts[index] / "manifest.json").stat().st_mtime_ns for index in (0, 3)] == kept
        assert all(_native.verify_run(str(part)) for part in parts)

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            (("--seed", 8), "seed: found 7, expected 8"),
            (("--sessions", 41), "sessions: found 40, expected 41"),
            (("--layout", "cumulative"), "layout: found incremental, expected cumulative"),
            (("--config", "default"), "config: found another configuration"),
            (("--max-osl", 5000), "max_osl: found None, expected 5000"),
            (("--shards", 5), "found a shard of another split, expected shard-0-of-5"),
        ],
    )
    def test_resume_refuses_another_data_set(
        self, changed: tuple[str, object], message: str, invoke: Invoke, tmp_path: Path
    ) -> None:
        generate = (*self.SHARDED, "--output", tmp_path, "--shards", 2)
        invoke(*generate)
        result = invoke(*generate, "--resume", *changed, code=1)
        assert message in result.stderr


def until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for a condition that a running process brings about."""
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the command; whatever still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def call(*arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        )
        started.append(process)
        return process

    yield call
    for process in started:
        process.kill()
        process.communicate()


def test_a_killed_run_leaves_nothing_whole_and_is_resumed(
    start: Callable[..., subprocess.Popen[str]], run: Run, tmp_path: Path
) -> None:
    generate = (
        *("generate", "--sessions", 60_000, "--format", "parquet", "--name", "a", "--output", tmp_path),
        *("--shards", 6, "--resume", "--threads", 1, "--quiet"),
    )
    process = start(*generate)
    until((tmp_path / "a" / "shard-1-of-6" / "manifest.json").exists, process)
    process.kill()
    process.communicate()
    assert process.returncode != 0
    parts = [tmp_path / "a" / f"shard-{index}-of-6" for index in range(6)]
    done = [part for part in parts if (part / "manifest.json").exists()]
    assert 2 <= len(done) < len(parts)
    assert [part for part in parts if _native.verify_run(str(part))] == done
    assert not (tmp_path / "a" / "manifest.json").exists()
    kept = [(part / "manifest.json").stat().st_mtime_ns for part in done]
    run(*generate)
    assert [(part / "manifest.json").stat().st_mtime_ns for part in done] == kept
    assert manifest_of(tmp_path / "a")["written"]["sessions"] == 60_000
    assert list((tmp_path / "a").rglob("*.partial")) == [], "what was begun is finished or gone"


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")
@pytest.mark.parametrize("shards", [(), ("--shards", 2)])
def test_ctrl_c_stops_and_cleans_up(
    shards: tuple[object, ...], start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start("generate", "--sessions", 50_000_000, "--format", "parquet", "--name", "a", "--quiet", *shards)
    until(lambda: any(path.is_file() for path in (tmp_path / "a").rglob("*")), process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    left = "; 0 of 2 shards are complete; run the same command with --resume to resume" if shards else ""
    assert (out, err.strip()) == ("", f"agentgen: error: interrupted{left}")
    assert [path for path in (tmp_path / "a").rglob("*") if path.is_file()] == []


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")
def test_shards_of_a_replaced_run_are_not_complete(
    start: Callable[..., subprocess.Popen[str]], run: Run, tmp_path: Path
) -> None:
    generate = ("generate", "--format", "parquet", "--name", "a", "--quiet", "--output", tmp_path, "--shards", 2)
    run(*generate, "--sessions", 20)
    process = start(*generate, "--sessions", 50_000_000, "--force")
    until(lambda: not any((tmp_path / "a").rglob("manifest.json")), process)
    process.send_signal(signal.SIGINT)
    assert "; 0 of 2 shards are complete" in process.communicate(timeout=60)[1]


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a small file system in memory with the given options."""
    mounts: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / "mounted"
        place.mkdir()
        program = shutil.which("mount")
        if program is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
            pytest.skip("needs root, to mount a small file system")
        done = subprocess.run(
            [program, "-t", "tmpfs", "-o", options, "agentgen-test", str(place)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"cannot mount a small file system: {done.stderr.strip()}")
        mounts.append(place)
        return place

    yield mount
    for place in mounts:
        subprocess.run(["umount", str(place)], check=True)  # noqa: S607  found where mount was


@pytest.mark.parametrize("formats", ["jsonl", "parquet", "jsonl,parquet"])
def test_a_full_disk_leaves_nothing_that_looks_whole(formats: str, mounted: Callable[[str], Path], run: Run) -> None:
    disk = mounted("size=1m")
    done = run("generate", "--sessions", 20_000, "--output", disk, "--name", "a", "--format", formats, code=1)
    assert os.strerror(errno.ENOSPC) in done.stderr
    assert str(disk / "a") in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [path for path in disk.rglob("*") if path.is_file()] == []


def test_a_page_that_does_not_fit_is_named(mounted: Callable[[str], Path], small_run: Path, run: Run) -> None:
    disk = mounted("size=1m")
    done = run("report", small_run, "--output", disk / "pages", code=1)
    page = disk / "pages" / "report.html"
    assert done.stderr == f"agentgen: error: {page}: {os.strerror(errno.ENOSPC)}; no incomplete file is left behind\n"
    assert list((disk / "pages").iterdir()) == []


def test_a_full_disk_keeps_the_data_of_the_run_to_replace(mounted: Callable[[str], Path], run: Run) -> None:
    disk = mounted("size=1m")
    generate = ("generate", "--output", disk, "--name", "a", "--quiet")
    run(*generate, "--sessions", 20)
    before = {path.name: path.read_bytes() for path in (disk / "a").glob("dataset.*")}
    run(*generate, "--sessions", 20_000, "--force", code=1)
    assert len(before) == 2
    assert {path.name: path.read_bytes() for path in (disk / "a").glob("dataset.*")} == before


def test_a_directory_that_cannot_be_written_to(mounted: Callable[[str], Path], run: Run) -> None:
    disk = mounted("ro")
    done = run("generate", *SMALL, "--output", disk, "--name", "a", code=1)
    assert done.stderr == f"agentgen: error: {disk / 'a'}: {os.strerror(errno.EROFS)}\n"
