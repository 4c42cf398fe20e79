"""A clean ledger and evidence package verify; every one of many single-byte changes is found and named."""

import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attack
from rig import Rig, Verdict, Wire, arguments, wait_for


def make_evidence(rig, verdict):
    """(ledger folder, package, key): from a live run with an incident, actions, approval and undo."""
    rig.start_server()
    rig.set_up(mode="enforce")
    rig.api.json("PUT", "/api/v1/policy", {"text": attack.POLICY, "reason": "check"})
    rig.write_gateway(attack.SITES.format(app=rig.start_app()))
    rig.start_gateway()
    wire = Wire(rig.gateway_port)
    for n in range(12):
        attack.stuff(wire, attack.address_of(n), n * 40)
    wire.close()
    rig.drain()

    def actions():
        items = rig.api.json("GET", "/api/v1/actions?state=awaiting-approval&limit=200")["items"]
        return items if len(items) >= 8 else None

    waiting = wait_for("eight actions that wait for approval", actions, 60, every=0.3)
    for action in waiting[:6]:
        rig.api.json("POST", f"/api/v1/actions/{action['id']}/approve", {"reason": "check"})
    for action in waiting[:3]:
        rig.api.json("POST", f"/api/v1/actions/{action['id']}/undo", {"reason": "check"})
    wait_for("all leaves in the ledger", lambda: rig.api.json("GET", "/api/v1/health")["leaves_pending"] == 0, 30)
    incident = waiting[0]["incident"]
    package = rig.folder / "evidence.tar"
    code, out, err = rig.cli("incident", "export", incident, "--reason", "tamper check", "--to", package, expect=None)
    verdict.expect("`plura incident export` writes the package", code == 0 and package.exists(), f"exit {code} {out[:200]} {err[:300]}")
    if not package.exists():
        status, _, data = rig.api.call("POST", f"/api/v1/incidents/{incident}/export", {"reason": "check"})
        verdict.expect("the API exports it", status == 200, (status, data[:300]))
        package.write_bytes(data)
    wait_for("the export's leaves", lambda: rig.api.json("GET", "/api/v1/health")["leaves_pending"] == 0, 30)
    # While it is written to, it verifies as well.
    live = rig.data / "ledger" / "default"
    code, out, err = rig.cli("verify", live, expect=None)
    verdict.expect("the live ledger verifies", code == 0, f"exit {code} {out[-400:]} {err[-400:]}")
    rig.gateway.stop()
    verdict.expect("the server ends kindly", rig.server.stop(30))
    ledger = rig.folder / "ledger"
    shutil.copytree(live, ledger)
    return ledger, package, (ledger / "log.vkey").read_text().strip()


class Verifier:
    def __init__(self, plura, key, env):
        self.plura, self.key, self.env = plura, key, env

    def run(self, path, *more):
        done = subprocess.run([self.plura, "-o", "json", "verify", str(path), "--key", self.key, *more],
                              env=self.env, capture_output=True, timeout=60)
        try:
            report = json.loads(done.stdout)
        except ValueError:
            report = {}
        return done.returncode, report, done.stderr.decode(errors="replace")


