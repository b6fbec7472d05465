"""The JSON object in the text of an answer, and why there is none that fits."""

from __future__ import annotations

import json
import re
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import ErrorDetails

T = TypeVar("T", bound=BaseModel)

MAX_CHARS = 262_144  # of an answer
MOST_STARTS = 2_000  # braces that turn out to begin no object
MOST_OBJECTS = 16  # the last ones of an answer
MOST_PROBLEMS = 5  # named in a message
MAX_SHOWN = 60  # characters of a wrong value
# Strings stay as they are; a comma before a closing bracket goes.
_TRAILING_COMMA = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])', re.DOTALL)
_DECODER = json.JSONDecoder(strict=False)  # line ends in strings are taken


class AnswerError(Exception):
    """An answer that does not have the shape that was asked for; the message is for the model, too."""


def parsed(content: str, shape: type[T]) -> T:
    """The last object in an answer that has the shape, whatever stands around it: prose, thoughts, fences.

    Raises:
        AnswerError: There is none.
    """
    if not content.strip():
        raise AnswerError("the answer is empty")
    if len(content) > MAX_CHARS:
        raise AnswerError(f"the answer has {len(content):,} characters, expected at most {MAX_CHARS:,}")
    problem = "the answer has no complete JSON object"
    for repair in (str, _without_trailing_commas):
        text, problems = repair(content), []
        for found in reversed(deque(_objects(text), MOST_OBJECTS)):
            try:
                return shape.model_validate(found)
            except ValidationError as error:
                problems.append(_problem(error))
        problem = problems[0] if problems else problem
    raise AnswerError(problem)


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The outermost objects."""
    starts, at = 0, text.find("{")
    while at >= 0 and starts < MOST_STARTS:
        try:
            found, end = _DECODER.raw_decode(text, at)
            yield found
        except (ValueError, RecursionError):
            starts, end = starts + 1, at + 1
        at = text.find("{", end)


def _without_trailing_commas(text: str) -> str:
    return _TRAILING_COMMA.sub(lambda match: match[0] if match[0] != "," else "", text)


def _problem(error: ValidationError) -> str:
    """The first problems: `field: found X, expected Y`."""
    problems = []
    for one in error.errors(include_url=False)[:MOST_PROBLEMS]:
        field = ".".join(map(str, one["loc"])) or "answer"
        if one["type"] == "missing":
            problems.append(f"{field}: found nothing, expected a value")
            continue
        shown = repr(one["input"])
        shown = shown if len(shown) <= MAX_SHOWN else f"{shown[: MAX_SHOWN - 1]}…"
        problems.append(f"{field}: found {shown}, {_expected(one)}")
    return "; ".join(problems)


def _expected(problem: ErrorDetails) -> str:
    if problem["type"] == "literal_error":
        return f"expected {problem['ctx']['expected']}"
    if problem["type"] in {"string_too_short", "too_short"}:
        return f"expected at least one {'character' if isinstance(problem['input'], str) else 'item'}"
    return problem["msg"][:1].lower() + problem["msg"][1:]
