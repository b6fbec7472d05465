"""Replaying a trace against OpenAI-compatible servers. The package is callable: it is the function `agentgen.replay`.

Modules in the order of the data flow:

- Options: `settings`, `values` (parsing of their values).
- Before the run: `prepare` uses `server_info` (models and cache counters of servers, which `fetch` gets), `preflight`
  (checks that everything fits), `tokenizer_words` and `trace_validity`. `dry_run_text` prints the result.
- Run: `run` plays a prepared replay and writes its run directory. `split` makes one `job` per worker process,
  `supervise` starts the processes and follows them, `crash_recovery` accounts for the requests of dead ones.
- Worker: `worker` plays its `job` in an `event_loop`. `scheduler` opens sessions through `admission` under a `load`;
  `request_cycle` sends their requests by the `rules`, under `request_deadlines`, which are queues of `deadlines`.
  `active_sessions` holds their state.
- Network: `pool` chooses a server for each session, `sticky_connection` is the session's connection,
  `server_connections` holds those of one server, `http` speaks HTTP/1.1.
- Records: `request_log` counts in `counters` and writes `records`; `progress` shows the counters.
- Public functions: `api`.
- Results: `figures` (`Summary`, `Comparison`), `summary_text`, `compare_text`.

The scheduler knows the network, the clock and the compiled module only through `protocols`.
"""

from __future__ import annotations

import sys
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Callable(ModuleType):
    """A module that is also the public function of its name: importing a submodule sets `agentgen.replay` to it."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from agentgen.replay.api import replay  # noqa: PLC0415  the command does not need it

        return replay(*arguments, **options)

    @property
    def __signature__(self) -> object:
        from inspect import signature  # noqa: PLC0415  as above

        from agentgen.replay.api import replay  # noqa: PLC0415  as above

        return signature(replay)


sys.modules[__name__].__class__ = _Callable
