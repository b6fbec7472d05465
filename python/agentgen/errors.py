"""Exceptions, with the exit codes of the command.

    Exception
    └── AgentgenError
        ├── ConfigError (also a ValueError)   1   a configuration is invalid
        ├── TraceError  (also a ValueError)   2   a file is not a readable trace
        │   └── UsageError                    2   an argument contradicts the trace, or is missing
        ├── ModelError  (also a ValueError)   2   a model is unknown, or its config.json does not state its KV size
        ├── HistoryError                      -   the next request of a session cannot be built; the session fails
        │   └── EmptyAnswerError              -   an answer is empty
        ├── ReplayError                       2   a replay cannot start: server, model or settings
        ├── DistillError                      2   a model server answers no call, or there is no model to ask
        ├── RunError                          1   a run directory is incomplete, in use, or does not match others
        ├── PlanError                         1   no amount of memory reaches the target
        ├── LocalModelError                   1   the model of --local cannot be fetched or started
        └── CollectError                      1   a collection cannot begin or go on: server, sandbox, files

Also raised: `OSError` (2 when an input cannot be read, 1 otherwise) and `KeyboardInterrupt` (130).
"""

from __future__ import annotations

from agentgen.text.format import printable


class AgentgenError(Exception):
    """Base of every error that this package defines."""


class ConfigError(AgentgenError, ValueError):
    """A configuration breaks one rule or several.

    Attributes:
        path: The first field concerned, from the root (`cache.layer2.max`); empty for the configuration as a whole.
        rule: What was found there and what was expected.
        source: The file or preset, if known.
        more: Further (path, rule) pairs of the same configuration.
    """

    def __init__(self, path: str, rule: str, source: str | None = None, more: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(path, rule, source, more)
        self.path = path
        self.rule = rule
        self.source = source
        self.more = more

    def __str__(self) -> str:
        """One line for each broken rule."""
        return "\n".join(
            printable(": ".join(part for part in (self.source, path, rule) if part))
            for path, rule in ((self.path, self.rule), *self.more)
        )


class TraceError(AgentgenError, ValueError):
    """A file is not the trace that it should be.

    Attributes:
        file: The file, as it was named, if known.
        line: Its line (of a Parquet file: row), from 1, if known.
        field: The field of the row, or the column, concerned, if it is a single one.
        rule: The broken rule's name, if it has one.
        found: What is there.
        expected: What should be there.
        help: What to do about it, if there is advice.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        field: str | None = None,
        rule: str | None = None,
        found: str | None = None,
        expected: str | None = None,
        help: str | None = None,  # noqa: A002  the attribute's name
    ) -> None:
        super().__init__(message)
        self.file = file
        self.line = line
        self.field = field
        self.rule = rule
        self.found = found
        self.expected = expected
        self.help = help


class UsageError(TraceError):
    """An argument contradicts the trace, or one that the trace needs is missing: `field` is the parameter's name."""

    def text(self, parameter: str) -> str:
        """The message, with `option` as the name of the parameter."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, parameter, *self.args) if part)

    def __str__(self) -> str:
        """The message, with the parameter's name in Python."""
        return self.text(self.field or "")


class ModelError(AgentgenError, ValueError):
    """The KV size of a model is unknown: its name, or a field of its `config.json`.

    Attributes:
        reason: What was found and what was expected.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        """The reason and the alternative."""
        return f"{self.reason} (or give kv_bytes_per_token)"


class HistoryError(AgentgenError):
    """A session's next request cannot be made from the answers that came; the session ends there."""


class EmptyAnswerError(HistoryError):
    """There is nothing in an answer that the session's next prompt could hold; the session ends there."""


class ReplayError(AgentgenError):
    """A replay cannot start: the server does not answer, does not have the model, or settings exclude one another."""


class LocalModelError(AgentgenError):
    """The model of `--local` cannot be fetched, or its server does not start."""


class CollectError(AgentgenError):
    """A collection cannot begin or go on: its server, its sandbox, or the files of an earlier part."""


class DistillError(AgentgenError):
    """A model server answers no call, the model to ask is unknown, or a library is missing."""


class PlanError(AgentgenError):
    """No amount of memory, or number of replicas, reaches the target hit rate."""


class RunError(AgentgenError):
    """A run directory is incomplete, in the way, or does not belong with the others."""
