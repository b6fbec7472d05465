"""pydantic errors as messages: `path: found VALUE, expected RULE`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgen._suggest import did_you_mean
from agentgen.config.base import Distribution, Section
from agentgen.config.limits import shown, shown_name
from agentgen.config.models import Config, Rate, section_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

TAGS = {"auto", "factor", "closed", "poisson"}
# Settings of a run that are options, not fields of the configuration.
OPTIONS = {
    "sessions": "--sessions",
    "seed": "--seed",
    "layout": "--layout",
    "formats": "--format",
    "format": "--format",
    "compression": "--compression",
    "shard": "--shard",
    "threads": "--threads",
    "max_isl": "--max-isl",
    "max_osl": "--max-osl",
}

EXPECTED = {
    "bool_type": "true or false",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "more than {gt:.15g}",
    "greater_than_equal": "at least {ge:.15g}",
    "int_from_float": "a whole number, written without a decimal point",
    "int_type": "a whole number",
    "invalid_key": "a name",
    "less_than_equal": "at most {le:.15g}",
    "list_type": "a list of two whole numbers",
    "model_type": "an object",
    "string_unicode": "valid Unicode",
    "too_long": "{max_length} values",
    "too_short": "{min_length} values",
}
EXPECTED_OF_FIELD = {
    "arrival": '"closed" or {"poisson": {"rate": sessions per second}}',
    "bias": 'a number or "auto"',
}
EXPECTED_OF_MODEL = {
    Distribution: "an object with mean + sigma (or mean + median, or mu + sigma)",
    Rate: '{"rate": sessions per second}',
}


def broken_rules(error: ValidationError) -> list[tuple[str, str]]:
    """(path, message) of each error, in the order of the models."""
    return [_broken_rule(finding) for finding in error.errors(include_url=False)]


def _broken_rule(finding: ErrorDetails) -> tuple[str, str]:
    where = _without_tags(finding["loc"])
    path = _path(where)
    kind = finding["type"]
    if kind == "extra_forbidden":
        return path, _unknown(where, finding["input"])
    if kind == "missing":
        return path, "found nothing, expected a value"
    expected = EXPECTED.get(kind, finding["msg"]).format(**finding.get("ctx", {}))
    if kind in {"literal_error", "float_type"} and where[-1] in EXPECTED_OF_FIELD:
        expected = EXPECTED_OF_FIELD[str(where[-1])]
    if kind == "model_type":
        expected = next((text for base, text in EXPECTED_OF_MODEL.items() if issubclass(_model(where), base)), expected)
    if kind == "int_type" and isinstance(finding["input"], float) and finding["input"].is_integer():
        expected += f" without point or exponent ({shown(int(finding['input']))})"
    return path, f"found {shown(finding['input'])}, expected {expected}"


def _without_tags(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """The path in the file: pydantic appends the chosen union member to the name of the field."""
    return tuple(
        part
        for position, part in enumerate(loc)
        if not (position and part in TAGS and loc[position - 1] in EXPECTED_OF_FIELD)
    )


def _path(where: tuple[int | str, ...]) -> str:
    path = ""
    for part in where:
        name = part if isinstance(part, int) else shown_name(part)
        path += f"[{name}]" if isinstance(name, int) else f".{name}" if path else name
    return path


def _model(where: tuple[int | str, ...]) -> type[Section]:
    model: type[Section] = Config
    for part in where:
        model = section_of(model, str(part)) or model
    return model


def _unknown(where: tuple[int | str, ...], value: Any) -> str:
    siblings = list(_model(where[:-1]).model_fields)
    key = shown_name(str(where[-1]))
    if len(where) == 1 and key in OPTIONS:
        example = (
            f" {shown_name(value) if isinstance(value, str) else shown(value)}" if isinstance(value, (int, str)) else ""
        )
        return f"found a setting of the run, expected it as the option {OPTIONS[key]}{example}"
    elsewhere = dict(_all_fields(Config, "")).get(key)
    hint = f" (did you mean {elsewhere}?)" if elsewhere else did_you_mean(key, siblings)
    return f"found an unknown field, expected one of {', '.join(siblings)}{hint}"


def _all_fields(model: type[Section], above: str) -> Iterator[tuple[str, str]]:
    for name in model.model_fields:
        yield name, above + name
        inner = section_of(model, name)
        if inner:
            yield from _all_fields(inner, f"{above}{name}.")
