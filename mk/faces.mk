# What crosses languages: the examples, a ring of all of them, the table of operations, what documents name, the benchmark.
# Included by the Makefile.
.PHONY: faces test-examples test-mixed bindings-table documents bench-bindings

faces: test-examples test-mixed bindings-table documents

test-examples: c-stage $(VENV)/built ## every example in every language prints what examples/expected says
	$(VENV_PYTHON) -m mypy --strict examples/python
	! command -v gofmt > /dev/null || test -z "$$(gofmt -l examples/go tests/cluster/go tests/bench/go)"
	$(PYTHON) scripts/run-examples --stage $(C_STAGE) --python $(VENV_PYTHON)

test-mixed: c-stage $(VENV)/built ## a ring of a Rust, a Python, a C, a C++ and a Go process, of five Python and of five C ones
	$(PYTHON) scripts/run-mixed-ring --stage $(C_STAGE) --python $(VENV_PYTHON)

bindings-table: ## docs/bindings.md names what every language has, and nothing else
	$(PYTHON) scripts/check-bindings-table

documents: ## the tests, files and keys that documents name are there, and links lead somewhere
	$(PYTHON) scripts/check-documents

bench-bindings: c-stage $(VENV)/built ## local get and put in every language, ratios in one run (writes docs/benchmarks/bindings.md)
	@$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check -r tests/bench/requirements.txt \
		|| echo "no redis-py to be had: it is not measured"
	$(PYTHON) scripts/bench-bindings --stage $(C_STAGE) --python $(VENV_PYTHON)
