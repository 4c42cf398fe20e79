#!/usr/bin/env bash
# Benchmarks and fuzz targets are workspaces of their own: their locks go stale unnoticed when a crate of ours changes.
set -euo pipefail
cd "$(dirname "$0")/.."
stale=0
for manifest in benches/*/Cargo.toml fuzz/Cargo.toml; do
  if ! cargo update --quiet --workspace --locked --manifest-path "$manifest" 2>/dev/null; then
    echo "the lock beside $manifest is not of today's crates: cargo update --workspace --manifest-path $manifest" >&2
    stale=1
  fi
done
exit $stale
