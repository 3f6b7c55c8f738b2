# The Python package: built, checked and measured in .venv. Included by the Makefile.
PYTHON ?= python3
# How often each case of forks, ends and Ctrl-C runs.
PROCESS_RUNS ?= 20
VENV := .venv
VENV_PYTHON := $(VENV)/bin/python
PYTHON_SOURCES = $(shell find dht-py dht-core/src dht-cli/src python pyproject.toml Cargo.toml Cargo.lock -type f \
	-not -name '*.so' -not -path '*/__pycache__/*')

.PHONY: python python-test python-bench python-package

$(VENV)/installed: tests/python/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check -r tests/python/requirements.txt
	touch $@

$(VENV)/built: $(VENV)/installed $(PYTHON_SOURCES)
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(VENV)/bin/maturin develop --release --locked --quiet
	touch $@

python: $(VENV)/built ## build the Python package into .venv

python-test: $(VENV)/built ## the Python package's tests (PROCESS_RUNS=n for forks, ends and Ctrl-C)
	PROCESS_RUNS=$(PROCESS_RUNS) $(VENV_PYTHON) -m pytest -q

python-bench: $(VENV)/built ## gets and puts per second from Python, beside a dict
	$(VENV_PYTHON) tests/python/bench.py

# The licences of what the extension is made of. Wheel and sdist take it along (license-files in pyproject.toml) if it is there:
# who builds for others makes it first. Checked only, not built: the messages name the same crates.
THIRD-PARTY: Cargo.toml Cargo.lock dht-core/Cargo.toml dht-cli/Cargo.toml dht-py/Cargo.toml scripts/third-party
	$(CARGO) check --locked -p dht-py --lib --quiet --message-format=json | scripts/third-party > $@.new
	mv $@.new $@

python-package: $(VENV)/installed THIRD-PARTY ## wheel and sdist, each installed into an environment of its own
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" scripts/check-python-package "$(VENV_PYTHON)"
