"""Models of the sections about agents: triggers, breaks, sub-agents and how sessions differ.

Every section needs `triggers`, which replaces `new_tokens_per_turn` and `inter_turn_delay`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from agentgen.config.base import Delay, Length, Number, Probability, Scale, Section, Share, Sigma, Tokens, Whole

MAX_U16 = 2**16 - 1
MAX_DEPTH = 16

Name = Annotated[str, Field(min_length=1, max_length=100)]
Point = Annotated[list[Number], Field(min_length=2, max_length=2)]
Curve = Number | Annotated[list[Point], Field(min_length=1)]
EffectName = Literal["tool_new_tokens", "human_new_tokens", "output", "tool_delay", "human_delay"]


class OptionalFields(Section):
    """An object without its fields that are null."""

    @model_serializer(mode="wrap")
    def _stated(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}


class ContextBand(OptionalFields):
    """A distribution that holds up to a context size."""

    context_below: Annotated[Whole, Field(ge=0, le=2**32 - 1)] | None = None
    """Contexts of fewer tokens; null: all others."""
    tokens: Length
    """The distribution, tokens."""


class Caused(Section):
    """Calls of one trigger."""

    new_tokens: Annotated[list[ContextBand], Field(min_length=1)]
    """New tokens of the prompt, by the context before the call."""
    delay_ms: Delay
    """Delay after the end of the call before, ms."""


class CallsPerHumanTurn(Section):
    """The number of calls after a person's text: a lognormal rounded up, whose median is a session's own."""

    median: Curve
    """Median over all sessions, by first prompt."""
    first_turn_factor: Curve = 1.0
    """Factor on the median for the first text of a session, by first prompt."""
    sigma: Sigma
    """Standard deviation of the logarithm within a session."""
    session_sigma: Sigma = 0.0
    """Standard deviation of the logarithm of the medians of sessions."""
    chat_probability: Probability = 0.0
    """Share of the sessions that are chats: their median is the same for all."""
    chat_median: Scale = 1.0
    """Median of chats."""


class Triggers(OptionalFields):
    """What causes a call of the model: new text of a person, or the result of a tool."""

    human: Caused
    """Calls that a person's text causes."""
    tool: Caused
    """Calls that a tool's result causes."""
    calls_per_human_turn: CallsPerHumanTurn
    """Calls from one text of a person to the next."""
    human_turns: Length | None = None
    """Texts of a person in a session; null: sessions end otherwise."""


class Correlation(Section):
    """A correlation between two effects."""

    between: Annotated[list[EffectName], Field(min_length=2, max_length=2)]
    """The two effects."""
    value: Annotated[Number, Field(ge=-1, le=1)]
    """From -1 to 1."""


class SessionEffects(Section):
    """How much of the spread of a quantity lies between sessions: shares of the variance of its normal score."""

    tool_new_tokens: Probability = 0.0
    """New tokens of calls that a tool's result causes."""
    human_new_tokens: Probability = 0.0
    """New tokens of calls that a person's text causes."""
    output: Probability = 0.0
    """Outputs."""
    tool_delay: Probability = 0.0
    """Delays of calls that a tool's result causes."""
    human_delay: Probability = 0.0
    """Delays of calls that a person's text causes."""
    correlations: list[Correlation] = Field(default_factory=list)
    """Correlations between the effects of a session."""


class OutputKept(OptionalFields):
    """How much of an output the next prompt holds."""

    short_probability: Curve
    """Probability that tokens are missing, by the tokens of the output."""
    missing_share: Share
    """Share of the output that is missing then, 0 to 1."""
    short_new_tokens: Length | None = None
    """New tokens of such a prompt; null: as of the others."""


class ContextWindow(Section):
    """A context limit that some of the sessions have."""

    name: Name
    """Its name, for `breaks`."""
    max_prompt_tokens: Tokens
    """Every prompt has fewer tokens than this."""
    weight: Curve = 1.0
    """Weight with which a session has this limit, by first prompt."""
    end_probability: Curve
    """Probability that a session ends before a call, by the context of the call."""
    end_factor: Curve = 1.0
    """Factor on it, by first prompt."""


