"""Exceptions, with the exit codes of the command.

    Exception
    └── AgentgenError
        ├── ConfigError (also a ValueError)   1   a configuration is invalid
        ├── TraceError  (also a ValueError)   2   a file is not a readable trace
        ├── ModelError  (also a ValueError)   2   a model is unknown, or its config.json does not state its KV size
        ├── HistoryError                      -   the next request of a session cannot be built; the session fails
        ├── ReplayError                       2   a replay cannot start: server, model or settings
        ├── RunError                          1   a run directory is incomplete, in use, or does not match others
        └── PlanError                         1   no amount of memory reaches the target

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
    """A file is not the trace that it should be: file, line where known, what was found and expected."""


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


class ReplayError(AgentgenError):
    """A replay cannot start: the server does not answer, does not have the model, or settings exclude one another."""


class PlanError(AgentgenError):
    """No amount of memory, or number of replicas, gives the hit rate that was asked for."""


class RunError(AgentgenError):
    """A run directory is incomplete, in the way, or does not belong with the others."""
