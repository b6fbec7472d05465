"""One page: data, style and scripts in a file that needs nothing else and cannot ask for anything else."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from agentgen.errors import AgentgenError

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT = 3_000_000  # bytes of a page, whatever the data
CHARTS = "vega.js"
# What every page starts with, in the order in which they need each other.
SHARED = ("format.js", "dom.js", "theme.js", "chart.js")

_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:const|let|function|class) )", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """What makes one page different from another.

    Attributes:
        name: The file's name, such as `report.html`.
        title: What a browser's tab shows, and the page's first heading.
        lead: One sentence below the heading.
        modules: Scripts of the page below `static`, after those that all pages share, each after those it needs.
        data: What `pageData()` gives the scripts; plain data.
        workers: Scripts for Web Workers by the name with which `workerUrl(name)` finds them.
        siblings: Names and titles of the pages that are written beside this one, itself included.
    """

    name: str
    title: str
    lead: str
    modules: tuple[str, ...]
    data: Any
    workers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    siblings: tuple[tuple[str, str], ...] = ()


def render(page: Page) -> bytes:
    """The file.

    Raises:
        AgentgenError: The chart library is missing; or the page is too large, which whoever made its data prevents.
    """
    scripts = [_static(CHARTS), joined((*SHARED, *page.modules))]
    html = "".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            f'<meta http-equiv="Content-Security-Policy" content="{policy(scripts, workers=bool(page.workers))}">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            f"<title>{escape(page.title)}</title>\n",
            f"<style>\n{_static('style.css')}</style>\n</head>\n<body>\n",
            '<a class="skip" href="#main">Skip to the content</a>\n',
            f'<header><nav aria-label="Pages"><span class="brand">agentgen</span>{_links(page)}</nav>',
            '<button type="button" id="theme" hidden></button></header>\n',
            f'<main id="main" tabindex="-1">\n<h1>{escape(page.title)}</h1>\n<p class="lead">{escape(page.lead)}</p>\n',
            "<noscript><p>The scripts that this page holds are switched off.</p></noscript>\n</main>\n",
            f'<script type="application/json" id="data">{embedded(page.data)}</script>\n',
            *(_worker(name, modules) for name, modules in page.workers.items()),
            *(f"<script>{script}</script>\n" for script in scripts),
            "</body>\n</html>\n",
        )
    ).encode("utf-8", "replace")
    if len(html) > LIMIT:
        raise AgentgenError(f"{page.name}: found {len(html):,} bytes, expected at most {LIMIT:,}")
    return html


def room(page: Page) -> int:
    """Bytes that the page's data may still grow by."""
    return LIMIT - len(render(page))


def embedded(data: Any) -> str:
    """Data as JSON that no parser of HTML takes for anything else; ASCII, so that nothing depends on the encoding."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def policy(scripts: list[str], *, workers: bool) -> str:
    """The Content-Security-Policy: these scripts, by their digests, and nothing from anywhere else."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    rules = ["default-src 'none'", f"script-src {allowed}", "style-src 'unsafe-inline'"]
    rules += ["worker-src blob:"] if workers else []
    return "; ".join([*rules, "base-uri 'none'", "form-action 'none'"])


def joined(modules: tuple[str, ...]) -> str:
    """Modules as one script: their `import` lines and the word `export` are for those who run them one by one."""
    text = "\n".join(_EXPORT.sub("", _IMPORT.sub("", _static(module))) for module in modules)
    return f'(() => {{\n"use strict";\n{text}\n}})();\n'


def _worker(name: str, modules: tuple[str, ...]) -> str:
    # Not a script yet: the page hands the text to a Worker.
    return f'<script type="text/plain" id="worker-{escape(name)}">{joined(modules)}</script>\n'


def _links(page: Page) -> str:
    links = []
    for name, title in page.siblings:
        here = ' aria-current="page"' if name == page.name else ""
        links.append(f'<a href="{escape(name)}"{here}>{escape(title)}</a>')
    return "".join(links)


def _static(name: str) -> str:
    """A file of the package; none of them may end the script that it stands in."""
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
