# Every target first makes .venv as requirements.lock says; only git, make and Python ≥ 3.11 with venv are needed.
# Variables: PYTHON (interpreter for .venv), BROKER, SERVERS (auto, external, containers or local: where the tests'
# brokers come from), ARGS (handed on), SETUP=1 (test: install system packages).
# JOBS (test: processes; most tests wait for a broker, so more than there are cores).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.complete
BROKER ?= redis
SERVERS ?= auto
JOBS ?= 3
CONFORMANCE_redis := $(addprefix tests/conformance/test_,redis7.py redis8.py valkey9.py)
BROKERS ?= memory redis7 redis8 valkey9 rabbitmq kafka
ARGS ?=

.PHONY: help
help: ## Show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STAMP): requirements.lock pyproject.toml scripts/setup
	scripts/setup $(VENV) requirements.lock
	touch $@

.PHONY: setup
setup: $(STAMP) ## Make .venv (implied by the others)

.PHONY: demo
demo: setup ## Many customers share few consumers fairly while one floods them, on a real server
	$(PY) -m fair_dispatcher demo $(ARGS)

.PHONY: test
test: setup system-packages ## Run all tests at their short size
	$(PY) -m pytest --servers=$(SERVERS) --numprocesses=$(JOBS) --dist=loadfile $(ARGS)

.PHONY: test-full
test-full: setup system-packages ## Run all tests at their full size
	$(PY) -m pytest --servers=$(SERVERS) --conformance-size=full $(ARGS)

.PHONY: conformance
conformance: setup ## Run the contract: BROKER=memory|redis|redis7|redis8|valkey9|rabbitmq|kafka SERVERS=auto|external|containers|local
	$(PY) -m pytest --servers=$(SERVERS) $(or $(CONFORMANCE_$(BROKER)),tests/conformance/test_$(BROKER).py) $(ARGS)

.PHONY: conformance-table
conformance-table: setup ## Record what passes on BROKERS="memory redis7 …" in docs/conformance.md and README.md
	for broker in $(BROKERS); do \
	  $(PY) -m pytest -q --servers=$(SERVERS) tests/conformance/test_$$broker.py \
	    --conformance-table=docs/conformance/$$broker.json $(ARGS); \
	done
	$(PY) -m scripts.docs.conformance

.PHONY: test-lowest
test-lowest: setup ## Run the tests with the oldest versions that pyproject.toml allows
	PY=$(PY) scripts/test-lowest

.PHONY: system-packages
system-packages: setup
ifneq ($(CI)$(SETUP),)
	scripts/install-servers
	$(PY) -m tests.servers.kafka_jars
endif

.PHONY: check
check: setup ## Format, lint, types, import rule, generated files, lock and wheel
	$(PY) -m ruff format --check
	$(PY) -m ruff check
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(PY) -m pytest tests/unit/test_repository.py tests/unit/test_adrs.py tests/unit/test_api_page.py \
	  tests/unit/test_docs.py tests/unit/test_proven_page.py tests/unit/test_adapters_page.py \
	  tests/unit/test_adapter_guide.py tests/unit/test_compose.py

.PHONY: format
format: setup ## Format the code and mend what the linter can
	$(PY) -m ruff format
	$(PY) -m ruff check --fix

.PHONY: proto
proto: setup ## Generate the Python code of what is written in protobuf
	$(PY) -m grpc_tools.protoc -I. --python_out=. --pyi_out=. broker_core/envelope.proto
	$(PY) -m grpc_tools.protoc -Iadapters --python_out=adapters --pyi_out=adapters \
	  $(addprefix adapters/,fair_kafka/ledger/ledger.proto fair_kafka/ledger/snapshot.proto \
	    fair_rabbitmq/journal/journal.proto)

.PHONY: docs
docs: setup ## Make pages of docs/ and compose/.env.example anew, from code, help texts, settings and tests
	$(PY) -m scripts.docs

.PHONY: bench
bench: setup ## Measure: prints a table, writes bench/results/ (ARGS="--only end_to_end_1000")
	$(PY) -m bench $(ARGS)

.PHONY: bench-peers
bench-peers: setup ## Measure the product beside other queue libraries, each in an environment of its own
	$(PY) -m bench.peers $(ARGS)

.PHONY: bench-scale
bench-scale: setup ## Measure what a queue or a partition for each customer costs
	$(PY) -m bench.scale $(ARGS)

.PHONY: bench-full
bench-full: setup ## Measure everything and write docs/benchmarks; broken off, it goes on where it was
	$(PY) -m bench.full $(ARGS)

.PHONY: lock
lock: setup ## Resolve requirements.lock anew, to the newest versions
	$(PY) -m uv pip compile pyproject.toml --output-file requirements.lock --upgrade --quiet \
	  --universal --python-version 3.11 --all-extras --group dev \
	  --generate-hashes --no-annotate --no-header --no-emit-index-url

.PHONY: wheel
wheel: setup ## Build dist/*.whl
	$(PY) -m hatchling build -t wheel

.PHONY: clean
clean: ## Remove everything that these targets made
	rm -rf $(VENV) .venv-lowest .venv-peers dist build bench/results .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
