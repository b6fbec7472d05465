"""The parts of `agentgen distill`: answers, excerpts, masking, near-duplicates, limits of calls in flight."""

from __future__ import annotations

import asyncio
import json
import random
import string
from itertools import pairwise
from typing import Any

import pytest
from agentgen.distill import schema
from agentgen.distill.answers import AnswerError, parsed
from agentgen.distill.client import _retry_after_s
from agentgen.distill.digest import Digest
from agentgen.distill.duplicates import SIMILAR, near_duplicates
from agentgen.distill.excerpt import MARK_BYTES, clipped, excerpt
from agentgen.distill.judge import Judgement
from agentgen.distill.limiter import Limiter
from agentgen.distill.masking import Masker
from agentgen.distill.rating import TEST, part_of
from agentgen.distill.sft import SftRecord
from fake_model import good
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

RECORD = {"instruction": "do", "response": "done {x}", "skill_tags": ["a"], "difficulty": "easy"}
TEXT = json.dumps(RECORD)
WORDS = st.text(st.sampled_from('ab \n{}[]",:`~'), max_size=60)


@given(WORDS, WORDS)
def test_an_answer_is_found_whatever_stands_around_it(before: str, after: str) -> None:
    # A brace before it may open an object that the answer is part of; quotes may hold it.
    before = before.replace('"', "'")
    assert parsed(f"{before}\n{TEXT}\n{after}", SftRecord).model_dump() == RECORD


@pytest.mark.parametrize(
    "answer",
    [
        f"```json\n{TEXT}\n```",
        f"```JSON\n{TEXT}\n```",
        f"~~~json\n{TEXT}\n~~~",
        f'```json\n{{"a": 1}}\n```\n\n```json\n{TEXT}\n```',
        f"<think>if (x) {{ y }} {{</think>{TEXT}",
        f'<think>{{"instruction": "draft"}}</think>\n{TEXT}',
        TEXT[:-1] + ", }",
        json.dumps(RECORD | {"surplus": {"deep": [1]}}),
        json.dumps(RECORD | {"skill_tags": ["a", " a ", ""], "difficulty": " Easy "}),
    ],
)
def test_forms_of_answers(answer: str) -> None:
    assert parsed(answer, SftRecord).model_dump() == RECORD


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("", "the answer is empty"),
        ("  \n", "the answer is empty"),
        ("no", "no complete JSON object"),
        (TEXT[:40], "no complete JSON object"),
        ("[" * 50_000, "no complete JSON object"),
        ('{"a":' * 5_000, "no complete JSON object"),
        ("{" * 50_000, "no complete JSON object"),
        ("x" * 300_000, "has 300,000 characters, expected at most"),
        ("{}", "instruction: found nothing, expected a value"),
        (json.dumps(RECORD | {"skill_tags": []}), "skill_tags: found [], expected at least one item"),
        (json.dumps(RECORD | {"skill_tags": "a"}), "skill_tags: found 'a', input should be a valid list"),
        (json.dumps(RECORD | {"response": " "}), "response: found ' ', expected at least one character"),
        (json.dumps(RECORD | {"response": None}), "response: found None, input should be a valid string"),
        ('{"instruction": NaN}', "instruction: found nan"),
    ],
)
def test_answers_that_do_not_fit(answer: str, problem: str) -> None:
    with pytest.raises(AnswerError) as raised:
        parsed(answer, SftRecord)
    assert problem in str(raised.value)


def test_halves_of_characters_and_zeros_are_taken() -> None:
    found = parsed(
        '{"instruction": "a\\ud800b\\u0000", "response": "c", "skill_tags": ["d"], "difficulty": "hard"}', SftRecord
    )
    assert found.instruction == "a?b\x00"
    assert found.instruction.encode()


@pytest.mark.parametrize("shape", [Digest, SftRecord, Judgement])
def test_schemas_are_strict_and_fit_good_answers(shape: Any) -> None:
    made = schema.schema(shape)
    Draft202012Validator.check_schema(made)
    column = {Digest: "trace_digest", SftRecord: "sft_record", Judgement: "judge"}[shape]
    answer = good(column, "x")
    Draft202012Validator(made).validate(answer)
    assert shape.model_validate(answer)

    def strict(part: dict[str, Any]) -> None:
        assert "$ref" not in part
        if part.get("type") == "object":
            assert part["required"] == list(part["properties"])
            assert part["additionalProperties"] is False
            for one in part["properties"].values():
                strict(one)

    strict(made)


MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "assistant", "tool"]),
            "content": st.lists(
                st.fixed_dictionaries({"type": st.just("text"), "text": st.text(max_size=2_000), "json": st.none()}),
                max_size=3,
            ),
            "reasoning_content": st.none() | st.text(max_size=300),
            "tool_calls": st.none(),
            "tool_call_id": st.none(),
        }
    ),
    max_size=12,
)


def row(messages: list[dict[str, Any]], final: str | None = None) -> dict[str, Any]:
    names = ("trace_id", "source_kind", "root_session_id", "agent_id", "project_path", "cwd", "git_branch")
    facts = dict.fromkeys(names, "x") | {"is_sidechain": False, "message_count": len(messages), "tool_call_count": 0}
    return {**facts, "source_meta": "{}", "messages": messages, "final_assistant_message": final}


@given(MESSAGES, st.integers(2_000, 30_000))
@settings(max_examples=60)
def test_excerpts_fit_and_say_what_they_leave_out(messages: list[dict[str, Any]], budget: int) -> None:
    made = excerpt(row(messages), budget)
    marks = made.text.count("characters left out …]")
    assert len(made.text.encode()) <= budget + marks * MARK_BYTES + 200
    assert (made.cut_characters > 0) == (marks > 0)
    shown = messages if len(messages) <= 8 else [*messages[:4], *messages[-4:]]
    if not made.cut_characters:
        for message in shown:
            assert all(block["text"] in made.text for block in message["content"])
    assert ("messages between are not shown" in made.text) == (len(messages) > 8)


@given(st.text(), st.integers(1, 50))
def test_clipped_texts_keep_both_ends(text: str, limit: int) -> None:
    kept, count = clipped(text, limit)
    if len(text.encode()) <= limit:
        assert (kept, count) == (text, 0)
        return
    head, _, rest = kept.partition("\n[… ")
    tail = rest.partition("characters left out …]\n")[2]
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) + len(tail) + count == len(text)
    assert len(head.encode()) + len(tail.encode()) <= limit


ALNUM = string.ascii_letters + string.digits
# What stands before a secret and after it, how the secret begins, and how it goes on.
SECRETS = (
    ("", "ghp_", 36, ALNUM, ""),
    ("", "sk-ant-api03-", 95, ALNUM, ""),
    ("", "hf_", 34, string.ascii_letters, ""),
    ("", "AKIA", 16, string.ascii_uppercase + "234567", ""),
    ("", "glpat-", 20, ALNUM, ""),
    ("export API_TOKEN=", "a1", 24, ALNUM, ""),
    ("Authorization: Bearer ", "b2", 30, ALNUM, ""),
    ("postgres://app:", "c3", 12, ALNUM, "@db/x"),
)
FRAMES = ("{}", "see {} here", '{{"key": "{}"}}', "é{}ü", "a\n{}\nb", "'{}'")


@pytest.mark.parametrize("planted", SECRETS, ids=lambda planted: planted[0] + planted[1])
def test_secrets_are_masked_wherever_they_are(planted: tuple[str, str, int, str, str]) -> None:
    before, prefix, length, letters, after = planted
    masker, draw = Masker(), random.Random(prefix)  # noqa: S311  no secret of anybody
    for frame in FRAMES:
        secret = prefix + "".join(draw.choices(letters, k=length))
        text = frame.format(f"{before}{secret}{after}")
        masked, found = masker.mask({"a": text, "b": ["untouched", None, 3, {"c": f"again: {secret}; {text}"}]})
        assert secret not in json.dumps(masked), frame
        assert found.secrets >= 1
        assert masked["b"][:3] == ["untouched", None, 3]


TAME = (
    "commit 3f786850e387550fdab836ed7e6dc881de23001b",
    "id 00000000-0000-0000-0000-000000000100, toolu_01A09q90qw90lq917835lq9",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "def login(token: str, password: str | None = None) -> bool:",
    "token = get_token1(); api_key = os.environ['API_KEY1']; password=$PASSWORD1",
    "max_tokens: 16384, secret: true, password_file: ./path1",
    "https://example.com:8080/path?x=1 user@example.com",
    "\ufeff",
    "",
)


