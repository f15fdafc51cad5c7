# Everything runs in a virtual environment that is made once. Needs python3 (3.11 or newer) with its
# venv module: on Debian and Ubuntu the packages python3 and python3-venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
# The demonstration's ledger lies beside its repository: never inside one.
DEMO_LEDGER := $(DEMO)/state/ledger.sqlite

export REPO LEDGER
.DEFAULT_GOAL := help
.PHONY: help scan test lint story bench fuzz fuzz-replay readme clean

help:
	@echo 'make scan REPO=/srv/backups   scan a repository'
	@echo 'make scan                     scan a small demonstration repository'
	@echo 'make test                     lint, types and tests: all that CI runs'
	@echo 'make story                    a clinic, night by night: [SCALE=bytes for a GB] [TWIN=1]'
	@echo 'make bench                    measure; see benchmarks/'
	@echo 'make fuzz                     look for files that break a format: [FORMAT=vhd] [SECONDS=600]'
	@echo 'make fuzz-replay FILE=...     try such a file again'
	@echo 'make readme                   bring the generated tables of README.md up to date'

# The program prints what its exit code means. make itself exits 2 for every code but 0: a script that
# wants the code calls .venv/bin/bakproof. The demonstration has findings on purpose and succeeds by
# showing them. REPO and LEDGER reach the shell through the environment, whatever is in their names.
scan: $(VENV)/.installed
ifdef REPO
	@$(BIN)/bakproof scan $(if $(LEDGER),--ledger "$$LEDGER") "$$REPO"
else
	@$(BIN)/python -m tests.demo $(DEMO)/repository
	@echo 'The demonstration repository is $(DEMO)/repository.'
	@$(BIN)/bakproof scan --ledger $(DEMO_LEDGER) $(DEMO)/repository; code=$$?; \
	case $$code in \
	  1|2|1?|13?|14?) exit $$code ;; \
	  *) echo 'That is what the demonstration is for. Your own: make scan REPO=/srv/backups' ;; \
	esac
endif

test: lint
	$(BIN)/pytest -n auto

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Needs qemu-utils, and a mount namespace of its own. Everything lies in memory: about 2000 times SCALE.
story: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.story $(if $(SCALE),--scale '$(SCALE)') $(if $(TWIN),--twin)

bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks

# Seconds are per format. Without BAKPROOF_CORPUS it starts from own files only.
fuzz: $(VENV)/.installed-fuzz
	$(BIN)/python -m tests.fuzz $(if $(FORMAT),--format '$(FORMAT)') $(if $(SEED),--seed '$(SEED)') \
	  $(if $(SECONDS),--seconds '$(SECONDS)')

fuzz-replay: $(VENV)/.installed-dev
	$(if $(FILE),,$(error FILE=... says which file))
	$(BIN)/python -m tests.fuzz --replay '$(FILE)' $(if $(FORMAT),--format '$(FORMAT)')

readme: $(VENV)/.installed-dev
	$(BIN)/python -m tests.readme

clean:
	rm -rf $(VENV) $(DEMO) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache

# The stamps say which dependencies are installed; they are made again when pyproject.toml changes.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo 'Installing into $(VENV), once.'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	@echo 'Installing into $(VENV) with the tools for tests, once.'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-fuzz: $(VENV)/.installed-dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,fuzz]'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'bakproof needs Python 3.11 or newer: set PYTHON=/path/to/python3'; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo 'on Debian and Ubuntu: apt-get install python3-venv'; exit 1; }
