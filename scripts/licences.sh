#!/usr/bin/env bash
# No copyleft that would bind our users: every linked crate's licence must be on deny.toml's list.
# cargo-deny does this and more where it is installed; this check needs cargo and python3 only.
set -euo pipefail
cd "$(dirname "$0")/.."
if command -v cargo-deny >/dev/null 2>&1; then
  exec cargo deny --offline check licenses bans sources
fi
cargo metadata --locked --format-version 1 | python3 scripts/licences.py deny.toml
