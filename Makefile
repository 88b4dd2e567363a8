# The two that matter: `make demo` shows the whole loop, `make test` checks everything. Both set up what they need.
#
#   MATRAZ_CACHE=DIR   keep compiled dependencies, the Python environment and npm's cache in DIR between clones

ifdef MATRAZ_CACHE
export CARGO_TARGET_DIR := $(abspath $(MATRAZ_CACHE))/target
export npm_config_cache := $(abspath $(MATRAZ_CACHE))/npm
VENV := $(abspath $(MATRAZ_CACHE))/venv
else
VENV := $(CURDIR)/target/venv
endif
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
PYTHON := $(VENV)/bin/python
OLD_CLIENT := $(dir $(VENV))mlflow-2
DEBUG := $(TARGET)/debug/matraz
RELEASE := $(TARGET)/release/matraz

.PHONY: demo test build ui lint bench bench-faults gen tools python browser postgres \
	test-rust test-interop test-ui test-demo test-journey test-gen

demo: build
	@MATRAZ=$(RELEASE) scripts/demo.sh

build: ui
	cargo build --release --locked -p matraz

ui: tools ui/dist/index.html

ui/node_modules/.package-lock.json: ui/package.json ui/package-lock.json
	cd ui && npm ci --no-audit --no-fund

ui/dist/index.html: ui/node_modules/.package-lock.json $(shell find ui/src ui/page ui/index.html ui/vite.config.ts ui/vite.page.config.ts -type f 2>/dev/null)
	cd ui && npm run build

tools:
	@scripts/need.sh cargo node npm git cc

test: lint test-rust test-gen test-interop test-ui test-demo test-journey

lint: tools ui
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cd ui && npm run lint
	scripts/readme-in-step.sh

$(DEBUG): FORCE ui
	cargo build --locked -p matraz

test-rust: $(DEBUG) python postgres
	MATRAZ_PYTHON=$(PYTHON) cargo test --workspace --locked

test-interop: $(DEBUG) python browser
	@scripts/old-client.sh $(PYTHON) $(OLD_CLIENT) tests/old-client.txt
	MATRAZ=$(DEBUG) OLD_CLIENT=$(OLD_CLIENT) $(PYTHON) -m pytest -q tests/interop

test-ui: ui
	cd ui && npm test

test-demo: $(DEBUG)
	MATRAZ=$(DEBUG) scripts/test-demo.sh

test-journey: $(DEBUG) ui browser
	MATRAZ=$(DEBUG) scripts/test-journey.sh
	MATRAZ=$(DEBUG) scripts/test-plots.sh

python: tests/requirements.txt
	@scripts/python.sh $(VENV) tests/requirements.txt

browser:
	@scripts/browser.sh

postgres:
	@scripts/postgres.sh

gen: $(DEBUG)
	$(DEBUG) gen docs

test-gen: $(DEBUG)
	MATRAZ=$(DEBUG) scripts/test-gen.sh

bench: build python
	MATRAZ=$(RELEASE) $(PYTHON) bench/run.py

# Every command that moves data is killed hundreds of times.
bench-faults: $(DEBUG)
	MATRAZ_FAULT_ROUNDS=100 cargo test --locked -p matraz --test blackbox killed::
	MATRAZ_FUZZ_ROUNDS=100000 cargo test --locked -p matraz-data --test mutated

FORCE:
