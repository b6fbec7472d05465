# Two commands matter on a fresh machine: `make demo` and `make test`. They need Rust, CPython >= 3.11 and a C compiler.

PYTHON ?= python3
VENV   ?= .venv
# AIPerf, for `bench-peer` and `test-interop`; AGENTGEN_PEER_VENV names an environment that already has it.
PEER   := $(or $(AGENTGEN_PEER_VENV),.venv-peer)

SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN     := $(VENV)/$(SCRIPTS)
PEERBIN := $(PEER)/$(SCRIPTS)
PEER_MADE := $(if $(AGENTGEN_PEER_VENV),,.venv-peer/made)
# vLLM and llama.cpp, for `test-engines`; AGENTGEN_ENGINES_VENV names an environment that already has them.
ENGINES      := $(or $(AGENTGEN_ENGINES_VENV),.venv-engines)
ENGINES_MADE := $(if $(AGENTGEN_ENGINES_VENV),,.venv-engines/made)

# Files whose change asks for a new build of the extension module; Python sources are used in place.
RUST := $(shell find rust -name target -prune -o -type f \( -name '*.rs' -o -name '*.toml' -o -name '*.json' \) -print) \
        Cargo.toml Cargo.lock

# The pages' chart library, which the build backend writes.
CHARTS := python/agentgen/pages/static/vega.js

# The interpreter that clippy and maturin build against.
export PYO3_PYTHON = $(abspath $(BIN)/python)
export PIP_QUIET = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench bench-baseline bench-instructions bench-peer bench-peer-analyze \
        bench-peer-simulate bench-peer-replay bench-replay test-interop test-engines screenshots clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  %-20s %s\n", $$1, $$2}'

# --- environments -------------------------------------------------------------------------------------------------

$(VENV)/made:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "agentgen needs CPython 3.11 or newer (set PYTHON=)")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --upgrade pip 'maturin>=1.9,<2'
	@touch $@

# The package, editable, and the tools of the dependency group `dev`.
$(VENV)/built: $(VENV)/made pyproject.toml $(RUST)
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --release --group dev
	@touch $@

$(CHARTS): build_backend/agentgen_build.py | $(VENV)/built
	$(BIN)/python $<

.venv-peer/made: benches/peer/requirements.txt
	$(PYTHON) -m venv .venv-peer
	.venv-peer/$(SCRIPTS)/python -m pip install -r $<
	@touch $@

# pip cannot override what a package asks for; uv can.
.venv-engines/made: tests/engines/requirements.txt tests/engines/overrides.txt
	$(PYTHON) -m venv .venv-engines
	.venv-engines/$(SCRIPTS)/python -m pip install 'uv>=0.9,<1'
	.venv-engines/$(SCRIPTS)/uv pip install --quiet --python .venv-engines/$(SCRIPTS)/python \
	    --requirements tests/engines/requirements.txt --overrides tests/engines/overrides.txt
	@touch $@

# --- use ----------------------------------------------------------------------------------------------------------

demo: $(VENV)/built $(CHARTS) ## Build and install into .venv, generate 200 sessions, validate them, replay them for 20 s
	$(BIN)/agentgen generate --sessions 200 --output demo --name run --force
	@echo
	$(BIN)/agentgen validate demo/run
	@echo
	rm -rf demo/replay
	$(BIN)/agentgen replay demo/run --duration 20s --concurrency 8 --delay-scale 0.1 --grace 5s \
	    --request-json '{"max_tokens": 50}' --output demo --name replay
	@echo
	@echo "Pages: $(abspath demo/run)/report.html, cache_explorer.html and simulation.html,"
	@echo "       $(abspath demo/replay)/replay.html"
	@echo "$(BIN)/agentgen --help shows what else there is."

test: $(VENV)/built $(CHARTS) ## All tests: cargo, then pytest
	cargo test
	$(BIN)/python -m pytest

lint: $(VENV)/built ## Check format, lints, types, crate boundaries, the stub of the built module and the workflows
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	$(BIN)/python .ci/boundaries.py
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest agentgen._native
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows $(wildcard .github/workflows/*.yml)
	$(BIN)/check-jsonschema --quiet --builtin-schema custom.github-workflows-require-timeout $(wildcard .github/workflows/*.yml)
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-actions $(wildcard .github/actions/*/action.yml)

format: $(VENV)/built ## Format all sources
	cargo fmt --all
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

screenshots: $(VENV)/built $(CHARTS) ## Pictures of all pages in screenshots/, and the two of the README (chromium)
	$(BIN)/python docs/screenshots.py

# --- measure ------------------------------------------------------------------------------------------------------

PYTEST_BENCH := $(BIN)/python -m pytest benches/python -c benches/python/pytest.ini --benchmark-columns=min,median,rounds

bench: $(VENV)/built ## criterion, and the Python API beside its stored baseline
	cargo bench --profile release --package agentgen-benches
	$(PYTEST_BENCH) --benchmark-compare=benches/python/baseline.json

bench-baseline: $(VENV)/built ## Store a new baseline of the Python API
	$(PYTEST_BENCH) --benchmark-json=benches/python/baseline.json

bench-instructions: ## Instruction counts of the hottest loops against benches/instructions.json (valgrind)
	$(PYTHON) benches/instructions.py

bench-peer: $(VENV)/built $(PEER_MADE) ## Beside AIPerf in one run: a Markdown table
	cargo build --release --package agentgen-benches
	$(BIN)/python benches/peer/compare.py --peer $(PEERBIN)

bench-peer-analyze: $(VENV)/built $(PEER_MADE) ## The analysis beside AIPerf's: a Markdown table
	$(BIN)/python benches/peer/analyze.py --peer $(PEERBIN)

bench-peer-simulate: $(VENV)/built $(PEER_MADE) ## The simulator beside AIPerf's: Markdown tables
	$(BIN)/python benches/peer/simulate.py --peer $(PEERBIN)

bench-replay: $(VENV)/built ## The replay client: requests a second, lag, memory; BENCH_SERVER=PROGRAM adds a server
	$(BIN)/python benches/replay/throughput.py $(if $(BENCH_SERVER),--server $(BENCH_SERVER))

bench-peer-replay: $(VENV)/built $(PEER_MADE) ## The replay client beside AIPerf's; BENCH_SERVER=PROGRAM answers, BENCH_ENDPOINTS=PROGRAM adds MLCommons'
	$(BIN)/python benches/peer/replay.py --peer $(PEERBIN) --server $(BENCH_SERVER) \
	    $(if $(BENCH_ENDPOINTS),--endpoints $(BENCH_ENDPOINTS))

test-interop: $(VENV)/built $(PEER_MADE) ## AIPerf's distributions, validator and loader against our files
	AGENTGEN=$(abspath $(BIN))/agentgen $(PEERBIN)/python -m pytest tests/interop

test-engines: $(VENV)/built $(ENGINES_MADE) ## Replays against vLLM and llama.cpp with a tiny model (6 GB of packages)
	AGENTGEN_ENGINES=$(abspath $(ENGINES)/$(SCRIPTS))/python $(BIN)/python -m pytest tests/engines

clean: ## Remove everything that was built or installed
	cargo clean
	rm -rf $(VENV) .venv-peer .venv-engines demo dist .benchmarks screenshots .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find python tests benches -name __pycache__ -prune -exec rm -rf {} +
	rm -f python/agentgen/_native.*.so python/agentgen/_native*.pyd $(CHARTS)
