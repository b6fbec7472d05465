"""JSON Schemas of answers, in the part of the language that every server with structured output takes."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel


@cache
def schema(shape: type[BaseModel], longest_text: int | None = None) -> dict[str, Any]:
    """The schema without references; every key is required and no other allowed.

    With `longest_text`, no text has more characters: OpenAI refuses such limits, and small models need them.
    """
    full = shape.model_json_schema()
    return {"title": full["title"], **_strict(full, full.get("$defs", {}), longest_text)}


@cache
def response_format(shape: type[BaseModel], name: str, longest_text: int | None) -> dict[str, Any]:
    """The `response_format` of a request."""
    wanted = schema(shape, longest_text)
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": wanted}}


@cache
def in_prompt(shape: type[BaseModel]) -> str:
    """The schema as text, for servers without structured output."""
    return (
        "Answer with one JSON object and nothing else. It must fit this JSON Schema:\n"
        f"<response_schema>\n{json.dumps(schema(shape))}\n</response_schema>"
    )


def _strict(part: dict[str, Any], definitions: dict[str, Any], longest_text: int | None) -> dict[str, Any]:
    if "$ref" in part:
        part = {**definitions[part["$ref"].rpartition("/")[2]], **part}
    kept: dict[str, Any] = {
        name: part[name] for name in ("type", "description", "enum", "minItems", "maxItems") if name in part
    }
    if longest_text is not None and part.get("type") == "string" and "enum" not in part:
        kept["maxLength"] = longest_text
    if "items" in part:
        kept["items"] = _strict(part["items"], definitions, longest_text)
    if "properties" in part:
        kept["properties"] = {name: _strict(one, definitions, longest_text) for name, one in part["properties"].items()}
        kept["required"] = list(part["properties"])
        kept["additionalProperties"] = False
    return kept
