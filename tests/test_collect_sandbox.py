"""Tools of `agentgen collect`: what they can reach, what they can use, and how that is measured."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from agentgen.collect.limits import MIB, Limits
from agentgen.collect.sandbox import Workplace
from agentgen.errors import CollectError
from sandboxed import FIXTURE, calls

if sys.platform != "linux":
    pytest.skip("tools run on Linux only", allow_module_level=True)

SHORT = Limits(time_s=1.0)
TIMES = {entry.path: entry.time_s for entry in FIXTURE.entries}
FORK_BOMB = "bomb() { bomb | bomb & }; bomb; sleep 60"


@pytest.fixture(scope="module", autouse=True)
def sandbox() -> None:
    """Skip where bubblewrap is missing or may not make namespaces."""
    try:
        calls("true")
    except CollectError as error:
        pytest.skip(f"tools cannot be run in a sandbox here: {error}")


def test_tools_see_the_fixture_and_nothing_of_the_host(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("zebrafish")
    home, reached, link, made, listed = calls(
        'ls -A "$HOME" /home; cat notes.gz | zcat | wc -l',
        f"cat {secret}; ls {Path.home()} {Path(__file__).parent}; cat /etc/shadow; ls /sys /boot /opt /mnt",
        f"ln -s {secret} out; cat out; ln -s /usr/share s; touch s/x; ln -s /proc/1/root r; ls r/; ls r/root",
        "stat -c %a:%Y /testbed/dir1/tool.sh; touch /x /tmp/y /usr/z; ls /x /tmp/y",
        "ls /",
    )
    assert home.stdout.split() == ["/home:", "agent", "/home/agent:", "newlinks", "notes.txt", "10"]
    assert reached.stdout == ""
    assert link.stdout == ""
    assert "zebrafish" not in reached.stderr + link.stderr
    assert made.stdout == f"553:{TIMES['/testbed/dir1/tool.sh']}\n/tmp/y\n/x\n"
    assert "Read-only file system" in made.stderr
    assert "x" in listed.stdout.split()  # files stay from call to call


def test_each_sandbox_begins_anew() -> None:
    (first,) = calls("rm -rf /testbed /workspace; touch /new; ls /testbed")
    (second,) = calls("ls /testbed /new")
    assert first.exit_code != 0
    assert "Hello.java" in second.stdout
    assert "/new" not in second.stdout


def test_the_folder_of_a_task_is_made_and_may_be_removed() -> None:
    made, removed, after = calls("pwd", "rmdir /data/mine; echo gone", "pwd", directory="/data/mine")
    assert (made.stdout, removed.stdout) == ("/data/mine\n", "gone\n")
    assert (after.stderr, after.exit_code) == ("/data/mine: No such file or directory\n", 127)


def test_tools_have_no_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        outside, host, interfaces = calls(
            "exec 3<>/dev/tcp/1.1.1.1/53", f"exec 3<>/dev/tcp/127.0.0.1/{port}", "cat /proc/net/dev"
        )
    assert "Network is unreachable" in outside.stderr
    assert "Connection refused" in host.stderr
    assert [line.split(":")[0].strip() for line in interfaces.stdout.splitlines()[2:]] == ["lo"]


def test_tools_are_user_65534_without_rights() -> None:
    result, nested = calls("id -u; id -g; grep -E '^(CapEff|CapPrm|NoNewPrivs)' /proc/self/status", "unshare -Ur id")
    assert nested.stdout == ""  # no namespace of its own, in which it would have rights
    assert nested.exit_code != 0
    assert result.stdout.split()[:8] == [
        *("65534", "65534"),
        "CapPrm:",
        "0" * 16,
        "CapEff:",
        "0" * 16,
        "NoNewPrivs:",
        "1",
    ]


def test_tools_cannot_touch_what_measures_them() -> None:
    attacked, after = calls(
        "kill -9 1; kill -INT 1; kill -TERM 1; kill -STOP 1; cat /proc/1/environ; ls /proc/1/fd; : > /proc/1/mem",
        "echo on",
    )
    assert attacked.stdout == ""
    assert attacked.stderr.count("Permission denied") == 3
    assert after.stdout == "on\n"


def test_a_fork_bomb_is_limited_and_gone_after_its_call() -> None:
    bomb, after = calls(FORK_BOMB, "ls -d /proc/[0-9]* | wc -l", limits=SHORT)
    assert bomb.killed_by == "time"
    assert bomb.exit_code == 128 + signal.SIGKILL
    assert "Resource temporarily unavailable" in bomb.stderr
    assert int(after.stdout) <= 4  # process 1, bash, ls, wc


def test_processes_in_the_background_end_with_their_call() -> None:
    started, after = calls("(setsid sleep 1000 &); nohup sleep 1000 & echo started", "ps -A -o comm= | grep -c sleep")
    assert started.stdout == "started\n"
    assert started.killed_by is None
    assert after.stdout == "0\n"


def test_a_huge_output_is_cut_and_counted() -> None:
    (result,) = calls("head -c 50000000 /dev/zero | tr '\\0' x; head -c 30000 /dev/zero | tr '\\0' y >&2; exit 3")
    assert (len(result.stdout), result.stdout_bytes) == (Limits().output_bytes, 50_000_000)
    assert (len(result.stderr), result.stderr_bytes) == (Limits().output_bytes, 30_000)
    assert result.exit_code == 3


def test_files_memory_and_disk_are_limited() -> None:
    file, disk, process, device = calls(
        "head -c 100000000 /dev/zero > big; stat -c %s big; rm big",
        "for i in 1 2 3 4 5 6; do head -c 60000000 /dev/zero > f$i; done; df --output=pcent / | tail -1; rm f*",
        "python3 -c 'bytearray(3 * 10**9)'",
        "head -c 1000 /dev/zero > /dev/file; head -c 400000000 /dev/zero > /dev/shm/file",
    )
    assert int(file.stdout) == Limits().file_bytes
    assert disk.stdout.strip() == "100%"
    assert "No space left on device" in disk.stderr
    assert "MemoryError" in process.stderr
    assert "Read-only file system" in device.stderr


def test_the_memory_of_all_processes_is_limited() -> None:
    command = "for i in 1 2 3; do python3 -c 'import time; x = bytearray(60 * 10**6); time.sleep(60)' & done; wait"
    (result,) = calls(command, limits=Limits(tree_memory_bytes=128 * MIB))
    assert result.killed_by == "memory"
    assert result.telemetry["tree_rss_bytes"] > 128 * MIB


def test_the_telemetry_of_a_call_is_that_of_its_processes() -> None:
    burn = 'python3 -c "import os, time\nwhile time.process_time() < 0.3: pass\nprint(sum(os.times()[:2]))"'
    nothing, cpu, memory, written, deep, killed = calls(
        "true",
        burn,
        "python3 -c 'x = bytearray(100 * 10**6)'",
        "dd if=/dev/zero of=file bs=1M count=5 status=none",
        "sh -c 'dd if=file of=copy bs=1M status=none; sh -c true'",
        "(while :; do :; done) & sleep 60",
        limits=SHORT,
    )
    assert nothing.telemetry["max_rss_bytes"] < 8 * MIB  # bash, not the interpreter that measures
    assert nothing.telemetry["write_bytes"] == 0
    used = cpu.telemetry["user_time_s"] + cpu.telemetry["system_time_s"]
    assert used >= float(cpu.stdout) - 0.02  # times() has ticks of 10 ms
    assert 100e6 < memory.telemetry["max_rss_bytes"] < 130e6
    assert written.telemetry["write_bytes"] == 5 * MIB
    assert written.telemetry["read_bytes"] >= 5 * MIB
    assert deep.telemetry["write_bytes"] == 5 * MIB
    assert killed.killed_by == "time"
    assert killed.telemetry["user_time_s"] + killed.telemetry["system_time_s"] > 0.2  # of a killed background process
    for result in (nothing, cpu, memory, written, deep, killed):
        assert 0 < result.start_ns < result.end_ns


@pytest.mark.parametrize(("command", "code"), [("exit 7", 7), ("kill -SEGV $$", 139), ("no-such-program", 127)])
def test_exit_codes_are_those_of_a_shell(command: str, code: int) -> None:
    (result,) = calls(command)
    assert result.exit_code == code


def test_pipes_end_their_writers_quietly() -> None:
    (result,) = calls("set -o pipefail; yes | head -n 2")
    assert (result.stdout, result.stderr, result.exit_code) == ("y\ny\n", "", 128 + signal.SIGPIPE)


def test_a_killed_command_takes_its_sandbox_along() -> None:
    program = (
        "import asyncio\nfrom sandboxed import FIXTURE\nfrom agentgen.collect.sandbox import Workplace\n"
        "async def run():\n    async with Workplace(FIXTURE).open('/testbed') as sandbox:\n"
        "        await sandbox.call(['bash', '-c', 'true'])\n        print(sandbox._process.pid, flush=True)\n"
        "        await sandbox.call(['sleep', '1000'])\nasyncio.run(run())\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parent, text=True) as running:
        assert running.stdout
        outer = int(running.stdout.readline())
        inner = children(outer)
        assert inner
        running.kill()
    for pid in [outer, *inner]:
        for _ in range(2000):
            if not Path(f"/proc/{pid}/cmdline").exists() or state(pid) == "Z":
                break
            os.sched_yield()
        else:
            pytest.fail(f"process {pid} is left")


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def test_without_a_sandbox_tools_run_in_a_folder_of_their_own() -> None:
    place, background, after = calls(
        'pwd; ls "$HOME"; cat $FILES | head -1 | wc -w; ls "$DIRECTORY" | head -1',
        "(setsid sleep 31337 &); echo started",
        "ps -A -o args= | grep -c '^sleep 31337'",
        is_sandboxed=False,
    )
    folder, *rest = place.stdout.split()
    assert folder.endswith("/testbed")
    assert rest == ["newlinks", "notes.txt", "8", "Hello.java"]
    assert background.stdout == "started\n"
    assert after.stdout == "0\n"
    assert not Path(folder).exists()


def test_without_bubblewrap_tools_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CollectError, match=r"found no bubblewrap.*--no-sandbox"):
        Workplace(FIXTURE)


def test_a_bubblewrap_that_may_not_make_namespaces_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to other users
        Path(folder).chmod(0o755)
        program = Path(folder, "bwrap")
        program.write_text("#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        with pytest.raises(CollectError, match=r"the sandbox ended: bwrap: No permissions .*; --no-sandbox"):
            calls("true")


def test_the_fixture_is_the_same_in_a_sandbox_and_in_a_folder(tmp_path: Path) -> None:
    FIXTURE.write(tmp_path / "files")
    program = (
        "import hashlib, json, os, stat\nfound = {}\n"
        "for path in json.load(open('/home/agent/paths')):\n    s = os.lstat(path)\n"
        "    data = open(path, 'rb').read() if stat.S_ISREG(s.st_mode) else b''\n"
        "    found[path] = [s.st_mode, int(s.st_mtime), hashlib.md5(data).hexdigest()]\n"
        "print(hashlib.md5(json.dumps(found).encode()).hexdigest())"
    )
    paths = [entry.path for entry in FIXTURE.entries if entry.path not in {"/home/agent", "/etc"}]
    (inside,) = calls(f"cat > ~/paths <<'E'\n{json.dumps(paths)}\nE\npython3 - <<'E'\n{program}\nE")
    outside = program.replace("/home/agent/paths", str(tmp_path / "paths"))
    (tmp_path / "paths").write_text(json.dumps(paths))
    outside = outside.replace("os.lstat(path)", f"os.lstat({str(tmp_path / 'files')!r} + path)")
    outside = outside.replace("open(path,", f"open({str(tmp_path / 'files')!r} + path,")
    done = subprocess.run([sys.executable, "-c", outside], capture_output=True, text=True, check=True)
    assert inside.stdout == done.stdout
    assert inside.stderr == ""
