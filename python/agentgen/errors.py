"""What goes wrong, and the exit code the command turns it into.

    Exception
    └── AgentgenError
        ├── ConfigError (also a ValueError)   1   a configuration breaks a rule
        ├── TraceError  (also a ValueError)   2   a file is not a trace that can be read
        ├── ModelError  (also a ValueError)   2   a model is not known, or its config.json does not say what it keeps
        ├── HistoryError                      -   a session's next request cannot be made: that session has failed
        ├── ReplayError                       2   a replay cannot start: the server, the model or a setting
        ├── RunError                          1   run directories do not fit together
        └── PlanError                         1   no memory gives what was asked for

Beside them: `OSError` from the operating system (2 when an input cannot be read, 1 otherwise) and `KeyboardInterrupt`
(130).
"""

from __future__ import annotations

from agentgen._text import printable


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
    """The KV bytes of a model's tokens cannot be told: an unknown name, or a field of its `config.json`."""


class HistoryError(AgentgenError):
    """A session's next request cannot be made from the answers that came; the session ends there."""


class ReplayError(AgentgenError):
    """A replay cannot start: the server does not answer, does not have the model, or settings exclude one another."""


class PlanError(AgentgenError):
    """No amount of memory, or number of replicas, gives the hit rate that was asked for."""


class RunError(AgentgenError):
    """A run directory is incomplete, in the way, or does not belong with the others."""
