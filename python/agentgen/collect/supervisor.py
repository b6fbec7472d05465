"""Runs tool calls inside the sandbox and measures them. Process 1 there; standard library only, no other module.

Requests and replies are lines of JSON on standard input and output. The first request has the files to make; each other
one is a call. A call runs until its first process ends; what it leaves in the background has `GRACE_S` more.

How a call is measured: a shell forks the process of the call and ends, so that this process becomes its parent. When
the call ends, the kernel's account of it and of all descendants that were waited for is read from `/proc/PID/io` and
`wait4`: CPU time, peak memory and bytes without sampling, and without the memory of this interpreter, which a child of
its own would inherit. Processes that were killed are accounted for, too; the bytes of those in the background only if a
sample saw them. The memory of all processes together is sampled.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import json
import os
import resource
import selectors
import signal
import sys
import time

TYPE_CHECKING = False  # the module that has it takes milliseconds to import
if TYPE_CHECKING:
    from typing import Any

GRACE_S = 0.25
SAMPLE_S = 0.02
READ_BYTES = 65536
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Starts a process whose parent ends, and tells its number; when descriptor 4 is closed it becomes the command.
ORPHAN = '{ read -r _ <&4; exec "$@" 3>&- 4>&-; } & echo $! >&3'
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 1, 4, 36
IS_INIT = os.getpid() == 1

_wakeup_read, _wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)


class Stream:
    """Output of a call: the first bytes, and how many there were."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self.kept = bytearray()

    def add(self, data: bytes) -> None:
        """Count what was read, and keep its beginning."""
        self.bytes += len(data)
        self.kept += data[: max(0, self.limit - len(self.kept))]

    def reply(self) -> dict[str, Any]:
        """What was kept, as text, and the size of all."""
        return {"text": self.kept.decode(errors="replace"), "bytes": self.bytes}


class Call:
    """A call that runs."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.limits = request["limits"]
        self.exit_code: int | None = None
        self.killed_by: str | None = None
        self.cpu_s = [0.0, 0.0]
        self.max_rss_bytes: int | None = None
        self.tree_rss_bytes: int | None = None
        self.io_bytes: list[int] | None = None
        self.io_files: dict[int, Any] = {}  # of an ended process they can be read, but not opened
        self.streams = {name: Stream(self.limits["output_bytes"]) for name in ("stdout", "stderr")}
        self.process: int | None = None  # its number, once the shell has told it
        self.selector = selectors.DefaultSelector()
        self.selector.register(_wakeup_read, selectors.EVENT_READ)
        self.start_ns = self.end_ns = 0
        self.stub, self.release = self._start(request["command"], request["directory"], request["environment"])
        self._run()
        self.end_ns = time.monotonic_ns()

    def _start(self, command: list[str], directory: str, environment: dict[str, str]) -> tuple[int, int]:
        """Fork the shell; its number, and the file that keeps the process of the call waiting until it is closed."""
        pipes = {name: os.pipe2(os.O_CLOEXEC) for name in ("stdout", "stderr", "number")}
        held, release = os.pipe2(os.O_CLOEXEC)
        stub = os.fork()
        if stub == 0:
            try:
                _become(command, directory, environment, self.limits, [*(write for _, write in pipes.values()), held])
            finally:
                os._exit(127)
        os.close(held)
        for name, (read, write) in pipes.items():
            os.close(write)
            os.set_blocking(read, False)
            self.selector.register(read, selectors.EVENT_READ, name)
        return stub, release

    def _run(self) -> None:
        next_sample = time.monotonic() + SAMPLE_S
        deadline = time.monotonic() + self.limits["time_s"]
        background_deadline = None  # once the first process has ended
        while self._reap():
            now = time.monotonic()
            if self.exit_code is not None and background_deadline is None:
                background_deadline = now + GRACE_S
                self._sample()
            if self.killed_by is None and now >= deadline:
                self.killed_by = "time"
            if self.killed_by or (background_deadline and now >= background_deadline):
                _kill_all()
                next_sample = now + SAMPLE_S
            elif now >= next_sample:
                self._sample()
                next_sample = now + SAMPLE_S
            self._read(next_sample - now)
        self._close()

    def _close(self) -> None:
        """Read what is left in the pipes, whose writers are all gone, and close all files."""
        while self._read(0):
            pass
        for key in list(self.selector.get_map().values()):
            if key.data:
                os.close(key.fd)
        self.selector.close()
        for file in self.io_files.values():
            file.close()
        if self.exit_code is None:  # not even the shell could start
            self.exit_code = 127

    def _reap(self) -> bool:
        """Account for the processes that ended; whether others are left."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return False
            if ended is None:
                return True
            read_and_written = self._io(ended.si_pid)
            pid, status, usage = os.wait4(ended.si_pid, 0)
            if pid == self.stub:
                self._read(0)
                if self.process is not None:
                    self._open_io(self.process)
                self.start_ns = time.monotonic_ns()
                os.close(self.release)
                continue
            self.cpu_s[0] += usage.ru_utime
            self.cpu_s[1] += usage.ru_stime
            self.max_rss_bytes = max(self.max_rss_bytes or 0, usage.ru_maxrss * 1024)
            if read_and_written:
                self.io_bytes = [a + b for a, b in zip(self.io_bytes or [0, 0], read_and_written, strict=False)]
            if pid == self.process:
                code = os.waitstatus_to_exitcode(status)
                self.exit_code = 128 - code if code < 0 else code

    def _read(self, timeout_s: float) -> bool:
        """Read what there is; whether there was anything."""
        any_read = False
        for key, _ in self.selector.select(max(0.0, timeout_s)):
            try:
                data = os.read(key.fd, READ_BYTES)
            except BlockingIOError:
                continue
            if key.data is None:  # a child ended
                continue
            any_read = True
            if not data:
                self.selector.unregister(key.fd)
                os.close(key.fd)
            elif key.data == "number":
                self.process = int(data)
            else:
                self.streams[key.data].add(data)
        return any_read

    def _sample(self) -> None:
        """The memory of all processes together; end them if it is too much."""
        pids = [pid for pid in _processes() if pid != self.stub]
        for pid in pids:
            self._open_io(pid)
        total = sum(map(_rss, pids))
        if total:
            self.tree_rss_bytes = max(self.tree_rss_bytes or 0, total)
        if total > self.limits["tree_memory_bytes"] and self.killed_by is None:
            self.killed_by = "memory"

    def _open_io(self, pid: int) -> None:
        if pid not in self.io_files:
            with contextlib.suppress(OSError):  # it has ended, or the kernel has no such accounting
                self.io_files[pid] = open(f"/proc/{pid}/io", "rb")  # noqa: SIM115  read when the process has ended

    def _io(self, pid: int) -> list[int] | None:
        """Bytes read and written by the system calls of an ended process and of all children that it waited for."""
        try:
            with self.io_files.pop(pid) as file:
                fields = dict(line.split(b": ") for line in file.read().splitlines())
        except (KeyError, OSError):
            return None
        return [int(fields[b"rchar"]), int(fields[b"wchar"])]

    def reply(self) -> dict[str, Any]:
        """All that was measured."""
        read_bytes, write_bytes = self.io_bytes or (None, None)
        return {
            "exit_code": self.exit_code,
            "killed_by": self.killed_by,
            "start_ns": self.start_ns,
            "end_ns": self.end_ns,
            "user_time_s": self.cpu_s[0],
            "system_time_s": self.cpu_s[1],
            "max_rss_bytes": self.max_rss_bytes,
            "tree_rss_bytes": self.tree_rss_bytes,
            "read_bytes": read_bytes,
            "write_bytes": write_bytes,
            **{name: stream.reply() for name, stream in self.streams.items()},
        }


