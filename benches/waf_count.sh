#!/bin/sh
# Instructions per request of our engine with CRS at paranoia 1, by valgrind: the same on a busy machine.
#
#   benches/waf_count.sh [WORKLOAD ...]          get, json and form without
#   WAF_BUILT=1 benches/waf_count.sh             counts the program that is there
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/waf/target}
if [ -z "${WAF_BUILT:-}" ]; then
    cargo build --quiet --release --locked --manifest-path "$here/waf/Cargo.toml"
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
rules=$(python3 -B "$here/waf/measure.py" --write "$folder" --program "$target/release/plura-bench-waf")

# Loading and the first requests, which compile patterns, are taken off.
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$target/release/plura-bench-waf" \
        repeat "$rules" "$folder/requests" "$1" "$2" 2>&1 | sed -n 's/.*refs: *//p' | tr -d ,
}
for workload in "${@:-get json form}"; do
    for name in $workload; do
        first=$(count "$name" 4)
        echo "$name: $((($(count "$name" 14) - first) / 10)) instructions"
    done
done
