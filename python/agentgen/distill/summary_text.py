"""What `agentgen distill` prints."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from agentgen.distill.judge import CRITERIA
from agentgen.text.format import counted, duration, percent
from agentgen.text.layout import BLANK, Facts, Table, line, paragraph

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from agentgen.distill.pipeline import Row

SHOWN_REASONS = 5


def pieces(said: dict[str, Any], rows: Sequence[Row]) -> Iterator[RenderableType]:
    """The summary of a run."""
    yield Facts(_facts(said))
    scored = [row.judgement.scores() for row in rows if row.judgement is not None]
    if scored:
        yield BLANK
        counts = {name: Counter(scores[name] for scores in scored) for name in CRITERIA}
        yield Table(
            "rows by score",
            ["0", "1", "2", "3", "4", "mean"],
            [
                (
                    name.replace("_", " "),
                    [*(f"{found[score]:,}" for score in range(5)), f"{_mean(found):.2f}"],
                )
                for name, found in counts.items()
            ],
        )
    reasons = Counter(f"{row.failed_column}: {row.failure}" for row in rows if row.failed_column)
    if reasons:
        yield BLANK
        yield line("failed rows")
        for reason, count in reasons.most_common(SHOWN_REASONS):
            yield paragraph(reason, first=f"  {count:,} ", rest="    ")
        if len(reasons) > SHOWN_REASONS:
            yield line(f"  ... and {len(reasons) - SHOWN_REASONS:,} more reasons")


def record(row: Row) -> Iterator[RenderableType]:
    """One row, in full."""
    yield line(f"{row.session.trace_id}", "bold")
    parts: list[tuple[str, Any]] = []
    if row.digest is not None:
        parts += row.digest.model_dump().items()
    if row.record is not None:
        parts += row.record.model_dump().items()
    for name, value in parts:
        yield paragraph(_words(value), first=f"  {name.replace('_', ' ')}: ", rest="    ")
    if row.judgement is not None:
        for name in CRITERIA:
            verdict = getattr(row.judgement, name)
            first = f"  {name.replace('_', ' ')} {verdict.score}: "
            yield paragraph(_words(verdict.reasoning), first=first, rest="    ")
    if row.failed_column is not None:
        yield paragraph(f"{row.failed_column}: {row.failure}", first="  failed: ", rest="    ")


def _facts(said: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    rows, calls, secrets = said["rows"], said["calls"], said["secrets"]
    short = rows["asked"] - rows["in_dataset"]
    yield (
        "rows",
        _joined(
            f"{rows['in_dataset']:,}" + (f" (the sources have no more, {rows['asked']:,} asked)" if short > 0 else ""),
            f"{rows['distilled']:,} distilled",
            f"{rows['failed']:,} failed",
        ),
    )
    yield "", _joined(f"{rows['recommended']:,} recommended", counted(rows["near_duplicates"], "near-duplicate"))
    models = calls["by_model"]
    total = {name: sum(one[name] for one in models.values()) for name in next(iter(models.values()), {})}
    earlier = total.get("calls", 0) - calls["new"]
    yield (
        "calls",
        _joined(
            counted(total.get("calls", 0), "answer") + (f" ({earlier:,} from earlier runs)" if earlier else ""),
            counted(calls["corrections"], "correction"),
            counted(calls["retries"], "repeated request"),
        ),
    )
    if total:
        cached = total["cached_tokens"] / total["prompt_tokens"] if total["prompt_tokens"] else 0
        yield (
            "tokens",
            _joined(
                f"{total['prompt_tokens']:,} prompt ({percent(cached)} cached)",
                f"{total['completion_tokens']:,} completion",
            ),
        )
    if said["cost"] is not None:
        yield "cost", [f"{said['cost']:,.4f}"]
    yield "time", [duration(1000 * said["duration_s"])]
    if secrets["masked"]:
        rules = ", ".join(f"{rule} {count:,}" for rule, count in secrets["by_rule"].items())
        yield "secrets", [f"{secrets['masked']:,} masked in {counted(secrets['rows'], 'row')}:", *rules.split(" ")]
    if said["cut"]["rows"]:
        yield "cut", [f"{said['cut']['characters']:,} characters of {counted(said['cut']['rows'], 'session')}"]
    if said["problem_count"]:
        first = said["problems"][0]
        place = first["file"] + (f":{first['line']}" if first.get("line") else "")
        yield "left out", [f"{counted(said['problem_count'], 'part')} of the sources:", f"{place}: {first['reason']}"]


def _joined(*clauses: str) -> list[str]:
    return [*(f"{clause}," for clause in clauses[:-1]), clauses[-1]]


def _mean(counts: Counter[int]) -> float:
    return sum(score * count for score, count in counts.items()) / counts.total()


def _words(value: Any) -> str:
    return " ".join(("; ".join(value) if isinstance(value, list) else str(value)).split())
