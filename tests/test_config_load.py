"""Configurations from files: what is accepted, and the error line of what is not."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import pytest
from agentgen.config import load, load_config
from agentgen.errors import ConfigError
from conftest import manifest_of

if TYPE_CHECKING:
    from pathlib import Path

SAME = {
    "a.json": '{"block_size": 64, "cache": {"layer1_5_groups": {"zipf_alpha": 0.001}}}',
    "a.yaml": "block_size: 64\ncache:\n  layer1_5_groups: {zipf_alpha: 1e-3}\n",
    "a.yml": "# a comment\nblock_size: 64\ncache: {layer1_5_groups: {zipf_alpha: .001}}\n",
    "a.toml": "block_size = 64\n[cache.layer1_5_groups]\nzipf_alpha = 0.001\n",
}


@pytest.mark.parametrize("name", SAME)
def test_json_yaml_and_toml_say_the_same(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(SAME[name], encoding="utf-8")
    loaded = load_config(tmp_path / name)
    assert loaded.name == "a"
    assert loaded.config == load_config({"block_size": 64, "cache": {"layer1_5_groups": {"zipf_alpha": 0.001}}}).config


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"block_size": 64}', encoding="utf-8-sig")
    assert load_config(tmp_path / "a.json").config["block_size"] == 64


# (file, its text, the message after the file's name)
BAD: list[tuple[str, str, str]] = [
    ("a.json", "{", "line 1, column 2: not JSON: Expecting property name enclosed in double quotes"),
    ("a.json", '{"block_size": 1,\n "block_size": 2}', "found the key 'block_size' twice in one object"),
    ("a.json", "[]", "found list, expected an object of fields"),
    ("a.json", '{"block_size": NaN}', "block_size: found NaN, expected a whole number"),
    ("a.json", '{"block_size": 6000.0}', "block_size: found 6000.0, expected a whole number"),
    ("a.json", '{"block_size": true}', "block_size: found true, expected a whole number"),
    ("a.json", '{"block_size": "512"}', 'block_size: found "512", expected a whole number'),
    ("a.json", '{"block_size": 0}', "block_size: found 0, expected at least 1"),
    ("a.json", '{"block_sise": 1}', "block_sise: found an unknown field, expected one of max_prompt_tokens,"),
    ("a.json", '{"block_sise": 1}', "(did you mean block_size?)"),
    ("a.json", '{"layer2": {}}', "(did you mean cache.layer2?)"),
    ("a.json", '{"cache": null}', "cache: found null, expected an object"),
    ("a.json", '{"arrival": "poisson"}', 'arrival: found "poisson", expected "closed" or {"poisson": {"rate":'),
    ("a.json", '{"arrival": {"poisson": {"rate": -1}}}', "arrival.poisson.rate: found -1, expected at least 1e-06"),
    ("a.json", '{"restart_turn_range": [1, "2"]}', 'restart_turn_range[1]: found "2", expected a whole number'),
    ("a.json", '{"restart_turn_range": [9, 3]}', "restart_turn_range: found [9, 3], expected [min, max)"),
    ("a.json", '{"turns": {"mean": 5}}', "turns.min: found nothing, expected a value"),
    ("a.json", '{"max_prompt_tokens": 1000}', "max_prompt_tokens: found 1000, expected at least"),
    ("a.json", '{"generation_length": {"mean": 5}}', "generation_length: found mean, expected exactly one of"),
    ("a.json", '{"generation_length": {"mean": NaN, "sigma": 1}}', "generation_length.mean: found NaN, expected a fin"),
    ("a.json", '{"generation_length": {"mean": 9, "sigma": 1, "bias": 1}}', "(did you mean new_tokens_per_turn.bias?)"),
    (
        "a.json",
        '{"new_tokens_per_turn": {"mean": 9, "sigma": 1, "bias": "x"}}',
        'found "x", expected a number or "auto"',
    ),
    ("a.json", "\u0000", "not JSON"),
    ("a.json", '{"cache": ' * 100_000, "not JSON: "),
    ("a.yaml", "a: [", "line 1, column 5: not YAML: "),
    ("a.yaml", "block_size: 1\nblock_size: 2\n", "line 2, column 1: not YAML: found the key 'block_size' twice"),
    ("a.yaml", "1: 2\n", "[1]: found 1, expected a name"),
    ("a.yaml", "", "found an empty file, expected an object of fields"),
    ("a.json", " \n", "found an empty file, expected an object of fields"),
    ("a.yaml", "# nothing\n", "found nothing, expected an object of fields"),
    ("a.yaml", "max_prompt_tokens: 1e5", "expected a whole number without point or exponent (100000)"),
    ("a.yaml", "seed: 3", "seed: found a setting of the run, expected it as the option --seed 3"),
    ("a.yaml", "formats: [jsonl]", "expected it as the option --format"),
    ("a.yaml", "cache: {layer1: 1}", "(did you mean layer1_tokens?)"),
    ("a.yaml", "arrival: {poisson: 2.5}", 'arrival.poisson: found 2.5, expected {"rate": sessions per second}'),
    ("a.yaml", "generation_length: 800", "generation_length: found 800, expected an object with mean + sigma (or"),
    (
        "a.yaml",
        "generation_length: {max: 800}",
        'a distribution is replaced as a whole (default: {"mean": 1000, "sigma": 0.3, "max": 1500})',
    ),
    ("a.yaml", "inter_turn_delay: {human_delay: {mean: 3}}", "inter_turn_delay.human_delay: found mean, expected"),
    ("a.yaml", "!!python/object/apply:os.getcwd []", "not YAML: could not determine a constructor"),
    ("a.toml", "x = \n", "not TOML: Invalid value (at line 1, column 5)"),
    ("a.txt", "{}", "found a .txt file, expected .json, .yaml or .toml"),
    ("nameless", "{}", "found a nameless file, expected .json, .yaml or .toml"),
    ("manifest.json", '{"schema_version": 1, "config": {}}', "overrides: found nothing, expected the value that"),
    ("manifest.json", '{"schema_version": 1, "config": 3}', "config: found another type, expected the object that"),
    ("manifest.json", '{"schema_version": 1, "config": {"a": 1}}', "a: found an unknown field"),
    (
        "manifest.json",
        '{"schema_version": 1, "config": {}, "overrides": null}',
        "overrides: found another type, expected the object that agentgen generate writes",
    ),
    (
        "manifest.json",
        '{"schema_version": 2, "config": {"a": 1}}',
        "found schema version 2, expected 1 (use the version of agentgen that wrote it)",
    ),
    (
        "manifest.json",
        '{"schema_version": 1, "format_version": 9, "config": {"a": 1}}',
        "found format version 9, expected 2 (use the version of agentgen that wrote it)",
    ),
    ("a.yaml", "? [1, 2]\n: 3\n", "line 1, column 3: not YAML: found a list or mapping as a key, expected a name"),
    ("a.yaml", "cache:\n  ? {a: 1}\n  : 3\n", "line 2, column 5: not YAML: found a list or mapping as a key"),
    ("a.yaml", "a: !!bool maybe", "not YAML: found a value that does not match its tag (!!)"),
    ("a.yaml", "a: !!timestamp x", "not YAML: found a value that does not match its tag (!!)"),
    ("a.json", '{"a\\nb\\u001b[31m": 1}', "a\\nb\\x1b[31m: found an unknown field"),
    ("a.json", '{"a\\ud800": 1}', 'found "a\\ud800", expected valid Unicode'),
    ("a.json", '{"block_size": "\\ud800"}', 'block_size: found "\\ud800", expected a whole number'),
]


@pytest.mark.parametrize(("name", "text", "message"), BAD, ids=[message[:40] for _, _, message in BAD])
def test_bad_files(name: str, text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(file).resolve(load_config(file).settings)
    line = str(caught.value)
    assert line.startswith(f"{file}: ")
    assert message in line
    assert "\n" not in line or '{"mean": 5}' in text


def test_every_broken_rule_has_its_line(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"block_size": 0, "calibrate": 1, "reset": {"context_scaling": "2"}}')
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert str(caught.value).splitlines() == [
        f"{file}: block_size: found 0, expected at least 1",
        f'{file}: reset.context_scaling: found "2", expected a number',
        f"{file}: calibrate: found 1, expected true or false",
    ]
    assert caught.value.path == "block_size"
    assert caught.value.source == str(file)


def test_bytes_that_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{"\xff": 1}')
    with pytest.raises(ConfigError, match="found byte 2 that is not UTF-8"):
        load_config(tmp_path / "a.json")


@pytest.mark.parametrize(("name", "hint"), [("defualt", "default"), ("aiperf-1k", "aiperf-1k-200k")])
def test_a_missing_file_that_resembles_a_preset(name: str, hint: str) -> None:
    with pytest.raises(FileNotFoundError, match=rf"^{name}: no such file, .* \(did you mean {hint}\?\)$"):
        load_config(name)


@pytest.mark.parametrize("name", ["run.jsonl", "run.parquet", "run.jsonl.zst", "mine.yaml"])
def test_a_missing_file_that_is_no_presets_name(name: str) -> None:
    with pytest.raises(FileNotFoundError, match=rf"^{name}: no such file$"):
        load_config(name)


def test_a_presets_name_wins_over_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "default").mkdir()
    assert load_config("default").source == "default"


def test_a_manifest_brings_its_settings(small_run: Path) -> None:
    manifest = manifest_of(small_run)
    for source in (small_run, small_run / "manifest.json"):
        loaded = load_config(source)
        assert loaded.config == manifest["config"] == load_config("aiperf-1k-200k").config
        assert (loaded.settings.sessions, loaded.settings.seed, loaded.settings.shard) == (40, 7, (0, 1))
        assert loaded.settings.formats == ("jsonl", "parquet")


def test_a_manifests_name_is_its_configurations(small_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "mine_40s_seed7_20260101-000000"
    run.mkdir()
    (run / "manifest.json").write_text(json.dumps(manifest_of(small_run)))
    assert load_config(run).name == "mine"


ALIASES = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in itertools.pairwise("abcdefghi")
)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.yaml",
            f"{ALIASES}block_size: *i\n",
            "found more than 100,000 values (aliases included), expected a config",
        ),
        ("a.yaml", "block_size: &a [*a]\n", "found more than 32 levels of nesting, expected a configuration"),
        (
            "a.yaml",
            "block_size: " + "[" * 40 + "]" * 40,
            "found more than 32 levels of nesting, expected a configuration",
        ),
        ("a.yaml", "block_size: 0x" + "f" * 50_000, "found a number of 50,002 characters, expected at most 100"),
        ("a.yaml", "block_size: 1" + ":1" * 50_000, "found a number of 100,001 characters, expected at most 100"),
        ("a.yaml", "block_size: 0x" + "f" * 40, "block_size: found an integer of 160 bits, expected at most"),
        ("a.toml", "block_size = 0x" + "f" * 50_000, "block_size: found an integer of 200,000 bits, expected at most"),
        (
            "a.json",
            '{"block_size": ' + "1" * 4000 + "}",
            "block_size: found an integer of 13,285 bits, expected at most",
        ),
        ("a.json", '{"block_size": "' + "x" * 10**6 + '"}', 'block_size: found "' + "x" * 56 + "..., expected a whole"),
        ("a.json", '{"' + "k" * 10**6 + '": 1}', "k" * 57 + "...: found an unknown field, expected one of"),
        ("a.json", '{"seed": ' + "1" * 4000 + "}", "expected it as the option --seed an integer of 13,285 bits"),
        ("a.json", '{"block_size": ' + "[" * 500 + "]" * 500 + "}", "block_size: found [[[[[["),
    ],
)
def test_a_small_file_is_no_huge_value_and_no_long_message(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load_config(tmp_path / name)
    assert message in str(raised.value)
    assert len(str(raised.value)) < 1000


def test_a_configuration_is_a_plain_file_of_bounded_size(tmp_path: Path) -> None:
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate((64 << 20) + 1)
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    for name, message in [("large", "found more than 64 MiB"), ("zero", "found a pipe or a device, expected a file")]:
        with pytest.raises(ConfigError, match=message):
            load_config(tmp_path / f"{name}.json")


def test_merge_keys_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "MAX_VALUES", 100)
    first, second = ("{" + ", ".join(f"{letter}{n}: 1" for n in range(60)) + "}" for letter in "ab")
    file = tmp_path / "a.yaml"
    file.write_text(f"a: &a {first}\nb: &b {second}\nc: {{<<: [*a, *b]}}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"found more than 100 values \(aliases included\)"):
        load_config(file)
