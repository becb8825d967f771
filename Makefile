# make demo        edit sample pictures into ./demo (sets up .venv first)
# make web         the web app in a browser (sets up .venv first)
# make test        every test, as CI runs them
# make test-quick  without the slow ones
# make test-lowest what users do, with the lowest versions that pyproject.toml allows
# make lint        ruff and mypy
# make fuzz        malformed inputs by the thousand (CASES=10000 PROCESSES=200 SEED=0, ONLY=NUMBER)
# make audit       known vulnerabilities of constraints.txt, for maintainers (asks advisory services)
# make docs        the pages of docs/ and the reference as a site, in build/site
# make clean       remove .venv and what the targets above made
#
# PYTHON chooses the interpreter that .venv is made from (3.11 or newer).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
DEMO := demo
WORKERS ?= 2
CASES ?= 10000
PROCESSES ?= 200
SEED ?= 0
AUDIT := build/audit
TORCH := $(shell grep -E '^torch(vision)?==' constraints.txt)

# Workers share the cores; more threads than cores make each of them slower.
PYTEST := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

.PHONY: demo web test test-quick test-lowest fuzz lint audit docs clean

demo: $(VENV)/.runtime
	$(BIN)/python -m examples.demo --out $(DEMO)

web: $(VENV)/.web
	$(BIN)/cfclip web --open

test: $(VENV)/.development
	$(PYTEST)

test-quick: $(VENV)/.development
	$(PYTEST) -m "not slow"

# What fails lies in build/fuzz. ONLY repeats single cases, if the other variables are as they were.
fuzz: $(VENV)/.development
	PYTHONPATH=.:tests:tests/support $(BIN)/python -m fuzzing --cases $(CASES) --processes $(PROCESSES) \
		--seed $(SEED) $(if $(ONLY),--only $(ONLY),--unspoilt)

test-lowest: $(LOWEST)/.installed
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest tests/support/lowest.py

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# In an environment of its own: pip-audit is no part of the project, and looks at versions alone.
audit: $(AUDIT)/bin/pip-audit
	$(AUDIT)/bin/pip-audit --requirement constraints.txt --disable-pip --no-deps --strict \
		--progress-spinner off

$(AUDIT)/bin/pip-audit:
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet 'pip-audit>=2.9,<3'

# The variable silences an advertisement about another program.
docs: $(VENV)/.development
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean:
	rm -rf build/site build/fuzz $(AUDIT) $(VENV) $(LOWEST) .pytest_cache .ruff_cache .mypy_cache .hypothesis $(DEMO)

# torch comes first and alone: an installation of it that is already there (a CPU build, say) is
# kept if its version fits, and the rest then only has to agree with it.
$(VENV)/.runtime: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "cfclip needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

$(VENV)/.web: $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[web]'
	touch $@

$(VENV)/.development: $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

$(LOWEST)/.installed: pyproject.toml tests/support/lowest_requirements.py
	test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	$(PYTHON) tests/support/lowest_requirements.py > $(LOWEST)/requirements.txt
	$(LOWEST)/bin/python -m pip install --quiet -r $(LOWEST)/requirements.txt
	$(LOWEST)/bin/python -m pip install --quiet --no-deps -e .
	touch $@
