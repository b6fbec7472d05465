"""The check of crate boundaries in `make lint` reports every dependency that its lists do not allow."""

import runpy
from pathlib import Path
from typing import Any

import pytest

CHECK = runpy.run_path(str(Path(__file__).parents[1] / ".ci" / "boundaries.py"))
RULES = {
    "library": {"engine": [], "trace": ["engine"], "py": ["engine", "trace"]},
    "tests": {"trace": ["testing"]},
    "external": {"arrow-*": ["trace", "py"], "pyo3": ["py"]},
}
DEPENDENCIES: dict[str, dict[str, str | None]] = {
    "engine": {"serde": None},
    "trace": {"engine": None, "arrow-array": None},
    "py": {"trace": None, "pyo3": None},
    "serde": {},
    "arrow-array": {},
    "pyo3": {},
}


def metadata(added: dict[str, dict[str, str | None]]) -> dict[str, Any]:
    """What `cargo metadata` prints for `DEPENDENCIES` and more: crate, dependency, kind (None is a normal one)."""
    names = {name: DEPENDENCIES.get(name, {}) | added.get(name, {}) for name in DEPENDENCIES | added}
    return {
        "packages": [{"id": f"{name} 1.0", "name": name} for name in names],
        "workspace_members": [f"{name} 1.0" for name in ("engine", "trace", "py", *added.keys() - DEPENDENCIES.keys())],
        "resolve": {
            "nodes": [
                {
                    "id": f"{name} 1.0",
                    "deps": [{"pkg": f"{to} 1.0", "dep_kinds": [{"kind": kind}]} for to, kind in deps.items()],
                }
                for name, deps in names.items()
            ]
        },
    }


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ({}, []),
        ({"engine": {"trace": "dev"}}, ["engine: found a dependency of its tests on trace, allowed none"]),
        (
            {"engine": {"pyo3": None}},
            [
                "engine: found a dependency on pyo3, allowed only for py",
                "trace: found a dependency on pyo3, allowed only for py",
            ],
        ),
        (
            {"trace": {"server": None}, "server": {"arrow-array": None, "engine": "build"}},
            [
                "py: found a dependency on server, allowed engine, trace",
                "server: found in one of Cargo.toml and [library] only",
                "trace: found a dependency on server, allowed engine",
            ],
        ),
    ],
)
def test_boundaries(added: dict[str, dict[str, str | None]], expected: list[str]) -> None:
    assert CHECK["violations"](RULES, metadata(added)) == expected
