#!/usr/bin/env bash
# Sigma on a stream beside rsigma-eval: all public rules, recorded attacks of the shared corpora, one thread, CPU time.
#
#   benches/sigma.sh            figures as JSON, a line each
set -euo pipefail
cd "$(dirname "$0")/.."
shared="${PLURA_SHARED:-../shared}"
events="$shared/corpora/otrf/otrf150k.jsonl.zst"
if [ ! -e "$events" ]; then
  echo "skipped: no corpora ($events)" >&2
  exit 0
fi
if ! command -v zstdcat >/dev/null; then
  echo "zstdcat is missing: apt-get install zstd" >&2
  exit 1
fi
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/plura/target}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
zstdcat "$events" >"$work/events.jsonl"
cargo build --quiet --release --locked --manifest-path benches/sigma/Cargo.toml
rules=()
for folder in rules rules-compliance rules-emerging-threats rules-threat-hunting; do
  rules+=(--rules "$shared/corpora/sigma/$folder")
done
"$CARGO_TARGET_DIR/release/plura-bench-sigma" "${rules[@]}" --speed "$work/events.jsonl" -- "$shared/corpora/evtx"
