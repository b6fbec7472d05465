"""`make bench-regression` compares shortest times and names what got slower."""

import runpy
from pathlib import Path

COMPARE = runpy.run_path(str(Path(__file__).parents[1] / "benches" / "python" / "regression.py"))["compare"]


def test_shortest_times_are_compared() -> None:
    base = [{"read": 0.010, "help": 0.200, "old": 1.0}, {"read": 0.012, "help": 0.190, "old": 1.0}]
    head = [{"read": 0.012, "help": 0.205, "new": 1.0}, {"read": 0.0111, "help": 0.209, "new": 1.0}]
    rows, slower = COMPARE(base, head, 0.1)
    assert slower == ["read"]
    assert rows[2:] == [
        "| help | 190.00 | 205.00 | +7.9% |",
        "| new | not run | 1000.00 | not compared |",
        "| old | 1000.00 | not run | not compared |",
        "| read | 10.00 | 11.10 | +11.0% SLOWER |",
    ]