class TurnPart(Section):
    """The prompt of a call of the session."""

    turn: Tokens
    """Its number, from 0 on."""


class SharePart(Section):
    """A drawn share of the prompt."""

    share: Share
    """The share, 0 to 1."""


class Kept(Section):
    """What a break keeps of the prompt before it."""

    weight: Scale
    """Weight with which this part is drawn."""
    part: Literal["nothing", "prefix"] | TurnPart | SharePart
    """The part: "nothing", the agent's "prefix", {"turn": call} or {"share": distribution}."""


class TokensAfter(Section):
    """The size of a prompt after a break."""

    tokens: Length
    """Tokens."""


class RatioAfter(Section):
    """The size of a prompt after a break, relative to the prompt before."""

    ratio: Share
    """The ratio."""


class BreakKind(OptionalFields):
    """A kind of break."""

    name: Name
    """The value of `break_kind` in traces."""
    windows: list[Name] | None = None
    """Names of the context windows whose sessions have it; null: all."""
    tool_probability: Curve
    """Probability at a call that a tool's result causes, by the context before."""
    human_probability: Curve
    """Probability at a call that a person's text causes, by the context before."""
    at_limit: Annotated[bool, Field(strict=True)] = False
    """Whether a prompt that would reach the context limit becomes a break of this kind."""
    keeps: Annotated[list[Kept], Field(min_length=1)]
    """What the new prompt keeps of the old one; one is drawn by weight."""
    new_prompt: TokensAfter | RatioAfter
    """The size of the new prompt: {"tokens": distribution} or {"ratio": distribution}."""
    delay_ms: Delay | None = None
    """Delay before the call, ms; null: that of its trigger."""


class Breaks(Section):
    """Where a prompt does not begin with the prompt before it."""

    max_per_line: Annotated[Whole, Field(ge=0, le=MAX_U16)]
    """Most breaks of a session."""
    kinds: list[BreakKind]
    """The kinds; a call has at most one break, of the first kind that is drawn."""


class SubagentKind(OptionalFields):
    """A kind of sub-agent."""

    name: Name
    """The value of `agent` in traces."""
    prefix_tokens: Tokens
    """Tokens that all sub-agents of the kind share; rounded up to whole blocks."""
    spawn_probability: Probability
    """Probability that a call which a tool's result causes follows sub-agents of this kind."""
    fan_out: Length
    """Sub-agents that are started together, rounded down, at least 1."""
    background_share: Probability = 0.0
    """Share of the sub-agents that nobody waits for."""
    first_prompt: Length
    """First prompt, the prefix included, tokens."""
    calls: Length
    """Calls, rounded down, at least 1."""
    new_tokens: Length
    """New tokens of the prompt."""
    output: Length
    """Output tokens."""
    delay_ms: Delay
    """Delay after the end of the call before, ms."""
    start_delay_ms: Delay
    """Delay between the response that starts it and its first call, ms."""
    breaks: list[BreakKind] | None = None
    """Breaks of its history; null: none."""


class Subagents(Section):
    """Other agents that a session starts."""

    max_per_bundle: Annotated[Whole, Field(ge=0, le=MAX_U16)]
    """Most sub-agents of a session and all under it."""
    max_breaks_per_line: Annotated[Whole, Field(ge=0, le=MAX_U16)] = 0
    """Most breaks of a sub-agent."""
    depth: Annotated[Whole, Field(ge=1, le=MAX_DEPTH)] = 1
    """Levels of sub-agents under a session; 1: sub-agents start none."""
    kinds: list[SubagentKind]
    """The kinds."""


class ServiceTime(Section):
    """The time that a server takes for a call, ms, for analyses; a generated trace holds delays."""

    base_ms: Annotated[Number, Field(ge=0)]
    """Each call."""
    output_token_ms: Annotated[Number, Field(ge=0)]
    """Each output token."""
    uncached_token_ms: Annotated[Number, Field(ge=0)]
    """Each prompt token that is not cached."""
    prompt_token_ms: Annotated[Number, Field(ge=0)]
    """Each prompt token."""
