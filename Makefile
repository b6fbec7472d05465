# `make demo` and `make test` run on a fresh machine. They need Rust, CPython >= 3.11 and a C compiler.

PYTHON ?= python3
VENV   ?= .venv
# AIPerf, for `bench-peer*` and `test-interop`; AGENTGEN_PEER_VENV names an environment that already has it.
PEER   := $(or $(AGENTGEN_PEER_VENV),.venv-peer)

SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN     := $(VENV)/$(SCRIPTS)
PEERBIN := $(PEER)/$(SCRIPTS)
PEER_MADE := $(if $(AGENTGEN_PEER_VENV),,.venv-peer/made)
# vLLM and llama.cpp, for `test-engines`; AGENTGEN_ENGINES_VENV names an environment that already has them.
ENGINES      := $(or $(AGENTGEN_ENGINES_VENV),.venv-engines)
ENGINES_MADE := $(if $(AGENTGEN_ENGINES_VENV),,.venv-engines/made)

# Data Designer, for `test-interop`, which shares no environment with AIPerf; AGENTGEN_DESIGNER_VENV names one that has it.
DESIGNER      := $(or $(AGENTGEN_DESIGNER_VENV),.venv-designer)
DESIGNER_MADE := $(if $(AGENTGEN_DESIGNER_VENV),,.venv-designer/made)

# guidellm and datasets, for `test-interop`; AGENTGEN_READERS_VENV names an environment that already has them.
READERS      := $(or $(AGENTGEN_READERS_VENV),.venv-readers)
READERS_MADE := $(if $(AGENTGEN_READERS_VENV),,.venv-readers/made)

# The public data that some tests read; AGENTGEN_SHARED_DATA names another directory.
DATA := $(or $(AGENTGEN_SHARED_DATA),../shared/data)

# Sources of the extension module; Python sources are used in place.
RUST := $(shell find rust -name target -prune -o -type f \( -name '*.rs' -o -name '*.toml' -o -name '*.json' \) -print) \
        Cargo.toml Cargo.lock

# The chart library of the pages, written by the build backend.
CHARTS := python/agentgen/pages/static/vega.js

# The interpreter that clippy and maturin build against.
export PYO3_PYTHON = $(abspath $(BIN)/python)
export PIP_QUIET = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench bench-regression bench-instructions bench-peer bench-peer-analyze \
        bench-peer-import bench-peer-distill bench-peer-simulate bench-peer-replay bench-replay bench-record \
        test-interop test-engines fuzz \
        screenshots presets docs test-docs clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  %-20s %s\n", $$1, $$2}'

# --- environments -------------------------------------------------------------------------------------------------

$(VENV)/made:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "agentgen needs CPython 3.11 or newer (set PYTHON=)")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --upgrade pip 'maturin>=1.9,<2' 'vl-convert-python>=1.9,<2'
	@touch $@

# The package, editable. Its extension module is built with the profile `dev`, which `cargo test` uses too, so that
# external crates are compiled once.
$(VENV)/built: $(VENV)/made pyproject.toml $(RUST)
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --profile dev
	@rm -f $(VENV)/optimized
	@touch $@

# The same with the profile `release`, for measurements. The module has one place, so each build replaces the other.
$(VENV)/optimized: $(VENV)/made pyproject.toml $(RUST)
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --release
	@rm -f $(VENV)/built
	@touch $@

# What tests, lints and benchmarks need besides.
$(VENV)/tools: $(VENV)/made pyproject.toml
	$(BIN)/python -m pip install --group dev
	@touch $@

$(CHARTS): build_backend/agentgen_build.py | $(VENV)/made
	$(BIN)/python $<

.venv-peer/made: benches/peer/requirements.txt
	$(PYTHON) -m venv .venv-peer
	.venv-peer/$(SCRIPTS)/python -m pip install -r $<
	@touch $@

.venv-designer/made: tests/designer/requirements.txt
	$(PYTHON) -m venv .venv-designer
	.venv-designer/$(SCRIPTS)/python -m pip install -r $<
	@touch $@

