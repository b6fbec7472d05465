"""Run directories: their names, what may be overwritten, and runs in several shards."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen.config import load_config
from agentgen.errors import RunError, TraceError
from agentgen.settings import MANIFEST, MAX_THREADS, check_integer

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from agentgen.config.load import LoadedConfig
    from agentgen.settings import Settings

    Progress = Callable[[int, int], None]

DATA_FILES = ("dataset.jsonl", "dataset.jsonl.zst", "dataset.parquet")
PAGES = ("report.html", "cache_explorer.html", "simulation.html")
SIDECARS = ("statistics.json", "quality.json", "comparison.txt")
PART_NAME = re.compile(r"shard-[0-9]+-of-[0-9]+")


def write_run(
    directory: str | os.PathLike[str],
    config: str | os.PathLike[str] | Mapping[str, Any] = "default",
    *,
    sessions: int | None = None,
    seed: int | None = None,
    layout: str | None = None,
    formats: Sequence[str] | None = None,
    compression: str | None = None,
    shard: tuple[int, int] | None = None,
    threads: int | None = None,
    max_isl: int | None = None,
    max_osl: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Generate a data set into a run directory: data files, `manifest.json`, `quality.json`, `comparison.txt`.

    Args:
        directory: Made if missing. Files have their names only when they are complete, the manifest last.
        config: As for `agentgen.generate`; so are the arguments not named here.
        sessions: Sessions to generate.
        seed: Seed of all draws.
        layout: `incremental` or `cumulative`.
        formats: `jsonl`, `parquet` or both (default both, or the manifest's).
        compression: `none` or `zstd`, of the JSONL file (default `none`, or the manifest's).
        shard: (index, count); `agentgen.merge` joins the directories of all shards.
        threads: Worker threads.
        max_isl: Replaces `max_prompt_tokens`, tokens.
        max_osl: Replaces `generation_length.max`, tokens.
        force: Replace the run in a directory that is not empty.
        progress: Called with (sessions done, sessions in all), at most ten times a second.

    Returns:
        The manifest.

    Raises:
        ConfigError: The configuration breaks a rule.
        RunError: The directory is not empty.
        OSError: A file cannot be read or written; nothing that looks whole is left behind.
        ValueError: Another argument is out of its range.
    """
    loaded = load_config(config)
    settings = loaded.settings.updated(
        sessions=sessions,
        seed=seed,
        layout=layout,
        formats=tuple(formats) if formats is not None and not isinstance(formats, str) else formats,
        compression=compression,
        shard=shard,
        max_isl=max_isl,
        max_osl=max_osl,
    )
    if threads is not None:
        check_integer("threads", threads, 1, MAX_THREADS)
    return write(Path(directory), loaded, settings, threads=threads, force=force, progress=progress)


def utc_now() -> str:
    """The time as RFC 3339 has it, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def default_name(config: str, settings: Settings) -> str:
    """Name of a new run's directory: `<config>_<sessions>s_seed<seed>_<UTC time>`, a shard's with its number."""
    index, count = settings.shard
    shard = f"_shard{index}of{count}" if count > 1 else ""
    return f"{config}_{settings.sessions}s_seed{settings.seed}{shard}_{datetime.now(UTC):%Y%m%d-%H%M%S}"


def write(
    directory: Path,
    loaded: LoadedConfig,
    settings: Settings,
    *,
    threads: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write one run, or one shard, into a directory of its own; returns the manifest."""
    refuse_full(directory, force=force)
    loaded.resolve(settings)  # before anything of an older run goes
    with loaded.named_in_errors():
        text = _native.write_run(
            str(directory),
            loaded.json,
            seed=settings.seed,
            sessions=settings.sessions,
            created=utc_now(),
            layout=settings.layout,
            shard=settings.shard,
            threads=threads,
            formats=settings.formats,
            compression=settings.compression,
            max_isl=settings.max_isl,
            max_osl=settings.max_osl,
            progress=progress,
        )
    manifest: dict[str, Any] = json.loads(text)
    _remove_leftovers(directory, manifest)
    return manifest


def complete_shards(directory: Path, loaded: LoadedConfig, settings: Settings, count: int) -> list[Path]:
    """The shards of this data set below `directory` that need not be written again.

    Raises:
        RunError: There are shards of another data set.
    """
    parts = _shards(directory, count)
    _refuse_strangers(directory, parts)
    complete = []
    for index, part in enumerate(parts):
        if _native.verify_run(str(part)):
            _refuse_other(part, loaded, settings.updated(shard=(index, count)))
            complete.append(part)
    return complete


