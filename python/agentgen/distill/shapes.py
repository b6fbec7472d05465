"""Types of fields in answers of models: tolerant of form, strict in content."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

MOST_ITEMS = 6
SCORES = (4, 3, 2, 1, 0)


class Answer(BaseModel):
    """An answer of a model; surplus keys are left out."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def _text(value: Any) -> Any:
    """Without surrounding spaces and halves of characters, which no file can hold."""
    return value.encode("utf-8", "replace").decode().strip() if isinstance(value, str) else value


def _items(value: Any) -> Any:
    """Without empty and repeated items, and no more than six."""
    if not isinstance(value, list):
        return value
    cleaned = [_text(item) for item in value]
    kept = [item for index, item in enumerate(cleaned) if item != "" and item not in cleaned[:index]]
    return kept[:MOST_ITEMS]


def _word(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _score(value: Any) -> Any:
    """A whole number, however it is written."""
    if isinstance(value, str):
        try:
            value = float(value.strip())
        except ValueError:
            return value
    is_whole = isinstance(value, float) and value.is_integer()
    return int(value) if is_whole else str(value) if isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(_text), StringConstraints(min_length=1)]
Items = Annotated[list[Text], BeforeValidator(_items), Field(min_length=1, json_schema_extra={"maxItems": MOST_ITEMS})]
Level = Annotated[Literal["high", "medium", "low"], BeforeValidator(_word)]
Difficulty = Annotated[Literal["easy", "medium", "hard"], BeforeValidator(_word)]
Score = Annotated[Literal[4, 3, 2, 1, 0], BeforeValidator(_score)]
