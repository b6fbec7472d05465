"""Run directories: names, overwriting, and runs in several shards."""

from __future__ import annotations

import json
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
    from agentgen.units import Count

    Progress = Callable[[int, int], None]

DATA_FILES = ("dataset.jsonl", "dataset.jsonl.zst", "dataset.parquet")


def write_run(
    directory: str | os.PathLike[str],
    config: str | os.PathLike[str] | Mapping[str, Any] = "default",
    *,
    sessions: Count | None = None,
    seed: int | None = None,
    layout: str | None = None,
    formats: Sequence[str] | None = None,
    compression: str | None = None,
    shard: tuple[int, int] | None = None,
    threads: int | None = None,
    max_isl: Count | None = None,
    max_osl: Count | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Generate a data set into a run directory: data files, `manifest.json`, `quality.json`, `comparison.txt`.

    Args:
        directory: Created if missing. Each file gets its name when it is complete, the manifest last.
        config: As for `agentgen.generate`.
        sessions: As for `agentgen.generate`.
        seed: As for `agentgen.generate`.
        layout: As for `agentgen.generate`.
        formats: Data files to write: `jsonl`, `parquet` or both (default: both, or the manifest's).
        compression: Compression of the JSONL file: `none` or `zstd` (default: `none`, or the manifest's).
        shard: As for `agentgen.generate`; `agentgen.merge` joins the run directories of all shards.
        threads: As for `agentgen.generate`.
        max_isl: As for `agentgen.generate`.
        max_osl: As for `agentgen.generate`.
        force: Replace the run in a directory that is not empty.
        progress: Called with (sessions done, total sessions), at most ten times per second.

    Returns:
        The manifest.

    Raises:
        ConfigError: The configuration is invalid.
        RunError: The directory is not empty.
        OSError: A file cannot be read or written; no incomplete file is left behind.
        ValueError: Another argument is out of range.
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
    """The current time in RFC 3339, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def default_name(config: str, settings: Settings) -> str:
    """Name of a new run directory: `<config>_<sessions>s_seed<seed>[_shard<i>of<n>]_<UTC time>`."""
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
    """Write one run, or one shard, into its own directory; return the manifest."""
    check_empty(directory, force=force)
    loaded.resolve(settings)  # before files of an older run are replaced
    with loaded.source_in_errors():
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
    return manifest


def complete_shards(directory: Path, loaded: LoadedConfig, settings: Settings, count: int) -> list[Path]:
    """The complete shards of this data set below `directory`.

    Raises:
        RunError: The directory has shards of another data set.
    """
    shards = _shards(directory, count)
    _check_shard_names(directory, shards)
    complete = []
    for index, shard in enumerate(shards):
        if _native.verify_run(str(shard)):
            _check_same_settings(shard, loaded, settings.updated(shard=(index, count)))
            complete.append(shard)
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
    """Write the shards that are not `kept` below `directory`, and merge all; return the merged manifest."""
    loaded.resolve(settings)  # before files of an older run are replaced
    shards = _shards(directory, count)
    for place in (directory, *(shard for shard in shards if shard not in kept)):
        (place / MANIFEST).unlink(missing_ok=True)  # only complete shards of this data set have a manifest
    for index, shard in enumerate(shards):
        before = index * settings.sessions // count
        if shard in kept:
            continue

        def report(done: int, _total: int, before: int = before) -> None:
            if progress:
                progress(before + done, settings.sessions)

        part = settings.updated(shard=(index, count))
        write(shard, loaded, part, threads=threads, force=True, progress=report)
    _native.remove_shards(directory, shards)
    text = _native.merge([str(shard) for shard in shards], str(directory), created=utc_now())
    manifest: dict[str, Any] = json.loads(text)
    return manifest


def _shards(directory: Path, count: int) -> list[Path]:
    width = len(str(count - 1))
    return [directory / f"shard-{index:0{width}}-of-{count}" for index in range(count)]


def check_empty(directory: Path, *, force: bool, option: str = "force=True") -> None:
    """Raise RunError for a directory with files, unless forced; `option` is how to force."""
    if directory.exists() and not directory.is_dir():
        raise RunError(f"{directory}: found a file, expected a directory or nothing; choose another name")
    if not force and directory.is_dir() and any(directory.iterdir()):
        raise RunError(
            f"{directory}: found a directory with files, expected none; choose another name or give {option}"
        )


def check_target(target: str, sources: Sequence[str], *, force: bool, option: str = "force=True") -> None:
    """Raise RunError for a target that is a source, a file of a run or, unless forced, an existing file."""
    path = Path(target)
    if path.exists() and any(Path(source).exists() and path.samefile(source) for source in sources):
        raise RunError(f"{target}: found the source, expected another file")
    if path.name in listed(path.parent / MANIFEST):
        raise RunError(f"{target}: found a file of a run, expected another name or directory")
    if not force and Path(target).exists():
        raise RunError(f"{target}: found a file, expected none; choose another name or give {option}")


def listed(manifest: Path) -> set[str]:
    """Names of the files that a manifest lists; empty without a readable manifest."""
    if not manifest.is_file():  # a device may never end
        return set()
    try:
        return {file["name"] for file in json.loads(manifest.read_text(encoding="utf-8"))["files"]}
    except (OSError, ValueError, LookupError, TypeError):
        return set()


def check_distinct(sources: list[str]) -> None:
    """Raise TraceError if two sources are the same run, whose files hold the same rows."""
    homes: dict[Path, str] = {}
    for source in sources:
        path = Path(source)
        home = path.parent if path.name in DATA_FILES and (path.parent / MANIFEST).exists() else path
        other = homes.setdefault(home.resolve(), source)
        if other is not source:
            raise TraceError(f"{other} and {source}: found the same rows twice, expected one file or the directory")


def check_is_shard(run: str) -> None:
    """Raise RunError for a run that is not a shard; the core checks everything else."""
    manifest = Path(run) / MANIFEST
    if not manifest.is_file():
        raise RunError(f"{run}: found no {MANIFEST}, expected the run directory of a shard")
    if load_config(manifest).settings.shard == (0, 1):
        raise RunError(f"{run}: found a complete data set, expected a shard")


def _check_shard_names(directory: Path, shards: list[Path]) -> None:
    for found in sorted(directory.glob("shard-*-of-*")):
        if found not in shards:
            raise RunError(
                f"{found}: found a shard of another split, expected {shards[0].name} to {shards[-1].name}; "
                "resume with the same number of shards"
            )


def _check_same_settings(shard: Path, loaded: LoadedConfig, settings: Settings) -> None:
    """Raise RunError for a shard of other settings."""
    existing = load_config(shard)
    pairs: dict[str, tuple[object, object]] = {
        name: (getattr(existing.settings, name), getattr(settings, name)) for name in vars(settings)
    }
    pairs["config"] = (existing.config, loaded.config)
    for name, (found, expected) in pairs.items():
        if found != expected:
            shown = "another configuration" if name == "config" else f"{found}, expected {expected}"
            raise RunError(f"{shard}: {name}: found {shown}; resume with the same options")
