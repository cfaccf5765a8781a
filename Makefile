# The commands of this project. Each one makes .venv first, if it is not there.
PYTHON ?= python3
BIN := .venv/bin
# Files stay whole, since they share fixtures and one listens on a fixed port; tests/conftest.py sets their order.
TWO := --numprocesses 2 --dist loadfile --no-loadscope-reorder
.DEFAULT_GOAL := help
.PHONY: help demo test coverage check engines docs words format lint types bench bench-full clean

help:           ## list the commands
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  +##' $(MAKEFILE_LIST) | sed 's/:[^#]*##/ \t/'

$(BIN)/python:
	$(PYTHON) -m venv .venv

.venv/.user: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --editable .
	@touch $@

.venv/.test: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --editable '.[test]'
	@touch $@ .venv/.user

.venv/.dev: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@ .venv/.test .venv/.user

.venv/.engines: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --editable '.[engines]'
	@touch $@ .venv/.test .venv/.user

# Both in one: pip takes about 25 CPU seconds even where nothing is missing.
.venv/.ci: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --editable '.[dev,engines]'
	@touch $@ .venv/.engines .venv/.dev .venv/.test .venv/.user

.venv/.bench: .venv/.dev
	$(BIN)/pip install --quiet --editable '.[dev,bench]'
	@touch $@

demo: .venv/.user   ## install, then train, evaluate and score on the bundled real sample
	$(BIN)/asli demo

test: .venv/.test   ## install the test extra and run all but the slow tests
	$(BIN)/python -m pytest $(TWO) -m "not slow"

coverage: .venv/.test   ## run every test and list the lines of src that none reaches
	$(BIN)/python -m pytest $(TWO) --cov --cov-report=term --cov-report=html

lint: .venv/.dev    ## ruff: format and rules, without changing anything
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/.dev   ## mypy, strict
	$(BIN)/mypy

format: .venv/.dev  ## put every file into the project's form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/.dev    ## build the documentation site into site/; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

words: .venv/.dev   ## check numbers, words and sentence length of docs, help and messages (tools/check_words.py)
	$(BIN)/python tools/check_words.py

check: .venv/.dev   ## all that CI runs: format, lint, types, words, site, every test
	$(MAKE) --jobs 2 --output-sync lint types words docs
	$(BIN)/python -m pytest $(TWO) --durations=40 --durations-min=5

engines: .venv/.engines   ## scan 2,000 thumbnails on Ray, Spark, Daft and datasets; needs Java
	ASLI_REQUIRE_ENGINES=1 $(BIN)/python -m pytest tests/scaling/test_engines.py --durations=10

bench: .venv/.bench   ## compare speed with peers in minutes; needs the images of ASLI_SHARED and idle cores
	$(BIN)/python benchmarks/bench.py

bench-full: .venv/.bench   ## every row of docs/speed.md and growth to 100,000 images; takes hours, resumable
	$(BIN)/python benchmarks/bench.py --full
	$(BIN)/python benchmarks/growth.py --work benchmarks/work
	$(BIN)/python benchmarks/speed_page.py

clean:          ## remove what the commands above made
	rm -rf .venv asli-demo site htmlcov .coverage .coverage.*
