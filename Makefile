# Everything a person or a build machine does with this checkout, a verb each. `make` alone lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
ifeq ($(OS),Windows_NT)
  BIN := $(VENV)/Scripts
  PY := $(BIN)/python.exe
endif
# A process for each core. Each begins with a run of neighbors, which share what is trained or started once for many.
TESTS := $(PY) -m pytest --numprocesses=auto --dist=worksteal
PIP := $(PY) -m pip --quiet --disable-pip-version-check

# The folder this runs in must not stand in for an installed package: `datasets` is also one of the best-known ones.
export PYTHONSAFEPATH := 1

# Each stamp is the last step of an installation, so an interrupted one is done again.
LOCAL := $(VENV)/local.stamp
TOOLS := $(VENV)/tools.stamp
PEERS := $(VENV)/peers.stamp

.DEFAULT_GOAL := help
.PHONY: help setup demo lint check test exhaustive gpu generate docs bench clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(LOCAL) $(TOOLS) ## create .venv with everything that developing needs

demo: $(LOCAL) ## train, deploy and predict on real data; a minute the first time, then seconds
	@$(BIN)/clary demo

lint: setup ## format, lint, types, imports, generated text
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/clary generate --check

check: lint ## the same and the quick tests
	$(TESTS) -q -m "not slow and not exhaustive and not gpu and not docker"

test: setup ## the whole test suite, in under fifteen minutes on two cores
	$(TESTS) -m "not exhaustive and not gpu and not docker"

exhaustive: setup ## checks that take hundreds of jobs each: half an hour
	$(TESTS) -m exhaustive

gpu: setup ## the tests that need a CUDA device, on a machine that has one
	$(PY) -m pytest -m gpu

generate: setup ## write the generated code and tables
	$(BIN)/clary generate

docs: setup ## build the pages into docs/_build/html; a warning is an error
	$(PY) -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: setup $(PEERS) ## Clary beside its peers: quality, time and ratio; DATA=FOLDER adds public sets
	PYTHONPATH=. $(PY) -m benchmarks $(if $(DATA),--data $(DATA))

clean: ## remove what the other verbs made, .venv too
	rm -rf $(VENV) docs/_build out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "Python 3.10 or newer is needed; name one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade 'pip>=25.1'

$(LOCAL): pyproject.toml | $(PY)
	@echo "installing clary and what it needs to run on this machine; a minute or two the first time"
	@$(PIP) install --editable '.[local]'
	@touch $@

$(TOOLS): pyproject.toml $(LOCAL)
	@echo "installing the tools for tests and docs"
	@$(PIP) install --group test --group docs
	@touch $@

$(PEERS): pyproject.toml $(TOOLS)
	@echo "installing the libraries that the benchmarks compare with"
	@$(PIP) install --group peers
	@touch $@
