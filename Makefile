# The tasks of this project. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
CARGO ?= cargo
# What the workspace needs; see rust-version in Cargo.toml.
RUST_MIN := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
CRATES := -p dht-core -p dht-sim -p dht-cli -p dht-capi -p dht-py -p dht-examples -p dht-cluster-member -p dht-fuzz
SCENARIOS := ping_storm calm50 calm50_chord small_rings chord_rings histories_calm histories_full
SIM := $(CARGO) run --locked --profile sim --quiet -p dht-sim --bin dht-sim --
JOBS := $(shell getconf _NPROCESSORS_ONLN)
SEEDS ?= 20
SECONDS ?= 60

.PHONY: help demo test check fmt clippy unit golden sim-quick sim planted sim-tables readme doc bench chaos fuzz clean tools

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

tools: ## check for what everything needs, and say what is missing
	@scripts/check-tools "$(RUST_MIN)" "$(PYTHON)"

demo: tools ## five processes, real files, one SIGKILL: nothing is lost (DEMO="--nodes 9" and more)
	$(CARGO) run --locked --release --quiet -p dht-cli --bin dht -- demo $(DEMO)

include mk/capi.mk mk/python.mk mk/faces.mk

# A suite whose tools are missing is named as skipped; where CI=true that is a failure.
has = $(shell command -v $(firstword $(1)) 2>/dev/null)
C_SUITE := $(if $(and $(call has,$(CC)),$(call has,pkg-config)),test-c,skip-c)
CPP_SUITE := $(if $(and $(call has,$(CXX)),$(call has,pkg-config)),test-cpp,skip-cpp)
GO_SUITE := $(if $(and $(call has,$(GO)),$(call has,pkg-config),$(call has,$(CC))),test-go,skip-go)

skip-%:
	@echo "skipped: the $* suite: its compiler or pkg-config is not on this machine"
	@test "$${CI:-}" != true

# The suites of other languages wait for the Rust ones, so that two builds never compete.
test: ## everything a commit must pass
	$(MAKE) --no-print-directory tools check sim-quick planted
	$(MAKE) --no-print-directory $(C_SUITE) $(CPP_SUITE) $(GO_SUITE)
	$(MAKE) --no-print-directory python-test python-package faces readme doc
	@echo "make test: all suites passed"

check: fmt clippy unit

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --locked $(CRATES) --all-targets --features dht-core/binding -- -D warnings

unit: ## unit, property, contract and integration tests of every crate
	$(CARGO) test --locked $(CRATES) --features dht-core/binding

golden: ## stores frames of new samples (dht-core/src/wire/samples.rs) in tests/vectors/frames; never changes one
	DHT_WRITE_GOLDEN=1 $(CARGO) test --locked -p dht-core --lib every_sample_is_stored_and_has_not_changed
	$(CARGO) test --locked -p dht-core --lib wire::golden_tests

sim-quick: ## every simulated scenario with fixed seeds
	$(SIM) --scenario ping_storm --seeds 2
	$(SIM) --scenario calm50 --seeds 2 --jobs $(JOBS)
	$(SIM) --scenario calm50_chord --seeds 1
	$(SIM) --scenario small_rings --seeds 500 --jobs $(JOBS) --quiet
	$(SIM) --scenario chord_rings --seeds 100 --jobs $(JOBS) --quiet
	$(SIM) --scenario histories_calm --seeds 200 --jobs $(JOBS) --quiet
	$(SIM) --scenario histories_full --seeds 100 --jobs $(JOBS) --quiet

# From where on: SEED=n, to go on where an earlier run ended. Else somewhere at random, which the last line tells.
sim: ## SEEDS=n seeds of every scenario, fresh ones or from SEED=m on; ends with 1 if one fails
	$(foreach s,$(SCENARIOS),$(SIM) --scenario $(s) --seeds $(SEEDS) --seed $(or $(SEED),$$((RANDOM * 32768 + RANDOM))) --jobs $(JOBS) --quiet &&) true

# Apart from the simulator without bugs, so that who works on both builds neither again; a machine that builds once shares what both need.
PLANTED_DIR := $(TARGET_DIR)$(if $(filter true,$(CI)),,/planted)

planted: ## plants bugs in the ring and in what it keeps, and looks that the simulator sees each
	$(CARGO) run --locked --profile sim --quiet -p dht-sim --features planted --target-dir $(PLANTED_DIR) --bin planted

sim-tables: ## what the ring costs, measured in the simulator (TABLE=name, NODES=n for one)
	$(CARGO) run --locked --release --quiet -p dht-sim --bin sim-tables -- $(TABLE) $(NODES)

readme: c-stage $(VENV)/built ## the README's blocks run (its Rust code runs as a documentation test)
	$(CARGO) build --locked --release --quiet -p dht-cli
	$(PYTHON) scripts/readme-blocks --readme README.md --programs $(TARGET_DIR)/release --stage $(C_STAGE) --python $(VENV_PYTHON)

doc: ## the documentation builds without a warning
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" $(CARGO) doc --locked $(CRATES) --no-deps

bench: bench-bindings ## every benchmark, ratios within one run
	$(CARGO) bench --locked -p dht-core
	$(CARGO) bench --locked -p dht-cli --bench peers
	$(MAKE) --no-print-directory sim-tables TABLE=repair

chaos: ## SECONDS=n of kill -9 on real processes under load
	CHAOS_SECONDS=$(SECONDS) $(CARGO) test --locked --release -p dht-cli --test chaos -- --nocapture

fuzz: ## SECONDS=n of every fuzz target (TARGET=name for one); ends with 1 if one finds something
	scripts/fuzz $(SECONDS) $(TARGET)

clean:
	$(CARGO) clean
	rm -f THIRD-PARTY
