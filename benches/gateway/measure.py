"""Drives wrk against each proxy in turn and reads what CPU time its process took."""
import argparse
import os
import re
import statistics
import subprocess
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, required=True)
parser.add_argument("--seconds", type=int, required=True)
parser.add_argument("--scripts", required=True)
parser.add_argument("--connections", default="32")
parser.add_argument("proxies", nargs="+", help="name=port=pid")
options = parser.parse_args()
tick = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of all threads of a process."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / tick


def drive(port, script):
    out = subprocess.run(
        ["wrk", "-t1", "-c", options.connections, "-d", f"{options.seconds}s", "--latency",
         "-s", os.path.join(options.scripts, script), f"http://127.0.0.1:{port}"],
        check=True, capture_output=True, text=True).stdout
    wrong = re.search(r"(Non-2xx.*|Socket errors.*)", out)
    if wrong:
        sys.exit(f"port {port}: {wrong.group(1)}")
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    p99 = re.search(r"99%\s+(\S+)", out).group(1)
    return requests, rate, p99


proxies = [p.split("=") for p in options.proxies]
for title, script in [("small GET", "get.lua"), ("2 KiB JSON POST", "post.lua")]:
    costs = {name: [] for name, _, _ in proxies}
    rates = {name: [] for name, _, _ in proxies}
    tails = {name: [] for name, _, _ in proxies}
    for _ in range(options.rounds):
        for name, port, pid in proxies:
            before = cpu_seconds(pid)
            requests, rate, p99 = drive(port, script)
            # What the recorder still has to write belongs to these requests.
            subprocess.run(["sleep", "0.5"], check=True)
            costs[name].append((cpu_seconds(pid) - before) / requests * 1e6)
            rates[name].append(rate)
            tails[name].append(p99)
    base = statistics.median(costs[proxies[0][0]])
    print(f"\n{title} ({options.rounds} rounds of {options.seconds} s, {options.connections} connections, medians)")
    print(f"{'proxy':<22}{'us CPU/request':>15}{'ratio':>8}{'requests/s':>12}{'p99':>10}   spread")
    for name, _, _ in proxies:
        cost = statistics.median(costs[name])
        spread = f"{min(costs[name]):.1f}-{max(costs[name]):.1f}"
        print(f"{name:<22}{cost:>15.1f}{cost / base:>8.2f}{statistics.median(rates[name]):>12.0f}"
              f"{sorted(tails[name])[len(tails[name]) // 2]:>10}   {spread}")
