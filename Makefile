# make demo    on a fresh machine: an environment of its own, the package, one puzzle solved, a page to open
# make test    all that CI runs: format, lint, types, the walls of the house, tests
# make format  put the code into its form
#
# Work is done in the active virtual environment, else in .venv. PYTHON chooses the interpreter that makes .venv.

SHELL := /bin/bash
PYTHON ?= python3
VENV ?= $(or $(VIRTUAL_ENV),.venv)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
DEMO ?= runs/demo

.PHONY: help demo test format
help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "$(PYTHON) is older than 3.11, which stepscope needs. Name a newer one: make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)

# An old pip knows no dependency groups, so it is brought up first.
$(VENV)/.stepscope: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet --upgrade "pip>=25.1"
	$(PIP) install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.stepscope-dev: $(VENV)/.stepscope
	$(PIP) install --quiet --constraint constraints.txt --group dev
	@touch $@

demo: $(VENV)/.stepscope
	$(BIN)/stepscope demo --out $(DEMO)
	@echo "Open $(DEMO)/report.html in a browser."

test: $(VENV)/.stepscope-dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "not alone"
	$(BIN)/python -m pytest -m alone

format: $(VENV)/.stepscope-dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
