# Everything is installed in .venv. Only Python 3.11 or 3.12 and make must be installed beforehand.
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
TEST := $(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m 'not minutes and not paced'
# To collect all files takes longer than to run the few that have such tests.
TEST_PACED := $(BIN)/python -m pytest -m paced $(shell grep -rl --include='test_*.py' mark.paced tests)
# Containers often set it. Then every process compiles torch's sources anew, for four seconds or more.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check lint docs setup clean

demo: setup
	$(BIN)/percept run engines/bundled/sample.mp4 --labels @engines/bundled/sample.labels.txt --events --html demo.html --overwrite

test: setup
	$(TEST)
	$(TEST_PACED)

check: lint test

lint: .venv/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: setup
	$(BIN)/python -m manual
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "wrote site/index.html"

setup: .venv/.done

.venv/.done: .venv/.installed
	$(BIN)/percept engine build
	touch $@

.venv/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or 3.12 found. Install one, or run: make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[dev,decord]'
	touch $@

clean:
	rm -rf .venv build dist site *.egg-info
