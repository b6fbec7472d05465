"""`agentgen compare`."""

from __future__ import annotations

from pathlib import Path

import click

from agentgen.cli._errors import reading
from agentgen.cli._options import Whole
from agentgen.settings import MAX_SEED
from agentgen.text.format import printable, trace_names


@click.command("compare", short_help="Compare replays side by side.")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...")
@click.option("--seed", type=Whole(0, MAX_SEED), default=0, show_default=True, help="Seed of the bootstrap draws.")
@click.option("--output", type=click.Path(file_okay=False), metavar="DIR", help="Directory that gets compare.html.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
def command(*, runs: tuple[str, ...], seed: int, output: str | None, as_json: bool) -> None:
    """Compare replays side by side; the first run is the baseline.

    RUN is the run directory of a replay, or LABEL=DIR,DIR... for repeats of
    one. Figures of repeats are means, and their intervals show how runs vary.
    Intervals of a single run show how its sessions vary.
    """
    from agentgen.replay.compare_text import pieces  # noqa: PLC0415  the help needs none of these
    from agentgen.replay.figures import compare  # noqa: PLC0415
    from agentgen.text.layout import show  # noqa: PLC0415

    groups = _groups(runs)
    with reading():
        comparison = compare(groups, seed=seed)
    if as_json:
        click.echo(comparison.to_json())
    else:
        show(*pieces(comparison.to_dict()))
    if output is not None:
        from agentgen.pages.comparison import write  # noqa: PLC0415  as above

        page = write(comparison.to_dict(), output)
        click.echo(f"written to {printable(str(page))}", err=True)


def _groups(runs: tuple[str, ...]) -> dict[str, list[str]]:
    """Directories by label; runs without a label get letters that no label uses."""
    stated = [_stated(run) for run in runs]
    taken = {label for label, _ in stated}
    letters = (letter for letter in trace_names(len(runs)) if letter not in taken)
    groups: dict[str, list[str]] = {}
    for run, (label, directories) in zip(runs, stated, strict=True):
        if label in groups:
            problem = f"RUN: found the label {label!r} twice, expected {label}=DIR,DIR... for repeats of one run."
            raise click.UsageError(problem)
        if label == "" or "" in directories:
            raise click.UsageError(f"RUN: found {run!r}, expected LABEL=DIR,DIR... with a label and directories.")
        for directory in directories:
            if not Path(directory).is_dir():
                found = "a file" if Path(directory).exists() else "no such directory"
                expected = "the directory of a replay (or LABEL=DIR,DIR... for several)"
                raise click.UsageError(f"{directory}: found {found}, expected {expected}.")
        groups[next(letters) if label is None else label] = directories
    if len(groups) < 2:  # noqa: PLR2004  a pair
        raise click.UsageError("RUN RUN...: found one, expected two or more.")
    return groups


def _stated(run: str) -> tuple[str | None, list[str]]:
    """The label, if there is one, and the directories; an existing directory may contain `=`."""
    label, equals, rest = run.partition("=")
    return (label, rest.split(",")) if equals and not Path(run).exists() else (None, [run])
