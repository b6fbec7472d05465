"""The build backend: maturin's, after the chart library has been put where wheels take it from.

The pages draw with Vega, Vega-Lite and Vega-Embed, which `vl-convert-python` (a requirement of building, never of using
the package) hands out as one script. `python build_backend/agentgen_build.py` writes it for a checkout.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import maturin
from maturin import (
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "BUNDLE",
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
    "write_bundle",
]

BUNDLE = Path(__file__).parents[1] / "python" / "agentgen" / "pages" / "static" / "vega.js"
# The files that the script writes.
SNIPPET = "window.vegaEmbed = vegaEmbed;"


def write_bundle(target: Path = BUNDLE) -> Path:
    """Write the chart library as one script; the file has its name only when it is complete.

    Raises:
        SystemExit: `vl-convert-python` is missing, or its script is not what the pages can use.
    """
    try:
        import vl_convert  # noqa: PLC0415  only those who build have it
    except ImportError:
        raise SystemExit(
            "agentgen: error: vl-convert-python: found none, expected it to build with, since the pages' chart library "
            "comes from it; pip install vl-convert-python"
        ) from None
    script: str = vl_convert.javascript_bundle(SNIPPET)
    # Charts whose expressions are interpreted need no 'unsafe-eval' in the pages' security policy.
    if "expressionInterpreter" not in script or "</script" in script.lower():
        raise SystemExit(
            f"agentgen: error: vl-convert-python {vl_convert.__version__}: found a script that has no interpreter of "
            "expressions or cannot stand in a page, expected one as 1.9 gives; install that version"
        )
    part = target.with_name(f".{target.name}.part")
    part.write_text(script, encoding="utf-8")
    part.replace(target)
    return target


def build_wheel(directory: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    """PEP 517."""
    write_bundle()
    return str(maturin.build_wheel(directory, config_settings, metadata_directory))


def build_editable(directory: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    """PEP 660."""
    write_bundle()
    return str(maturin.build_editable(directory, config_settings, metadata_directory))


def build_sdist(directory: str, config_settings: Any = None) -> str:
    """PEP 517."""
    write_bundle()
    return str(maturin.build_sdist(directory, config_settings))


if __name__ == "__main__":
    print(write_bundle())  # noqa: T201  the command's answer
