"""Processor time per request of three WAFs with the same rules and the same requests, in turn.

nginx with and without libmodsecurity (one worker each, before the same nginx, `wrk` in front): user and system
time of the worker. `zentinel-modsec` and our engine in process: processor time of the thread. With `--plura` our
gateway, too, without rules and with them: all of its process, evidence included. See `benches/waf.sh`.
"""

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "checks"))

import waf_requests  # noqa: E402
from rig import Child, free_port, rss_mib, wait_for  # noqa: E402
from waf_peer import Nginx, Rules, listens, versions  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
# `benches/waf/src/cost.rs` has the same.
PAGE = "<!doctype html><title>shop</title><p>hello, hello, hello, hello, hello, hello</p>"
APPLICATION = """
worker_processes 1;
daemon off;
error_log {folder}/error.log crit;
pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  client_max_body_size 32m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    default_type text/html;
    add_header X-Backend 1;
    location / {{ return 200 "{page}\\n"; }}
  }}
}}
"""
GOALS = {"get": 15, "json": 15, "form": 8}
GOAL_MICROS = {"get": 100, "json": 700, "form": 1200}
TITLES = {"get": "small GET", "json": "2 KiB JSON POST", "form": "16 KiB form POST", "attacks": "attack mix", "upload": "64 KiB upload"}


def workloads():
    """name → requests. Each is the same bytes for every engine."""
    cookie = "Cookie: sid=9d8f7a6b5c4d3e2f; theme=dark\r\n"
    items = [{"sku": f"A-{n:04}", "count": n, "note": "please wrap this one in blue paper, thank you", "price": n * 990} for n in range(1, 19)]
    order = {"name": "Kim", "email": "kim@example.com", "items": items, "pad": ""}
    order["pad"] = "x" * (2048 - len(json.dumps(order)))
    words = ("blue paper harbour kites violet shoes coat size please thank you morning order parcel street gift card wrap "
             "ribbon letter winter garden table lamp wool cotton linen").split()
    chance = random.Random(11)
    # 44 fields of some sixty words: libmodsecurity takes about as long over it as over the form of issue 4; with
    # ten fields it takes a fifth less, with 300 three times as long.
    form = "&".join(f"field_{n}=" + "+".join(chance.choice(words) for _ in range(60)) for n in range(1, 45))[:16_384]
    form = form.rstrip("+&=") + "x" * (16_384 - len(form.rstrip("+&=")))
    attacks = []
    for kind in waf_requests.ATTACKS:
        values = [value for value, of in waf_requests.labelled(12) if of == kind]
        attacks += [waf_requests.carried(value, waf_requests.CARRIERS[n % 4]) for n, value in enumerate(values)]
    # A round may end in the middle.
    chance.shuffle(attacks)
    picture = random.Random(5).randbytes(65_536)
    return {
        "get": [waf_requests.get("/small", cookie)],
        "json": [waf_requests.post("/orders", "application/json", json.dumps(order).encode(), cookie)],
        "form": [waf_requests.post("/orders", "application/x-www-form-urlencoded", form.encode(), cookie)],
        "attacks": attacks,
        "upload": [waf_requests.post("/upload", *waf_requests.multipart(
            [("title", b"holiday"), ("note", b"by the harbour"), ("file", "beach.jpg", "image/jpeg", picture)]), cookie)],
    }


def cpu_secs(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def drive(port, pid, files, seconds, connections, nginx=None):
    """Microseconds per request, requests, and answers that were refusals."""
    handled = nginx.handled() if nginx else 0
    before = cpu_secs(pid)
    out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(HERE / "replay.lua"),
                          f"http://127.0.0.1:{port}", "--", *map(str, files)], check=True, capture_output=True, text=True).stdout
    # What is still being worked on belongs to these requests: wrk leaves it unanswered and does not count it.
    time.sleep(0.3)
    handled = nginx.handled() - handled if nginx else 0
    spent = cpu_secs(pid) - before
    wrong = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    if wrong and any(int(n) for n in wrong.groups()):
        sys.exit(f"port {port}: {wrong.group(0)}")
    requests = handled or int(re.search(r"(\d+) requests in", out).group(1))
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return spent / max(1, requests) * 1e6, requests, int(refused.group(1)) if refused else 0


GATEWAY = """
gateway: bench
listeners: [{{address: '127.0.0.1:{port}'}}]
admin: 127.0.0.1:{admin}
workers: 1
key_file: '{folder}/key'
state_dir: '{folder}/state'
# A full spool would cost less than it should.
spool: {{bytes_max: 21474836480}}
{rule_sets}
sites:
  - name: shop
    hosts: ['*']
    upstreams: [{{url: 'http://127.0.0.1:{backend}'}}]
{waf}
"""


