"""The files that tasks begin with: the same bytes, modes and times on every machine."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from agentgen.collect import fixture_files as files
from agentgen.errors import CollectError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Kind = Literal["directory", "file", "link"]
MODES = {"directory": 0o755, "file": 0o644, "link": 0o777}


@dataclass(frozen=True)
class Entry:
    """A file, a directory or a symbolic link.

    Attributes:
        path: Absolute, as tools see it.
        kind: What it is.
        mode: Permissions.
        time_s: Time of modification and access, Unix seconds.
        content: Bytes of a file; the target of a link.
    """

    path: str
    kind: Kind
    mode: int
    time_s: int
    content: bytes = b""

    def to_request(self) -> tuple[str, str, int, int, str]:
        """The entry as the supervisor of a sandbox takes it."""
        content = self.content.decode() if self.kind == "link" else base64.b64encode(self.content).decode()
        return self.path, self.kind, self.mode, self.time_s, content


@dataclass(frozen=True)
class Fixture:
    """Entries in order: directories before what is in them.

    Attributes:
        entries: All files, directories and links.
        variables: Environment variables of tools.
    """

    entries: tuple[Entry, ...]
    variables: Mapping[str, str]

    def to_request(self) -> list[tuple[str, str, int, int, str]]:
        """The entries as the supervisor of a sandbox takes them."""
        return [entry.to_request() for entry in self.entries]

    @cached_property
    def version(self) -> str:
        """SHA-256 of all that a tool can see of the files."""
        seen = json.dumps([self.to_request(), dict(self.variables)], sort_keys=True)
        return hashlib.sha256(seen.encode()).hexdigest()

    def write(self, directory: Path) -> None:
        """Make the files below a directory, which must be new or empty.

        Raises:
            CollectError: There is something in the directory.
            OSError: It cannot be written.
        """
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise CollectError(
                f"{directory}: found files, expected a new or an empty directory (--check compares them)"
            )
        for entry in self.entries:
            path = _below(directory, entry)
            if entry.kind == "directory":
                path.mkdir()
            elif entry.kind == "link":
                path.symlink_to(entry.content.decode())
            else:
                path.write_bytes(entry.content)
                path.chmod(entry.mode)
        for entry in reversed(self.entries):  # a new file changes the time of its directory
            path = _below(directory, entry)
            if entry.kind == "directory":
                path.chmod(entry.mode)
            os.utime(path, (entry.time_s, entry.time_s), follow_symlinks=False)

    def differences(self, directory: Path) -> Iterator[str]:
        """What below a directory is not as `write` makes it: one line each; owners and access times do not count."""
        expected = {entry.path: entry for entry in self.entries}
        # Not Path.walk, which Python 3.11 does not have.
        for folder, names, others in os.walk(directory):
            for name in sorted(names + others):
                path = "/" + str((Path(folder) / name).relative_to(directory))
                if path not in expected:
                    yield f"{path}: not expected"
        for entry in self.entries:
            if found := _difference(_below(directory, entry), entry):
                yield f"{entry.path}: {found}"


def _below(directory: Path, entry: Entry) -> Path:
    return directory / entry.path.lstrip("/")


def _difference(path: Path, entry: Entry) -> str | None:
    try:
        status = path.lstat()
    except OSError:
        return "missing"
    kinds: dict[Kind, Any] = {"directory": stat.S_ISDIR, "file": stat.S_ISREG, "link": stat.S_ISLNK}
    if not kinds[entry.kind](status.st_mode):
        return f"not a {entry.kind}"
    if entry.kind == "link":
        target = path.readlink()
        return None if str(target) == entry.content.decode() else f"found a link to {target}, expected another"
    if (mode := stat.S_IMODE(status.st_mode)) != entry.mode:
        return f"found mode {mode:o}, expected {entry.mode:o}"
    if entry.kind == "file" and path.read_bytes() != entry.content:
        return "found other content"
    if int(status.st_mtime) != entry.time_s:
        return f"found time {int(status.st_mtime)}, expected {entry.time_s} (Unix seconds)"
    return None


def nl2bash_fixture() -> Fixture:
    """The fixture of the NL2Bash tasks."""
    contents = files.contents()
    paths = {*contents, *files.LINKS, *files.DIRECTORIES}
    parents = {str(parent) for path in paths for parent in Path(path).parents if str(parent) != "/"}
    entries = []
    for number, path in enumerate(sorted(paths | parents)):
        kind: Kind = "link" if path in files.LINKS else "file" if path in contents else "directory"
        data = files.LINKS.get(path) or contents.get(path, b"")
        time_s = files.RECENT_S if path in files.RECENT else files.OLD_S + number * files.HOUR_S
        content = data.encode() if isinstance(data, str) else data
        entries.append(Entry(path, kind, files.SPECIAL_MODES.get(path, MODES[kind]), time_s, content))
    return Fixture(tuple(entries), files.VARIABLES)
