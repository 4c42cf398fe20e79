# `make run` and `make test` are all a newcomer needs; `make help` lists the rest.
SHELL := /bin/bash
export CARGO_TARGET_DIR ?= $(HOME)/.cache/plura/target
export CARGO_TERM_PROGRESS_WHEN ?= auto

.PHONY: help setup run build test lint bless bench fuzz-smoke release clean-demo

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what a fresh machine lacks, or say how
	@scripts/setup.sh build

run: setup ## Build and play the demo: gateway, server, users and attacks on this machine
	cargo build --locked --profile quick -p plura
	@$(CARGO_TARGET_DIR)/quick/plura demo

build: setup ## Debug build of everything
	cargo build --locked --workspace --all-targets

test: setup ## All tests
	@scripts/setup.sh test
	@if command -v cargo-nextest >/dev/null; then cargo nextest run --locked --workspace --no-fail-fast; else cargo test --locked --workspace --no-fail-fast; fi

lint: setup ## Format, clippy with warnings as errors, licences
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@scripts/licences.sh

bless: setup ## Rewrite what the tests expect; the diff is what is reviewed
	BLESS=1 cargo test --locked --workspace

bench: setup ## Speed and memory, beside peers in the same run
	@scripts/setup.sh bench
	@benches/run.sh

fuzz-smoke: setup ## Every fuzz target for 60 seconds
	@scripts/setup.sh fuzz
	@fuzz/smoke.sh

release: setup ## Optimised binaries (takes long: DataFusion at full optimisation)
	cargo build --locked --release -p plura -p evidence --bins
