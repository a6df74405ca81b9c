# make            lists what there is
# make run        starts the whole product with a demo partner; needs Python 3.11+, git and make
# make test       runs every test that needs nothing but Python

PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check --no-input
MANAGE  := $(BIN)/python manage.py
PYTEST  := $(BIN)/python -m pytest

# Tests: how many at once, and anything else for pytest, e.g. make test ARGS="-k tickets"
JOBS    ?= 2
ARGS    ?=
NEEDS_MORE_THAN_PYTHON := browser or chaos or load
WITHOUT_DATABASE := --ignore=tests/architecture --ignore=tests/integrations/psa --ignore=tests/integrations/sandbox --ignore=tests/contract
OFFLINE := DATABASE_URL=sqlite://:memory: REDIS_URL=

# Chaos: how many events, how many kill -9, and where the dice start
EVENTS  ?= 500
KILLS   ?= 50
SEED    ?= 1

# Fuzz: how many requests of each kind for every call
EXAMPLES ?= 60

# Where make postgres-test finds its servers
POSTGRES_URL ?= postgres://postgres@127.0.0.1:5432/psap_test
TEST_REDIS_URL ?= redis://127.0.0.1:6379/9

.DEFAULT_GOAL := help
.PHONY: help .venv dev run test coverage check deploy-check fmt bench chaos contract fuzz kills parity proofs postgres-test browser-test pictures lock clean

help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-zA-Z.-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ------------------------------------------------------------------------------------------------ setting up

.venv: $(VENV)/.base ## make the virtual environment with everything the product needs

dev: $(VENV)/.dev ## ... and with everything its tests need

$(VENV)/.base: requirements/base.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "PSA Portal needs Python 3.11 or newer, and \"$(PYTHON)\" is not. Say which one to use: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "This Python cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	$(PIP) install -qq --require-hashes -r requirements/base.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.base
	$(PIP) install -qq --require-hashes -r requirements/base.txt -r requirements/dev.txt
	@touch $@

# ------------------------------------------------------------------------------------------------ using it

run: .venv ## start everything with a demo partner and a pretend PSA; Ctrl-C stops it
	$(MANAGE) demo

# ------------------------------------------------------------------------------------------------ trusting it

test: dev ## run every test that needs nothing but Python (on SQLite)
	$(OFFLINE) $(PYTEST) -n $(JOBS) --dist worksteal -m "not (postgres or $(NEEDS_MORE_THAN_PYTHON))" $(ARGS)

coverage: dev ## the same, and say which lines no test reached
	$(OFFLINE) $(PYTEST) -n $(JOBS) -m "not (postgres or $(NEEDS_MORE_THAN_PYTHON))" --cov --cov-report=term-missing:skip-covered $(ARGS)

postgres-test: dev ## run them on PostgreSQL and Redis, with those that only make sense there (POSTGRES_URL=...)
	DATABASE_URL=$(POSTGRES_URL) REDIS_URL=$(TEST_REDIS_URL) $(PYTEST) --create-db -n $(JOBS) -m "not ($(NEEDS_MORE_THAN_PYTHON))" $(WITHOUT_DATABASE) --ignore=tests/fuzz $(ARGS)

browser-test: dev ## look at the pages with Chromium, as a partner would
	$(OFFLINE) $(PYTEST) -m browser $(ARGS)

pictures: dev ## take the pictures of docs/guides anew, with Chromium and the pretend PSAs
	PICTURES=docs/guides/pictures $(OFFLINE) $(PYTEST) -m browser tests/browser/test_seed_s*.py

check: dev ## format, lint, types, import contracts, migrations, deployment settings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	DEBUG=true $(OFFLINE) $(BIN)/mypy
	$(BIN)/lint-imports
	DEBUG=true $(OFFLINE) $(MANAGE) makemigrations --check --dry-run
	@$(MAKE) --no-print-directory deploy-check

# Django's own list for production, with the settings of one. The secrets are thrown away at once.
deploy-check: dev ## is the product ready to be deployed with sensible settings?
	DEBUG=false \
	SECRET_KEY="$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))')" \
	FIELD_ENCRYPTION_KEYS="$$($(BIN)/python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())')" \
	ALLOWED_HOSTS=portal.example.com CSRF_TRUSTED_ORIGINS=https://portal.example.com \
	DATABASE_URL=postgres://portal:not-used@db.example.com:5432/portal REDIS_URL=redis://cache.example.com:6379/0 \
	EMAIL_URL=smtp://mail.example.com:25 INSTALLATION=check \
	$(MANAGE) check --deploy --fail-level WARNING

fmt: dev ## put the code in order
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: dev ## measure how fast it is, each figure beside its goal (ARGS=--smoke, --only, --full; DATABASE_URL)
	$(MANAGE) bench $(ARGS)

chaos: dev ## kill the product while it works and count what was lost: EVENTS, KILLS, SEED
	$(MANAGE) chaos --events $(EVENTS) --kills $(KILLS) --seed $(SEED) $(ARGS)

contract: dev ## the promises of the PSA port, kept by the fake and by both adapters: a table, and validated pairs
	$(OFFLINE) $(BIN)/python -m tests.contract $(ARGS)

fuzz: dev ## try to make the API contradict its own document (EXAMPLES of each kind for every call)
	$(OFFLINE) EXAMPLES=$(EXAMPLES) $(PYTEST) -s -p no:logging tests/fuzz $(ARGS)

kills: dev ## kill and hang each process of the product in turn; be whole again within 30 s (table in var/artefacts)
	$(OFFLINE) $(PYTEST) -m chaos -s tests/chaos/test_supervisor.py $(ARGS)

parity: dev ## what partners are used to: each rule with its test or its guide row, and what is open (ARGS=--write)
	@$(BIN)/python -m tests.parity $(ARGS)

proofs: dev ## show what nobody else has, with figures; what is not built yet says so
	$(MANAGE) proofs $(ARGS)

# ------------------------------------------------------------------------------------------------ keeping it

# Emits names, versions and hashes only: no index, no host, no file (tests/architecture/test_requirements.py).
COMPILE := var/lock/bin/pip-compile --quiet --upgrade --generate-hashes --strip-extras --no-annotate --no-header \
           --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options

lock: ## choose the newest versions that requirements/*.in allow, and pin them
	@mkdir -p var
	@test -x var/lock/bin/pip-compile || { $(PYTHON) -m venv --clear var/lock && var/lock/bin/python -m pip install --quiet "pip-tools==7.*"; }
	$(COMPILE) --output-file requirements/base.txt requirements/base.in
	$(COMPILE) --output-file requirements/dev.txt requirements/dev.in

clean: ## remove the virtual environment and what tools left behind (not var/)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache htmlcov .coverage staticfiles
