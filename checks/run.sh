#!/bin/sh
# Runs the acceptance checks one after the other. `QUICK=1` makes them small.
#   checks/run.sh [--plura PATH]
set -u
here=$(cd "$(dirname "$0")" && pwd)
out=$(mktemp -d)
failed=0
summary=""
if [ "${QUICK:-0}" = 1 ]; then
    values="--values 500 --wrk-seconds 2" rounds="--rounds 4 --down-seconds 8 --full-seconds 8" changes="--changes 100" times="--iterations 20" trust="--sessions 20 --load-seconds 2" waf="--limit 450"
else
    values="" rounds="" changes="" times="" trust="" waf=""
fi
check() {
    name=$1
    shift
    echo "== $name"
    if timeout 2400 python3 -B "$here/$name.py" --json "$out/$name.json" "$@"; then
        summary="$summary
ok      $name"
    else
        failed=1
        summary="$summary
FAILED  $name"
    fi
}
check demo "$@"
check bad_input "$@"
# shellcheck disable=SC2086
check tamper $changes "$@"
# shellcheck disable=SC2086
check limits $times "$@"
# shellcheck disable=SC2086
check real_input $values "$@"
# shellcheck disable=SC2086
check trust $trust "$@"
# shellcheck disable=SC2086
check crash $rounds "$@"
check sigma "$@"
check waf_exam "$@"
check waf_learning "$@"
# shellcheck disable=SC2086
check waf --gateway $waf "$@"
echo "$summary"
echo "figures in $out"
exit $failed
