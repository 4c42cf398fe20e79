#!/bin/sh
# CPU time per request of three WAFs with CRS at paranoia 1: nginx + libmodsecurity (and nginx without),
# `zentinel-modsec` and our engine, both in process; and with --plura our gateway without rules and with CRS.
# Same requests, driven in turn, medians of the rounds.
#
#   benches/waf.sh [--rounds 5] [--seconds 4] [--blocking] [--only get,json,form,attacks,upload]
#                  [--plura PATH] [--json FILE]
#   WAF_BUILT=1 benches/waf.sh                   measures the program that is there
#   WAF_FRONTS=1 benches/waf.sh --plura PATH     only servers: nginx, nginx + libmodsecurity, the gateway
#
# Rules and corpora are those of ../shared, or $PLURA_SHARED. nginx's figure is its worker's; the gateway's is
# of its whole process (one worker, in `shadow` or with --blocking in `enforce`), recording included: it keeps bodies and writes
# an event for each request, which nginx does not.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
missing=''
tools='nginx:nginx-light wrk:wrk python3:python3'
[ -n "${WAF_FRONTS:-}" ] || tools="$tools cargo:rustup"
for tool in $tools; do
    command -v "${tool%%:*}" >/dev/null 2>&1 || missing="$missing ${tool##*:}"
done
[ -e /usr/lib/nginx/modules/ngx_http_modsecurity_module.so ] || missing="$missing libnginx-mod-http-modsecurity"
if [ -n "$missing" ]; then
    echo "missing:$missing" >&2
    echo "hint: scripts/setup.sh bench" >&2
    exit 2
fi

if [ -n "${WAF_FRONTS:-}" ]; then
    exec python3 -B "$here/waf/measure.py" "$@"
fi
target=${CARGO_TARGET_DIR:-$here/waf/target}
if [ -z "${WAF_BUILT:-}" ]; then
    echo "building benches/waf (release) ..." >&2
    cargo build --quiet --release --locked --manifest-path "$here/waf/Cargo.toml"
fi
exec python3 -B "$here/waf/measure.py" --program "$target/release/plura-bench-waf" "$@"
