"""Shell completion of names that are not choices: presets and models, beside files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

from agentgen import _native

if TYPE_CHECKING:
    from collections.abc import Iterable

    import click


def presets(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of presets, and files."""
    return _names(_native.preset_names(), incomplete)


def models(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of models, and files."""
    return _names(_native.model_names(), incomplete)


def one_of(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """The last of names separated by commas."""
    before, comma, last = incomplete.rpartition(",")
    return [CompletionItem(f"{before}{comma}{name}") for name in names if name.startswith(last)]


def _names(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [*one_of(names, incomplete), CompletionItem(incomplete, type="file")]
