"""The check of circular dependencies in `make lint` finds them in Rust and in Python."""

import runpy
from pathlib import Path

import pytest

CHECK = runpy.run_path(str(Path(__file__).parents[1] / ".ci" / "cycles.py"))


def write(folder: Path, files: dict[str, str]) -> Path:
    """A source tree."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("a", "b", "c", "circles"),
    [
        ("use crate::b::B;", "pub struct B;", "", 0),
        ("use crate::b::B;", "use super::a::A;", "", 1),
        ("use crate::{b::{self, B}, error::{E, F}};", "fn f() -> crate::a::A { crate::a::A }", "", 1),
        ("use crate::b::B;", '// use crate::a::A;\nconst TEXT: &str = "crate::a";', "", 0),
        ("use crate::b::B;", "#[cfg(test)]\nmod tests {\n    use crate::a::A;\n    fn f() {}\n}", "", 0),
        ("use crate::b::B;", "#[cfg(test)]\nmod tests;\nuse crate::a::A;", "", 1),
        ("use super::Shared;", "use super::Shared;", "", 0),
        ("use crate::b::c::C;", "pub mod c;", "use super::super::a::A;", 1),
        ("", "use self::c::C;", "use super::B;", 0),
    ],
)
def test_rust(tmp_path: Path, a: str, b: str, c: str, circles: int) -> None:
    files = {"lib.rs": "mod a;\nmod b;", "a.rs": a, "b/mod.rs": b, "b/c.rs": c}
    found = [CHECK["circle"](graph) for graph in CHECK["rust"](write(tmp_path, files)).values()]
    assert len([modules for modules in found if modules]) == circles


def test_python(tmp_path: Path) -> None:
    files = {
        "p/__init__.py": "from p.a import A",
        "p/a.py": "from p import A\nfrom p.q import b",
        "p/q/__init__.py": "",
        "p/q/b.py": "import json",
    }
    package = write(tmp_path, files) / "p"
    assert CHECK["circle"](CHECK["python"](package)) == []
    (package / "q" / "b.py").write_text("def f():\n    from p.a import A")
    assert CHECK["circle"](CHECK["python"](package)) in (["p.a", "p.q.b", "p.a"], ["p.q.b", "p.a", "p.q.b"])
