"""Compare `agentgen import` with Data Designer's reader of rollouts; print a Markdown table (`make bench-peer-import`).

The logs are made here: sessions of Claude Code and Codex whose tool results are large texts, as those of long sessions
are. Data Designer normalizes each file and keeps nothing, in one process. "Reading" is our import up to the last byte,
digests included; whole commands also write, and the block ids of all prompts are about as many bytes as the logs.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from process import Run, execute, machine

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
CALLS = 200  # of a session
RESULT_BYTES = (300, 2_000, 8_000, 30_000)

# Run in the environment of Data Designer: format and folder are its arguments.
DESIGNER = """
import sys
from pathlib import Path
from data_designer.config.seed_source import AgentRolloutFormat
from data_designer.engine.resources.agent_rollout.registry import get_format_handler
handler, root = get_format_handler(AgentRolloutFormat(sys.argv[1])), Path(sys.argv[2])
for path in sorted(root.iterdir()):
    handler.parse_file(root_path=root, relative_path=path.name)
"""


# The part of an import that reads: folder and run directory are its arguments.
READ = """
import sys
import time
import agentgen
seconds, start = [], time.perf_counter()
def note(done, total):
    if done == total > 0:
        seconds.append(time.perf_counter() - start)
agentgen.import_sessions(sys.argv[1], sys.argv[2], progress=note)
print(seconds[0])
"""


class Texts:
    """Results of tools: words, punctuation and line ends of our documentation."""

    def __init__(self) -> None:
        self._random = random.Random(1)  # noqa: S311  no secret
        self._words = " ".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("*.md")))

    def next(self) -> str:
        """The next one."""
        start = self._random.randrange(len(self._words))
        return (self._words[start:] + self._words)[: self._random.choice(RESULT_BYTES)]


def claude(session: int, texts: Texts) -> Iterator[dict[str, Any]]:
    """The rows of a session of Claude Code."""
    parent = None
    for number in range(CALLS):
        prompt = 20_000 + 500 * number
        usage = {"input_tokens": 10, "cache_read_input_tokens": prompt, "output_tokens": 200}
        use = {"type": "tool_use", "id": f"toolu_{session}_{number}", "name": "Bash", "input": {"command": "ls -la"}}
        answer = {"id": f"msg_{session}_{number}", "role": "assistant", "model": "claude-opus-4-5", "content": [use]}
        text = texts.next()
        result = {"type": "tool_result", "tool_use_id": use["id"], "content": text}
        for kind, message, more in (
            ("assistant", {**answer, "usage": usage}, {}),
            ("user", {"role": "user", "content": [result]}, {"toolUseResult": {"stdout": text, "stderr": ""}}),
        ):
            row = {"type": kind, "uuid": f"{session}-{number}-{kind}", "parentUuid": parent, "sessionId": f"s{session}"}
            time = f"2026-01-02T{number // 60:02}:{number % 60:02}:{'00' if kind == 'assistant' else '05'}.000Z"
            yield {**row, "cwd": "/work", "version": "2.1.3", "timestamp": time, "message": message, **more}
            parent = row["uuid"]


def codex(session: int, texts: Texts) -> Iterator[dict[str, Any]]:
    """The lines of a thread of Codex."""
    yield {
        "timestamp": "2026-01-02T00:00:00Z",
        "type": "session_meta",
        "payload": {"id": f"t{session}", "cwd": "/work"},
    }
    total = 0
    for number in range(CALLS):
        time = f"2026-01-02T{number // 60:02}:{number % 60:02}:00.000Z"
        total += 20_000 + 500 * number
        usage = {"input_tokens": 20_000 + 500 * number, "cached_input_tokens": 20_000, "output_tokens": 200}
        call = {"call_id": f"call_{number}", "name": "shell", "arguments": '{"command": "ls -la"}'}
        info = {"last_token_usage": usage, "total_token_usage": {**usage, "input_tokens": total}}
        for kind, payload in (
            ("response_item", {"type": "function_call", **call}),
            ("event_msg", {"type": "token_count", "info": info}),
            ("response_item", {"type": "function_call_output", "call_id": f"call_{number}", "output": texts.next()}),
        ):
            yield {"timestamp": time, "type": kind, "payload": payload}


def write(folder: Path, megabytes: int, rows: Any) -> int:
    """Write sessions up to a size; returns the bytes."""
    folder.mkdir()
    texts, written, session = Texts(), 0, 0
    while written < megabytes * 1_000_000:
        path = folder / f"rollout-{session:05}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows(session, texts)), encoding="utf-8")
        written += path.stat().st_size
        session += 1
    return written


def read(logs: Path, target: Path) -> Run:
    """The part of an import that reads."""
    run = execute([sys.executable, "-c", READ, str(logs), str(target)])
    return Run(float(run.output), float("nan"), "")


def row(name: str, run: Run, size: int, peer: Run | None = None) -> str:
    """A row of the table; with `peer`, the rate is compared with its."""
    ratio = f" ({peer.seconds / run.seconds:.1f} x)" if peer else ""
    memory = "" if math.isnan(run.peak_mb) else f"{run.peak_mb:,.0f} MB"
    return f"| {name} | {run.seconds:.2f} s | {size / run.seconds / 1e6:,.0f}{ratio} | {memory} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--designer", required=True, help="bin directory of an environment with Data Designer")
    parser.add_argument("--megabytes", type=int, default=1000, help="of each format")
    parser.add_argument("--scratch", type=Path, default=ROOT / "target", help="directory for logs")
    arguments = parser.parse_args()
    ours = str(Path(sys.executable).with_name("agentgen"))
    python = str(Path(arguments.designer).absolute() / "python")
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        scratch = Path(folder)
        print(f"{machine()}. Whole commands.\n")
        print("| | time | MB/s | peak memory |\n|---|---|---|---|")
        for kind, rows in (("claude_code", claude), ("codex", codex)):
            logs = scratch / kind
            size = write(logs, arguments.megabytes, rows)
            peer = execute([python, "-c", DESIGNER, kind, str(logs)])
            print(row(f"Data Designer, {kind}, {size / 1e6:,.0f} MB", peer, size))
            print(row("agentgen, reading", read(logs, scratch / f"{kind}-read"), size, peer))
            run = [ours, "import", str(logs), "--output", str(scratch), "--name", f"{kind}-run", "--no-pages", "--json"]
            print(row("`agentgen import`", execute(run), size, peer))
            target = str(scratch / f"{kind}.parquet")
            print(
                row(
                    "`agentgen import --messages`",
                    execute([ours, "import", str(logs), "--messages", target]),
                    size,
                    peer,
                )
            )


if __name__ == "__main__":
    main()
