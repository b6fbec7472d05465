"""Pages of the documentation site that stand elsewhere or come from the program (a hook of mkdocs.yml).

README.md becomes the first page, the other pages of the root stand beside those of docs/, schemas/ is copied, and
commands.md holds the help of every command as the program prints it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
from agentgen.cli._commands import main
from mkdocs.structure.files import File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
ROOT_PAGES = {
    "README.md": "index.md",
    **{name: name for name in ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")},
}
WIDTH = 80


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    for source, target in ROOT_PAGES.items():
        text = re.sub(r"\]\(docs/", "](", (ROOT / source).read_text(encoding="utf-8"))
        files.append(File.generated(config, target, content=text.replace("](README.md)", "](index.md)")))
    for schema in sorted((ROOT / "schemas").glob("*.json")):
        files.append(File.generated(config, f"schemas/{schema.name}", abs_src_path=str(schema)))
    files.append(File.generated(config, "commands.md", content="\n".join(commands())))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links of docs/ to the root of the repository lead to pages of the site."""
    del page, config, files
    return markdown.replace("](../", "](")


def commands() -> Iterator[str]:
    """The page of all commands."""
    yield "# Commands\n\nThe help of every command, as `agentgen COMMAND --help` prints it.\n"
    yield from helps(main, "agentgen", None)


def helps(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    """The help of a command and of its subcommands."""
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(command, info_name=name, parent=parent, **settings)
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            subcommand = command.get_command(context, each)
            if subcommand is not None and not subcommand.hidden:
                yield from helps(subcommand, each, context)
