"""One timer for all requests that share a time limit."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentgen.replay.protocols import Clock, Timer

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Calls `expired` with each item that was added `after_ns` ago and not discarded since.

    All items have the same limit, so they expire in the order in which they were added: no heap, and one timer.
    """

    def __init__(self, clock: Clock, after_ns: int, expired: Callable[[T], None]) -> None:
        self._clock = clock
        self._after_ns = after_ns
        self._expired = expired
        self._due: OrderedDict[T, int] = OrderedDict()
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._due)

    def add(self, item: T) -> None:
        """Start the item's time."""
        due = self._clock.now() + self._after_ns
        self._due[item] = due
        if self._timer is None:
            self._timer = self._clock.call_at(due, self._fire)

    def discard(self, item: T) -> None:
        """Remove an item that ended in time."""
        self._due.pop(item, None)

    def close(self) -> None:
        """Remove all items."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        while self._due:  # `_timer` stays set: items that `expired` adds are due later than those here
            item, due = next(iter(self._due.items()))
            if due > self._clock.now():
                self._timer = self._clock.call_at(due, self._fire)
                return
            del self._due[item]
            self._expired(item)
        self._timer = None
