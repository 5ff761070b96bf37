# `make demo` and `make test` need only Python: the first call creates .venv, with the
# versions of constraints.txt.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# If other processes use the cores, several torch threads are slower than one.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test test-long fuzz mutants coverage test-oldest dist test-dist licences lint format types docs pages
.PHONY: check clean

demo: $(INSTALLED)
	$(BIN)/python examples/quickstart.py

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 -q

test-long: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 -q -m long

# The property tests of tests/fuzz with new random examples, for about ten minutes.
fuzz: $(INSTALLED)
	IMBALNET_FUZZ=1500 $(BIN)/python -m pytest -n 2 -q --timeout 1200 tests/fuzz

# About 4,800 mutants: faults put into the code one by one, each of which should make a
# test fail. This takes an hour or more. The results are in mutants/.
mutants: $(INSTALLED)
	$(BIN)/pip install --quiet --constraint constraints.txt mutmut==3.8.1
	rm -rf mutants
	$(BIN)/python -m mutmut run --max-children 2
	$(BIN)/python .ci/mutants.py

# The lines and branches that tests run, including those of processes that they start.
coverage: $(INSTALLED)
	$(BIN)/pip install --quiet --constraint constraints.txt coverage==7.17.5
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2 -q
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# Without the guide, whose outputs are those of the newest versions.
test-oldest: .venv-oldest/.installed
	.venv-oldest/bin/python -m pytest -n 2 -q tests imbalnet

dist: $(INSTALLED)
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

# Install the wheel in an empty environment, and run the tests of the sdist.
test-dist: dist
	rm -rf .venv-dist
	$(PYTHON) -m venv .venv-dist
	.venv-dist/bin/pip install --quiet --constraint constraints.txt dist/*.whl
	cd dist && ../.venv-dist/bin/python ../.ci/installed.py
	.venv-dist/bin/pip install --quiet --constraint constraints.txt "$$(ls dist/*.whl)[test]"
	tar --extract --gzip --directory dist --file dist/*.tar.gz
	cd dist/imbalnet-*/ && ../../.venv-dist/bin/python -m pytest -n 2 -q tests

licences: $(INSTALLED)
	$(BIN)/python .ci/licences.py > THIRD_PARTY.md

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(INSTALLED)
	$(BIN)/mypy

docs: $(INSTALLED)
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

# Check every page in Chromium, which must be on the PATH. This takes minutes.
pages: docs
	$(BIN)/pip install --quiet --constraint constraints.txt playwright==1.65.2
	$(BIN)/python .ci/pages.py docs/_build/html

check: test lint types

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,docs]'
	touch $(INSTALLED)

.venv-oldest/.installed: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/pip install --quiet --constraint constraints-oldest.txt torch
	.venv-oldest/bin/pip install --quiet --constraint constraints-oldest.txt \
		--editable '.[test]'
	touch .venv-oldest/.installed

clean:
	rm -rf $(VENV) .coverage* .venv-oldest .venv-dist dist mutants docs/_build docs/gallery docs/api/generated .pytest_cache .mypy_cache .ruff_cache
