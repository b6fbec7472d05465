"""The configuration as typed models: the ranges of single fields, and the JSON Schema made from them.

The compiled core has the same types and holds the rules between fields; `complete` fills a stated configuration up with
the default preset's values, so that these models and the core always see a whole one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
)
from pydantic.json_schema import GenerateJsonSchema

from agentgen import _native

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

MAX_TOKENS = 2**31 - 1
MAX_U32 = 2**32 - 1
LARGEST_SAFE_INTEGER = 2**53
LAW = {"mean", "median", "mu", "sigma"}
PARAMETERS_OF_A_LAW = 2


def _short(value: float) -> float:
    """Whole numbers without a decimal point, as a person writes them."""
    return int(value) if value.is_integer() and abs(value) < LARGEST_SAFE_INTEGER else value


Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False), PlainSerializer(_short, return_type=Any)]
Flag = Annotated[bool, Field(strict=True)]
Probability = Annotated[Number, Field(ge=0, le=1)]
Tokens = Annotated[Whole, Field(ge=0, le=MAX_TOKENS)]
Scale = Annotated[Number, Field(gt=0, le=1e15)]


class Section(BaseModel):
    """An object of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Distribution(Section):
    """A lognormal, cut off at `min` and `max`: exactly one of mean + median, mean + sigma, mu + sigma."""

    mean: Scale | None = None
    """Mean, in the field's unit; with `calibrate`, of what is written."""
    median: Scale | None = None
    """Median, in the field's unit; at most the mean."""
    mu: Annotated[Number, Field(ge=-700, le=700)] | None = None
    """Mean of the logarithm."""
    sigma: Annotated[Number, Field(ge=0, le=10)] | None = None
    """Standard deviation of the logarithm; 0 gives the median every time."""
    min: Annotated[Number, Field(ge=0)] | None = None
    """No draw is smaller, in the field's unit."""

    @model_serializer(mode="wrap")
    def _stated(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}


class Length(Distribution):
    """A lognormal number of tokens, cut off at `min` and `max`: one of mean + median, mean + sigma, mu + sigma."""

    max: Annotated[Number, Field(ge=1)] | None = None
    """No draw is larger, tokens."""


class Delay(Distribution):
    """A lognormal time in ms, cut off at `min` and `max`: exactly one of mean + median, mean + sigma, mu + sigma."""

    max: Annotated[Number, Field(gt=0)] | None = None
    """No draw is larger, ms."""


def _bias_kind(value: object) -> str:
    return "auto" if isinstance(value, str) else "factor"


class NewTokens(Length):
    """A length with a bias against the loss of large turns at the context limit."""

    bias: Annotated[
        Annotated[Literal["auto"], Tag("auto")] | Annotated[Scale, Tag("factor")], Discriminator(_bias_kind)
    ] = "auto"
    """Factor on the median, or "auto": solved, so that the turns written have the stated mean."""


class Groups(Section):
    """The groups of L1.5, chosen with weight k^-zipf_alpha for k = 1, 2, ..."""

    num_groups: Annotated[Whole, Field(ge=1, le=10_000_000)]
    """Number of groups."""
    zipf_alpha: Annotated[Number, Field(ge=0)]
    """Exponent of the weights; 0 makes all groups alike."""


class Cache(Section):
    """The layers of a first prompt."""

    layer1_tokens: Tokens
    """L1: tokens that all sessions share; rounded up to whole blocks."""
    layer1_5_tokens: Tokens
    """L1.5: tokens that the sessions of one group share; rounded up to whole blocks."""
    layer1_5_groups: Groups
    """The groups of L1.5."""
    layer2: Length
    """L2: tokens of a session's own."""


class ContextSpeedup(Section):
    """Factor max(floor, 1 - slope * previous context / max_prompt_tokens) on every delay."""

    slope: Annotated[Number, Field(ge=0)]
    """Share of the delay lost at a full context."""
    floor: Probability
    """Smallest factor."""


class InterTurnDelay(Section):
    """Pause between the end of a response and the next turn: of two kinds."""

    agentic_fraction: Probability
    """Share of the turns that a tool result starts; a person starts the others."""
    agentic_delay: Delay
    """Pause before a tool result, ms."""
    human_delay: Delay
    """Pause before a person's next request, ms."""
    max: Annotated[Number, Field(ge=0)] | None
    """Hard clip of either, ms; null for none."""
    context_speedup: ContextSpeedup | None
    """Shorter delays at a longer context; null for none."""


class Reset(Section):
    """The hazard with which a session ends before each turn."""

    base_probability: Probability
    """Probability at an empty context."""
    context_scaling: Annotated[Number, Field(ge=1)]
    """Factor on it at a full context, linear between."""


