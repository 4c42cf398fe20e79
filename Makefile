# `make run` and `make test` are all a newcomer needs; `make help` lists the rest.
SHELL := /bin/bash
export CARGO_TARGET_DIR ?= $(HOME)/.cache/plura/target
export CARGO_TERM_PROGRESS_WHEN ?= auto

.PHONY: help setup run build console test lint bless bench fuzz-smoke release clean-demo

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what a fresh machine lacks, or say how
	@scripts/setup.sh build

run: setup console ## Build and play the demo: gateway, server, users and attacks on this machine
	cargo build --locked --profile quick -p plura
	@$(CARGO_TARGET_DIR)/quick/plura demo

# The stamp is newer than everything the console is made of; without Node the server says that it has none.
console_stamp := console/dist/.built
console_parts := $(shell find console -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/test-results/*')

console: ## The web console, where Node is: what `make run` and `make release` carry
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(console_stamp); else echo "no Node here: building without the console (install Node 20 or newer)" >&2; fi

$(console_stamp): $(console_parts)
	cd console && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund && npm run build
	@touch $@

build: setup ## Debug build of everything
	cargo build --locked --workspace --all-targets

test: setup ## All tests
	@scripts/setup.sh test
	@if command -v cargo-nextest >/dev/null; then cargo nextest run --locked --workspace --no-fail-fast; else cargo test --locked --workspace --no-fail-fast; fi
	@scripts/console.sh test

lint: setup ## Format, clippy with warnings as errors, licences, the console's types and style
	@scripts/console.sh lint
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@scripts/licences.sh
	@scripts/locks.sh

bless: setup ## Rewrite what the tests expect; the diff is what is reviewed
	BLESS=1 cargo test --locked --workspace

bench: setup ## Speed and memory, beside peers in the same run
	@scripts/setup.sh bench
	@benches/run.sh

fuzz-smoke: setup ## Every fuzz target for 60 seconds
	@scripts/setup.sh fuzz
	@fuzz/smoke.sh

release: setup console ## Optimised binaries (takes long: DataFusion at full optimisation)
	cargo build --locked --release -p plura -p evidence --bins
