"""agentgen into Arrow batches, all columns: `generate_agentgen.py PRESET SESSIONS`. Prints the seconds."""

import json
import sys
import time

import agentgen

agentgen.generate(sys.argv[1], sessions=1)  # imports, once a process; AIPerf's are not counted either
start = time.perf_counter()
rows = sum(len(batch) for batch in agentgen.generate(sys.argv[1], sessions=int(sys.argv[2])))
print(json.dumps({"seconds": time.perf_counter() - start, "rows": rows}))