def main():
    args = arguments(__doc__, ("--changes", 1_000, "single-byte changes"), ("--seed", 5, "of the chances"))
    verdict = Verdict("tamper", args)
    with Rig(args, "tamper") as rig:
        ledger, package, key = make_evidence(rig, verdict)
        verifier = Verifier(args.plura, key, rig.env())
        for path in (ledger, package):
            code, report, err = verifier.run(path)
            verdict.expect(f"clean: {path.name} passes", code == 0 and report.get("ok") and report.get("trusted"),
                           f"exit {code} {report.get('failures')} {err[:300]}")
            verdict.figure(f"clean: {path.name}", {k: report.get("checked", {}).get(k) for k in ("files", "bytes", "records", "proofs")})

        # A place is (ledger or package, file, offset); files by their size, each at least now and then.
        chance = random.Random(args.seed)
        files = sorted(p.relative_to(ledger) for p in ledger.rglob("*") if p.is_file() and p.stat().st_size)
        sizes = {("ledger", str(f)): (ledger / f).stat().st_size for f in files}
        sizes["package", package.name] = package.stat().st_size
        places = []
        while len(places) < args.changes:
            if chance.random() < 0.5:
                target = chance.choice(list(sizes))
            else:
                target = chance.choices(list(sizes), weights=list(sizes.values()))[0]
            places.append((target, chance.randrange(sizes[target]), chance.randrange(1, 256)))
        verdict.figure("files changed, by turns", len(sizes))

        workers = 2
        copies = []
        for n in range(workers):
            folder = rig.folder / f"copy{n}"
            folder.mkdir()
            shutil.copytree(ledger, folder / "ledger")
            shutil.copy(package, folder / package.name)
            copies.append(folder)

        def check(job):
            n, jobs = job
            results = []
            for (kind, name), offset, flip in jobs:
                path = copies[n] / "ledger" / name if kind == "ledger" else copies[n] / name
                good = path.read_bytes()
                bad = bytearray(good)
                bad[offset] ^= flip
                path.write_bytes(bytes(bad))
                code, report, err = verifier.run(copies[n] / "ledger" if kind == "ledger" else path)
                path.write_bytes(good)
                failures = report.get("failures") or []
                is_named = any(f.get("file") or f.get("index") is not None for f in failures)
                # Between the members of a package there is no record: the place in the archive is the name.
                names_it = is_named or (kind == "package" and any("archive" in f["place"] or "byte" in f["place"] for f in failures))
                hits = [f for f in failures if kind != "ledger" or name in (f.get("file") or "") or f.get("index") is not None]
                results.append((kind, name, offset, flip, code, is_named or names_it, bool(hits),
                                sorted({f["kind"] for f in failures}),
                                err[:200] or [f["place"] for f in failures][:3]))
            return results

        with ThreadPoolExecutor(workers) as pool:
            split = [(n, places[n::workers]) for n in range(workers)]
            results = [r for part in pool.map(check, split) for r in part]
        detected = [r for r in results if r[4] == 1]
        refused = [r for r in results if r[4] not in (0, 1)]
        unseen = [r for r in results if r[4] == 0]
        unnamed = [r for r in results if r[4] != 0 and not r[5]]
        elsewhere = [r for r in results if r[4] == 1 and not r[6]]
        verdict.figure("changes", len(results))
        verdict.figure("detected", len(detected) + len(refused))
        verdict.figure("of them refused as unreadable (exit 3)", len(refused))
        verdict.figure("naming a record or file", len(results) - len(unseen) - len(unnamed))
        verdict.figure("by file", {f"{k}/{n}": c for (k, n), c in Counter((r[0], r[1]) for r in results).most_common(12)})
        verdict.figure("by kind of failure", dict(Counter(k for r in results for k in r[7]).most_common()))
        verdict.expect("every change is detected", not unseen, unseen[:5])
        verdict.expect("every detection names a record or file", not unnamed, unnamed[:5])
        verdict.expect("every detection names the changed file or a record in it", not elsewhere, elsewhere[:5])
        verdict.expect("every change is a failed check (exit 1)", not refused, refused[:5])

        # Beyond single bytes: a deleted file, an older state, another key.
        folder = copies[0] / "ledger"
        entries = max((folder / "tile" / "entries").rglob("*"), key=lambda p: p.is_file() and p.stat().st_size)
        moved = rig.folder / "moved"
        shutil.move(entries, moved)
        code, report, _ = verifier.run(folder)
        verdict.expect("a deleted tile of entries is found", code == 1, report.get("failures"))
        shutil.move(moved, entries)
        code, report, _ = verifier.run(folder, "--against", ledger / "checkpoint")
        verdict.expect("against its own checkpoint it passes", code == 0, report.get("failures"))
        name, number, rest = key.split("+", 2)
        other = Verifier(args.plura, key, rig.env())
        other.key = f"{name}+{'0' * len(number)}+{rest}"
        code, _, err = other.run(folder)
        verdict.expect("a key whose id does not fit is refused", code in (1, 2, 3), (code, err[:200]))
    return verdict.end()


if __name__ == "__main__":
    sys.exit(main())
