"""The server is ready soon and small when idle; a decision is enforced at the gateway soon after."""

import sys
import threading
import time

import attack
from rig import Rig, Verdict, Wire, arguments, percentile, rss_mib, wait_for


def watch(port, address, wanted, seconds, start):
    """Asks until the answer is `wanted`; (monotonic, epoch) when the first such answer was in."""
    wire = Wire(port, timeout=10)
    try:
        wire.ask(attack.visit(address))
        start.set()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if wire.ask(attack.visit(address))[0] == wanted:
                return time.monotonic(), time.time()
            time.sleep(0.001)
    finally:
        start.set()
        wire.close()
    return None


def measure(rig, action, verb, wanted):
    """(from before the call to the first answer, from the decision's own time to it), seconds."""
    address = action["target"].split(":", 1)[1]
    seen, start = [], threading.Event()
    watcher = threading.Thread(target=lambda: seen.append(watch(rig.gateway_port, address, wanted, 10, start)), daemon=True)
    watcher.start()
    start.wait(10)
    began = time.monotonic()
    changed = rig.api.json("POST", f"/api/v1/actions/{action['id']}/{verb}", {"reason": "measured"})
    watcher.join(15)
    if not seen or not seen[0]:
        return None
    decided = [c for c in changed["history"] if c["state"] in ("pending", "undone")][-1]["time"] / 1000
    return seen[0][0] - began, seen[0][1] - decided


def main():
    args = arguments(__doc__, ("--iterations", 100, "approvals, and as many undos"), ("--starts", 5, "first starts measured"),
                     ("--idle-seconds", 10, "before the idle memory is read"))
    verdict = Verdict("limits", args)
    starts, memory = [], []
    for _ in range(args.starts):
        with Rig(args, "start") as rig:
            starts.append(rig.start_server())
            time.sleep(args.idle_seconds / args.starts)
            memory.append(rss_mib(rig.server.pid))
    verdict.figure("server ready, first start in an empty folder (s)", [round(s, 3) for s in starts])
    verdict.figure("server idle, resident (MiB)", [round(m, 1) for m in memory])
    verdict.expect("ready in less than 2 s", max(starts) < 2, starts)
    verdict.expect("idle below 200 MiB", max(memory) < 200, memory)

    with Rig(args, "limits") as rig:
        rig.start_server()
        rig.set_up(mode="enforce")
        rig.api.json("PUT", "/api/v1/policy", {"text": attack.POLICY, "reason": "check"})
        rig.write_gateway(attack.SITES.format(app=rig.start_app()))
        rig.start_gateway()
        wire = Wire(rig.gateway_port)
        wanted = args.iterations
        n = 0
        ready = {}
        # A few more sources than needed: those that an endpoint's own finding names first are not asked twice.
        while len(ready) < wanted and n < wanted * 2 + 20:
            for _ in range(10):
                attack.stuff(wire, attack.address_of(n), n * 40)
                n += 1
            rig.drain()
            time.sleep(0.5)
            after = None
            ready = {}
            for _ in range(10):
                page = rig.api.json("GET", "/api/v1/actions?state=awaiting-approval&limit=500" + (f"&after={after}" if after else ""))
                ready.update((a["target"], a) for a in page["items"] if a["rung"] == "block")
                after = page.get("next")
                if not after:
                    break
        wire.close()
        verdict.figure("actions that wait for approval", len(ready))
        verdict.expect(f"there are {wanted} to measure", len(ready) >= wanted, len(ready))
        held, freed, failed = [], [], []
        for action in list(ready.values())[:wanted]:
            for verb, status, into in (("approve", 403, held), ("undo", 200, freed)):
                took = measure(rig, action, verb, status)
                (into.append(took) if took else failed.append((verb, action["target"])))
        for what, values in (("approve to first 403", held), ("undo to first 200", freed)):
            if values:
                for name, index in (("with the call", 0), ("from the decision's time", 1)):
                    times = [v[index] for v in values]
                    verdict.figure(f"{what}, {name}: p50, p99, worst (ms)",
                                   [round(1000 * t, 1) for t in (percentile(times, 0.5), percentile(times, 0.99), max(times))])
                verdict.expect(f"{what}: p99 below 1 s", percentile([v[0] for v in values], 0.99) < 1)
        verdict.figure("measured", (len(held), len(freed)))
        verdict.expect("every decision was enforced", not failed, failed[:5])
        states = [rig.api.json("GET", f"/api/v1/actions/{a['id']}")["state"] for a in list(ready.values())[:5]]
        verdict.expect("the actions say what came of them", set(states) == {"undone"}, states)
        verdict.figure("server resident after the load (MiB)", round(rss_mib(rig.server.pid), 1))
        verdict.figure("gateway resident after the load (MiB)", round(rss_mib(rig.gateway.pid), 1))
        rig.server.stop()
        took = rig.start_server(60)
        verdict.figure("server ready after a restart with this data (s)", round(took, 3))
        verdict.expect("ready again in less than 2 s", took < 2, took)
    return verdict.end()


if __name__ == "__main__":
    sys.exit(main())
