"""What a run of `agentgen distill` is told."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentgen._native import RolloutSelection

API_KEY_ENV = "OPENAI_API_KEY"
CONTEXT_TOKENS = 32_768  # unless the server states less: a larger model would be sent, and paid for, whole tool results
MIN_CONTEXT_TOKENS = 1_024
CONCURRENCY = 32
TIMEOUT_S = 600.0
ROWS = 5


@dataclass(frozen=True)
class Endpoint:
    """A model on a server.

    Attributes:
        url: URL of the server, as `agentgen.replay.urls.server_url` writes it.
        model: The model's name.
        api_key_env: Variable that holds the API key, if there is one.
        longest_text: Characters of a text that structured output may have, for models that write without an end.
    """

    url: str
    model: str
    api_key_env: str = API_KEY_ENV
    longest_text: int | None = None

    def api_key(self) -> str | None:
        """The API key; never stored or shown."""
        return os.environ.get(self.api_key_env) or None


@dataclass(frozen=True)
class DistillSettings:
    """The settings of a run.

    Attributes:
        selection: Which recorded sessions, as `agentgen.rollouts` takes them; its limit is the number of rows.
        writer: The model that writes digests and records.
        judge: The model that scores them.
        context_tokens: Tokens that the writer is given at most, prompt and answer together.
        concurrency: Most calls in flight.
        timeout_s: Time limit of a call, seconds.
        request_fields: Fields added to every request.
        min_score: Lowest score of a recommended row.
        test_share: Share of root sessions in the test part; None for one part.
        price_in: Price of a million prompt tokens, if known.
        price_out: Price of a million completion tokens, if known.
        dataset_name: Name in the data card and the manifest.
    """

    selection: RolloutSelection
    writer: Endpoint
    judge: Endpoint
    context_tokens: int = CONTEXT_TOKENS
    concurrency: int = CONCURRENCY
    timeout_s: float = TIMEOUT_S
    request_fields: dict[str, Any] = field(default_factory=dict)
    min_score: int = 4
    test_share: float | None = None
    price_in: float | None = None
    price_out: float | None = None
    dataset_name: str = "distilled"

    @property
    def rows(self) -> int:
        """The number of rows asked for."""
        return self.selection["limit"] or ROWS
