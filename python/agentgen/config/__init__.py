"""Configurations: loading, fields and checks.

pydantic and PyYAML are imported on first use: that takes longer than most commands run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from agentgen.config.load import LoadedConfig

__all__ = ["json_schema", "load_config"]


def load_config(config: str | os.PathLike[str] | Mapping[str, Any]) -> LoadedConfig:
    """Load a preset, a file, the manifest of a run or a mapping; see `agentgen.config.load`."""
    from agentgen.config import load  # noqa: PLC0415

    return load.load_config(config)


def json_schema() -> dict[str, Any]:
    """JSON Schema of a configuration file."""
    from agentgen.config import models  # noqa: PLC0415

    return models.json_schema()
