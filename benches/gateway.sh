#!/bin/sh
# CPU time per request of three proxies before the same nginx: plain nginx (which logs no bodies),
# nginx with ModSecurity writing its JSON audit log with bodies and no rules, and our gateway with
# full capture. One worker each, driven in turn, medians of the rounds.
#
#   benches/gateway.sh [rounds] [seconds per round]
#   GATEWAY_BUILT=1 benches/gateway.sh          measures the binary that is there
set -eu

rounds=${1:-5}
seconds=${2:-4}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname "$here")

missing=''
for tool in nginx:nginx wrk:wrk python3:python3 cargo:rustup; do
    command -v "${tool%%:*}" >/dev/null 2>&1 || missing="$missing ${tool##*:}"
done
modules=/usr/lib/nginx/modules
[ -e "$modules/ngx_http_modsecurity_module.so" ] || missing="$missing libnginx-mod-http-modsecurity"
if [ -n "$missing" ]; then
    echo "missing:$missing" >&2
    echo "hint: apt-get install$missing" >&2
    exit 2
fi

echo "building the gateway (release) ..." >&2
target=${CARGO_TARGET_DIR:-$root/target}
[ -n "${GATEWAY_BUILT:-}" ] || (cd "$root" && cargo build --quiet --release --package gateway --example gateway)

work=$(mktemp -d)
trap 'trap - EXIT; [ -z "${pids:-}" ] || { kill $pids; wait $pids; } 2>/dev/null || true; rm -rf "$work"' EXIT INT TERM
pids=''

fill() { # template, destination
    sed -e "s#@WORK@#$work#g" -e "s#@MODULES@#$modules#g" "$here/gateway/$1" >"$2"
}
mkdir -p "$work/audit"
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$work/key"
for proxy in upstream plain modsecurity; do
    fill "$proxy.conf" "$work/$proxy.conf"
    mkdir -p "$work/$proxy"
    nginx -p "$work/$proxy" -e "$work/$proxy/error.log" -c "$work/$proxy.conf" &
    pids="$pids $!"
done
fill modsecurity.rules "$work/modsecurity.rules"
fill gateway.yaml "$work/gateway.yaml"
"$target/release/examples/gateway" "$work/gateway.yaml" >"$work/gateway.log" &
gateway=$!
pids="$pids $gateway"

# A master forks its worker: the CPU is the worker's.
worker() { pgrep -P "$(cat "$work/$1/nginx.pid")" | head -n 1; }
for port in 18080 18081 18082 18083; do
    i=0
    until curl --silent --fail --output /dev/null "http://127.0.0.1:$port/small"; do
        i=$((i + 1))
        [ "$i" -lt 100 ] || { echo "nothing answers on port $port; see $work" >&2; trap - EXIT; exit 1; }
        sleep 0.1
    done
done

python3 "$here/gateway/measure.py" --rounds "$rounds" --seconds "$seconds" --scripts "$here/gateway" \
    "nginx plain=18081=$(worker plain)" \
    "nginx + ModSecurity=18082=$(worker modsecurity)" \
    "plura gateway=18083=$gateway"
