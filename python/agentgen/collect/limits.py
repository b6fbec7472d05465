"""What a tool call may use."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Limits of one tool call; the disk is that of a task.

    Attributes:
        time_s: Wall time; then all processes are killed.
        process_memory_bytes: Address space of a process.
        tree_memory_bytes: Resident memory of all processes together, as sampled; then all are killed.
        processes: Processes and threads at a time.
        file_bytes: Size of a file.
        open_files: Open files of a process.
        output_bytes: Bytes of standard output, and of standard error, that are kept; the rest is read and counted.
        disk_bytes: Size of the file system that a task can write to, which is memory.
    """

    time_s: float = 30.0
    process_memory_bytes: int = 2048 * MIB
    tree_memory_bytes: int = 1024 * MIB
    processes: int = 64
    file_bytes: int = 64 * MIB
    open_files: int = 256
    output_bytes: int = 16 << 10
    disk_bytes: int = 256 * MIB

    def of_call(self, *, has_namespace: bool) -> dict[str, Any]:
        """The limits as the supervisor takes them; processes can be counted in a namespace only."""
        return {
            "time_s": self.time_s,
            "tree_memory_bytes": self.tree_memory_bytes,
            "output_bytes": self.output_bytes,
            "AS": self.process_memory_bytes,
            "FSIZE": self.file_bytes,
            "NPROC": self.processes if has_namespace else None,
            "NOFILE": self.open_files,
            "CORE": 0,
        }

    def to_dict(self) -> dict[str, Any]:
        """All limits, by name."""
        return asdict(self)
