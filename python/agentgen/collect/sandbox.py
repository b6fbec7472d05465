"""Where tools run: a bubblewrap sandbox for each task, or, if asked for, a temporary directory of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import stat
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from agentgen.collect.limits import Limits
from agentgen.errors import CollectError

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType

    from agentgen.collect.fixture import Fixture

USER = 65534
HOST_NAME = "sandbox"
HOME = "/home/agent"
SHARED_MEMORY = "/dev/shm"  # noqa: S108  of the sandbox
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
SUPERVISOR = "/run/supervisor.py"
PROGRAM = Path(__file__).with_name("supervisor.py")  # not imported: it is for Linux only
SYSTEM_LINKS = ("bin", "lib", "lib32", "lib64", "libx32", "sbin")
REPLY_BYTES = 1 << 24  # far above two cut outputs
INSTALL = "install bubblewrap (Debian: apt-get install bubblewrap), or run tools without a sandbox by --no-sandbox"


@dataclass(frozen=True)
class CallResult:
    """A tool call that ran.

    Attributes:
        stdout: Standard output, cut.
        stderr: Standard error, cut.
        stdout_bytes: Size of the whole output.
        stderr_bytes: Size of the whole standard error.
        exit_code: That of the command, or 128 + the number of the signal that ended it.
        killed_by: The limit that ended it: `time` or `memory`.
        start_ns: Start, on the monotonic clock.
        end_ns: When the last process of the call was gone.
        telemetry: CPU time, memory and bytes of the process tree, by the names of AgentTrace.
    """

    stdout: str
    stderr: str
    stdout_bytes: int
    stderr_bytes: int
    exit_code: int
    killed_by: str | None
    start_ns: int
    end_ns: int
    telemetry: dict[str, Any]


@dataclass
class Workplace:
    """How the tools of a collection run.

    Attributes:
        fixture: The files that each task begins with.
        is_sandboxed: False to run tools with the rights of this process.
        limits: Limits of a call.
        python: The interpreter of tools.
        bubblewrap: The program that makes sandboxes.

    Raises:
        CollectError: This is not Linux, or bubblewrap or a Python for the sandbox is missing.
    """

    fixture: Fixture
    is_sandboxed: bool = True
    limits: Limits = field(default_factory=Limits)
    python: str = field(init=False)
    bubblewrap: str = field(init=False, default="")

    def __post_init__(self) -> None:
        if sys.platform != "linux":
            raise CollectError(f"found {sys.platform}, expected Linux: tools run and are measured there only")
        self.python = find_python() if self.is_sandboxed else sys.executable
        if self.is_sandboxed:
            path = shutil.which("bwrap")
            if path is None:
                raise CollectError(f"found no bubblewrap, which tools run in: {INSTALL}")
            self.bubblewrap = path

    def open(self, directory: str) -> Sandbox:
        """A new sandbox with a fresh copy of the fixture, whose calls start in `directory`."""
        return Sandbox(self, directory)


class Sandbox:
    """A sandbox of one task: `async with`, then calls one after the other.

    Raises:
        CollectError: bubblewrap cannot make one here, or its first process ended.
    """

    def __init__(self, workplace: Workplace, directory: str) -> None:
        self.workplace = workplace
        self.directory = directory
        self._stack = contextlib.ExitStack()
        self._process: asyncio.subprocess.Process | None = None
        self._root = ""
        self._is_started = False

    async def __aenter__(self) -> Self:
        """Start it and make the files."""
        try:
            await self._start()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End all that runs in it and drop the files, also if this is cancelled meanwhile."""
        await _to_the_end(self._end())

    async def _end(self) -> None:
        if process := self._process:
            assert process.stdin  # noqa: S101  a pipe
            process.stdin.close()
            # bubblewrap that is killed while it starts leaves a process behind, which ends by itself without requests.
            if self._is_started and process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    if self.workplace.is_sandboxed:
                        process.kill()
                    else:
                        process.terminate()  # which ends the processes of a call, too
            await process.communicate()  # not wait(): pipes must be closed before the event loop is
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                await process.stdin.wait_closed()
        self._stack.close()

    async def call(self, command: list[str]) -> CallResult:
        """Run a command and measure it; what it leaves in the background is killed."""
        request = {
            "command": command,
            "directory": self._root + self.directory,
            "environment": self._environment(),
            "limits": self.workplace.limits.of_call(has_namespace=self.workplace.is_sandboxed),
        }
        reply = await self._exchange(request)
        names = ("user_time_s", "system_time_s", "max_rss_bytes", "read_bytes", "write_bytes", "tree_rss_bytes")
        return CallResult(
            stdout=reply["stdout"]["text"],
            stderr=reply["stderr"]["text"],
            stdout_bytes=reply["stdout"]["bytes"],
            stderr_bytes=reply["stderr"]["bytes"],
            telemetry={name: reply[name] for name in names},
            **{name: reply[name] for name in ("exit_code", "killed_by", "start_ns", "end_ns")},
        )

    async def _start(self) -> None:
        if self.workplace.is_sandboxed:
            file = self._stack.enter_context(_supervisor_file())
            options = _options(file.fileno(), self.workplace.python, self.workplace.limits.disk_bytes)
            command = [self.workplace.bubblewrap, *options, self.workplace.python, "-I", "-S", SUPERVISOR]
            # The limit of processes does not hold for root.
            user: dict[str, Any] = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
            passed: tuple[int, ...] = (file.fileno(),)
        else:
            self._root = self._stack.enter_context(
                tempfile.TemporaryDirectory(prefix="agentgen-collect-", ignore_cleanup_errors=True)
            )
            command, user, passed = [self.workplace.python, "-I", "-S", str(PROGRAM)], {}, ()

        async def start() -> None:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=REPLY_BYTES,
                pass_fds=passed,
                cwd="/",
                start_new_session=True,  # Ctrl-C is for the command, which ends its sandboxes
                **user,
            )

        await _to_the_end(start())  # asyncio would kill a process that is starting; `_end` knows better
        await self._exchange(
            {
                "root": self._root,
                "entries": self.workplace.fixture.to_request(),
                "directory": self._root + self.directory,
            }
        )
        self._is_started = True

    async def _exchange(self, request: dict[str, Any]) -> Any:
        process = self._process
        assert process  # noqa: S101  in `async with`
        assert process.stdin  # noqa: S101  a pipe
        assert process.stdout  # noqa: S101  a pipe
        assert process.stderr  # noqa: S101  a pipe
        line = b""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(json.dumps(request).encode() + b"\n")
            await process.stdin.drain()
            line = await process.stdout.readline()
        if not line:
            error = (await process.stderr.read()).decode(errors="replace").strip().splitlines()
            await process.wait()
            reason = error[-1] if error else f"exit code {process.returncode}"
            kind = "the sandbox" if self.workplace.is_sandboxed else "the supervisor of tools"
            more = "; --no-sandbox runs tools without one" if self.workplace.is_sandboxed else ""
            raise CollectError(f"{kind} ended: {reason}{more}")
        return json.loads(line)

    def _below_root(self, paths: str) -> str:
        return " ".join(f"{self._root}{path}" for path in paths.split())

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": PATH,
            "HOME": self._root + HOME,
            "USER": "agent",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            **{name: self._below_root(paths) for name, paths in self.workplace.fixture.variables.items()},
        }


