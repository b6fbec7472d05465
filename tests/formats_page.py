"""The tables of docs/formats.md, made from the table of formats in the program.

`python tests/formats_page.py --update` writes them into the page.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from agentgen import _native

PAGE = Path(__file__).parents[1] / "docs" / "formats.md"
BEGIN, END = "<!-- formats: begin -->", "<!-- formats: end -->"


def tables() -> str:
    """What each format is, and what it holds of a trace; with the notes that the second table refers to."""
    formats = json.loads(_native.export_formats())
    parts = [one["part"] for one in formats[0]["holds"]]
    lines = ["| format | what it is | readers | holds | block size of the reader |", "|---|---|---|---|---|"]
    for one in formats:
        kind = "text" if one["has_text"] else "block ids" if one["has_blocks"] else "rows"
        place = ", a directory" if one["is_directory"] else ""
        option = f"`{one['block_size_option'].replace('{}', 'N')}`" if one["block_size_option"] else ""
        lines.append(f"| `{one['name']}` | {one['title']} | {one['readers']} | {kind}{place} | {option} |")
    notes: list[str] = []
    lines += ["", f"| | {' | '.join(parts)} |", f"|---|{'---|' * len(parts)}"]
    for one in formats:
        cells = []
        for held in one["holds"]:
            if held["how"] is None:
                cells.append("yes" if held["held"] == "exact" else "no")
                continue
            if held["how"] not in notes:
                notes.append(held["how"])
            cells.append(f"({notes.index(held['how']) + 1})")
        lines.append(f"| `{one['name']}` | {' | '.join(cells)} |")
    lines += ["", "In place of what a format does not hold exactly, it has:", ""]
    lines += [f"{number}. {note}" for number, note in enumerate(notes, 1)]
    return "\n".join(lines)


def updated(page: str) -> str:
    """The page with the tables as they are now."""
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true", required=True, help="write the tables into the page")
    parser.parse_args()
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