class Turns(Section):
    """Sessions of a drawn number of turns: lognormal, rounded, limited to `min` ... `max`."""

    mean: Annotated[Number, Field(gt=0)]
    """Mean number of turns, from `min` to `max`."""
    median: Annotated[Number, Field(gt=0)]
    """Median number of turns; at most the mean."""
    min: Annotated[Whole, Field(ge=1, le=MAX_TOKENS)]
    """Fewest turns."""
    max: Annotated[Whole, Field(ge=1, le=MAX_TOKENS)]
    """Most turns."""
    allow_truncation: Flag = False
    """Keep a session that meets the context limit before its turn count, instead of drawing it again."""
    max_session_attempts: Annotated[Whole, Field(ge=1, le=MAX_U32)] | None = None
    """How often a session is drawn before giving up; null for 100, and with `allow_truncation`."""


class Rate(Section):
    """Independent arrivals at a constant rate."""

    rate: Annotated[Number, Field(ge=1e-6, le=1e9)]
    """Sessions per second."""


class Poisson(Section):
    """Sessions arrive at random times."""

    poisson: Rate
    """Independent arrivals."""


def _arrival_kind(value: object) -> str:
    return "poisson" if isinstance(value, (Mapping, Poisson)) else "closed"


class Config(Section):
    """Configuration of `agentgen generate`; an absent field has the default preset's value."""

    max_prompt_tokens: Annotated[Whole, Field(ge=3, le=MAX_TOKENS)]
    """Context limit: every prompt is shorter, tokens."""
    block_size: Annotated[Whole, Field(ge=1, le=MAX_TOKENS)]
    """KV block size, tokens."""
    cache: Cache
    """The layers of a first prompt."""
    new_tokens_per_turn: NewTokens
    """New prompt tokens of every turn after the first."""
    generation_length: Length
    """Output tokens of every turn."""
    inter_turn_delay: InterTurnDelay
    """Pause between the end of a response and the next turn."""
    reset: Reset | None
    """How sessions end at random; null with `turns`."""
    turns: Turns | None
    """Explicit turn counts, instead of `reset`; null for none."""
    restart_initial_probability: Probability
    """Probability that the first session is split by a restart; falls to 0 over the first 75 % of the sessions."""
    restart_turn_range: Annotated[list[Annotated[Whole, Field(ge=1, le=MAX_TOKENS)]], Field(min_length=2, max_length=2)]
    """Turn index at which a restart splits a session: uniform in [min, max)."""
    arrival: Annotated[
        Annotated[Literal["closed"], Tag("closed")] | Annotated[Poisson, Tag("poisson")], Discriminator(_arrival_kind)
    ]
    """When sessions arrive: "closed" (no times; the replayer's concurrency decides) or {"poisson": {"rate": ...}}."""
    calibrate: Flag
    """Solve the distributions' parameters so that what is written has the stated mean and median."""


def section_of(model: type[Section], field: str) -> type[Section] | None:
    """The model of a field that is an object."""
    info = model.model_fields.get(field)
    return next(_sections(info.annotation), None) if info else None


def _sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for inner in get_args(annotation):
        yield from _sections(inner)


def complete(stated: Mapping[str, Any]) -> dict[str, Any]:
    """The stated fields over the default preset's; a distribution is replaced as a whole."""
    whole = _overlay(Config, json.loads(_native.preset("default")), stated)
    if stated.get("turns") is not None and "reset" not in stated:
        whole["reset"] = None
    return whole


def _overlay(model: type[Section], base: dict[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in stated.items():
        below = base.get(key)
        inner = section_of(model, key) if isinstance(key, str) else None
        if isinstance(value, Mapping) and isinstance(below, dict) and inner and not issubclass(inner, Distribution):
            merged[key] = _overlay(inner, below, value)
        else:
            merged[key] = value
    return merged


def part_laws(stated: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Path, stated and default fields of each distribution that does not state two parameters of its law."""
    yield from _part_laws(Config, json.loads(_native.preset("default")), stated, "")


def _part_laws(
    model: type[Section], preset: Mapping[str, Any], stated: Mapping[str, Any], above: str
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for key, value in stated.items():
        inner, below = section_of(model, key), preset.get(key)
        if inner and isinstance(value, dict) and isinstance(below, dict):
            if not issubclass(inner, Distribution):
                yield from _part_laws(inner, below, value, f"{above}{key}.")
            elif len(LAW & value.keys()) < PARAMETERS_OF_A_LAW:
                yield above + key, value, below


class _Untitled(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: CoreSchema) -> bool:  # noqa: ARG002
        return False


def json_schema() -> dict[str, Any]:
    """JSON Schema of a configuration file: nothing that the default preset states is required."""
    schema = Config.model_json_schema(schema_generator=_Untitled)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    _relax(schema, schema["$defs"], Config, json.loads(_native.preset("default")))
    return schema


def _relax(schema: dict[str, Any], definitions: dict[str, Any], model: type[Section], preset: dict[str, Any]) -> None:
    schema.pop("required", None)
    for name, value in preset.items():
        inner = section_of(model, name)
        if isinstance(value, dict) and inner and not issubclass(inner, Distribution):
            _relax(definitions[inner.__name__], definitions, inner, value)
        else:
            schema["properties"][name]["default"] = value
