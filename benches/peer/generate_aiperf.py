"""Generate sessions with AIPerf and print the seconds: `generate_aiperf.py CONFIG SESSIONS [JSONL]`.

Runs in the environment of AIPerf. Given a third argument, its JSONL writer is timed too; pages and reports are not.
"""

import json
import sys
import time
from pathlib import Path

from aiperf.dataset.agentic_code_gen.models import SessionDistributionConfig
from aiperf.dataset.agentic_code_gen.session_synthesizer import SessionSynthesizer
from aiperf.dataset.agentic_code_gen.writer import _write_jsonl

config = SessionDistributionConfig(**json.loads(Path(sys.argv[1]).read_text()))
synthesizer = SessionSynthesizer(config, seed=42)
start = time.perf_counter()
sessions = synthesizer.synthesize_sessions(int(sys.argv[2]))
if len(sys.argv) > 3:
    _write_jsonl(sessions, Path(sys.argv[3]), config.block_size)
print(json.dumps({"seconds": time.perf_counter() - start, "rows": sum(len(s.turns) for s in sessions)}))
