"""Our side of `waf.py`: the engine in process, or a running gateway."""

import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import waf_backend
from rig import ROOT
from waf_peer import BOOKKEEPING, Answer, Front

MANIFEST = ROOT / "benches" / "waf" / "Cargo.toml"


def built(binary=""):
    """The program of `benches/waf`, built when it is not given."""
    if binary:
        return str(Path(binary).resolve())
    target = Path(os.environ.get("CARGO_TARGET_DIR") or MANIFEST.parent / "target")
    done = subprocess.run(["cargo", "build", "--quiet", "--release", "--locked", "--manifest-path", str(MANIFEST)], check=False)
    if done.returncode:
        sys.exit("benches/waf does not build")
    return str(target / "release" / "plura-bench-waf")


class InProcess:
    """The engine without a gateway: `plura-bench-waf judge`, told what the backend would answer."""

    name = "ours, in process"

    def __init__(self, binary, rules_file, canned=()):
        self.binary, self.rules_file, self.canned = binary, rules_file, canned

    def close(self):
        pass

    def ask(self, requests, progress=None):
        answers = [Answer(note="no verdict") for _ in requests]
        with tempfile.TemporaryFile() as told:
            for number, raw in enumerate(requests):
                told.write(json.dumps({"id": number, "request": text(raw), "response": self.response(raw)}).encode() + b"\n")
            told.seek(0)
            run = subprocess.Popen([self.binary, "judge", str(self.rules_file)], stdin=told, stdout=subprocess.PIPE)
            for line in run.stdout:
                verdict = json.loads(line)
                answers[verdict["id"]] = Answer(
                    status=verdict["status"], judged="unreadable" not in verdict, denied=verdict["denied"],
                    ids=tuple(i for i in verdict["ids"] if i not in BOOKKEEPING),
                    inbound=verdict["inbound"], outbound=verdict["outbound"], note=" ".join(verdict.get("limits", [])))
            if run.wait():
                raise RuntimeError(f"plura-bench-waf judge ended with {run.returncode}")
        return answers

    def response(self, raw):
        method, target, fields, rest = waf_backend.split(raw)
        status, said, body = waf_backend.answer(method, target, waf_backend.body_of(fields, rest), self.canned)
        fields = [["Server", "nginx"], ["Content-Length", str(len(body))], ["X-Backend", "1"], *([n, v] for n, v in said)]
        return {"status": status, "headers": fields, "body": text(b"" if method == b"HEAD" else body)}


class Live(Front):
    """A gateway that runs elsewhere, before a backend that is `waf_backend.py`, with `rules.conf` of the same
    `Rules` and ModSecurity's JSON audit log in `audit`: entries are found by the client's port."""

    name = "ours, live"
    fresh = True

    def __init__(self, url, audit=None, connections=4):
        super().__init__(urlsplit(url).port, audit, connections)

    def close(self):
        pass


def text(data):
    return base64.b64encode(data).decode()
