"""The models, the compiled core and the JSON Schema agree on fields, nulls, bounds and defaults of a configuration."""

from __future__ import annotations

import copy
import json
import math
import re
from typing import TYPE_CHECKING, Any

import agentgen
import jsonschema
import pytest
from agentgen import _native
from agentgen.config import json_schema, load_config
from agentgen.config.base import Component, Distribution, Section
from agentgen.config.models import AGENTS, Config, complete, section_of
from agentgen.errors import ConfigError
from conftest import ROOT
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT: dict[str, Any] = json.loads(_native.preset("default"))
AGENT_BASE: dict[str, Any] = json.loads(_native.preset("weka-claude-code"))
TURNS = {"mean": 6, "median": 5, "min": 1, "max": 20, "allow_truncation": True, "max_session_attempts": None}


def core_accepts(config: dict[str, Any]) -> bool:
    try:
        _native.resolve(json.dumps(config), sessions=1, seed=0)
    except ConfigError:
        return False
    return True


def front_accepts(config: dict[str, Any]) -> bool:
    try:
        loaded = load_config(config)
        loaded.resolve(loaded.settings.updated(sessions=1, seed=0))
    except ConfigError:
        return False
    return True


def models_accept(config: dict[str, Any]) -> bool:
    """Whether each field is in its range; rules between fields (a law's two parameters) are not the schema's."""
    try:
        Config.model_validate(complete(config))
    except ValidationError:
        return False
    return True


