# Two commands do everything: `make demo` and `make test`. `make run` starts without the demo. CONTRIBUTING.md has the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
# Files of tests are shared out among so many processes.
PYTEST_WORKERS ?= 3
# Tests start hundreds of Python processes: each may keep what it compiled for the next.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: demo run fix test-fast test test-all lint check lock clean

demo: $(VENV)/ready
	$(BIN)/python manage.py up --port $(PORT) --demo

run: $(VENV)/ready
	$(BIN)/python manage.py up --port $(PORT)

fix: $(VENV)/ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What is tested without a browser, PostgreSQL, instances, models that are opened or trained, and long files.
test-fast: $(VENV)/ready-dev
	$(PYTEST) -m "not slow and not browser and not services and not instance and not suspect and not long"

test: $(VENV)/ready-dev
	$(PYTEST)

# Trains models and moves large data; takes long.
test-all: $(VENV)/ready-dev
	$(PYTEST) -m ""

lint: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint
	TOUCHMARK_DATA=$$(mktemp -d) $(BIN)/python manage.py makemigrations --check --dry-run
	TOUCHMARK_DATA=$$(mktemp -d) $(BIN)/python manage.py check --deploy --fail-level WARNING

# The universal, hashed locks; run after a change of the dependencies in pyproject.toml.
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header
lock: $(BIN)/uv
	$(COMPILE) pyproject.toml -o requirements.txt
	$(COMPILE) --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	$(COMPILE) --group setup -o requirements-setup.txt

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 13), "Touchmark needs Python 3.11 or 3.12"'
	$(PYTHON) -m venv $(VENV)

# uv installs what pip would, many times faster; pip brings uv itself, checked against its hash. Packages are compiled
# at once: the confined processes that open models may write nothing, so each would compile torch and timm anew.
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes
$(BIN)/uv: requirements-setup.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-setup.txt
	touch $@

$(VENV)/ready: requirements.txt | $(BIN)/uv
	$(INSTALL) -r requirements.txt
	touch $@

$(VENV)/ready-dev: requirements-dev.txt | $(BIN)/uv
	$(INSTALL) -r requirements-dev.txt
	touch $(VENV)/ready $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
