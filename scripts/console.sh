#!/usr/bin/env bash
# Lints (`lint`) or tests (`test`) the web console where Node is; with `CONSOLE_REQUIRED=1` it fails without.
set -euo pipefail
cd "$(dirname "$0")/.."

missing() {
  if [ -n "${CONSOLE_REQUIRED:-}" ]; then echo "console: $1" >&2; exit 1; fi
  echo "console: $1: left out" >&2
  exit 0
}

command -v npm >/dev/null 2>&1 || missing "no Node here (20 or newer is needed)"
make --no-print-directory console || missing "it cannot be built here"
case "${1:-}" in
  lint) cd console && npm run --silent lint ;;
  test)
    browser="${PLURA_CHROMIUM:-$(command -v chromium || true)}"
    [ -n "$browser" ] || missing "no Chromium here (Debian: apt-get install chromium; elsewhere set PLURA_CHROMIUM)"
    cd console
    export PLURA_CHROMIUM="$browser"
    # Specs share a server and build on each other: what failed for want of time is tried again as a whole, and told.
    for try in 1 2 3; do
      npm test --silent && exit 0
      echo "console: specs failed, try $try of 3" >&2
    done
    exit 1
    ;;
  *) echo "console: say \`lint\` or \`test\`" >&2; exit 2 ;;
esac
