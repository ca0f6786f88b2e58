# make demo and make test are all a new user needs; every target sets up what it needs first.
PYTHON ?= python3
BIN := .venv/bin
# durable_rules is a source package; this lets it build on Python 3.13 too, where a C function went
export CC := gcc -DPyEval_CallObject=PyObject_CallObject

.PHONY: help setup demo serve worker test lint bench lock clean
.DEFAULT_GOAL := help

help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.ready ## create .venv and install the pinned packages

.venv/.ready: requirements.lock requirements-build.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-build.lock
	$(BIN)/python -m pip install --quiet --require-hashes --no-build-isolation -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## import a demo practice, decide, deliver, show
	$(BIN)/keepwell demo

serve: setup ## API and worker on the same data, until Ctrl-C; options in ARGS="--port 8001"
	$(BIN)/keepwell serve $(ARGS)

worker: setup ## one worker
	$(BIN)/keepwell worker

test: setup ## all tests
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

lint: setup ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup ## measure, as ratios within one run
	$(BIN)/python -m benchmarks

lock: setup ## resolve pyproject.toml anew into the pinned lock files (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header requirements-build.in -o requirements-build.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --extra dev pyproject.toml -o requirements.lock

clean: ## remove what setup and the tools made; data stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