def write_shards(
    directory: Path,
    loaded: LoadedConfig,
    settings: Settings,
    count: int,
    *,
    kept: Sequence[Path] = (),
    threads: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the shards of a data set that are not `kept` below `directory` and join all; returns the joint manifest."""
    loaded.resolve(settings)  # before anything of an older run goes
    parts = _shards(directory, count)
    for place in (directory, *(part for part in parts if part not in kept)):
        (place / MANIFEST).unlink(missing_ok=True)  # a set is whole when all of its shards are, and none is an old one
    for index, part in enumerate(parts):
        share = settings.updated(shard=(index, count))
        before = index * settings.sessions // count
        if part in kept:
            continue

        def report(done: int, _in_all: int, before: int = before) -> None:
            if progress:
                progress(before + done, settings.sessions)

        write(part, loaded, share, threads=threads, force=True, progress=report)
    text = _native.merge([str(part) for part in parts], str(directory), created=utc_now())
    manifest: dict[str, Any] = json.loads(text)
    _remove_leftovers(directory, manifest)
    return manifest


def _remove_leftovers(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Remove the files of an older run that the new one in its place does not have."""
    files = {file["name"] for file in manifest["files"]}
    for name in {*DATA_FILES, "statistics.json", *PAGES} - files:
        (directory / name).unlink(missing_ok=True)
    parts = {part["path"] for part in manifest.get("parts", ())}
    for part in directory.glob("shard-*-of-*"):
        if part.name in parts or not PART_NAME.fullmatch(part.name) or part.is_symlink() or not part.is_dir():
            continue
        for name in (MANIFEST, *DATA_FILES, *SIDECARS, *PAGES):
            (part / name).unlink(missing_ok=True)
        if not any(part.iterdir()):  # else it has what no run wrote
            part.rmdir()


def _shards(directory: Path, count: int) -> list[Path]:
    width = len(str(count - 1))
    return [directory / f"shard-{index:0{width}}-of-{count}" for index in range(count)]


def refuse_full(directory: Path, *, force: bool, option: str = "force=True") -> None:
    """Refuse a directory with files in it, unless forced; `option` says how to go on with it."""
    if directory.exists() and not directory.is_dir():
        raise RunError(f"{directory}: found a file, expected a directory or nothing; choose another name")
    if not force and directory.is_dir() and any(directory.iterdir()):
        raise RunError(
            f"{directory}: found a directory with files, expected none; choose another name, or give {option}"
        )


def refuse_target(target: str, sources: Sequence[str], *, force: bool, option: str = "force=True") -> None:
    """Refuse a source and a file of a run as a target; and a file that exists, unless forced (`option` says how to)."""
    path = Path(target)
    if path.exists() and any(Path(source).exists() and path.samefile(source) for source in sources):
        raise RunError(f"{target}: found the source itself, expected another file")
    if path.name in listed(path.parent / MANIFEST):
        raise RunError(f"{target}: found a file of the run that is there, expected another name or directory")
    if not force and Path(target).exists():
        raise RunError(f"{target}: found a file, expected none; choose another name, or give {option}")


def listed(manifest: Path) -> set[str]:
    """The files that a manifest lists; none if it is not there or not one that can be read."""
    try:
        return {file["name"] for file in json.loads(manifest.read_text(encoding="utf-8"))["files"]}
    except (OSError, ValueError, LookupError, TypeError):
        return set()


def refuse_twice(sources: list[str]) -> None:
    """Refuse the files of one run, which hold the same rows, as two parts of a data set."""
    homes: dict[Path, str] = {}
    for source in sources:
        path = Path(source)
        home = path.parent if path.name in DATA_FILES and (path.parent / MANIFEST).exists() else path
        other = homes.setdefault(home.resolve(), source)
        if other is not source:
            raise TraceError(f"{other} and {source}: both hold the same rows; give one (or the directory)")


def refuse_whole(run: str) -> None:
    """Refuse a run that is no shard; what else may be wrong with it is for the core to say."""
    manifest = Path(run) / MANIFEST
    if not manifest.is_file():
        raise RunError(f"{run}: found no {MANIFEST}, expected the run directory of a shard")
    if load_config(manifest).settings.shard == (0, 1):
        raise RunError(f"{run}: is a whole data set, expected one of its shards")


def _refuse_strangers(directory: Path, parts: list[Path]) -> None:
    for found in sorted(directory.glob("shard-*-of-*")):
        if found not in parts:
            raise RunError(
                f"{found}: found a shard of another split, expected {parts[0].name} to {parts[-1].name}; "
                "resume with the number of shards that the run began with"
            )


def _refuse_other(part: Path, loaded: LoadedConfig, settings: Settings) -> None:
    """Refuse to join a shard that other arguments made."""
    there = load_config(part)
    pairs: dict[str, tuple[object, object]] = {
        name: (getattr(there.settings, name), getattr(settings, name)) for name in vars(settings)
    }
    pairs["config"] = (there.config, loaded.config)
    for name, (found, expected) in pairs.items():
        if found != expected:
            shown = "another one" if name == "config" else f"{found}, expected {expected}"
            raise RunError(f"{part}: {name}: found {shown}; resume with the arguments that the run began with")
