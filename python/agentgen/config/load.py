"""Load complete, checked configurations from presets, files, manifests and mappings."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from agentgen import _native
from agentgen._suggest import did_you_mean
from agentgen.config.explain import broken_rules
from agentgen.config.limits import MAX_VALUES, LimitError, check_size, read_bounded, shown_name
from agentgen.config.models import DISTRIBUTION_PARAMETERS, Config, complete, partial_distributions
from agentgen.errors import ConfigError
from agentgen.settings import CONFIG_SUFFIXES, MANIFEST, TRACE_SUFFIXES, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCHEMA_VERSION = 1  # of manifests
MAX_DIGITS = 100  # of a number in YAML
RUN_NAME = re.compile(r"(?P<config>.+)_\d+s_seed\d+_\d{8}-\d{6}")


@dataclass(frozen=True)
class LoadedConfig:
    """A complete configuration with its origin.

    Attributes:
        name: Name in run directories.
        source: Name in messages: the preset or the file.
        config: All fields, as plain data.
        settings: Those of the manifest, if it came from one; otherwise the defaults.
    """

    name: str
    source: str
    config: dict[str, Any]
    settings: Settings

    @property
    def json(self) -> str:
        """The configuration as one line of JSON, keys in the order of the models."""
        return json.dumps(self.config, allow_nan=False)

    @contextmanager
    def source_in_errors(self) -> Iterator[None]:
        """Add the source to configuration errors of the core."""
        try:
            yield
        except ConfigError as error:
            raise ConfigError(error.path, error.rule, error.source or self.source, error.more) from None

    def resolve(self, settings: Settings) -> dict[str, Any]:
        """Check all that generation checks: the rules between fields, the calibration, and the first sessions.

        Returns:
            `config` (after overrides), `effective` (stated, solved and effective values), `warnings`, `ids`.

        Raises:
            ConfigError: A rule between fields is violated.
        """
        with self.source_in_errors():
            solved: dict[str, Any] = json.loads(
                _native.resolve(
                    self.json,
                    sessions=settings.sessions,
                    seed=settings.seed,
                    max_isl=settings.max_isl,
                    max_osl=settings.max_osl,
                )
            )
        return solved


def load_config(config: str | os.PathLike[str] | Mapping[str, Any]) -> LoadedConfig:
    """Load a configuration and check each field (`LoadedConfig.resolve` checks the rules between fields).

    Args:
        config: A bundled preset's name, a `.json`, `.yaml`, `.yml` or `.toml` file, a run's `manifest.json` or its
            directory, or a mapping. The name of a preset takes precedence over a file; write `./default` for the file.

    Raises:
        ConfigError: A file cannot be parsed, or fields are invalid; one line for each.
        OSError: The file is missing or cannot be read.
    """
    if isinstance(config, Mapping):
        return LoadedConfig("config", "config", checked(config, "config"), Settings())
    name = os.fspath(config)
    if not name:
        raise FileNotFoundError("config: found an empty name, expected a preset, a file or a run directory")
    if name in _native.preset_names():
        return LoadedConfig(name, name, checked(json.loads(_native.preset(name)), name), Settings())
    path = Path(name)
    file = path / MANIFEST if path.is_dir() else path
    source = str(file)
    try:
        stated = parse(file)
    except FileNotFoundError:
        raise FileNotFoundError(f"{file}: {_not_found(file)}") from None
    if "schema_version" in stated and "import" in stated:
        raise ConfigError("", "found an imported run, expected a configuration or a generated run", source)
    if "schema_version" in stated and "config" in stated:
        _check_versions(stated, source)
        run_name = file.absolute().parent.name
        match = RUN_NAME.fullmatch(run_name)
        known = checked(_section(stated, "config", source), source)
        return LoadedConfig(match["config"] if match else run_name, source, known, _settings(stated, source))
    return LoadedConfig(file.stem, source, checked(stated, source), Settings())


def checked(stated: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The complete, checked configuration of the stated fields."""
    try:
        config = Config.model_validate(complete(stated)).model_dump()
    except ValidationError as error:
        (path, rule), *more = broken_rules(error)
        raise ConfigError(path, rule, source, tuple(more)) from None
    broken = tuple(
        (path, _partial_distribution(fields, default)) for path, fields, default in partial_distributions(stated)
    )
    if broken:
        raise ConfigError(*broken[0], source, broken[1:])
    return config


def _partial_distribution(stated: Mapping[str, Any], default: Mapping[str, Any]) -> str:
    found = ", ".join(name for name in stated if name in DISTRIBUTION_PARAMETERS) or "none of them"
    return (
        f"found {found}, expected exactly one of mean + median, mean + sigma, mu + sigma: "
        f"a distribution is replaced as a whole (default: {json.dumps(default)})"
    )


