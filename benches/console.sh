#!/usr/bin/env bash
# The console over a million stored events, in Debian's Chromium, and Lighthouse on its overview: figures as JSON, a line each.
#
#   benches/console.sh                          the optimised build that `make run` uses
#   PLURA_BIN=target/release/plura EVENTS=100000 TAIL_SECS=60 benches/console.sh
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v npm >/dev/null || ! [ -x "${PLURA_CHROMIUM:-/usr/bin/chromium}" ]; then
  echo "skipped: no Node or no Chromium here" >&2
  exit 0
fi
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/plura/target}"
make --no-print-directory console >&2
if [ -z "${PLURA_BIN:-}" ]; then
  cargo build --quiet --locked --profile quick -p plura
  export PLURA_BIN="$CARGO_TARGET_DIR/quick/plura"
fi
cd console
npx playwright test --config measure.config.ts "$@" | grep --line-buffered -E '^\{|failed|Error'