def _become(
    command: list[str], directory: str, environment: dict[str, Any], limits: dict[str, Any], pipes: list[int]
) -> None:
    """Turn the forked process into the shell that starts the command."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):  # which Python ignores or handles
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for target, source in enumerate(pipes, start=1):
        os.dup2(source, target)
    try:
        os.chdir(directory)
    except OSError as error:  # an earlier call has removed it
        os.write(2, f"{directory}: {error.strerror}\n".encode())
        os._exit(127)
    for name in ("AS", "FSIZE", "NPROC", "NOFILE", "CORE"):
        if (limit := limits[name]) is not None:
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))
    os.execve("/bin/sh", ["sh", "-c", ORPHAN, "sh", *command], environment)  # noqa: S606  a shell it is


def _kill_all() -> None:
    """Kill every process but this one; as process 1 in one system call, which no fork escapes."""
    for pid in [-1] if IS_INIT else _processes():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _processes() -> list[int]:
    """All processes of calls: in the sandbox all others, else the descendants of this one."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    me = os.getpid()
    if IS_INIT:
        return [pid for pid in pids if pid != me]
    parents = {pid: _parent(pid) for pid in pids}
    found: list[int] = []
    generation = {me}
    while generation := {pid for pid, parent in parents.items() if parent in generation}:
        found += generation
    return found


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return -1


def _rss(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0


def _make(root: str, entries: list[Any]) -> None:
    """Make files, links and directories; times last and from the end, because a new file changes its directory's."""
    for path, kind, mode, _, content in entries:
        target = root + path
        if kind == "directory":
            os.makedirs(target, exist_ok=True)
        elif kind == "link":
            os.symlink(content, target)
        else:
            with open(target, "xb") as file:
                file.write(base64.b64decode(content))
            os.chmod(target, mode)
    for path, kind, mode, time_s, _ in reversed(entries):
        if kind == "directory":
            os.chmod(root + path, mode)
        os.utime(root + path, (time_s, time_s), follow_symlinks=False)


def _end(*_: object) -> None:
    """End with all processes of a call, where no namespace ends them."""
    _kill_all()
    os._exit(0)


def main() -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # which process 1 does not get; outside, the other end closes the pipe
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(_wakeup_write, warn_on_full_buffer=False)
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_DUMPABLE, 0)  # tools have the same user; this keeps them out of this process and its pipes
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    if not IS_INIT:
        signal.signal(signal.SIGTERM, _end)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    os.umask(0o022)
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(0, 1)
    for line in requests:
        request = json.loads(line)
        if "entries" in request:
            _make(request["root"], request["entries"])
            os.makedirs(request["directory"], exist_ok=True)
            reply = {"python": sys.version.split()[0]}
        else:
            reply = Call(request).reply()
        replies.write(json.dumps(reply).encode() + b"\n")
        replies.flush()
    _kill_all()


if __name__ == "__main__":
    main()
