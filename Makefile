# Two commands matter on a fresh machine: `make demo` and `make test`. They need Rust, CPython >= 3.11 and a C compiler.

PYTHON ?= python3
VENV   ?= .venv
# AIPerf, for `bench-peer` and `test-interop`; AGENTGEN_PEER_VENV names an environment that already has it.
PEER   := $(or $(AGENTGEN_PEER_VENV),.venv-peer)

SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN     := $(VENV)/$(SCRIPTS)
PEERBIN := $(PEER)/$(SCRIPTS)
PEER_MADE := $(if $(AGENTGEN_PEER_VENV),,.venv-peer/made)

# Files whose change asks for a new build of the extension module; Python sources are used in place.
RUST := $(shell find rust -name target -prune -o -type f \( -name '*.rs' -o -name '*.toml' -o -name '*.json' \) -print) \
        Cargo.toml Cargo.lock

# The interpreter that clippy and maturin build against.
export PYO3_PYTHON = $(abspath $(BIN)/python)
export PIP_QUIET = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench bench-baseline bench-instructions bench-peer bench-peer-analyze test-interop clean

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

.venv-peer/made: benches/peer/requirements.txt
	$(PYTHON) -m venv .venv-peer
	.venv-peer/$(SCRIPTS)/python -m pip install -r $<
	@touch $@

# --- use ----------------------------------------------------------------------------------------------------------

demo: $(VENV)/built ## Build and install into .venv, generate 1,000 sessions, validate them, show the summary
	$(BIN)/agentgen generate --sessions 1000 --output demo --name run --force
	@echo
	$(BIN)/agentgen validate demo/run
	@echo "The files are in demo/run; $(BIN)/agentgen --help shows what else there is."

test: $(VENV)/built ## All tests: cargo, then pytest
	cargo test
	$(BIN)/python -m pytest

lint: $(VENV)/built ## rustfmt, clippy, ruff, mypy, and the stub against the built module
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest agentgen._native

format: $(VENV)/built ## Format all sources
	cargo fmt --all
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

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

test-interop: $(VENV)/built $(PEER_MADE) ## AIPerf's distributions, validator and loader against our files
	AGENTGEN=$(abspath $(BIN))/agentgen $(PEERBIN)/python -m pytest tests/interop

clean: ## Remove everything that was built or installed
	cargo clean
	rm -rf $(VENV) .venv-peer demo dist .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find python tests benches -name __pycache__ -prune -exec rm -rf {} +
	rm -f python/agentgen/_native.*.so python/agentgen/_native*.pyd
