"""OWASP CRS's own tests, sat by the engine and by a running gateway: `plura waf exam`, natively and `--live`.

What must be passed is 99.8 % natively and 99.5 % live, with nothing skipped or excused: each failure counts, and
each has its reason below. One without a reason fails the check, and so does a reason without its failure.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import waf_requests
from rig import ROOT, Verdict, arguments
from waf_gateway import Gateway
from waf_peer import Backend, crs

NATIVE_SHARE_MIN, LIVE_SHARE_MIN = 0.998, 0.995
TWO_TYPES = ("counts on Apache, which joins two Content-Type headers into one before rules see them. Rules here see both, as they came, and "
             "920620 is there to say so (nginx-overrides.yaml expects the same)")
# By test: the status that comes instead, and why.
NATIVE_KNOWN = {"920620-1": (200, TWO_TYPES)}
LIVE_KNOWN = {
    "920620-1": (200, TWO_TYPES),
    "920100-4": (405, "counts on a forward proxy that answers CONNECT. The gateway is none and refuses the method before any rule "
                      "(nginx: 400, nginx-overrides.yaml)"),
    "920100-5": (405, "the same, asked for what even a forward proxy must refuse: refused as expected, by another status than 400"),
    "920100-16": (200, "sends `GET http://localhost`, whose path is empty. HTTP makes it `/` (RFC 9112 §3.2.1) before rules see it, so the "
                       "request line has no fault left (nginx-overrides.yaml expects the same)"),
    "920181-1": (400, "counts on Apache, which takes Content-Length away where Transfer-Encoding is. Both at once are how requests are "
                      "smuggled: the gateway refuses (RFC 9112 §6.3; nginx: 400, nginx-overrides.yaml)"),
    "920290-4": (400, "an empty Host in HTTP/1.1. Refused before any rule, as RFC 9112 §3.2 asks (nginx: 400, nginx-overrides.yaml)"),
}
# A line in the log for each request that bears the exam's marker, and no other rule on it.
MARKER = ('SecRule REQUEST_HEADERS:X-CRS-Test "@rx ^.*$" "id:999999,pass,phase:1,log,msg:\'X-CRS-Test %{MATCHED_VAR}\','
          'ctl:ruleRemoveById=1-999998"\n')


def setup():
    """What `plura waf exam` itself puts between CRS's setup and its rules."""
    text = (ROOT / "crates" / "seclang" / "src" / "exam" / "setup.rs").read_text()
    return re.search(r'const SETUP: &str = r#"(.*?)"#;', text, re.DOTALL)[1].replace("{paranoia}", "4")


def sat(plura, *args):
    """The exam's answer, and the seconds it took."""
    began = time.monotonic()
    done = subprocess.run([plura, "-o", "json", "waf", "exam", "--tests", str(crs() / "tests" / "regression" / "tests"), *map(str, args)],
                          capture_output=True, timeout=1800, check=False)
    # 1: some failed.
    if done.returncode not in (0, 1):
        raise RuntimeError(f"plura waf exam: exit {done.returncode}: {done.stderr.decode(errors='replace')[-800:]}")
    return json.loads(done.stdout), round(time.monotonic() - began, 1)


def judge(verdict, name, answer, seconds, known, share_min, total):
    failures = {f"{f['rule_id']}-{f['test_id']}": f for f in answer["failures"]}
    passed = answer["passed"]
    verdict.figure(f"{name}: passed, total, share, seconds", (passed, answer["total"], f"{100 * passed / max(1, answer['total']):.2f} %", seconds))
    for test, failure in failures.items():
        reason = known.get(test, (None, "NOT KNOWN"))[1]
        print(f"    {test}: {'; '.join(failure['why'])}\n        {reason}")
    verdict.expect(f"{name}: the whole suite is sat, nothing excused", answer["total"] == total and not answer["excused"], (answer["total"], total))
    verdict.expect(f"{name}: at least {100 * share_min:.1f} % pass", passed >= share_min * total, passed)
    unknown = {test: (f["why"], f["got"]) for test, f in failures.items() if known.get(test, (None,))[0] != f["got"]["status"]}
    verdict.expect(f"{name}: each failure has its reason", not unknown, unknown)
    verdict.expect(f"{name}: each reason has its failure", known.keys() <= failures.keys(), sorted(known.keys() - failures.keys()))


def main():
    args = arguments(__doc__)
    verdict = Verdict("waf_exam", args)
    # Counted by somebody else than who sits them.
    total = len({name.split(".")[0] for name, *_ in waf_requests.suite()})
    answer, seconds = sat(args.plura, "--rules", crs())
    judge(verdict, "native", answer, seconds, NATIVE_KNOWN, NATIVE_SHARE_MIN, total)
    with tempfile.TemporaryDirectory(prefix="plura-exam-") as folder:
        folder = Path(folder)
        (folder / "setup.conf").write_text(setup() + MARKER)
        files = [crs() / "crs-setup.conf.example", folder / "setup.conf", crs() / "rules" / "*.conf"]
        backend = Backend(folder)
        with Gateway(args.plura, folder / "gateway", files, backend.port, paranoia=4, stage="shadow", log=True) as gateway:
            answer, seconds = sat(args.plura, "--live", f"http://127.0.0.1:{gateway.port}", "--log", gateway.log)
        backend.close()
    judge(verdict, "live", answer, seconds, LIVE_KNOWN, LIVE_SHARE_MIN, total)
    return verdict.end()


if __name__ == "__main__":
    sys.exit(main())
