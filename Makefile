# Everything happens in .venv and outputs/; needs make and Python >= 3.11 (PYTHON=python3.12 chooses another one).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
SOURCES := pyproject.toml setup.py constraints.txt

.DEFAULT_GOAL := help
.PHONY: help run test warm ladder lint bench clean
.DELETE_ON_ERROR:

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

run: $(VENV)/.run  ## install, solve the porous-medium equation, show the verdict; results in outputs/
	@mkdir -p outputs
	$(BIN)/python solvers/porous_medium.py --out outputs/porous_medium.h5 --figure outputs/porous_medium.png --overwrite --progress

test: warm  ## all tests but the full ladders, and the examples in docstrings
	$(BIN)/python -m pytest -m "not ladder" --numprocesses 2 --dist worksteal tests meanfield

warm: $(VENV)/.test  ## compile the kernels, once per change of their sources
	$(BIN)/python tests/warm.py

ladder: warm  ## the full convergence ladders, minutes
	$(BIN)/python -m pytest -m ladder tests
	$(BIN)/meanfield validate

lint: $(VENV)/.dev  ## formatter, linter, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.bench  ## all benchmarks, one after the other
	@for script in benchmarks/[!_]*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean:  ## remove .venv, build products and caches; outputs/ stays
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@command -v $(PYTHON) > /dev/null || { echo "Python >= 3.11 must be installed (got no $(PYTHON)); install it, or pass PYTHON=PATH" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Python must be >= 3.11 (got $$($(PYTHON) --version 2>&1)); pass another as in: make run PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python $(SOURCES)
	$(PIP) -e '.[fast]'
	@touch $@

$(VENV)/.test $(VENV)/.dev $(VENV)/.bench: $(VENV)/.%: $(BIN)/python $(SOURCES)
	$(PIP) -e '.[fast,$*]'
	@touch $@
