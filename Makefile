# `make run` starts the helpdesk, `make test` proves it; `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_WORKERS ?= 2
ARGS ?=
BENCH ?=
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help run test test-browser lint bench lock clean

help:  ## What this Makefile can do
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name what; do printf '  make %-13s %s\n' "$$name" "$$what"; done

run: $(VENV)/.run  ## Start everything on http://localhost:8000 (PORT=…, DATA_DIR=…); Ctrl-C stops it
	@exec $(BIN)/python manage.py start $(ARGS)

test: $(VENV)/.dev  ## Every test but those that stand alone (ARGS="-k words" for some)
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) -m "not browser and not clock" $(ARGS)

test-browser: $(VENV)/.dev  ## Those in the system's Chromium, and by the clock
	@$(BIN)/python -m pytest -n 0 -m "browser or clock" $(ARGS)

# The deployment check wants settings as production has them; its secret lives as long as the check.
lint: $(VENV)/.dev  ## Style, types, templates, import contracts, migrations, production settings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	ENVIRONMENT=test $(BIN)/mypy
	$(BIN)/djlint --quiet --lint templates
	$(BIN)/lint-imports
	@secret=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))') && \
	export ENVIRONMENT=production SECRET_KEY=$$secret ALLOWED_HOSTS=helpdesk.example && \
	echo "manage.py makemigrations --check" && \
	$(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run && \
	echo "manage.py check --deploy" && \
	$(BIN)/python manage.py check --deploy --fail-level WARNING

bench: $(VENV)/.dev  ## Measure on servers of its own (BENCH="--tickets 10000,100000")
	@$(BIN)/python manage.py bench $(BENCH)
	@$(BIN)/python manage.py bench_slas
	@$(BIN)/python manage.py bench_automation
	@$(BIN)/python manage.py bench_mail
	@$(BIN)/python manage.py bench_mail_out
	@$(BIN)/python manage.py bench_webhooks

lock: $(VENV)/.dev  ## Pin requirements.txt and requirements-dev.txt with hashes (UPGRADE=--upgrade for the newest)
	$(BIN)/uv pip compile -q --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header $(UPGRADE) -o requirements.txt requirements.in
	$(BIN)/uv pip compile -q --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header $(UPGRADE) -o requirements-dev.txt requirements-dev.in

clean:  ## Remove the virtual environment and the caches; DATA_DIR stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache test-results
	find . -name __pycache__ -not -path './var/*' -prune -exec rm -rf {} +

# --- The virtual environment: made once, brought up to date when the locked requirements change.

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed: apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1). Set PYTHON=…"; exit 1; }
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "Installing python3-venv …"; \
			{ apt-get install -qq -y python3-venv >/dev/null 2>&1 || { apt-get update -qq && apt-get install -qq -y python3-venv >/dev/null; }; } \
				|| { echo "Please install python3-venv: apt-get install python3-venv"; exit 1; }; \
		else \
			echo "Python cannot make virtual environments here; please run: sudo apt-get install python3-venv"; exit 1; \
		fi; \
	fi
	@echo "Making $(VENV) …"
	@$(PYTHON) -m venv $(VENV)

# Two stamps: what the product needs, and what its tests need on top.
$(VENV)/.run: requirements.txt | $(BIN)/python
	@echo "Installing the locked requirements …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run | $(BIN)/python
	@echo "Installing the locked requirements of the tests …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@
