# Medical-Blocks from a fresh clone: needs git, make, and Python 3.11 or newer with venv and pip.
# `make test` also needs what `system_packages` in .ci/run names for Debian, Chromium among it.
# Each target does its own set-up first; when that is up to date it costs nothing.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.dev-installed
PYTEST_ARGS ?=
BENCH_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install demo test test-long screenshots lint bench package wheels clean

help:
	@echo "make install     the programs, into .venv/bin"
	@echo "make demo        a server and two computers on real DICOM files (ONCE=1: check and end by itself)"
	@echo "make test        all tests"
	@echo "make test-long   the random histories, for much longer"
	@echo "make screenshots the pictures of the docs, of real pages and icons on made-up files"
	@echo "make lint        format, rules, types, and the arrows between the rooms"
	@echo "make bench       against rsync, Unison, Syncthing and rclone, where installed (N=1: quick)"
	@echo "make package     what people install, into dist/: both clients as programs, .deb, .rpm"
	@echo "make wheels      what the server's image is made of, into dist/wheels"
	@echo "make clean       removes what these targets made, the environment included"

# pip may stop half-way: the stamp is written last, so the next call begins anew.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11. Name a newer one: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "Setting up .venv (once) …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

install: $(INSTALLED)
	@echo "The programs are in .venv/bin: mb-server, mb-sync, mb-synclight"

demo: $(INSTALLED)
	@$(BIN)/python packaging/demo/run.py $(if $(ONCE),--once)

test: $(INSTALLED)
	$(BIN)/pytest -n auto --dist worksteal $(PYTEST_ARGS)

test-long: $(INSTALLED)
	MB_BUDGET_SECONDS=$${MB_BUDGET_SECONDS:-900} $(BIN)/pytest -n auto --dist worksteal --timeout 3600 $(PYTEST_ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	MYPYPATH=packaging/demo $(BIN)/mypy packaging/demo
	$(BIN)/mypy packaging/installers/build.py packaging/container/requirements.py
	$(BIN)/mypy --explicit-package-bases benchmarks
	$(BIN)/lint-imports --no-logo

screenshots: $(INSTALLED)
	$(BIN)/python packaging/screens.py docs/screens
	$(BIN)/python packaging/tray_screens.py docs/screens

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.run --rounds $(or $(N),3) $(BENCH_ARGS)

package:
	@$(PYTHON) packaging/installers/build.py

# For the Python and the system of the image, whatever this machine has.
WHEELS_FOR = --python-version 3.11 --implementation cp \
	$(foreach tag,manylinux_2_28 manylinux_2_17 manylinux2014,--platform $(tag)_$(shell uname -m))

wheels: $(INSTALLED)
	rm -rf dist/wheels
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --only-binary=:all: $(WHEELS_FOR) \
		--dest dist/wheels $$($(BIN)/python packaging/container/requirements.py)
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist/wheels .
	@echo "dist/wheels: $$(ls dist/wheels | wc -l) packages"

clean:
	rm -rf .venv demo-data bench-data build dist *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
