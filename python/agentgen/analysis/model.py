"""The KV size of a model: by name, or from its `config.json`."""

from __future__ import annotations

import json
import os
import re
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen._native import MAX_TOKENS
from agentgen.errors import ModelError
from agentgen.settings import check_choice, check_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentgen.units import Size

    StrPath = str | os.PathLike[str]

KV_DTYPES = ("bf16", "fp8")
CONFIG = "config.json"
# Suffixes of model names that do not change the KV size.
VARIANTS = {"instruct", "it", "chat", "base", "hf", "fp8", "awq"}
MIN_FUZZY_LETTERS = 4  # shorter words must match exactly
MIN_SIMILARITY = 0.7


def kv_size(model: StrPath | None, kv_bytes_per_token: Size | None, kv_dtype: str) -> dict[str, Any]:
    """KV bytes per token and session: of a model, or as given."""
    if model is not None:
        return find_model(model, kv_dtype)
    return {"kv_bytes_per_token": check_size("kv_bytes_per_token", kv_bytes_per_token, MAX_TOKENS)}


def find_model(model: StrPath, kv_dtype: str) -> dict[str, Any]:
    """KV size of a model, by its name or the path of its `config.json` or of the directory that holds it."""
    check_choice("kv_dtype", kv_dtype, KV_DTYPES)
    names = _native.model_names()
    if isinstance(model, str) and model.lower() in names:
        text = _native.model(name=model, kv_dtype=kv_dtype)
    else:
        path = _config_of(os.fspath(model), names)
        config = path.read_bytes().decode("utf-8", errors="replace")
        try:
            text = _native.model(config_json=config, kv_dtype=kv_dtype)
        except ModelError as error:
            raise ModelError(f"{path}: {error.reason}") from None
    known: dict[str, Any] = json.loads(text)
    return known


def _config_of(model: str, names: Iterable[str]) -> Path:
    path = Path(model)
    if path.is_dir():
        if not (path / CONFIG).exists():
            raise ModelError(f"model: found no {CONFIG} in {model!r}, expected the directory of a model")
        return path / CONFIG
    if not path.exists():
        meant = next((f"; did you mean {name}?" for name in names if _may_mean(model, name)), "")
        expected = f"a name (agentgen models lists them{meant}), a {CONFIG} or its directory"
        raise ModelError(f"model: found {model!r}, expected {expected}")
    return path


def _may_mean(wanted: str, name: str) -> bool:
    """Whether `wanted` (`org/Name-Instruct`, or misspelt) means `name`; sizes and versions must be equal."""
    words = wanted.rstrip("/").rpartition("/")[2].lower().split("-")
    base = "-".join(word for word in words if word not in VARIANTS)
    mine, known = (re.findall("[0-9]+|[a-z]+", text) for text in (base, name))
    return len(mine) == len(known) and all(
        word == other
        or (
            min(len(word), len(other)) >= MIN_FUZZY_LETTERS
            and word.isalpha()
            and SequenceMatcher(None, word, other).ratio() > MIN_SIMILARITY
        )
        for word, other in zip(mine, known, strict=True)
    )
