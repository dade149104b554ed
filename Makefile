# One way in for a person and for CI: every target sets up what it needs.
.DEFAULT_GOAL := help
.PHONY: help run test check docs bench reproduce-long format clean

VENV := .venv
BIN := $(VENV)/bin
# The first Python from 3.11 on that really starts; override with `make PYTHON=...`.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
# The set-up runs again when what it installs from has changed.
SETUP := pyproject.toml constraints.txt
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
SCENARIO ?= examples/case118.toml

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "hurwicz needs Python 3.11 or newer; none was found. Install one, or: make PYTHON=/path/to/python3" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(BIN)/python $(SETUP)
	$(PIP) --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.core
	$(PIP) --editable '.[test,docs]'
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	$(PIP) --editable '.[bench]'
	@touch $@

run: $(VENV)/.core  ## coordinate the IEEE 118-bus grid by prices (SCENARIO=... for another)
	$(BIN)/hurwicz run $(SCENARIO)

test: $(VENV)/.test  ## all tests, and every example of the docs and docstrings
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(VENV)/.test  ## style, types, floors, docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir site

docs: $(VENV)/.test  ## serve the docs on this machine
	$(BIN)/mkdocs serve

bench: $(VENV)/.bench  ## benchmarks against peers, with ratios from the same run
	$(BIN)/python -m benchmarks

reproduce-long: $(VENV)/.core  ## mean-field settings A2 to A10 at the literature's sizes, five seeds: hours (SIZE=--small: most of an hour)
	$(BIN)/python -m hurwicz.reproductions.amid.long_runs $(SIZE) --out out/amid/long.json

format: $(VENV)/.test  ## let ruff put the style right
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove what the other targets made
	rm -rf $(VENV) out site dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
