"""`plura demo`: within a minute incidents appear, a stolen key is held back while others are served,
and after the undo the same key is served again."""

import hashlib
import json
import re
import ssl
import sys
import threading
import time
import urllib.request
from collections import Counter
from datetime import datetime, timezone

from rig import ROOT, Rig, Verdict, Wire, arguments, free_port, request, wait_for

THIEF = 2  # whose key the story `llm-api-key-theft` steals


def api_key(number):
    """The demo's formula, as crates/plura/src/shop/accounts.rs has it."""
    return f"sk-demo{number:02d}" + hashlib.sha256(f"demo model api key {number}".encode()).hexdigest()[:32]


def chat(number, address):
    body = json.dumps({"model": "sol-mini", "messages": [{"role": "user", "content": "hello"}]}).encode()
    return request("POST", "/v1/chat/completions", "api.example", body, [
        ("Authorization", f"Bearer {api_key(number)}"), ("Content-Type", "application/json"),
        ("X-Forwarded-For", address), ("User-Agent", "openai-python/2.8.1")])


def api(rig, path):
    """The server's answer to a GET, by the profile the demo wrote."""
    profile = json.loads(rig.profile.read_text())
    ask = urllib.request.Request(profile["server"] + path, headers={"Authorization": f"Bearer {profile['token']}"})
    with urllib.request.urlopen(ask, context=ssl.create_default_context(cafile=profile["ca_file"]), timeout=20) as answer:
        return json.load(answer)


def trust_falls(rig, verdict):
    """An employee's session that starts at 75 or more falls below 25 with a finding, and the gateway refuses it."""
    records = api(rig, "/api/v1/trust/decisions?limit=500")["items"]
    turned = [r for r in records if r["session"].startswith("session:") and r["cause"] == "finding" and r.get("previous")
              and r["previous"]["score"] >= 75 and r["decision"]["score"] < 25]
    verdict.expect("a session falls from 75 or more to below 25 by a finding", turned, [r["decision"]["score"] for r in records][:20])
    if not turned:
        return
    record = turned[-1]
    finding = api(rig, f"/api/v1/findings/{record['causes'][0]}")
    verdict.figure("trust of the session", f"{record['previous']['score']} to {record['decision']['score']} by {finding['rule']} [{finding['severity']}]")
    # A finding carries the time of the event that made it; the decision is made when the server has seen it.
    verdict.figure("event of the finding to the new decision (ms)", record["time"] - finding["time"])
    verdict.expect("within 1 s of the finding", record["time"] - finding["time"] < 1000, (record["time"], finding["time"]))
    refused = rig.cli_json("query", f"select min(time) as first from events where site = 'staff' and http_code = 403 and time >= to_timestamp_millis({finding['time']})")
    first = next(iter(refused["rows"]), [None])
    first = first[0] if isinstance(first, list) else first.get("first")
    if isinstance(first, str):
        first = round(datetime.fromisoformat(first.replace("Z", "+00:00")).replace(tzinfo=timezone.utc).timestamp() * 1000)
    verdict.figure("event of the finding to the gateway's first 403 (ms)", first and first - finding["time"])
    verdict.expect("the gateway refuses it within 1 s", first and first - finding["time"] < 1000, refused)
    verdict.expect("the record explains it in three languages", all(record["reason_admin"].get(l) for l in ("en", "ko", "ja")), record["reason_admin"])
    for language in ("en", "ko", "ja"):
        sys.stdout.write(f"      | {language}: {record['reason_admin'][language]}\n")