def with_value(config: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy with the field at `path` set, or removed for `...`."""
    changed = copy.deepcopy(config)
    *parents, last = path.split(".")
    target = changed
    for parent in parents:
        if not isinstance(target.get(parent), dict):
            target[parent] = {}
        target = target[parent]
    if value is ...:
        target.pop(last, None)
    else:
        target[last] = value
    return changed


def distribution_paths(path: str) -> list[str]:
    return [path, *(f"{path}.{name}" for name in ("mean", "median", "mu", "sigma", "min", "max"))]


PATHS = [
    *("max_prompt_tokens", "block_size", "calibrate", "restart_initial_probability", "restart_turn_range"),
    *("cache", "cache.layer1_tokens", "cache.layer1_5_tokens", "cache.layer1_5_groups"),
    *("cache.layer1_5_groups.num_groups", "cache.layer1_5_groups.zipf_alpha"),
    *distribution_paths("cache.layer2"),
    *distribution_paths("cache.first_prompt"),
    *distribution_paths("new_tokens_per_turn"),
    "new_tokens_per_turn.bias",
    *distribution_paths("generation_length"),
    *("inter_turn_delay", "inter_turn_delay.agentic_fraction", "inter_turn_delay.max"),
    *distribution_paths("inter_turn_delay.agentic_delay"),
    *distribution_paths("inter_turn_delay.human_delay"),
    *("inter_turn_delay.context_speedup", "inter_turn_delay.context_speedup.slope"),
    "inter_turn_delay.context_speedup.floor",
    *("reset", "reset.base_probability", "reset.context_scaling"),
    *("turns", "turns.mean", "turns.median", "turns.sigma", "turns.min", "turns.max", "turns.allow_truncation"),
    "turns.max_session_attempts",
    *("arrival", "arrival.poisson", "arrival.poisson.rate"),
    *("unknown", "cache.unknown", "reset.unknown", "arrival.unknown", "generation_length.bias"),
]
NUMBERS = st.one_of(
    st.sampled_from([0, 1, 2, 3, 0.0, 0.5, 1.0, 1.5, -1, -0.5, 30, 512, 700, 701, 1000, 6000, 6000.0, 15000, 30000]),
    st.sampled_from([2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63, 2**64, 1e15, 2e15, 1e-9, 1e-6, 1e9, 1e10, 1e300]),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=True, allow_infinity=True),
)
SPEEDUP = {"slope": 0.8, "floor": 0.2}
OTHERS = st.sampled_from([True, False, "6000", "auto", "closed", "poisson", {}])
LISTS = st.sampled_from([[], [5, 15], [15, 5], [1, 2, 3], [0, 3], [1.0, 2], [None, 1]])
OBJECTS = st.sampled_from(
    [{"mean": 900, "median": 800}, {"mu": 6, "sigma": 0.3, "min": 1}, SPEEDUP, TURNS, {"poisson": {"rate": 2}}]
)
VALUES = st.one_of(NUMBERS, NUMBERS, OTHERS, OBJECTS)
# The core's JSON reader is laxer in two points that files never reach: a list of its values for an object, and a bias
# of null for none.
SCALARS = ["max_prompt_tokens", "calibrate", "restart_turn_range", "cache.layer2.mean", "reset.base_probability"]
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(PATHS), VALUES),
        st.tuples(st.sampled_from(SCALARS), LISTS),
        st.tuples(st.sampled_from([path for path in PATHS if not path.endswith("bias")]), st.none()),
    ),
    max_size=3,
)
BASES = st.sampled_from([DEFAULT, {**DEFAULT, "reset": None, "turns": TURNS, "calibrate": False}])


def changed_config(base: dict[str, Any], changes: list[tuple[str, Any]]) -> dict[str, Any]:
    for path, value in changes:
        base = with_value(base, path, value)
    return base


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(BASES, CHANGES)
def test_front_and_core_accept_the_same_configurations(base: dict[str, Any], changes: list[tuple[str, Any]]) -> None:
    config = changed_config(base, changes)
    assert front_accepts(config) == core_accepts(json_whole(config)), config


def json_whole(config: dict[str, Any]) -> dict[str, Any]:
    """What the front fills in where a partial object was put in place of a whole one."""
    whole = copy.deepcopy(config)
    cache = whole.get("cache")
    if isinstance(cache, dict) and cache.get("first_prompt") is not None:
        cache.setdefault("layer2", None)
    for key, value in DEFAULT.items():
        fill(whole, key, value)
    if isinstance(whole["new_tokens_per_turn"], dict):
        whole["new_tokens_per_turn"].setdefault("bias", "auto")
    if isinstance(whole["turns"], dict):
        whole["turns"].setdefault("allow_truncation", False)
        whole["turns"].setdefault("max_session_attempts", None)
    return whole


def fill(target: dict[str, Any], key: str, value: object) -> None:
    is_distribution = isinstance(value, dict) and "mean" in value
    if key not in target:
        target[key] = copy.deepcopy(value)
    elif isinstance(value, dict) and isinstance(target[key], dict) and not is_distribution:
        for inner, inner_value in value.items():
            fill(target[key], inner, inner_value)


def has_whole_floats(value: object) -> bool:
    if isinstance(value, dict):
        return any(has_whole_floats(inner) for inner in value.values())
    if isinstance(value, list):
        return any(has_whole_floats(inner) for inner in value)
    return isinstance(value, float) and (not math.isfinite(value) or value.is_integer())


@settings(max_examples=300, deadline=None)
@given(BASES, CHANGES)
def test_schema_and_models_accept_the_same_configurations(base: dict[str, Any], changes: list[tuple[str, Any]]) -> None:
    assume(
        not any(has_whole_floats(value) for _, value in changes)
    )  # to JSON Schema 6000.0 is an integer, and NaN is not JSON
    config = changed_config(base, changes)
    validator = jsonschema.Draft202012Validator(json_schema())
    assert validator.is_valid(config) == models_accept(config), config


# (path, accepted, refused): the ends of every range, written down once more.
RANGES: list[tuple[str, list[object], list[object]]] = [
    ("max_prompt_tokens", [33000, 2**31 - 1], [2, 2**31, 33000.0, "33000", True, None]),
    ("block_size", [1, 4096, 100_000], [0, -1, 2**31, 512.0, None]),
    ("cache.layer1_tokens", [0, 100], [-1, 2**31, 0.5]),
    ("cache.layer1_5_tokens", [0, 100], [-1, 2**31, 0.5]),
    ("cache.layer1_5_groups.num_groups", [1, 1_000_000], [0, 10_000_001, 2**32, 1.0]),
    ("cache.layer1_5_groups.zipf_alpha", [0, 0.6, 5], [-0.1, "0.6", False, None]),
    ("generation_length.max", [1500, None], [0.5, 0, -1, "1500"]),
    ("generation_length.min", [0, 1, 30.0, None], [-0.1, "1"]),
    ("generation_length.mean", [1000.0], [0, -1, 2e15, None, "1000"]),
    ("generation_length.sigma", [0, 0.3], [-0.1, 11, None]),
    ("generation_length.bias", [], [1, "auto"]),
    ("new_tokens_per_turn.bias", ["auto", 1, 1.1], [0, -1, "Auto", True, 2e15]),
    ("inter_turn_delay.agentic_fraction", [0, 0.5, 1], [-0.1, 1.1, None]),
    ("inter_turn_delay.human_delay.min", [0, None], [-1]),
    ("inter_turn_delay.max", [0, 1000.5, None], [-1, "1000"]),
    ("inter_turn_delay.context_speedup", [None, {"slope": 0, "floor": 1}], [1, {"slope": 1}, {"floor": 1}, {}]),
    ("inter_turn_delay.context_speedup", [SPEEDUP], [{"slope": -1, "floor": 0}, {"slope": 1, "floor": 1.1}]),
    ("reset.base_probability", [0, 1], [-0.1, 1.1, None]),
    ("reset.context_scaling", [1, 50.5], [0.9, None]),
    ("restart_initial_probability", [0, 1, 0.5], [-0.1, 1.1, None, True]),
    ("restart_turn_range", [[1, 2], [5, 15]], [[0, 2], [5], [5, 6, 7], [1.0, 2], "5", None, {"min": 5, "max": 6}]),
    ("arrival", ["closed", {"poisson": {"rate": 1e-6}}], ["open", None, 1, {"poisson": None}, {"poisson": {}}]),
    ("arrival", [{"poisson": {"rate": 1e9}}], [{"poisson": {"rate": 0}}, {"poisson": {"rate": 2e9}}, {}]),
    ("calibrate", [True, False], [0, 1, "true", None]),
]


@pytest.mark.parametrize(("path", "accepted", "refused"), RANGES, ids=[path for path, _, _ in RANGES])
def test_ranges(path: str, accepted: list[object], refused: list[object]) -> None:
    # Whether a calibration has a solution is another question.
    stated = with_value({**DEFAULT, "calibrate": False}, "new_tokens_per_turn.bias", 1)
    for value in accepted:
        config = with_value(stated, path, value)
        assert models_accept(config), (path, value)
        assert core_accepts(config), (path, value)
    for value in refused:
        config = with_value(stated, path, value)
        assert not front_accepts(config), (path, value)
        assert not core_accepts(config), (path, value)


def sections(model: type[Section], path: str) -> Iterator[tuple[str, type[Section]]]:
    """Every object of the configuration but those of agents and in lists, by its path."""
    yield path, model
    for name in model.model_fields:
        inner = section_of(model, name)
        if inner and name not in AGENTS and inner is not Component:
            yield from sections(inner, f"{path}.{name}".removeprefix("."))


SECTIONS = dict(sections(Config, ""))


@pytest.mark.parametrize("path", SECTIONS)
def test_each_object_has_the_same_fields_in_models_and_core(path: str) -> None:
    """The error about an unknown field lists the fields of the core."""
    with pytest.raises(ConfigError) as refused:
        _native.resolve(json.dumps(with_value(DEFAULT, f"{path}.zzz".removeprefix("."), 1)), sessions=1, seed=0)
    unknown, expected = str(refused.value).split("expected", 1)
    assert "`zzz`" in unknown
    model = SECTIONS[path]
    names = set(model.model_fields)
    if issubclass(model, Distribution):
        names.add("bias")  # the core has one type for all distributions; a rule refuses `bias` in the others
    if path == "arrival":
        names.add("closed")  # an alternative to the object
    assert set(re.findall(r"`(\w+)`", expected)) == names


UNCALIBRATED = with_value({**DEFAULT, "calibrate": False}, "new_tokens_per_turn.bias", 1)
FIELDS = [
    f"{path}.{name}".removeprefix(".")
    for path, model in SECTIONS.items()
    if not issubclass(model, Distribution)  # each of their fields may be absent
    for name in model.model_fields
]


NULL_ONLY_WITH: dict[str, tuple[str, object]] = {
    "reset": ("turns", TURNS),
    "cache.layer2": ("cache.first_prompt", {"mean": 40_000, "sigma": 0.2}),
    "turns.mean": ("turns.sigma", 0.5),
    "turns.median": ("turns.sigma", 0.5),
}


@pytest.mark.parametrize("path", FIELDS)
def test_the_same_fields_may_be_null_in_models_and_core(path: str) -> None:
    base = base_of(path)
    if path in NULL_ONLY_WITH:
        base = with_value(base, *NULL_ONLY_WITH[path])
    config = with_value(base, path, None)
    assert models_accept(config) == core_accepts(config), path


def base_of(path: str) -> dict[str, Any]:
    """A valid configuration that has the object around the field at `path`."""
    base = UNCALIBRATED
    if path in {"new_tokens_per_turn", "inter_turn_delay"}:
        return AGENT_BASE
    if path.startswith("turns."):
        return {**base, "reset": None, "turns": TURNS}
    if path.startswith("inter_turn_delay.context_speedup."):
        return with_value(base, "inter_turn_delay.context_speedup", SPEEDUP)
    if path.startswith("cache.first_prompt."):
        return with_value(with_value(base, "cache.layer2", None), *NULL_ONLY_WITH["cache.layer2"])
    if path.startswith("arrival."):
        return {**base, "arrival": {"poisson": {"rate": 1}}}
    return base


def beyond(schema: dict[str, Any]) -> Iterator[float]:
    """Values just outside the bounds of a field."""
    for one in (schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        step = 1 if one.get("type") == "integer" else 1e-9
        if "minimum" in one:
            yield one["minimum"] - step
        if "exclusiveMinimum" in one:
            yield one["exclusiveMinimum"]
        if "maximum" in one:
            yield one["maximum"] + max(step, one["maximum"] * 1e-9 if step < 1 else 0)


BEYOND = [
    (f"{path}.{name}".removeprefix("."), value)
    for path, model in SECTIONS.items()
    for name, field in model.model_json_schema()["properties"].items()
    for value in beyond(field)
]


@pytest.mark.parametrize(("path", "value"), BEYOND)
def test_the_core_refuses_values_beyond_the_bounds_of_the_models(path: str, value: float) -> None:
    section, _, name = path.rpartition(".")
    config = base_of(path)
    assert core_accepts(config)
    if issubclass(SECTIONS[section], Distribution) and name in {"mean", "median", "mu", "sigma"}:
        others = {"mean": ("sigma", 0.3), "median": ("mean", 1e14), "mu": ("sigma", 0.3), "sigma": ("mean", 900)}
        config = with_value(config, section, dict([others[name], (name, value)]))
    else:
        config = with_value(config, path, value)
    assert not models_accept(config)
    assert not core_accepts(config)


@pytest.mark.parametrize("name", _native.preset_names())
def test_presets_are_complete_and_come_through_unchanged(name: str) -> None:
    stated = json.loads(_native.preset(name))
    assert load_config(name).config == stated
    assert front_accepts(stated)
    jsonschema.validate(stated, json_schema())


def places(value: Any, where: tuple[int | str, ...] = ()) -> Iterator[tuple[int | str, ...]]:
    """Where the values of the sections about agents are, objects and lists included."""
    if where:
        yield where
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if where or key in AGENTS:
            yield from places(inner, (*where, key))


def replaced(where: tuple[int | str, ...], change: Any) -> dict[str, Any]:
    """The preset with one value replaced by `change` of it, or without it for `...`."""
    config = copy.deepcopy(AGENT_BASE)
    target: Any = config
    for key in where[:-1]:
        target = target[key]
    value = change(target[where[-1]])
    if value is ...:
        del target[where[-1]]
    else:
        target[where[-1]] = value
    return config


def test_objects_of_agents_have_the_same_fields_in_models_and_core() -> None:
    for where in places(AGENT_BASE):
        config = replaced(where, lambda value: {"zzz": 1, **value} if isinstance(value, dict) else value)
        if config == AGENT_BASE or {"new_prompt", "part"} & set(where):  # alternatives have several lists
            continue
        with pytest.raises(ConfigError) as core:
            _native.resolve(json.dumps(config), sessions=1, seed=0)
        with pytest.raises(ConfigError) as front:
            load_config(config)
        listed = re.search(r"expected one of ([\w, ]+)", str(front.value))
        assert listed, front.value
        known = set(re.findall(r"`(\w+)`", str(core.value).split("expected", 1)[1]))
        assert known - {"bias"} == set(listed[1].strip().split(", ")), where


CHANGED_VALUES: list[Any] = [
    -1,
    0,
    0.5,
    2,
    70_000,
    2**31,
    1e300,
    "x",
    None,
    True,
    [],
    {},
    [[0, 1]],
    [[1, 0.5], [0, 0.5]],
]


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(list(places(AGENT_BASE))), st.sampled_from(CHANGED_VALUES))
def test_front_and_core_accept_the_same_values_of_agents(where: tuple[int | str, ...], value: Any) -> None:
    config = replaced(where, lambda _: value)
    try:
        whole = load_config(config).config
    except ConfigError:
        # The core reads whole configurations alone, so its own defaults are none of the file's.
        assert not core_accepts(config), (where, value)
        return
    assert front_accepts(config) == core_accepts(whole), (where, value)


def test_the_checked_in_schema_is_the_models() -> None:
    written = json.loads((ROOT / "schemas" / "config.schema.json").read_text(encoding="utf-8"))
    assert written == json_schema(), "agentgen config schema > schemas/config.schema.json"


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_every_field_is_described() -> None:
    def undescribed(schema: dict[str, Any], path: str) -> list[str]:
        found = [
            f"{path}.{name}"
            for name, field in schema.get("properties", {}).items()
            if not field.keys() & {"description", "$ref"}
        ]
        return found + ([] if "description" in schema else [path])

    schema = json_schema()
    assert undescribed(schema, "config") == []
    for name, definition in schema["$defs"].items():
        assert undescribed(definition, name) == []


@pytest.mark.parametrize("path", ["reset", "cache.layer2", "turns", "new_tokens_per_turn.bias"])
def test_what_only_the_core_would_take(path: str) -> None:
    for value in ([0.01, 1.5], None if path.endswith("bias") else []):
        assert not models_accept(with_value(DEFAULT, path, value))


def test_absent_fields_are_the_default_presets() -> None:
    assert load_config({}).config == DEFAULT
    assert load_config({"reset": {"base_probability": 0.5}}).config["reset"] == {
        "base_probability": 0.5,
        "context_scaling": DEFAULT["reset"]["context_scaling"],
    }


def test_a_distribution_is_replaced_as_a_whole() -> None:
    config = load_config({"new_tokens_per_turn": {"mu": 8, "sigma": 1}}).config
    assert config["new_tokens_per_turn"] == {"mu": 8, "sigma": 1, "bias": "auto"}


def test_a_first_prompt_takes_the_place_of_layer2() -> None:
    config = load_config({"cache": {"first_prompt": {"mean": 45_000, "sigma": 0.2}}}).config
    assert config["cache"]["layer2"] is None
    assert "first_prompt" not in load_config("default").config["cache"]


@pytest.mark.parametrize(
    ("cache", "message"),
    [
        (
            {"first_prompt": {"mean": 45_000, "sigma": 0.2}, "layer2": {"mean": 1, "sigma": 0}},
            "cache.first_prompt: found a distribution beside cache.layer2, expected one of",
        ),
        ({"layer2": None}, "cache.first_prompt: found null, expected one of"),
        (
            {"first_prompt": {"mean": 45_000, "sigma": 1, "max": 32_256}},
            "cache.first_prompt.max: found 32256, expected",
        ),
        ({"first_prompt": {"mean": 45_000}}, "cache.first_prompt: found mean, expected exactly one of"),
    ],
)
def test_first_prompts_that_cannot_be(cache: dict[str, Any], message: str) -> None:
    loaded = load_config({"cache": cache})
    with pytest.raises(ConfigError, match=message):
        loaded.resolve(loaded.settings)


def test_a_first_prompt_stated_whole_is_met() -> None:
    config = {"cache": {"first_prompt": {"mean": 45_000, "sigma": 0.2, "min": 33_000}}}
    pa = pytest.importorskip("pyarrow")
    table = pa.table(agentgen.generate(config, sessions=2_000, columns=["turn_index", "context_length"]))
    first = [row["context_length"] for row in table.to_pylist() if row["turn_index"] == 0]
    assert sum(first) / len(first) == pytest.approx(45_000, rel=0.01)
    assert min(first) >= 33_000


@pytest.mark.parametrize("stated", [{"mean": 6, "median": 5}, {"mean": 6, "sigma": 0.6}, {"median": 6, "sigma": 0.6}])
def test_turns_take_two_parameters(stated: dict[str, Any]) -> None:
    loaded = load_config({"turns": {**stated, "min": 2, "max": 12}})
    turns = loaded.resolve(loaded.settings)["effective"]["turns"]
    if "mean" in stated:
        assert turns["effective"]["mean"] == pytest.approx(6)
    if "median" in stated:
        assert turns["effective"]["median"] == stated["median"]
    uncalibrated = load_config({"turns": {**stated, "min": 2, "max": 12}, "calibrate": False})
    assert uncalibrated.resolve(loaded.settings)["effective"]["turns"]["effective"] != {"mean": 6, "median": 5}


@pytest.mark.parametrize(
    ("stated", "found"), [({"mean": 6}, "mean"), ({"sigma": 1, "mean": 6, "median": 5}, "mean + median + sigma")]
)
def test_turns_with_one_or_three_parameters(stated: dict[str, Any], found: str) -> None:
    loaded = load_config({"turns": {**stated, "min": 2, "max": 12}})
    expected = re.escape(f"turns: found {found}, expected exactly one of mean + median, mean + sigma, median + sigma")
    with pytest.raises(ConfigError, match=expected):
        loaded.resolve(loaded.settings)


def test_lengths_that_pile_up_at_a_bound_are_warnings() -> None:
    loaded = load_config(
        {"generation_length": {"mean": 200, "sigma": 1.8}, "turns": {"mean": 8, "median": 6, "min": 2, "max": 12}}
    )
    turns, output = sorted(loaded.resolve(loaded.settings)["warnings"], reverse=True)
    assert re.fullmatch(
        r"generation_length: 4\d\.\d % of the draws are raised to the smallest length, 30 "
        r"\(min: 30 truncates the distribution there instead\)",
        output,
    )
    assert turns == (
        "turns: mean 8 with median 6 cannot be met by 2 to 12 turns; the mean is 6.69 "
        "(state mean + sigma, or other bounds)"
    )
    assert load_config("default").resolve(loaded.settings)["warnings"] == []


def test_turns_take_the_place_of_reset() -> None:
    config = load_config({"turns": {"mean": 6, "median": 5, "min": 1, "max": 20}}).config
    assert config["reset"] is None
    assert config["turns"]["allow_truncation"] is False
    both = load_config({"turns": TURNS, "reset": {"base_probability": 0.1}})
    with pytest.raises(ConfigError, match=r"^config: reset: found an object, expected null"):
        both.resolve(both.settings)
