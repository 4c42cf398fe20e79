#!/usr/bin/env bash
# Installs what the given purpose needs and this machine lacks: `build`, `test`, `bench` or `fuzz`.
# Debian and Ubuntu as root (or with sudo) get their packages; elsewhere it says what to install.
set -euo pipefail

purpose="${1:-build}"
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)

missing_packages=()
need() { # need COMMAND PACKAGE
  command -v "$1" >/dev/null 2>&1 || missing_packages+=("$2")
}

case "$purpose" in
  build) need cc gcc; need pkg-config pkg-config ;;
  test)
    need python3 python3; need curl curl
    ;;
  bench)
    need wrk wrk; need nginx nginx-light; need python3 python3; need curl curl
    [ -e /usr/lib/nginx/modules/ngx_http_modsecurity_module.so ] || missing_packages+=(libnginx-mod-http-modsecurity)
    python3 -c 'import yaml' 2>/dev/null || missing_packages+=(python3-yaml)
    ;;
  fuzz) need clang clang ;;
  *) echo "setup: unknown purpose \`$purpose\`: use build, test, bench or fuzz" >&2; exit 2 ;;
esac

if [ ${#missing_packages[@]} -gt 0 ]; then
  if command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
      echo "setup: please install: sudo apt-get install ${missing_packages[*]}" >&2
      exit 1
    fi
    echo "setup: installing ${missing_packages[*]}"
    "${as_root[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq "${missing_packages[@]}" >/dev/null
  elif [ "$(uname -s)" = Darwin ] && [ "$purpose" = build ]; then
    echo "setup: please install Apple's command line tools: xcode-select --install" >&2
    exit 1
  else
    echo "setup: please install: ${missing_packages[*]}" >&2
    exit 1
  fi
fi

# The console's specs drive Debian's own browser. All else is tested without it, so it is no error if it cannot be had.
if [ "$purpose" = test ] && command -v npm >/dev/null 2>&1 && ! command -v "${PLURA_CHROMIUM:-chromium}" >/dev/null 2>&1; then
  if command -v apt-get >/dev/null 2>&1 && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; then
    echo "setup: installing chromium"
    { "${as_root[@]}" apt-get update -qq && DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq chromium >/dev/null; } ||
      echo "setup: chromium cannot be installed: the console's specs will be left out" >&2
  else
    echo "setup: the console's specs need chromium: apt-get install chromium" >&2
  fi
fi

if ! command -v cargo >/dev/null 2>&1; then
  if [ -x "$HOME/.cargo/bin/cargo" ]; then
    echo "setup: Rust is in ~/.cargo/bin but not on the PATH: run \`. ~/.cargo/env\`" >&2
  else
    echo "setup: please install Rust 1.95 or newer with rustup, then run this again" >&2
  fi
  exit 1
fi

wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml")
have=$(rustc --version | awk '{print $2}')
if [ "$(printf '%s\n%s\n' "$wanted" "${have%%-*}" | sort -V | head -n 1)" != "$wanted" ]; then
  echo "setup: Rust $have is older than $wanted: run \`rustup update stable\`" >&2
  exit 1
fi

if [ "$purpose" = fuzz ] && ! command -v cargo-fuzz >/dev/null 2>&1; then
  echo "setup: installing cargo-fuzz"
  cargo install --locked --quiet cargo-fuzz
fi
