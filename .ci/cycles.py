"""Check that no modules depend on each other in a circle: files of Python, modules with the same parent in Rust.

A module may use its parent and be used by it, because parents re-export their children. Tests do not count.
"""

from __future__ import annotations

import ast
import re
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[1]

Module = tuple[str, ...]
Graph = dict[str, set[str]]

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
STRING = re.compile(r'r#".*?"#|"(?:\\.|[^"\\])*"', re.DOTALL)
TEST = re.compile(r"#\[cfg\((?:all\()?test\b[^{;]*")
PATH = re.compile(r"(?<![:\w])(?:crate|super|self)(?=::)")
SEGMENT = re.compile(r"\s*(\w+)\s*(::)?\s*")
REST = re.compile(r"[^,}]*")


def without_tests(text: str) -> str:
    """Rust source without comments, strings and items behind `#[cfg(test)]`."""
    text = STRING.sub('""', COMMENT.sub("", text))
    while test := TEST.search(text):
        end, depth = test.end(), 0
        while end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
            if not depth:
                break
        text = text[: test.start()] + text[end:]
    return text


def use_tree(prefix: Module, text: str, at: int) -> tuple[list[Module], int]:
    """The paths of a use tree that begins at `text[at]`, one for each branch, and its end."""
    more = True
    while more and (segment := SEGMENT.match(text, at)):
        prefix, at, more = (*prefix, segment[1]), segment.end(), bool(segment[2])
    if not more or text[at : at + 1] != "{":
        return [prefix], at
    found: list[Module] = []
    while text[at] != "}":
        branches, end = use_tree(prefix, text, at + 1)
        found += branches
        rest = REST.match(text, end)
        at = rest.end() if rest else end
    return found, at + 1


def resolve(module: Module, path: Module, modules: Iterable[Module]) -> Module:
    """The module that a path inside `module` leads to."""
    at = () if path[0] == "crate" else module
    for name in path:
        if name == "super":
            at = at[:-1]
        elif name not in {"crate", "self"}:
            if (*at, name) not in modules:
                break
            at = (*at, name)
    return at


def rust_edges(source: Path) -> Iterator[tuple[Module, Module]]:
    """Uses of one module by another in a crate."""
    files: dict[Module, str] = {}
    for file in source.rglob("*.rs"):
        module = file.relative_to(source).with_suffix("").parts
        if "tests" not in module:
            module = module[:-1] if module[-1] in {"mod", "lib"} else module
            files[module] = without_tests(file.read_text(encoding="utf-8"))
    for module, text in files.items():
        for start in PATH.finditer(text):
            for path in use_tree((), text, start.start())[0]:
                yield module, resolve(module, path, files)


def rust(source: Path) -> dict[Module, Graph]:
    """For each module of a crate, which of its children use which others."""
    graphs: dict[Module, Graph] = {}
    for module, used in rust_edges(source):
        for depth, (one, other) in enumerate(zip(module, used, strict=False)):
            if one != other:
                graphs.setdefault(module[:depth], {}).setdefault(one, set()).add(other)
                break
    return graphs


def related(one: str, other: str) -> bool:
    """Whether one Python module is the other or a package around it."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def python(package: Path) -> Graph:
    """Imports between the files of a package."""
    files = {
        ".".join(file.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__"): file
        for file in package.rglob("*.py")
    }
    graph: Graph = {}
    for name, file in files.items():
        used: set[str] = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                used |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = (f"{node.module}.{alias.name}" for alias in node.names)
                used |= {full if full in files else node.module for full in names}
        graph[name] = {one for one in used & files.keys() if not related(one, name)}
    return graph


def circle(graph: Graph) -> list[str]:
    """The modules of one circle, the first again at the end; empty when there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def main() -> int:
    """Print a circle of each unit that has one; the exit code is 1 when one has."""
    graphs = {"python/agentgen": python(ROOT / "python" / "agentgen")}
    for source in sorted(ROOT.glob("rust/*/src")):
        for parent, graph in rust(source).items():
            graphs["/".join((source.relative_to(ROOT).as_posix(), *parent))] = graph
    found = {place: modules for place, graph in graphs.items() if (modules := circle(graph))}
    for place, modules in found.items():
        print(f"{place}: found a circle, expected none: {' uses '.join(modules)}", file=sys.stderr)
    if found:
        print("Move the code that both sides use into a module of its own.", file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
