"""What all models of the configuration use: ranges of numbers, objects, distributions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, SerializerFunctionWrapHandler, model_serializer

from agentgen._native import MAX_TOKENS

LARGEST_SAFE_INTEGER = 2**53


def _short(value: float) -> float:
    """Whole numbers without a decimal point."""
    return int(value) if value.is_integer() and abs(value) < LARGEST_SAFE_INTEGER else value


Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False), PlainSerializer(_short, return_type=Any)]
Flag = Annotated[bool, Field(strict=True)]
Probability = Annotated[Number, Field(ge=0, le=1)]
Tokens = Annotated[Whole, Field(ge=0, le=MAX_TOKENS)]
Scale = Annotated[Number, Field(gt=0, le=1e15)]
Sigma = Annotated[Number, Field(ge=0, le=10)]


class Section(BaseModel):
    """An object of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Component(Section):
    """A lognormal of a mixture."""

    weight: Scale
    """Weight, relative to the others."""
    median: Scale
    """Median, in the unit of the field."""
    sigma: Sigma
    """Standard deviation of the logarithm."""


class Distribution(Section):
    """A distribution truncated to `min` ... `max`.

    A lognormal: exactly one of mean + median, mean + sigma, median + sigma, mu + sigma. Beside `triggers` also a
    `family` with median + shape, a `mixture` of lognormals, or a table of `quantiles`.
    """

    mean: Scale | None = None
    """Mean, in the unit of the field; with `calibrate`, of the values written."""
    median: Scale | None = None
    """Median, in the unit of the field; at most the mean."""
    mu: Annotated[Number, Field(ge=-700, le=700)] | None = None
    """Mean of the logarithm."""
    sigma: Sigma | None = None
    """Standard deviation of the logarithm; 0 for a constant, the median."""
    family: Literal["gamma", "weibull", "log_logistic", "pareto"] | None = None
    """Another family than the lognormal; a Pareto begins at 0 (Lomax)."""
    shape: Annotated[Number, Field(ge=0.05, le=100)] | None = None
    """Shape of the family."""
    mixture: Annotated[list[Component], Field(min_length=1)] | None = None
    """Lognormals of which one is drawn by weight."""
    quantiles: (
        Annotated[list[Annotated[list[Number], Field(min_length=2, max_length=2)]], Field(min_length=2)] | None
    ) = None
    """Quantiles [p, value] from p = 0 to 1; logarithms are interpolated, and values where the lower one is 0."""
    min: Annotated[Number, Field(ge=0)] | None = None
    """Smallest value, in the unit of the field."""

    @model_serializer(mode="wrap")
    def _stated(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}


class Length(Distribution):
    """A lognormal token count truncated to `min` ... `max`: see `Distribution`."""

    max: Annotated[Number, Field(ge=1)] | None = None
    """Largest value, tokens."""


class Delay(Distribution):
    """A lognormal time in ms truncated to `min` ... `max`: see `Distribution`."""

    max: Annotated[Number, Field(gt=0)] | None = None
    """Largest value, ms."""


class Share(Distribution):
    """A share or a ratio; see `Distribution`."""

    max: Annotated[Number, Field(gt=0)] | None = None
    """Largest value."""
