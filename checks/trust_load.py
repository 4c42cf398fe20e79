"""How many decisions a second the server gives over HTTP, and how soon at half that rate.

`wrk` and server share the machine: what wrk takes of it is told beside. wrk has no rate of its own; at half the rate
its connections each think for a random time between answer and question (exponential, so that together they ask like
strangers do), which with many connections and short answers comes close to an open loop."""

import json
import os
import resource
import subprocess
import time

from rig import Rig
from trust_fixture import EVALUATION, EVALUATIONS

# As our gateway asks: a session with its account, a route, what is seen of the client. Everything is granted.
SITE = """networks: [{cidr: 10.0.0.0/8, network_type: corporate, src_ip_class: enterprise_isp}]
reputation: [{cidr: 10.0.0.0/8, ip_rep: safe}]
grants: [{subjects: ["user*"], actions: [GET], resources: ["route:shop/*"]}]
"""
SESSIONS = 2_000
BATCH = 50
GOAL = 20_000
P99_GOAL_MS = 5

LUA = """
local bodies = {{}}
for line in io.lines("{bodies}") do bodies[#bodies + 1] = wrk.format("{method}", "{path}", {{
  ["Authorization"] = "Bearer {token}", ["Content-Type"] = "application/json" }}, line ~= "" and line or nil) end
local at = 0
function init(args) math.randomseed(os.time() + tonumber(tostring({{}}):sub(8)) % 100003); at = math.random(#bodies) end
function request() at = at % #bodies + 1; return bodies[at] end
{delay}
function done(summary, latency, requests)
  io.write(string.format('\\nJSON {{"requests": %d, "micros": %d, "bad": %d, "lost": %d, "p50": %.1f, "p99": %.1f, "p999": %.1f, "max": %.1f}}\\n',
    summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max))
end
"""


def question(n):
    return {
        "subject": {"type": "session", "id": f"{n:064x}", "properties": {"account": f"user{n}@corp.example"}},
        "action": {"name": "GET"},
        "resource": {"type": "route", "id": "shop/GET /orders/{id}", "properties": {"site": "shop"}},
        "context": {"address": f"10.1.{n // 250 % 250}.{n % 250}", "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
                    "obligations_supported": ["step_up_mfa", "read_only", "download_block", "block_large_transfer", "throttle",
                                              "watermark", "session_ttl_short", "session_terminate", "session_isolate"]},
    }


