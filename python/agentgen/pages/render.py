"""Self-contained HTML pages: data, style and scripts in one file that cannot load anything else."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen.errors import AgentgenError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jinja2 import Template

LIMIT = 3_000_000  # bytes per page
CHARTS = "vega.js"
# Scripts that every page starts with, each after those that it imports.
SHARED = ("format.js", "dom.js", "theme.js", "chart.js")

_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:const|let|function|class) )", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """The content of one page.

    Attributes:
        name: File name, such as `report.html`.
        title: Title of the document, and its first heading.
        lead: One sentence below the heading.
        modules: Scripts of the page below `static`, after `SHARED`, each after those that it imports.
        data: Plain data that `pageData()` returns to the scripts.
        workers: Scripts of Web Workers, by the name for `workerUrl(name)`.
        siblings: Names and titles of the pages in the navigation, including this one.
    """

    name: str
    title: str
    lead: str
    modules: tuple[str, ...]
    data: Any
    workers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    siblings: tuple[tuple[str, str], ...] = ()


def write_file(path: Path, content: bytes) -> Path:
    """A file that has its name only when it is complete."""
    _native.write_file(path, content)
    return path


def render(page: Page) -> bytes:
    """The file of a page.

    Raises:
        AgentgenError: The chart library is missing, or the page exceeds `LIMIT`.
    """
    scripts = [_static(CHARTS), joined((*SHARED, *page.modules))]
    workers = {name: joined(modules) for name, modules in page.workers.items()}
    html = _template().render(
        page=page,
        policy=policy(scripts, has_workers=bool(workers)),
        style=_static("style.css"),
        data=embedded(page.data),
        workers=workers,
        scripts=scripts,
    )
    content = html.encode("utf-8", "replace")
    if len(content) > LIMIT:
        raise AgentgenError(f"{page.name}: found {len(content):,} bytes, expected at most {LIMIT:,}")
    return content


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  slow to import

    environment = Environment(
        loader=PackageLoader("agentgen.pages"), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    return environment.get_template("page.html")


def room(page: Page) -> int:
    """Bytes that the page's data may still grow by."""
    return LIMIT - len(render(page))


def embedded(data: Any) -> str:
    """Data as ASCII JSON without the characters that HTML parsers act on."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def policy(scripts: Sequence[str], *, has_workers: bool) -> str:
    """The Content-Security-Policy: only these scripts, by their digests, and no other resource."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    rules = ["default-src 'none'", f"script-src {allowed}", "style-src 'unsafe-inline'"]
    rules += ["worker-src blob:"] if has_workers else []
    return "; ".join([*rules, "base-uri 'none'", "form-action 'none'"])


def joined(modules: tuple[str, ...]) -> str:
    """Modules as one script, without `import` lines and the keyword `export`."""
    text = "\n".join(_EXPORT.sub("", _IMPORT.sub("", _static(module))) for module in modules)
    return f'(() => {{\n"use strict";\n{text}\n}})();\n'


def _static(name: str) -> str:
    """A file of the package; none of them contains a closing script tag."""
    try:
        text = files("agentgen.pages").joinpath("static", *name.split("/")).read_text(encoding="utf-8")
    except FileNotFoundError:
        if name != CHARTS:
            raise
        raise AgentgenError(
            "pages: found no chart library in this installation, expected pages/static/vega.js; in a checkout, "
            "python build_backend/agentgen_build.py writes it (it needs vl-convert-python)"
        ) from None
    return text
