"""What a prefix cache finds of an incremental trace, the slow way: token by token, block by block."""

from __future__ import annotations

import heapq
import json
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    Token = tuple[object, ...]

PREFILL = 20.0  # tokens a ms
DECODE = 0.06


@dataclass
class Session:
    number: int
    parent: Session | None
    rows: list[dict[str, Any]]
    contexts: list[int] = field(default_factory=list)
    linked: list[Token] = field(default_factory=list)
    standalone: list[Token] = field(default_factory=list)
    end: float | None = None

    def build(self, ids_tokens: int) -> None:
        for turn, row in enumerate(self.rows):
            new: list[Token] = [
                (row["hash_ids"][token // ids_tokens], token % ids_tokens) for token in range(row["input_length"])
            ]
            self.standalone += new
            self.linked += self.parent.linked[: len(new)] if self.parent and turn == 0 else new
            self.contexts.append(len(self.linked))
            output = [("output", self.number, turn, token) for token in range(row["output_length"])]
            self.standalone += output
            self.linked += output


def sessions(path: Path, ids_tokens: int) -> list[Session]:
    """The sessions of a file, each with its tokens in both readings."""
    known: dict[str, Session] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["session_id"] not in known:
            known[row["session_id"]] = Session(len(known), known.get(row.get("parent_session_id")), [])
        known[row["session_id"]].rows.append(row)
    for session in known.values():
        session.build(ids_tokens)
    return list(known.values())


def requests(of: Iterable[Session], concurrency: int) -> Iterator[tuple[Session, int, float, float]]:
    """(session, turn, start, end) in the order of their starts; sessions start in file order on the slots."""
    coming = iter(of)
    events: list[tuple[float, int, int]] = [(0.0, slot, -1) for slot in range(concurrency)]
    open_ones: dict[int, Session] = {}
    waiting: list[tuple[float, Session]] = []
    while events:
        now, number, turn = heapq.heappop(events)
        if turn < 0:
            session = next(coming, None)
            if session:
                open_ones[session.number] = session
                if session.parent and session.parent.end is None:
                    waiting.append((now, session))
                else:
                    ready = max(now, (session.parent and session.parent.end) or 0.0)
                    heapq.heappush(events, (ready, session.number, 0))
            continue
        session = open_ones[number]
        row = session.rows[turn]
        over = now + row["input_length"] / PREFILL + row["output_length"] / DECODE
        yield session, turn, now, over
        if turn + 1 < len(session.rows):
            heapq.heappush(events, (over + session.rows[turn + 1]["delay"], number, turn + 1))
            continue
        session.end = over
        heapq.heappush(events, (over, number, -1))
        for since, child in waiting:
            if child.parent is session:
                heapq.heappush(events, (max(since, over), child.number, 0))


class Oracle:
    """Counts over all requests, of caches without and with a limit."""

    def __init__(
        self, path: Path, ids_tokens: int, block: int, *, reading: str, outputs: bool, concurrency: int
    ) -> None:
        self.block = block
        self.counts: Counter[str] = Counter()
        self.by_turn: Counter[int] = Counter()
        self.ages: list[tuple[float, int]] = []
        self.chains: list[tuple[list[int], int, int]] = []
        request_ratios = 0.0
        last_end: dict[int, float] = {}
        for session, turn, start, end in requests(sessions(path, ids_tokens), concurrency):
            context = session.contexts[turn]
            kept = context + session.rows[turn]["output_length"] - 1 if outputs else context
            chain = keys(getattr(session, reading)[: max(kept, context)], block)[: max(kept, context) // block]
            found = 0
            while found < (context - 1) // block and chain[found] in last_end:
                self.ages.append((max(0.0, start - last_end[chain[found]]), block))
                found += 1
            for key in chain:
                last_end[key] = max(end, last_end.get(key, 0.0))
            self.chains.append((chain, (context - 1) // block, -(-context // block)))
            self.counts.update(requests=1, blocks=-(-context // block), full=context // block, tokens=context)
            self.counts.update(found=found)
            self.by_turn[turn] += found * block
            request_ratios += found * block / context
        blocks, found = self.counts["blocks"], self.counts["found"]
        self.distinct_blocks = len(last_end)
        self.rates = {
            "block_references": found / blocks,
            "full_blocks": found / self.counts["full"],
            "token_weighted": found * block / self.counts["tokens"],
            "request_mean": request_ratios / self.counts["requests"],
        }

    def within(self, ttl_ms: float) -> float:
        """Tokens found / tokens, if blocks are forgotten."""
        return sum(tokens for age, tokens in self.ages if age <= ttl_ms) / self.counts["tokens"]

    def lru(self, capacity: int) -> float:
        """Blocks found / blocks, in a cache of this capacity."""
        held: OrderedDict[int, None] = OrderedDict()
        hits = 0
        for chain, reusable, _ in self.chains:
            found = 0
            while found < reusable and chain[found] in held:
                found += 1
            hits += found
            for key in reversed(chain):
                held[key] = None
                held.move_to_end(key)
            while len(held) > capacity:
                held.popitem(last=False)
        return hits / self.counts["blocks"]


def keys(tokens: list[Token], block: int) -> list[int]:
    """The chained keys of the full blocks."""
    chain, key = [], 0
    for end in range(block, len(tokens) + 1, block):
        key = hash((key, *tokens[end - block : end]))
        chain.append(key)
    return chain
