#!/usr/bin/env bash
# Every fuzz target (or those named) for SECONDS_EACH, 60 by default. A finding stays in
# fuzz/artifacts and fails the run.
#
# Some targets lay seeds into an own corpus first; those of OWASP CRS only where it lies beside the project.
#
# Stable Rust: coverage instrumentation yes, address sanitizer no (it needs nightly); our code denies `unsafe`.
set -uo pipefail
cd "$(dirname "$0")"
seconds="${SECONDS_EACH:-60}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/plura/target}/fuzz"
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cd fuzz_targets && ls ./*.rs | sed 's|^\./||; s|\.rs$||')
failed=0
for target in "${targets[@]}"; do
  corpus="$CARGO_TARGET_DIR/corpus/$target"
  log="$CARGO_TARGET_DIR/$target.log"
  mkdir -p "$corpus"
  export PLURA_SEEDS="$corpus"
  if cargo fuzz run --sanitizer none --fuzz-dir . "$target" "$corpus" -- \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=3072 -print_final_stats=1 >"$log" 2>&1; then
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    peak=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
    echo "fuzz: $target clean after ${seconds} s, ${runs:-?} runs, ${peak:-?} MB"
  else
    failed=$((failed + 1))
    echo "fuzz: $target FAILED"
    grep -E "panicked|SUMMARY|ERROR|^error|Test unit written" "$log" | head -n 20
  fi
done
echo "$((${#targets[@]} - failed)) passed, $failed failed"
[ "$failed" = 0 ]
