"""Answers of a given shape: by the server's structured output, else by the schema in the prompt.

A call asks for `response_format`. A server that refuses it gets the schema in the prompt instead; one that takes it and
answers something else gets both from then on. The first call to a server is alone, so that one call finds out. Every
answer is checked; the first one that does not fit goes back once with what is wrong, then the model is asked afresh.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel

from agentgen.distill import schema
from agentgen.distill.answers import AnswerError, parsed
from agentgen.distill.client import RefusedError
from agentgen.errors import AgentgenError
from agentgen.replay.urls import shown

if TYPE_CHECKING:
    from agentgen.distill.client import ChatClient, Message, Reply
    from agentgen.distill.journal import Journal

T = TypeVar("T", bound=BaseModel)

TRIES = 3  # the answer, its correction, a fresh one
MAX_QUOTED = 8_000  # characters of a wrong answer that goes back
REFUSALS = {400, 404, 415, 422, 501}  # of a field that a server does not know


class ColumnError(AgentgenError):
    """A column of a row that has no value.

    Attributes:
        column: Its name.
        reason: Why.
    """

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(column, reason)
        self.column = column
        self.reason = reason


class StoppedError(Exception):
    """The run is being stopped before the next call of a row."""


@dataclass(frozen=True)
class Column(Generic[T]):
    """A column that a model fills.

    Attributes:
        name: Its name, also that of the schema.
        shape: The shape of an answer.
        instructions: The system prompt.
    """

    name: str
    shape: type[T]
    instructions: str


class StructuredModel:
    """A model that answers in a given shape.

    Attributes:
        client: The model.
        corrections: Answers that went back with what was wrong.
        fresh: Fresh tries.
    """

    def __init__(self, client: ChatClient, journal: Journal, stopping: asyncio.Event) -> None:
        self.client = client
        self.corrections = 0
        self.fresh = 0
        self._journal = journal
        self._stopping = stopping
        self._server = f"{shown(client.endpoint.url)} {client.endpoint.model}"
        known = journal.server(self._server)
        self._is_settled = bool(known)
        self._sends_format = known.get("sends_format", True)
        self._schema_in_prompt = known.get("schema_in_prompt", False)
        self._first = asyncio.Lock()

    async def fill(self, column: Column[T], prompt: str, row: str) -> T:
        """The value of a column of a row; `row` is the row's key in the journal.

        Raises:
            ColumnError: The server refuses the call, or no answer fits.
            StoppedError: The run is being stopped, and a further call would be needed.
            UnavailableError: The server answers no call.
        """
        base: list[Message] = [
            {"role": "system", "content": column.instructions},
            {"role": "user", "content": prompt},
        ]
        messages, problem = base, ""
        for number in range(TRIES):
            key = (row, column.name, number)
            reply = self._journal.get(key)
            if reply is None:
                self.corrections += messages is not base
                self.fresh += number > 0 and messages is base
                reply = await self._call(column, messages, key)
            try:
                return parsed(reply.content, column.shape)
            except AnswerError as error:
                problem = f"cut at {reply.completion_tokens:,} tokens" if reply.is_cut else str(error)
                if not reply.is_cut:
                    self._schema_in_prompt = True
                    self._know()
                goes_back = number == 0 and not reply.is_cut
                messages = [*base, *_correction(reply.content, problem)] if goes_back else base
        raise ColumnError(column.name, f"no answer of {TRIES} fits: {problem}")

    async def _call(self, column: Column[T], messages: list[Message], key: tuple[str, str, int]) -> Reply:
        """One answer, in the journal."""
        if self._stopping.is_set():
            raise StoppedError
        try:
            if not self._is_settled:
                async with self._first:
                    if not self._is_settled:
                        return await self._first_call(column, messages, key)
            return await self._send(column, messages, key)
        except RefusedError as error:
            raise ColumnError(column.name, str(error)) from None

    async def _first_call(self, column: Column[T], messages: list[Message], key: tuple[str, str, int]) -> Reply:
        """The call that finds out what the server takes."""
        try:
            reply = await self._send(column, messages, key)
        except RefusedError as error:
            if error.status not in REFUSALS:
                raise
            self._sends_format, self._schema_in_prompt = False, True
            try:
                reply = await self._send(column, messages, key)
            except RefusedError:
                self._sends_format, self._schema_in_prompt = True, False  # it was something else
                raise
        self._is_settled = True
        self._know()
        return reply

    def _know(self) -> None:
        facts = {"sends_format": self._sends_format, "schema_in_prompt": self._schema_in_prompt}
        self._journal.know(self._server, facts)

    async def _send(self, column: Column[T], messages: list[Message], key: tuple[str, str, int]) -> Reply:
        if self._schema_in_prompt:
            first = {"role": "user", "content": f"{schema.in_prompt(column.shape)}\n\n{messages[1]['content']}"}
            messages = [messages[0], first, *messages[2:]]
        wanted = (
            schema.response_format(column.shape, column.name, self.client.endpoint.longest_text)
            if self._sends_format
            else None
        )
        reply = await self.client.ask(messages, wanted)
        self._journal.put(key, self.client.endpoint.model, reply)
        return reply


def _correction(content: str, problem: str) -> list[Message]:
    """A wrong answer, and what is wrong with it."""
    quoted = content if len(content) <= MAX_QUOTED else f"{content[:MAX_QUOTED]}…"
    request = f"This answer does not fit: {problem}. Answer again with the whole JSON object."
    return [{"role": "assistant", "content": quoted or "(empty)"}, {"role": "user", "content": request}]
