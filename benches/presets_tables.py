"""The tables of docs/realism.md, and the limits of the presets (see `presets.py`)."""

from __future__ import annotations

from typing import Any, NamedTuple

from agentgen.analysis.fidelity_text import NAMES

from published import FIGURES

FITTED = "weka-claude-code"
# By the name of their figures in `published.FIGURES`.
PUBLISHED = {"claude": "tracelab-claude", "codex": "tracelab-codex"}
PRESETS = (FITTED, *PUBLISHED.values(), "default", "aiperf-0.13-default")
ILLUSTRATION = "swe-bench"
# Largest ratio less 1 of a published figure.
PUBLISHED_LIMIT = 0.40


class Limit(NamedTuple):
    """Largest KS distance, and largest ratios less 1 of the medians and 90th percentiles."""

    ks: float
    p50: float = 0.15
    p90: float = 0.20


# KS: 1.5 times the distance between two halves of all 710 recorded conversations. Percentiles: 15 and 20 %, or
# 1.5 times their sampling noise at 350 conversations where that is more.
LIMITS = {
    "calls": Limit(0.14),
    "human_turns": Limit(0.10, 0.18, 0.24),
    "first_prompt": Limit(0.07, 0.225),
    "last_prompt": Limit(0.14),
    "prompt": Limit(0.10),
    "output": Limit(0.03),
    "growth": Limit(0.04),
    "new_tool": Limit(0.04),
    "new_human": Limit(0.04, 0.255, 0.255),
    "wait_s": Limit(0.03),
    "wait_tool_s": Limit(0.03),
    "wait_human_s": Limit(0.09, 0.315, 0.48),
    "calls_per_human_turn": Limit(0.09),
    "session_mean_log_growth": Limit(0.16, 1, 1),
    "session_mean_log_output": Limit(0.16, 1, 1),
    "session_mean_log_wait": Limit(0.16, 1, 1),
}
BREAK_LIMITS = {"lost": 0.15}
KIND_LIMIT = 0.40
SHARE_NAMES = {
    "lost": "all that keep less than half",
    "rewrite_in_place": "rewrite in place",
    "growing_rewrite": "growing rewrite",
    "shrink": "shrinking rewrite",
    "edit_near_the_end": "edit near the end",
    "infinite": "nothing evicted",
    **{f"ttl_{minutes:02}_min": f"evicted after {minutes} min" for minutes in (1, 5, 10, 30, 60)},
}
REUSE_LIMITS = {"infinite": 0.01, "ttl_01_min": 0.03}
TTL_LIMIT = 0.02


class Found(NamedTuple):
    """What was measured.

    Attributes:
        fidelity: Distances of each preset from the recorded conversations.
        published: Of each preset that says what causes a call, the figures in the order of `FIGURES`.
        illustration: Distances of `swe-bench` from its trajectories.
    """

    fidelity: dict[str, dict[str, Any]]
    published: dict[str, list[float]]
    illustration: dict[str, Any]


def figure(value: float) -> str:
    """At least three digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def is_off(pair: dict[str, float], limit: float) -> bool:
    """Whether a figure is further from the source's than this share of it."""
    return abs(pair["generated"] - pair["source"]) > limit * abs(pair["source"])


def reuse_limit(name: str) -> float:
    """The largest difference of a hit rate."""
    return REUSE_LIMITS.get(name, TTL_LIMIT)


def misses(found: dict[str, Any]) -> list[str]:
    """The figures of the fitted preset beyond their limits."""
    beyond = []
    for quantity in found["quantities"]:
        name = quantity["quantity"]
        if quantity["ks"] > LIMITS[name].ks:
            beyond.append(f"{NAMES[name]}: KS {quantity['ks']:.3f}, at most {LIMITS[name].ks}")
        for share, limit in (("p50", LIMITS[name].p50), ("p90", LIMITS[name].p90)):
            if is_off(quantity[share], limit):
                pair = quantity[share]
                texts = (figure(pair["generated"]), figure(pair["source"]))
                beyond.append(f"{NAMES[name]}: {share} {texts[0]}, source {texts[1]} (within {limit:.0%})")
    for name, pair in found["breaks"].items():
        limit = BREAK_LIMITS.get(name, KIND_LIMIT)
        if is_off(pair, limit):
            rates = (100 * pair["generated"], 100 * pair["source"])
            beyond.append(f"breaks, {name}: {rates[0]:.2f} per 100 calls, source {rates[1]:.2f} (within {limit:.0%})")
    for name, pair in found["reuse"].items():
        if abs(pair["generated"] - pair["source"]) > reuse_limit(name):
            beyond.append(f"reuse, {name}: {pair['generated']:.1%}, source {pair['source']:.1%}")
    return beyond


