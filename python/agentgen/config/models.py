"""Models of the configuration: the ranges of single fields, and the JSON Schema.

The core has equal types and the rules between fields. `complete` adds the default preset's values to the stated fields,
so that these models and the core always see a complete configuration.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, SerializerFunctionWrapHandler, Tag, model_serializer
from pydantic.json_schema import GenerateJsonSchema

from agentgen import _native
from agentgen._native import MAX_TOKENS, MIN_ISL
from agentgen.config.agents import (  # noqa: TC001  pydantic reads annotations
    Breaks,
    ContextWindow,
    OutputKept,
    ServiceTime,
    SessionEffects,
    Subagents,
    Triggers,
)
from agentgen.config.base import Delay, Distribution, Flag, Length, Number, Probability, Scale, Section, Tokens, Whole

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

MAX_U32 = 2**32 - 1
DISTRIBUTION_PARAMETERS = {"mean", "median", "mu", "sigma"}
OTHER_FORMS = {"family", "mixture", "quantiles"}
PARAMETERS_NEEDED = 2
# Sections about agents, absent from configurations without them.
AGENTS = {
    "triggers",
    "session_effects",
    "output_kept",
    "context_windows",
    "breaks",
    "subagents",
    "service_time",
}
DRAWN_AS_STATED = AGENTS - {"service_time"}


def _bias_kind(value: object) -> str:
    return "auto" if isinstance(value, str) else "factor"


class NewTokens(Length):
    """A token count with a correction for large turns that the context limit drops."""

    bias: Annotated[
        Annotated[Literal["auto"], Tag("auto")] | Annotated[Scale, Tag("factor")], Discriminator(_bias_kind)
    ] = "auto"
    """Factor on the median, or "auto": solved so that the turns written have the stated mean."""


class Groups(Section):
    """The groups of L1.5; group k = 1, 2, ... is chosen with weight k^-zipf_alpha."""

    num_groups: Annotated[Whole, Field(ge=1, le=10_000_000)]
    """Number of groups."""
    zipf_alpha: Annotated[Number, Field(ge=0)]
    """Exponent of the weights; 0 for equal weights."""


class Cache(Section):
    """The prefix layers of a first prompt."""

    layer1_tokens: Tokens
    """L1: tokens that all sessions share; rounded up to whole blocks."""
    layer1_5_tokens: Tokens
    """L1.5: tokens that the sessions of one group share; rounded up to whole blocks."""
    layer1_5_groups: Groups
    """The groups of L1.5."""
    layer2: Length | None
    """L2: tokens that belong to one session; null with `first_prompt`."""
    first_prompt: Length | None = None
    """The first prompt as a whole, L1 and L1.5 included, instead of `layer2`."""

    @model_serializer(mode="wrap")
    def _stated(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key != "first_prompt" or value is not None}


class ContextSpeedup(Section):
    """Factor max(floor, 1 - slope * previous context / max_prompt_tokens) on every delay."""

    slope: Annotated[Number, Field(ge=0)]
    """Relative reduction of the delay at a full context."""
    floor: Probability
    """Smallest factor."""


class InterTurnDelay(Section):
    """Delay between the end of a response and the next turn, of two kinds."""

    agentic_fraction: Probability
    """Share of the turns that start with a tool result; the others start with a person's request."""
    agentic_delay: Delay
    """Delay before a tool result, ms."""
    human_delay: Delay
    """Delay before a person's next request, ms."""
    max: Annotated[Number, Field(ge=0)] | None
    """Upper limit of both, ms; null for none."""
    context_speedup: ContextSpeedup | None
    """Shorter delays with longer contexts; null for none."""


class Reset(Section):
    """The hazard that a session ends before each turn."""

    base_probability: Probability
    """Probability at an empty context."""
    context_scaling: Annotated[Number, Field(ge=1)]
    """Factor on the probability at a full context, linear in between."""