class Gateway:
    """`plura gateway` before the same application. With `rules`, as nginx has them: in `shadow`, or blocking."""

    def __init__(self, plura, folder, backend, rules=None, blocking=False):
        (folder / "state").mkdir(parents=True)
        (folder / "key").write_text(random.randbytes(32).hex())
        self.port = free_port()
        rule_sets = f"rule_sets: {{crs: {{files: ['{rules}'], base: false}}}}" if rules else ""
        waf = f"    waf: [{{rules: crs, stage: {'enforce' if blocking else 'shadow'}}}]" if rules else ""
        (folder / "gateway.yaml").write_text(GATEWAY.format(
            port=self.port, admin=free_port(), folder=folder, backend=backend, rule_sets=rule_sets, waf=waf))
        # The gateway alone is an example of its crate: `cargo build --release -p gateway --example gateway`.
        command = [plura] if Path(plura).name == "gateway" else [plura, "gateway", "--config"]
        self.child = Child(folder.name, [*command, str(folder / "gateway.yaml")], folder)
        try:
            wait_for("the gateway", lambda: listens(self.port, self.child), 30)
        except BaseException:
            print(self.child.errors(), file=sys.stderr)
            self.child.stop(5)
            raise


class InProcess:
    def __init__(self, program, rules, folder):
        self.run = subprocess.Popen([program, "cost", str(rules), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def measure(self, engine, workload, seconds):
        self.run.stdin.write(f"{engine} {workload} {seconds}\n")
        self.run.stdin.flush()
        line = self.run.stdout.readline()
        if not line:
            sys.exit(f"{engine} on {workload}: plura-bench-waf ended")
        return json.loads(line)

    def close(self):
        self.run.stdin.close()
        self.run.wait(20)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="", help="a built plura-bench-waf; without it the engines in process are left out")
    parser.add_argument("--plura", default="", help="a built plura (or the gateway example), whose gateway is measured, too")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of wrk per round; the engines in process get a quarter")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--blocking", action="store_true", help="refuse attacks; else only detect, so that each is worked on to its end")
    parser.add_argument("--only", default="", help="workloads, by comma")
    parser.add_argument("--json", default="", help="the figures to this file")
    parser.add_argument("--write", default="", help="just write requests and rules into this folder, and say where the rules are")
    args = parser.parse_args()
    if args.write:
        write_requests(args, Path(args.write))
        print(rules_of(args).write(Path(args.write) / "rules"))
        return
    with tempfile.TemporaryDirectory(prefix="plura-waf-bench-") as folder:
        folder = Path(folder)
        folder.chmod(0o755)
        run(args, folder)


def write_requests(args, folder):
    files = {}
    for name, requests in workloads().items():
        if args.only and name not in args.only.split(","):
            continue
        (folder / "requests" / name).mkdir(parents=True)
        files[name] = []
        for number, raw in enumerate(requests):
            files[name].append(folder / "requests" / name / f"{number:03}.http")
            files[name][-1].write_bytes(raw)
    return files


def rules_of(args):
    return Rules(paranoia=1, blocking=args.blocking, audit="RelevantOnly", scores=False, unmatched_boundary=False)


def run(args, folder):
    files = write_requests(args, folder)
    rules = rules_of(args)
    rules_file = rules.write(folder / "rules")

    application = folder / "application"
    application.mkdir()
    port = free_port()
    (application / "nginx.conf").write_text(APPLICATION.format(folder=application, port=port, page=PAGE))
    app = Child("application", ["/usr/sbin/nginx", "-p", str(application), "-e", str(application / "error.log"),
                                "-c", str(application / "nginx.conf")], application)
    children = [app]
    try:
        wait_for("the application", lambda: listens(port, app), 20)
        plain = Nginx(folder / "plain", port)
        children.append(plain.child)
        peer = Nginx(folder / "peer", port, rules)
        children.append(peer.child)
        gateways = {}
        if args.plura:
            for title, its_rules in (("gateway without rules", None), ("gateway + CRS", rules_file)):
                one = Gateway(args.plura, folder / title.replace(" ", "-"), port, its_rules, args.blocking)
                gateways[title] = one
                children.append(one.child)
        report(args, folder, files, rules_file, plain, peer, gateways)
    finally:
        for child in children:
            child.stop(5)


