# Tocsin: every task of the house. `make help` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help

# The first of these that runs and is Python 3.11 or newer. Override: make PYTHON=/path/to/python3
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
DISTRIBUTIONS := libs/common libs/client services/alert services/notify
PROTOS := $(shell find protos -name '*.proto' | sort)
SERVICE_PROTOS := $(shell find protos -name '*_service.proto' | sort)

.PHONY: help
help: ## List the tasks
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  %-12s %s\n", $$1, $$2}'

.PHONY: python-found
python-found:
	@test -n "$(PYTHON)" || { echo 'No Python 3.11, 3.12 or 3.13 was found. Install one, or name it: make PYTHON=/path/to/python3 …' >&2; exit 1; }

# A stamp holds the state of what it was made from, so that setting up twice costs nothing.
$(VENV)/.run: requirements/run.txt $(DISTRIBUTIONS:%=%/pyproject.toml) | python-found
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
		echo 'Could not make a virtual environment. On Debian: apt-get install python3-venv' >&2; rm -rf $(VENV); exit 1; }
	@echo 'Setting up: installing locked dependencies into $(VENV) …'
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/run.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-index --no-deps --no-build-isolation $(DISTRIBUTIONS:%=-e %)
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@echo 'Setting up: installing what the tests and linters need …'
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

.PHONY: setup
setup: $(VENV)/.run ## Make the virtual environment with what the services need

.PHONY: setup-dev
setup-dev: $(VENV)/.dev ## … and with what the tests and linters need

.PHONY: protos
protos: $(VENV)/.dev ## Generate the stubs from protos/
	@PATH="$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -Iprotos --python_out=libs/common/src --mypy_out=quiet:libs/common/src $(PROTOS)
	@PATH="$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -Iprotos --grpc_python_out=libs/common/src --mypy_grpc_out=quiet:libs/common/src $(SERVICE_PROTOS)

.PHONY: lint
lint: $(VENV)/.dev ## Run the linters and the type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy libs services tests
	$(BIN)/lint-imports
	$(BIN)/buf lint

.PHONY: format
format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff check --fix-only -q .
	$(BIN)/ruff format -q .
