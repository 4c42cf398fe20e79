#!/usr/bin/env bash
# Every benchmark, one after the other; figures and their meaning are in docs/benchmarks.md.
# Machines are noisy: each prints medians of several runs, CPU time, and a peer from the same run.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/plura/target}"
cargo bench --locked -p detect
cargo bench --locked -p normalize
# Without DataFusion: the log is what acknowledges, and the lake takes long to optimise.
cargo bench --locked -p store --no-default-features --bench intake
cargo bench --locked -p gateway --bench evidence
# Beside Cedar and Rego, in a workspace of its own so that they stay out of the product's lock file.
cargo run --release --locked --manifest-path benches/trust/Cargo.toml
# Sigma correlations: CPU, memory and saved state, a million events a minute over 100,000 groups.
cargo run --release --locked --manifest-path benches/sigma-correlation/Cargo.toml
# Sigma rules on a stream, beside rsigma-eval.
benches/sigma.sh
benches/gateway.sh
benches/waf.sh
benches/console.sh
