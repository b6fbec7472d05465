"""Check which crate depends on which: Cargo's resolution against the lists of `boundaries.toml`."""

import json
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

RULES = Path(__file__).with_name("boundaries.toml")
HELP = """\
`cargo tree --package CRATE --edges normal --invert DEPENDENCY` shows where a dependency comes from. Move the code that
is needed into a crate that both may use, or change .ci/boundaries.toml and ARCHITECTURE.md."""

Graph = dict[str, set[str]]


def resolution() -> Any:
    """What Cargo resolves for the platform of this machine."""
    versions = subprocess.run(["rustc", "-vV"], check=True, text=True, stdout=subprocess.PIPE).stdout
    host = next(line.split()[1] for line in versions.splitlines() if line.startswith("host:"))
    command = ["cargo", "metadata", "--format-version=1", "--filter-platform", host]
    return json.loads(subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, cwd=RULES.parent).stdout)


def dependencies(metadata: Any) -> tuple[Graph, Graph]:
    """Direct dependencies by crate name: of libraries (with their build scripts), and of tests."""
    names = {package["id"]: package["name"] for package in metadata["packages"]}
    library: Graph = {name: set() for name in names.values()}
    tests: Graph = {name: set() for name in names.values()}
    for node in metadata["resolve"]["nodes"]:
        for dependency in node["deps"]:
            for kind in dependency["dep_kinds"]:
                kinds = tests if kind["kind"] == "dev" else library
                kinds[names[node["id"]]].add(names[dependency["pkg"]])
    return library, tests


def reachable(graph: Graph, crate: str) -> set[str]:
    """All crates that this one depends on, directly or not."""
    found: set[str] = set()
    waiting = [crate]
    while waiting:
        new = graph[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def violations(rules: Any, metadata: Any) -> list[str]:
    """One line for each dependency that no list allows, and for each crate that the lists do not hold."""
    library, tests = dependencies(metadata)
    members = {package["name"] for package in metadata["packages"] if package["id"] in metadata["workspace_members"]}
    problems = [f"{crate}: found in one of Cargo.toml and [library] only" for crate in members ^ set(rules["library"])]
    for crate in members & set(rules["library"]):
        allowed = set(rules["library"][crate])
        problems += [
            f"{crate}: found a dependency on {name}, allowed {', '.join(sorted(allowed)) or 'none of our crates'}"
            for name in (reachable(library, crate) & members) - allowed
        ]
        allowed |= set(rules["tests"].get(crate, ()))
        problems += [
            f"{crate}: found a dependency of its tests on {name}, allowed {', '.join(sorted(allowed)) or 'none'}"
            for name in (tests[crate] & members) - allowed
        ]
        problems += [
            f"{crate}: found a dependency on {name}, allowed only for {', '.join(crates) or 'no crate'}"
            for pattern, crates in rules["external"].items()
            for name in reachable(library, crate)
            if fnmatch(name, pattern) and crate not in crates
        ]
    return sorted(problems)


def main() -> int:
    """Print the violations; exit code 1 when there are some."""
    problems = violations(tomllib.loads(RULES.read_text()), resolution())
    if problems:
        print(*problems, HELP, sep="\n", file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
