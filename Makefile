# What a developer needs: test (everything but the long ones), soak (those), test-quick (no root, no lab), demo, bench, docs, clean.
# Python >= 3.11. The first run makes .venv and installs what the tests need from the package index.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
LAB_TOOLS = debootstrap ip nsenter unshare rsync ssh ssh-keygen strace postgres
STAMP = $(VENV)/.installed
# The database driver of `make demo`: sqlite-copy, postgres-dump …
DB ?= sqlite-copy
MYPY_PATH = $(VENV)/tree

.PHONY: test test-quick lint unit contract lab soak demo bench docs clean host-tools quick-tools

test: host-tools lint unit contract lab

test-quick: quick-tools lint
	$(BIN)/pytest -q -n auto -m "not slow and not soak" tests/unit

$(STAMP): setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip setuptools wheel
	$(BIN)/pip install --quiet -e '.[dev,docs]'
	mkdir -p $(MYPY_PATH)
	ln -sfn $(CURDIR)/xcat_ha $(MYPY_PATH)/xcat_ha
	ln -sfn $(CURDIR)/drivers $(MYPY_PATH)/xcat_ha_drivers
	touch $@

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=$(MYPY_PATH) $(BIN)/mypy --strict -p xcat_ha -p xcat_ha_drivers -p tests
	$(BIN)/lint-imports

unit: $(STAMP)
	$(BIN)/pytest -q -n auto -m "not soak" tests/unit

contract: $(STAMP)
	$(BIN)/pytest -q -n auto -m "not soak" tests/contract

# The machines of the lab are made with the host's own tools; as root on Debian or Ubuntu the missing ones are installed.
host-tools:
	@sh .ci/host-tools --root $(LAB_TOOLS)

quick-tools:
	@sh .ci/host-tools rsync ssh ssh-keygen strace

# Each worker has a lab of its own; a lab mostly waits (for boots, for services), so there may be more of them than cores.
LAB_WORKERS ?= 3

lab: $(STAMP) host-tools
	$(BIN)/pytest -q -n $(LAB_WORKERS) --dist loadfile --durations 25 -m "lab and not soak" tests/lab

# Long ones: power loss at random moments (XCAT_HA_TRIALS=20 for the full figure), kills at every step boundary, reboots in every operation,
# PostgreSQL's and MariaDB's contracts, PostgreSQL's stories.
soak: $(STAMP) host-tools
	@sh .ci/host-tools --root mariadbd mariadb mariadb-dump
	$(BIN)/pytest -q -n auto -m soak tests/unit tests/contract
	$(BIN)/pytest -q -m soak tests/lab

# MODE=replace tells the story in the other identity mode.
demo: $(STAMP) host-tools
	$(BIN)/python -m tests.lab.demo --database $(DB) $(if $(MODE),--mode $(MODE))

bench: $(STAMP) host-tools
	$(BIN)/python -m tests.bench

docs: $(STAMP)
	$(BIN)/sphinx-build -q -W -b html docs docs/_build/html

clean:
	rm -rf $(VENV) build dist *.egg-info docs/_build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
