"""llama.cpp's own HTTP server, from its Python package: `python llama_server.py MODEL.gguf PORT CONTEXT_TOKENS`."""

import signal
import sys

import xllamacpp

SLOTS = 2

model, port, context_tokens = sys.argv[1:]
params = xllamacpp.CommonParams()
params.model.path = model
params.port = int(port)
params.endpoint_metrics = True
params.n_parallel = SLOTS
params.n_ctx = SLOTS * int(context_tokens)  # shared out among the slots
server = xllamacpp.Server(params)  # serves on threads of its own until it is collected
signal.pause()