async def _to_the_end(coroutine: Coroutine[Any, Any, None]) -> None:
    """Await something that is not cancelled halfway; a cancellation is raised when it has ended."""
    running = asyncio.ensure_future(coroutine)
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await running
        raise


def _supervisor_file() -> IO[bytes]:
    """The supervisor's program, which the sandbox's user may be unable to open where it is installed."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  closed with the sandbox
    file.write(PROGRAM.read_bytes())
    file.seek(0)
    return file


def _options(supervisor_fd: int, python: str, disk_bytes: int) -> list[str]:
    """A root file system of its own in memory; of the host only the system's programs, to be read."""
    size = str(disk_bytes)
    command = [
        "--unshare-all",
        "--unshare-user",
        "--disable-userns",
        "--uid",
        str(USER),
        "--gid",
        str(USER),
        "--hostname",
        HOST_NAME,
    ]
    command += ["--new-session", "--die-with-parent", "--as-pid-1", "--clearenv", "--chdir", "/"]
    command += ["--size", size, "--tmpfs", "/", "--ro-bind", "/usr", "/usr"]
    for name in SYSTEM_LINKS:
        path = Path("/", name)
        if path.is_symlink():
            command += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            command += ["--ro-bind", str(path), str(path)]
    prefix = sys.base_prefix
    if Path(python).is_relative_to(prefix) and not Path(prefix).is_relative_to("/usr"):
        command += ["--ro-bind", prefix, prefix]
    command += ["--ro-bind-try", "/etc/alternatives", "/etc/alternatives"]
    command += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    command += ["--proc", "/proc", "--dev", "/dev", "--size", size, "--tmpfs", SHARED_MEMORY, "--remount-ro", "/dev"]
    return [*command, "--ro-bind-data", str(supervisor_fd), SUPERVISOR, "--"]


def find_python() -> str:
    """The interpreter of the sandbox: this one if the sandbox's user may read it, else the system's.

    Raises:
        CollectError: There is none.
    """
    own = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    for path in (own, Path("/usr/bin/python3"), Path("/usr/local/bin/python3")):
        if path.is_file() and (os.geteuid() != 0 or _is_open_to_all(path.resolve())):
            return str(path)
    raise CollectError(f"found no Python that user {USER} may run, which the tools need: install python3 in /usr/bin")


def _is_open_to_all(path: Path) -> bool:
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))
