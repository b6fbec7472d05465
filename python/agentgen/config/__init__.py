"""Configurations: where they come from and what they may hold.

pydantic and PyYAML take longer to import than most commands take to run, so they are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from agentgen.config.load import LoadedConfig

__all__ = ["json_schema", "load_config"]


def load_config(config: str | os.PathLike[str] | Mapping[str, Any]) -> LoadedConfig:
    """Load a preset's name, a file, a run's manifest, or a mapping; see `agentgen.config.load`."""
    from agentgen.config import load  # noqa: PLC0415

    return load.load_config(config)


def json_schema() -> dict[str, Any]:
    """JSON Schema of a configuration file."""
    from agentgen.config import models  # noqa: PLC0415

    return models.json_schema()
