"""Benchmark records name a machine by its cores and memory, and nothing else."""

import os
from typing import Any


def pytest_benchmark_update_machine_info(config: object, machine_info: dict[str, Any]) -> None:
    """Replace what pytest-benchmark collects."""
    del config
    python = machine_info["python_version"]
    machine_info.clear()
    machine_info.update(python_version=python, cores=os.cpu_count())
    if hasattr(os, "sysconf"):
        pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        machine_info["memory_gib"] = round(pages * page_bytes / 2**30)


def pytest_benchmark_update_commit_info(config: object, commit_info: dict[str, Any]) -> None:
    """A stored baseline is versioned with the sources already."""
    del config
    commit_info.clear()