def parse(file: Path) -> dict[str, Any]:
    """Read a JSON, YAML or TOML file that holds one object."""
    readers: dict[str, Callable[[str], Any]] = {".json": _json, ".yaml": _yaml, ".yml": _yaml, ".toml": tomllib.loads}
    try:
        text = read_bounded(file).decode("utf-8-sig")
    except LimitError as error:
        raise ConfigError("", str(error), str(file)) from None
    except UnicodeDecodeError as error:
        raise ConfigError("", f"found byte {error.start} that is not UTF-8, expected UTF-8", str(file)) from None
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise ConfigError("", f"found a {file.suffix or 'nameless'} file, expected .json, .yaml or .toml", str(file))
    if not text.strip():
        raise ConfigError("", "found an empty file, expected an object of fields", str(file))
    try:
        stated = reader(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError("", f"{where}not YAML: {error.problem}", str(file)) from None
    except json.JSONDecodeError as error:
        rule = f"line {error.lineno}, column {error.colno}: not JSON: {error.msg}"
        raise ConfigError("", rule, str(file)) from None
    except LimitError as error:
        raise ConfigError("", str(error), str(file)) from None
    except (tomllib.TOMLDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError("", f"not {file.suffix[1:].upper()}: {reason}", str(file)) from None
    if not isinstance(stated, dict):
        found = "nothing" if stated is None else type(stated).__name__
        raise ConfigError("", f"found {found}, expected an object of fields", str(file))
    return stated


def _not_found(file: Path) -> str:
    if file.suffix in CONFIG_SUFFIXES | TRACE_SUFFIXES:
        return "no such file"
    presets = _native.preset_names()
    return f"no such file, and the presets are {', '.join(presets)}{did_you_mean(str(file), presets)}"


def _json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_once_each)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in pairs:
        if key in fields:
            raise ValueError(f"found the key {shown_name(key)!r} twice in one object, expected it once")
        fields[key] = value
    return fields


class _Loader(yaml.SafeLoader):
    """YAML without repeated keys, in which 1e-3 is a number as in YAML 1.2."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(
                    problem="found a list or mapping as a key, expected a name", problem_mark=key.start_mark
                )
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"found the key {shown_name(key.value)!r} twice, expected it once",
                    problem_mark=key.start_mark,
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MAX_VALUES:  # merge keys (<<) copy, unlike aliases
            raise LimitError(f"found more than {MAX_VALUES:,} values (aliases included), expected a configuration")

    def construct_number(self, node: yaml.ScalarNode) -> float:
        if len(node.value) > MAX_DIGITS:  # before it takes time to convert
            problem = f"found a number of {len(node.value):,} characters, expected at most {MAX_DIGITS}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        construct = self.construct_yaml_int if node.tag.endswith(":int") else self.construct_yaml_float
        return construct(node)


for _tag in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _Loader.construct_number)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+"), list("-+0123456789")
)


def _yaml(text: str) -> Any:
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506  a SafeLoader
    except (LookupError, AttributeError, TypeError):  # PyYAML's own, of `!!bool maybe` and the like
        raise yaml.YAMLError("found a value that does not match its tag (!!)") from None
    check_size(value)
    return value


def _section(manifest: Mapping[str, Any], name: str, source: str) -> Mapping[str, Any]:
    if name not in manifest:
        raise ConfigError(name, "found nothing, expected the value that agentgen generate writes", source)
    section = manifest[name]
    if not isinstance(section, Mapping):
        raise ConfigError(name, "found another type, expected the object that agentgen generate writes", source)
    return section


def _check_versions(manifest: Mapping[str, Any], source: str) -> None:
    for what, known in (("schema", SCHEMA_VERSION), ("format", _native.FORMAT_VERSION)):
        found = manifest.get(f"{what}_version", known)
        if found != known:
            rule = f"found {what} version {found}, expected {known} (use the version of agentgen that wrote it)"
            raise ConfigError("", rule, source)


def _settings(manifest: Mapping[str, Any], source: str) -> Settings:
    overrides, shard = (_section(manifest, name, source) for name in ("overrides", "shard"))
    try:
        return Settings(
            sessions=manifest["sessions"],
            seed=manifest["seed"],
            layout=manifest["layout"],
            formats=tuple(manifest["formats"]),
            compression=manifest["compression"],
            max_isl=overrides["max_isl"],
            max_osl=overrides["max_osl"],
            shard=(shard["index"], shard["count"]),
        )
    except KeyError as error:
        raise ConfigError(
            str(error.args[0]), "found nothing, expected the value that agentgen generate writes", source
        ) from None
    except (TypeError, ValueError) as error:
        raise ConfigError("", f"not a manifest of agentgen generate: {error}", source) from None