def main():
    args = arguments(__doc__, ("--scenarios", str(ROOT / "scenarios"), "folder of stories"),
                     ("--within", 60.0, "seconds after readiness"), ("--ready-seconds", 120.0, "until readiness"))
    verdict = Verdict("demo", args)
    with Rig(args, "demo") as rig:
        port, edge = free_port(), free_port()
        began = time.monotonic()
        demo = rig.child("demo", [args.plura, "demo", "--data", rig.folder / "demo", "--listen", f"127.0.0.1:{port}",
                                  "--gateway", f"127.0.0.1:{edge}", "--scenarios", args.scenarios])
        wire = Wire(edge, timeout=10)

        def served():
            if not demo.alive():
                raise RuntimeError(f"the demo ended: {demo.text()[-800:]} {demo.errors()}")
            try:
                return wire.ask(request("GET", "/products", "shop.example"))[0] == 200
            except OSError:
                return False

        wait_for("the demo's gateway serves", served, args.ready_seconds, every=0.1)
        ready = time.monotonic()
        verdict.figure("from start to served (s)", round(ready - began, 1))
        found = re.search(r"server ready in (\d+) ms", demo.text())
        verdict.figure("server ready (ms)", found and int(found[1]))

        # Where the profile went stands on the screen.
        if not rig.profile.exists():
            rig.profile = next(iter((rig.folder / "demo").rglob("profile.json")), rig.profile)
        verdict.expect("the command line finds the demo by its profile", rig.profile.exists(), demo.text()[:1500])

        others, stop = Counter(), threading.Event()

        def ordinary():
            mine = Wire(edge, timeout=10)
            while not stop.is_set():
                for n in (0, 1):
                    others["key", mine.ask(chat(n, f"175.202.20.{20 + n}"))[0]] += 1
                others["page", mine.ask(request("GET", "/products", "shop.example", headers=[
                    ("X-Forwarded-For", "175.202.21.9")]))[0]] += 1
                stop.wait(1.5)
            mine.close()

        people = threading.Thread(target=ordinary, daemon=True)
        people.start()

        first, held_at, incidents_at, blocked_at = None, None, None, None
        end = ready + args.within
        statuses = Counter()
        while time.monotonic() < end and not (blocked_at and incidents_at):
            status = wire.ask(chat(THIEF, "175.202.20.10"))[0]
            statuses[status] += 1
            if status in (403, 429) and held_at is None:
                held_at = time.monotonic() - ready
            if status == 403 and blocked_at is None:
                blocked_at = time.monotonic() - ready
            if incidents_at is None and rig.cli_json("incident", "list")["items"]:
                incidents_at = time.monotonic() - ready
            time.sleep(1)
        verdict.figure("first incident (s after served)", incidents_at and round(incidents_at, 1))
        verdict.figure("stolen key first held back (s)", held_at and round(held_at, 1))
        verdict.figure("stolen key blocked, 403 (s)", blocked_at and round(blocked_at, 1))
        verdict.figure("answers to the stolen key", dict(statuses))
        verdict.expect(f"incidents appear within {args.within:.0f} s", incidents_at is not None, demo.text()[-1500:])
        verdict.expect(f"the stolen key gets 403 or 429 within {args.within:.0f} s", held_at is not None, demo.text()[-1500:])
        stop.set()
        people.join(20)
        verdict.figure("answers to ordinary keys and pages", {f"{a} {b}": n for (a, b), n in others.items()})
        verdict.expect("ordinary users get 200", set(status for _, status in others) == {200}, others)

        # The rest of the stories; then the list as people see it.
        wait_for("all five stories", lambda: demo.text().count("has been told") >= 5 or time.monotonic() > end + 30, 120, every=0.5)
        items = rig.cli_json("incident", "list")["items"]
        verdict.figure("incidents", [f"{i['title']} [{i['severity']}]" for i in items])
        code, out, err = rig.cli("incident", "list", expect=None)
        verdict.expect("`plura incident list` tells them", code == 0 and len(out.splitlines()) > len(items), err)
        actions = rig.cli_json("action", "list")["items"]
        verdict.figure("actions", dict(Counter(f"{a['rung']} {a['target'].split(':')[0]} {a['state']}" for a in actions)))
        held = [a for a in actions if a["state"] in ("active", "pending") and a["target"].startswith("credential:")]
        verdict.expect("an action on a credential is in force", held, actions[:3])
        if held:
            verdict.expect("the gateway confirmed them (active)", all(a["state"] == "active" for a in held), [a["state"] for a in held])
            gravest = sorted(held, key=lambda a: ["limit", "step-up", "isolate", "block", "revoke"].index(a["rung"]))[-1]
            code, out, err = rig.cli("incident", "show", gravest["incident"], expect=None)
            verdict.expect("`plura incident show ID` tells the story", code == 0 and gravest["incident"] in out, err)
            sys.stdout.write("".join(f"      | {line}\n" for line in out.splitlines()[:24]))
            undone = time.monotonic()
            code, out, err = rig.cli("action", "undo", gravest["id"], "--reason", "checked with the customer", expect=None)
            verdict.expect(f"`plura action undo ID` takes the {gravest['rung']} back", code == 0, f"exit {code} {out[:300]} {err[:300]}")
            after = []
            while time.monotonic() < undone + 10:
                after.append(wire.ask(chat(THIEF, "175.202.20.10"))[0])
                if after[-1] == 200:
                    break
                time.sleep(0.2)
            verdict.figure("undo to first 200, with the command itself (s)", round(time.monotonic() - undone, 2))
            verdict.figure("answers after the undo", dict(Counter(after)))
            verdict.expect("after the undo the same key gets 200", after and after[-1] == 200, Counter(after))
        trust_falls(rig, verdict)
        code, out, err = rig.cli("doctor", expect=None)
        verdict.expect("`plura doctor` finds nothing wrong", code == 0, out + err)
        ledger = next((rig.folder / "demo").rglob("ledger/default"), None)
        if ledger:
            code, out, err = rig.cli("verify", ledger, expect=None)
            verdict.expect("`plura verify` passes on the demo's ledger", code == 0, out[-500:] + err)
        wire.close()
        verdict.expect("the demo is alive at the end", demo.alive(), demo.errors())
    return verdict.end()


if __name__ == "__main__":
    sys.exit(main())
