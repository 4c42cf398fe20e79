#!/bin/sh
# CPU time per request of three WAFs with CRS at paranoia 1: nginx + libmodsecurity (and nginx without),
# `zentinel-modsec` and our engine, both in process. Same requests, driven in turn, medians of the rounds.
#
#   benches/waf.sh [--rounds 5] [--seconds 4] [--blocking] [--only get,json,form,attacks,upload]
#                  [--gateway PORT,PID] [--json FILE]
#   WAF_BUILT=1 benches/waf.sh                   measures the program that is there
#
# Rules and corpora are those of ../shared, or $PLURA_SHARED. A gateway is one that runs already, with the
# same rules (`checks/waf_peer.py` writes them) and full processor time of its own process.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
missing=''
for tool in nginx:nginx-light wrk:wrk python3:python3 cargo:rustup; do
    command -v "${tool%%:*}" >/dev/null 2>&1 || missing="$missing ${tool##*:}"
done
[ -e /usr/lib/nginx/modules/ngx_http_modsecurity_module.so ] || missing="$missing libnginx-mod-http-modsecurity"
if [ -n "$missing" ]; then
    echo "missing:$missing" >&2
    echo "hint: scripts/setup.sh bench" >&2
    exit 2
fi

target=${CARGO_TARGET_DIR:-$here/waf/target}
if [ -z "${WAF_BUILT:-}" ]; then
    echo "building benches/waf (release) ..." >&2
    cargo build --quiet --release --locked --manifest-path "$here/waf/Cargo.toml"
fi
exec python3 -B "$here/waf/measure.py" --program "$target/release/plura-bench-waf" "$@"