.venv-readers/made: tests/readers/requirements.txt
	$(PYTHON) -m venv .venv-readers
	.venv-readers/$(SCRIPTS)/python -m pip install -r $<
	@touch $@

# pip cannot override the requirements of a package; uv can.
.venv-engines/made: tests/engines/requirements.txt tests/engines/overrides.txt
	$(PYTHON) -m venv .venv-engines
	.venv-engines/$(SCRIPTS)/python -m pip install 'uv>=0.9,<1'
	.venv-engines/$(SCRIPTS)/uv pip install --quiet --python .venv-engines/$(SCRIPTS)/python \
	    --requirements tests/engines/requirements.txt --overrides tests/engines/overrides.txt
	@touch $@

# --- use ----------------------------------------------------------------------------------------------------------

demo: $(VENV)/built $(CHARTS) ## Build and install into .venv; generate 200 sessions, validate them, replay them for 20 s
	$(BIN)/agentgen generate --config weka-claude-code --sessions 200 --output demo --name run --force
	@echo
	$(BIN)/agentgen validate demo/run
	@echo
	rm -rf demo/replay
	$(BIN)/agentgen replay demo/run --duration 20s --concurrency 2 --time-scale 0.01 --grace 5s \
	    --request-json '{"max_tokens": 50}' --output demo --name replay
	@echo
	@echo "Pages: $(abspath demo/run)/report.html, cache_explorer.html and simulation.html,"
	@echo "       $(abspath demo/replay)/replay.html"
	@echo "Commands: $(BIN)/agentgen --help"

test: $(VENV)/built $(VENV)/tools $(CHARTS) ## Run all tests: cargo, then pytest
	cargo test
	$(if $(wildcard $(DATA)),cargo test --tests -- --ignored,@echo "$(DATA) does not exist: Rust tests that read it do not run")
	$(BIN)/python -m pytest

fuzz: $(VENV)/built $(VENV)/tools ## Feed mutated inputs to every reader, SECONDS (600) each; SEED gives other ones
	$(BIN)/python tests/fuzz/run.py --seconds $(or $(SECONDS),600) --seed $(or $(SEED),0)

lint: $(VENV)/built $(VENV)/tools ## Check format, lints, types, module dependencies, the stub of the built module, workflows
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	$(BIN)/python .ci/boundaries.py
	$(BIN)/python .ci/cycles.py
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest agentgen._native
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows $(wildcard .github/workflows/*.yml)
	$(BIN)/check-jsonschema --quiet --builtin-schema custom.github-workflows-require-timeout $(wildcard .github/workflows/*.yml)
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-actions $(wildcard .github/actions/*/action.yml)

format: $(VENV)/built $(VENV)/tools ## Format all sources
	cargo fmt --all
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

screenshots: $(VENV)/built $(VENV)/tools $(CHARTS) ## Write pictures of all pages to screenshots/, and those of the README (needs chromium)
	$(BIN)/python docs/screenshots.py

docs: $(VENV)/built $(VENV)/tools ## Build the documentation site into site/, without a broken link
	$(BIN)/python -m pip install --group docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

test-docs: $(VENV)/built $(VENV)/tools $(CHARTS) ## Run every code block of README.md and docs/, the slow ones too
	$(BIN)/python -m pip install --group local
	$(BIN)/python -m pytest tests/test_docs.py -m 'slow or not slow'

# --- measure ------------------------------------------------------------------------------------------------------

PYTEST_BENCH := $(BIN)/python -m pytest benches/python -c benches/python/pytest.ini --benchmark-columns=min,median,rounds

bench: $(VENV)/optimized $(VENV)/tools ## Time each stage (criterion) and the Python API (pytest-benchmark)
	cargo bench --profile release --package agentgen-benches
	$(PYTEST_BENCH)

bench-regression: $(VENV)/made ## Compare the speed of the Python API with revision BASE; fail if slower by more than 10 %
	$(if $(BASE),,$(error bench-regression: found no BASE, expected a Git revision (make bench-regression BASE=HEAD~1)))
	$(BIN)/python benches/python/regression.py $(BASE)

bench-instructions: ## Compare instruction counts of the hottest loops with benches/instructions.json (needs valgrind)
	$(PYTHON) benches/instructions.py