def report(args, folder, files, rules_file, plain, peer, gateways):
    fronts = {"nginx plain": (plain.port, plain.worker, plain), "nginx + libmodsecurity": (peer.port, peer.worker, peer)}
    fronts |= {title: (one.port, one.child.pid, None) for title, one in gateways.items()}
    engines = {"zentinel-modsec": "zentinel", "ours": "ours"} if args.program else {}
    memory = [loading(args.program, engine, rules_file, folder / "requests") for engine in engines.values()]
    memory_peer = rss_mib(peer.worker) - rss_mib(plain.worker)

    inside = InProcess(args.program, rules_file, folder / "requests") if engines else None
    costs = {name: {front: [] for front in [*fronts, *engines]} for name in files}
    seen = {name: {} for name in files}
    for _ in range(args.rounds):
        for name, paths in files.items():
            for front, (port, pid, nginx) in fronts.items():
                micros, requests, refused = drive(port, pid, paths, max(1, int(args.seconds)), args.connections, nginx)
                costs[name][front].append(micros)
                seen[name][front] = f"{refused} of {requests} refused"
            for title, engine in engines.items():
                told = inside.measure(engine, name, args.seconds / 4)
                costs[name][title].append(told["micros"])
                seen[name][title] = f"{told['denied']} of {len(paths)} denied, {told['rules']} rules"
    if inside:
        inside.close()

    print(f"{versions()}; zentinel-modsec {zentinel_version()}; CRS at paranoia 1, {'blocking' if args.blocking else 'detect only'}")
    print(f"{args.rounds} rounds of {args.seconds:g} s, {args.connections} connections; load of this machine {os.getloadavg()[0]:.1f}")
    figures = {"workloads": {}, "loading": memory}
    for name, paths in files.items():
        size = statistics.mean(path.stat().st_size for path in paths)
        print(f"\n{TITLES[name]} ({len(paths)} requests of {size:.0f} bytes)")
        middle = {front: statistics.median(values) for front, values in costs[name].items()}
        measure = "ours" if engines else "gateway + CRS" if gateways else "nginx plain"
        print(f"{'':<34}{'µs CPU/request':>15}{'least':>10}{'most':>10}{'times ' + measure:>22}")
        ours = middle[measure]
        rows = [(front, costs[name][front], middle[front]) for front in costs[name]]
        # The WAF alone: each round's difference.
        for front in fronts:
            if front != "nginx plain":
                alone = [a - b for a, b in zip(costs[name][front], costs[name]["nginx plain"])]
                rows.append((f"{front} - plain", alone, statistics.median(alone)))
        if gateways:
            alone = [a - b for a, b in zip(costs[name]["gateway + CRS"], costs[name]["gateway without rules"])]
            rows.append(("CRS in the gateway", alone, statistics.median(alone)))
        for front, values, median in rows:
            print(f"{front:<34}{median:>15.1f}{min(values):>10.1f}{max(values):>10.1f}{median / ours:>22.2f}   {seen[name].get(front, '')}")
        alone = middle["nginx + libmodsecurity"] - middle["nginx plain"]
        figures["workloads"][name] = {**middle, "libmodsecurity alone": alone}
        if engines:
            figures["workloads"][name]["libmodsecurity alone / ours"] = alone / ours
        if engines and name in GOALS:
            times, micros = alone / ours >= GOALS[name], ours <= GOAL_MICROS[name]
            print(f"  goal: {GOALS[name]} times cheaper {'met' if times else 'MISSED'}; {GOAL_MICROS[name]} µs {'met' if micros else 'MISSED'}")
    print(f"\n{'loading the rules':<34}{'ms':>10}{'CPU ms':>10}{'MiB':>10}{'at most':>10}{'after use':>10}")
    for one in memory:
        print(f"{one['engine']:<34}{one['load_ms']:>10.0f}{one['load_cpu_ms']:>10.0f}{one['loaded_kib'] / 1024:>10.1f}"
              f"{one['peak_kib'] / 1024:>10.1f}{one['used_kib'] / 1024:>10.1f}")
    print(f"{'nginx + libmodsecurity - plain':<34}{1000 * (peer.load_secs - plain.load_secs):>10.0f}{'':>10}{memory_peer:>10.1f}"
          f"{'':>10}{rss_mib(peer.worker) - rss_mib(plain.worker):>10.1f}")
    figures["loading"].append({"engine": "nginx + libmodsecurity - plain", "loaded_kib": memory_peer * 1024})
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=1) + "\n")


def loading(program, engine, rules, requests):
    """The median of five processes, by time."""
    runs = [json.loads(subprocess.run([program, "load", engine, str(rules), str(requests)], check=True, capture_output=True, text=True).stdout)
            for _ in range(5)]
    return sorted(runs, key=lambda run: run["load_ms"])[2]


def zentinel_version():
    lock = (HERE / "Cargo.lock").read_text()
    return re.search(r'name = "zentinel-modsec"\nversion = "([^"]+)"', lock).group(1)


if __name__ == "__main__":
    main()
