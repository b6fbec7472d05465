"""Generate Arrow batches with agentgen, all columns, and print the seconds: `generate_agentgen.py PRESET SESSIONS`."""

import json
import sys
import time

import agentgen

agentgen.generate(sys.argv[1], sessions=1)  # imports once per process; not counted, like those of AIPerf
start = time.perf_counter()
rows = sum(len(batch) for batch in agentgen.generate(sys.argv[1], sessions=int(sys.argv[2])))
print(json.dumps({"seconds": time.perf_counter() - start, "rows": rows}))