bench-peer: $(VENV)/optimized $(VENV)/tools $(CHARTS) $(PEER_MADE) ## Compare generation with AIPerf; print a Markdown table
	cargo build --release --package agentgen-benches
	$(BIN)/python benches/peer/compare.py --peer $(PEERBIN)

bench-peer-analyze: $(VENV)/optimized $(VENV)/tools $(PEER_MADE) ## Compare the analysis with AIPerf; print a Markdown table
	$(BIN)/python benches/peer/analyze.py --peer $(PEERBIN)

bench-peer-import: $(VENV)/optimized $(VENV)/tools $(DESIGNER_MADE) ## Compare the import of logs with Data Designer; print a Markdown table
	$(BIN)/python benches/peer/import_logs.py --designer $(DESIGNER)/$(SCRIPTS)

bench-peer-distill: $(VENV)/optimized $(VENV)/tools $(CHARTS) $(DESIGNER_MADE) ## Compare the distillation of sessions with Data Designer; print a Markdown table
	AGENTGEN_SHARED_DATA=$(abspath $(DATA)) $(BIN)/python benches/peer/distill.py --designer $(DESIGNER)/$(SCRIPTS)

bench-peer-simulate: $(VENV)/optimized $(VENV)/tools $(PEER_MADE) ## Compare the simulator with AIPerf; print Markdown tables
	$(BIN)/python benches/peer/simulate.py --peer $(PEERBIN)

bench-replay: $(VENV)/optimized $(VENV)/tools ## Measure the replay client: requests/s, lag, memory (BENCH_SERVER=PROGRAM adds a server)
	$(BIN)/python benches/replay/throughput.py $(if $(BENCH_SERVER),--server $(BENCH_SERVER))

bench-record: ## Measure the recorder: time added to a request, requests/s
	cargo build --release --example serve --example record
	$(PYTHON) benches/record.py --serve target/release/examples/serve --record target/release/examples/record

bench-peer-replay: $(VENV)/optimized $(VENV)/tools $(PEER_MADE) ## Compare the replay client with AIPerf, on BENCH_SERVER=PROGRAM (BENCH_ENDPOINTS=PROGRAM adds MLCommons)
	$(BIN)/python benches/peer/replay.py --peer $(PEERBIN) --server $(BENCH_SERVER) \
	    $(if $(BENCH_ENDPOINTS),--endpoints $(BENCH_ENDPOINTS))

presets: $(VENV)/built $(VENV)/tools ## Compare each preset with recorded sessions; write the tables of docs/realism.md
	AGENTGEN_SHARED_DATA=$(abspath $(DATA)) $(BIN)/python benches/presets.py

test-interop: $(VENV)/built $(VENV)/tools $(PEER_MADE) $(DESIGNER_MADE) $(READERS_MADE) ## Compare with AIPerf (distributions, validator, loaders, replays of exports), guidellm and datasets (exports), Data Designer (messages)
	AGENTGEN=$(abspath $(BIN))/agentgen $(PEERBIN)/python -m pytest tests/interop
	AGENTGEN=$(abspath $(BIN))/agentgen $(READERS)/$(SCRIPTS)/python -m pytest tests/readers
	AGENTGEN=$(abspath $(BIN))/agentgen $(DESIGNER)/$(SCRIPTS)/python -m pytest tests/designer

test-engines: $(VENV)/built $(VENV)/tools $(ENGINES_MADE) ## Replay against vLLM and llama.cpp with a tiny model (installs 6 GB of packages)
	AGENTGEN_ENGINES=$(abspath $(ENGINES)/$(SCRIPTS))/python $(BIN)/python -m pytest tests/engines

clean: ## Remove everything that was built, installed or written by these targets
	cargo clean
	rm -rf $(VENV) .venv-* demo dist screenshots site
	rm -rf .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache benches/.ruff_cache
	find .ci build_backend benches docs python tests -name __pycache__ -prune -exec rm -rf {} +
	rm -f python/agentgen/_native.*.so python/agentgen/_native*.pyd $(CHARTS) $(dir $(CHARTS)).vega.js.part