def cpu_of(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_of_all():
    """Seconds all processors worked."""
    user, nice, system, _, _, irq, soft, *_ = map(int, open("/proc/stat").readline().split()[1:])
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def wrk(rig, path, bodies, connections, seconds, method="POST", delay_ms=0):
    """One run: figures of wrk, and who used the processors meanwhile."""
    file, script = rig.folder / "bodies", rig.folder / "load.lua"
    file.write_text("\n".join(bodies) + "\n")
    delay = f"function delay() return math.floor(0.5 - {delay_ms} * math.log(1 - math.random())) end" if delay_ms else ""
    script.write_text(LUA.format(bodies=file, method=method, path=path, token=rig.decide_token, delay=delay))
    own = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    before = cpu_of(rig.server.pid), own(), cpu_of_all(), time.monotonic()
    done = subprocess.run(["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "10s", "-s", str(script), rig.base],
                          capture_output=True, timeout=seconds + 60, text=True)
    after = cpu_of(rig.server.pid), own(), cpu_of_all(), time.monotonic()
    lines = [line[5:] for line in done.stdout.splitlines() if line.startswith("JSON ")]
    if not lines:
        raise RuntimeError(f"wrk: {done.stdout[-600:]} {done.stderr[-600:]}")
    run = json.loads(lines[0])
    server, client, everything, wall = (b - a for a, b in zip(before, after))
    run["rate"] = run["requests"] / (run["micros"] / 1e6)
    run["server_us"] = server / max(run["requests"], 1) * 1e6
    run["client_us"] = client / max(run["requests"], 1) * 1e6
    run["cores"] = [round(x / wall, 2) for x in (server, client, max(0.0, everything - server - client))]
    return run


def told(run, each=1):
    return (f"{run['rate'] * each:,.0f}/s · p50 {run['p50'] / 1000:.2f} p99 {run['p99'] / 1000:.2f} ms · µs of processor each: server "
            f"{run['server_us'] / each:.1f}, wrk {run['client_us'] / each:.1f} · cores: server {run['cores'][0]}, wrk {run['cores'][1]}, others {run['cores'][2]}")


def load(args, verdict):
    seconds = args.load_seconds
    with Rig(args, "trust-load") as rig:
        rig.start_server()
        rig.set_up()
        rig.decide_token = rig.make_token("front", ["decide"])
        rig.api.json("PUT", "/api/v1/trust/site", {"text": SITE, "reason": "check"})
        bodies = [json.dumps(question(n)) for n in range(SESSIONS)]
        answers = [rig.api.json("POST", EVALUATION, json.loads(body), token=rig.decide_token) for body in bodies[:20]]
        verdict.expect("load: the questions are of the kind that is granted", all(a["decision"] for a in answers), answers[0])
        verdict.figure("load: question and answer (bytes)", (len(bodies[0]), len(json.dumps(answers[0], separators=(",", ":"), ensure_ascii=False).encode())))
        verdict.figure("load: processors, load average before", (os.cpu_count(), os.getloadavg()[0]))
        wrk(rig, EVALUATION, bodies, 16, 2)
        floor = wrk(rig, "/healthz", [""], 32, seconds, method="GET")
        refused = wrk(rig, EVALUATION, ["{}"], 32, seconds)
        full = wrk(rig, EVALUATION, bodies, 32, seconds)
        batches = [json.dumps({"evaluations": [question(n * BATCH + k) for k in range(BATCH)]}) for n in range(SESSIONS // BATCH)]
        batch = wrk(rig, EVALUATIONS, batches, 8, seconds)
        verdict.figure("load: /healthz, the floor of TLS and HTTP", told(floor))
        verdict.figure("load: an empty question (token, reading, 400)", told(refused))
        verdict.figure("load: decisions one by one", told(full))
        verdict.figure(f"load: decisions in batches of {BATCH}", told(batch, BATCH))
        per = full["server_us"]
        verdict.figure("load: where the server's µs go: floor, token and reading, deciding and answering",
                       [round(x, 1) for x in (floor["server_us"], refused["server_us"] - floor["server_us"], per - refused["server_us"])])
        verdict.figure("load: decisions/s that two cores would give to the server alone", round(2e6 / per))
        target = min(full["rate"], GOAL) / 2
        think, connections = 20, max(4, round(target * 0.0205))
        half = wrk(rig, EVALUATION, bodies, connections, seconds, delay_ms=think)
        verdict.figure(f"load: at half of it ({connections} connections that think {think} ms)", told(half))
        verdict.figure("load: p99.9, worst at that rate (ms)", [round(half[k] / 1000, 2) for k in ("p999", "max")])
        for name, run in (("one by one", full), ("batches", batch), ("half", half)):
            verdict.expect(f"load, {name}: every answer is a 200, none lost", run["bad"] == 0 and run["lost"] == 0, run)
        verdict.expect(f"load: {GOAL:,} decisions/s", full["rate"] >= GOAL, round(full["rate"]))
        verdict.expect(f"load: p99 below {P99_GOAL_MS} ms at half that rate", half["p99"] < P99_GOAL_MS * 1000, half["p99"] / 1000)
        verdict.expect("load: the rate was half of it, within a tenth", abs(half["rate"] / target - 1) < 0.1, (round(half["rate"]), round(target)))
        verdict.expect("load: the server lives", rig.server.alive() and "panicked" not in rig.server.errors(1 << 20))
