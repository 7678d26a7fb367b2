# make lab     opens the course in JupyterLab          PORT=8888  BROWSER=0  WITH=core|all|tpu  PYTHON=python3.12
# make test    passes every fast test
# make test-all  adds the slow ones: wrong edits, full rebuilds
# Each does its own set-up in .venv, and does nothing twice.

PYTHON ?= python3
WITH ?= all
PORT ?= 8888
BROWSER ?= 1

# Absolute, and first on PATH: nbgrader starts `alembic` by name, also when nobody activated the environment.
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)

# Unit and grading tests run in two workers of one thread each, which beats one worker of two. Notebooks measure speed, so they
# run one at a time and have the machine to themselves.
PYTEST := $(BIN)/python -m pytest
TWO := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: help setup lab test test-all test-slow lint notebooks build format clean

help:
	@sed -n '1,4p' Makefile

setup:
	@$(PYTHON) labkit/_setup.py --with $(WITH)

lab: setup
	@$(BIN)/labkit lab --port $(PORT) $(if $(filter 0 no false,$(BROWSER)),--no-browser)

test: setup lint
	$(TWO) $(PYTEST) -n 2 --dist loadgroup -m "not slow" tests
	$(MAKE) --no-print-directory notebooks

test-all: test test-slow

test-slow: setup
	$(TWO) $(PYTEST) -n 2 --dist loadgroup -m slow tests

lint: setup
	$(BIN)/labkit build --check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Every notebook runs, with every claim strict and every exercise proved (see labkit/_selftest.py).
notebooks: setup
	LABKIT_STRICT=1 LABKIT_STATIC=1 LABKIT_CACHE=$(CURDIR)/.venv/test-cache $(PYTEST) -p no:cacheprovider --nbmake --nbmake-timeout=300 --durations=0 notebooks

build: setup
	$(BIN)/labkit build

# Formats the code inside the sources as well as beside them.
format: setup
	$(BIN)/ruff check --fix --quiet labkit tests datasets
	$(BIN)/ruff format --quiet labkit tests datasets assignments/nbgrader_config.py
	$(BIN)/labkit build --format

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache dist
