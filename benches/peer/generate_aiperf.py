"""AIPerf, generate only: `generate_aiperf.py CONFIG SESSIONS`, run by the Python that has it. Prints the seconds."""

import json
import sys
import time
from pathlib import Path

from aiperf.dataset.agentic_code_gen.models import SessionDistributionConfig
from aiperf.dataset.agentic_code_gen.session_synthesizer import SessionSynthesizer

config = SessionDistributionConfig(**json.loads(Path(sys.argv[1]).read_text()))
synthesizer = SessionSynthesizer(config, seed=42)
start = time.perf_counter()
sessions = synthesizer.synthesize_sessions(int(sys.argv[2]))
print(json.dumps({"seconds": time.perf_counter() - start, "rows": sum(len(s.turns) for s in sessions)}))