@pytest.mark.parametrize("text", TAME)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Masker().mask({"a": [text]}) == ({"a": [text]}, Masker().mask("")[1])


@given(st.lists(st.text(max_size=40), max_size=5))
@settings(max_examples=50)
def test_masking_changes_nothing_but_secrets(texts: list[str]) -> None:
    key = "ghp_R2d7Kx9LmQ4vT8wYbN3cF6hJ1sP5zA0eG2iU"
    masked, found = Masker().mask([*texts, f"key {key}."])
    assert masked == [*texts, "key [redacted github-pat]."]
    assert found.rules == {"github-pat": 1}


def jaccard(one: str, other: str) -> float:
    sets = []
    for text in (one, other):
        words = text.split()
        sets.append({tuple(words[at : at + 3]) for at in range(max(1, len(words) - 2))})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


@given(st.lists(st.lists(st.sampled_from("abcdefghijklmnop"), min_size=1, max_size=30), max_size=14), st.randoms())
@settings(max_examples=80)
def test_near_duplicates_are_those_of_the_definition(drawn: list[list[str]], rng: Any) -> None:
    texts = [" ".join(words) for words in drawn]
    for words in drawn[:7]:  # with one word changed
        at = rng.randrange(len(words))
        texts.append(" ".join([*words[:at], "z", *words[at + 1 :]]))
    found = near_duplicates(enumerate(texts))
    first: list[int] = []
    for index, text in enumerate(texts):
        like = next((earlier for earlier in first if jaccard(texts[earlier], text) >= SIMILAR), None)
        assert found.get(index) == like
        if like is None:
            first.append(index)


def test_parts_have_about_their_share_and_grow_with_it() -> None:
    names = [f"session-{number}" for number in range(4_000)]
    test = {share: {name for name in names if part_of(name, share) == TEST} for share in (0.1, 0.3, 1.0)}
    assert 320 <= len(test[0.1]) <= 480
    assert test[0.1] < test[0.3] < test[1.0] == set(names)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("3", 3.0), ("0.5", 0.5), ("-1", 0.0), ("soon", None), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0)],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert _retry_after_s(value) == seconds


def test_calls_in_flight_grow_and_shrink_with_the_server() -> None:
    async def scenario() -> list[float]:
        limiter = Limiter(64)
        seen = [limiter.limit]
        for _ in range(4):
            limiter.succeeded()
        seen.append(limiter.limit)  # 4 more after a round of 4
        for _ in range(200):
            limiter.succeeded()
        seen.append(limiter.limit)
        async with limiter.slot() as began:
            limiter.refused(began, 0)
            limiter.refused(began, 0)  # of the same round: counts once
        seen.append(limiter.limit)
        for _ in range(32):
            limiter.succeeded()
        seen.append(round(limiter.limit))
        return seen

    assert asyncio.run(scenario()) == [4, 8, 64, 32, 33]


def test_no_more_calls_than_the_limit_and_none_is_forgotten() -> None:
    async def scenario() -> tuple[int, int]:
        limiter = Limiter(5)
        most = done = 0

        async def call() -> None:
            nonlocal most, done
            async with limiter.slot():
                most = max(most, limiter.in_flight)
                await asyncio.sleep(0.001)
            limiter.succeeded()
            done += 1

        tasks = [asyncio.create_task(call()) for _ in range(60)]
        await asyncio.sleep(0.002)
        for task in tasks[20:30]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert limiter.in_flight == 0
        return most, done

    most, done = asyncio.run(scenario())
    assert most == 5
    assert done == 50


def test_waits_grow() -> None:
    from agentgen.distill.client import LONGEST_WAIT_S, _wait_s  # noqa: PLC0415  the names of internals

    longest = [max(_wait_s(tries, None) for _ in range(50)) for tries in range(1, 12)]
    assert all(earlier <= 2.2 * later for earlier, later in pairwise(longest))
    assert max(longest) <= LONGEST_WAIT_S
    assert _wait_s(1, 7.0) == 7.0