class Turns(Section):
    """Turn counts of sessions: lognormal, rounded, clamped to `min` ... `max`.

    Exactly one of mean + median, mean + sigma, median + sigma.
    """

    mean: Annotated[Number, Field(gt=0)] | None = None
    """Mean number of turns, `min` to `max`; with `calibrate`, of the sessions written."""
    median: Annotated[Number, Field(gt=0)] | None = None
    """Median number of turns; at most the mean."""
    sigma: Annotated[Number, Field(ge=0, le=10)] | None = None
    """Standard deviation of the logarithm."""
    min: Annotated[Whole, Field(ge=1, le=MAX_TOKENS)]
    """Smallest number of turns."""
    max: Annotated[Whole, Field(ge=1, le=MAX_TOKENS)]
    """Largest number of turns."""
    allow_truncation: Flag = False
    """Keep a session that reaches the context limit before its turn count, instead of drawing it again."""
    max_session_attempts: Annotated[Whole, Field(ge=1, le=MAX_U32)] | None = None
    """Draws of a session before generation fails; null for 100, and with `allow_truncation`."""

    @model_serializer(mode="wrap")
    def _stated(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        optional = ("mean", "median", "sigma")
        return {key: value for key, value in handler(self).items() if key not in optional or value is not None}


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

    max_prompt_tokens: Annotated[Whole, Field(ge=MIN_ISL, le=MAX_TOKENS)]
    """Context limit, tokens; every prompt is shorter."""
    block_size: Annotated[Whole, Field(ge=1, le=MAX_TOKENS)]
    """KV block size, tokens."""
    cache: Cache
    """The prefix layers of a first prompt."""
    new_tokens_per_turn: NewTokens | None
    """New prompt tokens of every turn after the first; null with `triggers`."""
    generation_length: Length
    """Output tokens of every turn."""
    inter_turn_delay: InterTurnDelay | None
    """Delay between the end of a response and the next turn; null with `triggers`."""
    reset: Reset | None
    """Random ends of sessions; null with `turns` or `context_windows`."""
    turns: Turns | None
    """Explicit turn counts, instead of `reset`; null for none."""
    restart_initial_probability: Probability
    """Probability that a restart splits the first session; falls to 0 over the first 75 % of the sessions."""
    restart_turn_range: Annotated[list[Annotated[Whole, Field(ge=1, le=MAX_TOKENS)]], Field(min_length=2, max_length=2)]
    """Turn index at which a restart splits a session: uniform in [min, max)."""
    arrival: Annotated[
        Annotated[Literal["closed"], Tag("closed")] | Annotated[Poisson, Tag("poisson")], Discriminator(_arrival_kind)
    ]
    """Arrivals: "closed" (no times; concurrency of the replay) or {"poisson": {"rate": sessions per second}}."""
    calibrate: Flag
    """Solve the parameters of the distributions so that the values written have the stated mean and median."""
    triggers: Triggers | None = None
    """What causes calls, and what they are like; instead of `new_tokens_per_turn` and `inter_turn_delay`."""
    session_effects: SessionEffects | None = None
    """How much sessions differ."""
    output_kept: OutputKept | None = None
    """How much of an output the next prompt holds; null: all."""
    context_windows: Annotated[list[ContextWindow], Field(min_length=1)] | None = None
    """Context limits of sessions; null: `max_prompt_tokens` for all."""
    breaks: Breaks | None = None
    """Where prefixes break."""
    subagents: Subagents | None = None
    """Other agents that sessions start."""
    service_time: ServiceTime | None = None
    """The time that a server takes, for analyses."""

    @model_serializer(mode="wrap")
    def _stated(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key not in AGENTS or value is not None}


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
    """The stated fields over the default preset; a distribution is replaced as a whole."""
    whole = _overlay(Config, json.loads(_native.preset("default")), stated)
    if stated.get("turns") is not None and "reset" not in stated:
        whole["reset"] = None
    replaced: dict[str, Any] = {}
    if _is_drawn_as_stated(stated):
        replaced["calibrate"] = False
    if stated.get("triggers") is not None:
        replaced |= {"new_tokens_per_turn": None, "inter_turn_delay": None}
    if stated.get("context_windows") is not None:
        replaced["reset"] = None
    whole.update({key: value for key, value in replaced.items() if key not in stated})
    cache = stated.get("cache")
    if isinstance(cache, Mapping) and cache.get("first_prompt") is not None and "layer2" not in cache:
        whole["cache"]["layer2"] = None
    return whole


def _is_drawn_as_stated(stated: Mapping[str, Any]) -> bool:
    """Whether there are sections about agents or distributions that calibration does not solve for."""
    if any(stated.get(name) is not None for name in DRAWN_AS_STATED):
        return True
    below = [value for value in stated.values() if isinstance(value, Mapping)]
    return any(OTHER_FORMS & value.keys() or _is_drawn_as_stated(value) for value in below)


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


def partial_distributions(stated: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Path, stated and default fields of each distribution that states fewer than two parameters."""
    yield from _partial_distributions(Config, json.loads(_native.preset("default")), stated, "")


def _partial_distributions(
    model: type[Section], preset: Mapping[str, Any], stated: Mapping[str, Any], above: str
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for key, value in stated.items():
        inner, below = section_of(model, key), preset.get(key)
        if inner and isinstance(value, dict) and isinstance(below, dict):
            if not issubclass(inner, Distribution):
                yield from _partial_distributions(inner, below, value, f"{above}{key}.")
            elif not OTHER_FORMS & value.keys() and len(DISTRIBUTION_PARAMETERS & value.keys()) < PARAMETERS_NEEDED:
                yield above + key, value, below


class _Untitled(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: CoreSchema) -> bool:  # noqa: ARG002
        return False


def json_schema() -> dict[str, Any]:
    """JSON Schema of a configuration file; no field is required."""
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