def far_figures(published: dict[str, list[float]]) -> list[str]:
    """The figures of presets that are further from the published ones than the limit."""
    far = []
    for agent, preset in PUBLISHED.items():
        for stated, value in zip(FIGURES, published[preset], strict=True):
            target = getattr(stated, agent)
            if target is not None and abs(value / target - 1) > PUBLISHED_LIMIT:
                far.append(f"{preset}: {stated.name}: {figure(value)}, published {figure(target)}")
    return far


def published_markdown(published: dict[str, list[float]]) -> list[str]:
    """The table of published figures."""
    presets = [*PUBLISHED.values(), *(preset for preset in published if preset not in PUBLISHED.values())]
    lines = [
        "TraceLab's published figures, and those of generated sessions:",
        "",
        "| | Claude Code | Codex | " + " | ".join(f"`{preset}`" for preset in presets) + " |",
        "|---|" + "--:|" * (2 + len(presets)),
    ]
    for place, stated in enumerate(FIGURES):
        values = [stated.claude, stated.codex, *(published[preset][place] for preset in presets)]
        scale, unit = (100, " %") if stated.is_share else (1, "")
        cells = ["-" if value is None else figure(scale * value) + unit for value in values]
        lines.append(f"| {stated.name} | {' | '.join(cells)} |")
    return [*lines, ""]


def illustration_markdown(found: dict[str, Any]) -> list[str]:
    """The table of `swe-bench`."""
    size = found["source"]
    lines = [
        f"`{ILLUSTRATION}` against {size['conversations']} trajectories ({size['calls']:,} calls), too few for limits:",
        "",
        "| quantity | KS | halves | p50 | recorded | p90 | recorded |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for quantity in found["quantities"]:
        pairs = [figure(quantity[share][side]) for share in ("p50", "p90") for side in ("generated", "source")]
        ks = f"{quantity['ks']:.3f} | {quantity['ks_of_halves']:.3f}"
        lines.append(f"| {NAMES[quantity['quantity']]} | {ks} | {' | '.join(pairs)} |")
    return [*lines, ""]


def markdown(measured: Found, sessions: int) -> str:
    """The tables."""
    found = measured.fidelity
    fitted = found[FITTED]
    size = fitted["source"]
    recorded = f"{size['conversations']} recorded ones ({size['calls']:,} calls)"
    lines = [
        f"`{FITTED}`, {sessions:,} sessions, against {recorded}:",
        "",
        "| quantity | KS | at most | halves | p50 | recorded | p90 | recorded |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for quantity in fitted["quantities"]:
        name = quantity["quantity"]
        pairs = [figure(quantity[share][side]) for share in ("p50", "p90") for side in ("generated", "source")]
        ks = f"{quantity['ks']:.3f} | {LIMITS[name].ks:.2f} | {quantity['ks_of_halves']:.3f}"
        lines.append(f"| {NAMES[name]} | {ks} | {' | '.join(pairs)} |")
    beyond = misses(fitted)
    lines += ["", "Beyond the limits: " + "; ".join(beyond) + "." if beyond else "Nothing is beyond its limit.", ""]
    lines += [
        "All presets, KS distance from the recorded sessions (0: the same distribution, 1: no overlap):",
        "",
        "| quantity | " + " | ".join(f"`{preset}`" for preset in PRESETS) + " |",
        "|---|" + "--:|" * len(PRESETS),
    ]
    distances = {
        preset: {quantity["quantity"]: quantity["ks"] for quantity in data["quantities"]}
        for preset, data in found.items()
    }
    for name, text in NAMES.items():
        row = [f"{distances[preset][name]:.3f}" if name in distances[preset] else "-" for preset in PRESETS]
        if any(cell != "-" for cell in row):
            lines.append(f"| {text} | {' | '.join(row)} |")
    for title, section, scale, digits in (
        ("Breaks, per 100 calls", "breaks", 100, 2),
        ("Prompt tokens found in a cache, percent", "reuse", 100, 1),
    ):
        lines += ["", f"{title}:", "", "| | recorded | " + " | ".join(f"`{preset}`" for preset in PRESETS) + " |"]
        lines.append("|---|--:|" + "--:|" * len(PRESETS))
        for name, pair in fitted[section].items():
            values = [pair["source"], *(found[preset][section][name]["generated"] for preset in PRESETS)]
            lines.append(
                f"| {SHARE_NAMES.get(name, name)} | {' | '.join(f'{scale * value:.{digits}f}' for value in values)} |"
            )
    lines += ["", *published_markdown(measured.published), *illustration_markdown(measured.illustration)]
    return "\n".join(lines)
