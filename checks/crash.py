"""Crashes: `kill -9` of server and gateway under load, a server that is away, a disk that is full.

What counts as acknowledged:
  * an intake batch that was answered 200: each of its events has to be there exactly once;
  * an exchange the gateway's spool accepted (`plura_evidence_spooled_total`, read half a second before the kill): at
    least that many events of that life of the gateway have to be there, and none twice.
An exchange answered to the client but still in the gateway's memory at `kill -9` is the window we
count and print: it was never acknowledged to anybody. As long as the gateway lives, there is no
window: requests answered = events found + losses reported.
"""

import json
import random
import re
import sys
import threading
import time
from collections import Counter

from rig import Rig, Verdict, Wire, arguments, percentile, request

SITES = """  - name: app
    hosts: [nginx.test]
    upstreams: [{{ url: 'http://127.0.0.1:{nginx}' }}]
"""
RID = re.compile(r"rid=([a-z0-9]+-\d+-\d+)")


class Load:
    """Clients at the gateway. Every request carries `rid=<life>-<client>-<number>`."""

    def __init__(self, rig, clients, pause, body_bytes=200):
        self.rig, self.pause, self.body_bytes = rig, pause, body_bytes
        self.life = "a0"
        self.answered = set()
        self.errors = []
        self.latencies = []
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in range(clients)]

    def start(self):
        [t.start() for t in self.threads]
        return self

    def stop(self):
        self.stopping.set()
        [t.join(40) for t in self.threads]

    def run(self, client):
        wire = Wire(self.rig.gateway_port, timeout=20)
        number = 0
        while not self.stopping.is_set():
            number += 1
            life = self.life
            rid = f"{life}-{client}-{number}"
            body = f"rid={rid}&v={'x' * self.body_bytes}".encode()
            began = time.monotonic()
            try:
                status, _, _ = wire.ask(request("POST", "/q", "nginx.test", body, [
                    ("Content-Type", "application/x-www-form-urlencoded")]))
                with self.lock:
                    self.latencies.append(time.monotonic() - began)
                    if status == 200:
                        self.answered.add(rid)
                    else:
                        self.errors.append((time.monotonic(), status, rid))
            except OSError as error:
                with self.lock:
                    self.errors.append((time.monotonic(), type(error).__name__, rid))
                wire.close()
                time.sleep(0.05)
            time.sleep(self.pause)
        wire.close()


class Sensor:
    """Sends NDJSON batches to the intake and sends each again until it is acknowledged."""

    def __init__(self, rig, number, pause):
        self.rig, self.pause = rig, pause
        self.source = f"sensor-{number}"
        self.acknowledged = set()
        self.sent = set()
        self.retries = 0
        self.refused = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        sequence = 0
        chance = random.Random(self.source)
        while not self.stopping.is_set():
            numbers = list(range(sequence, sequence + chance.randint(1, 60)))
            sequence = numbers[-1] + 1
            now = int(time.time() * 1000)
            lines = [json.dumps({"class_uid": 4001, "activity_id": 1, "time": now, "message": f"event {n}",
                                 "metadata": {"log_source": self.source, "sequence": n}}) for n in numbers]
            body = "\n".join(lines).encode()
            self.sent.update(numbers)
            end = time.monotonic() + 120
            while time.monotonic() < end:
                try:
                    status, _, data = self.rig.api.call(
                        "POST", "/api/v1/intake/events", body,
                        {"Content-Type": "application/x-ndjson", "Plura-Source": self.source}, timeout=20)
                except OSError:
                    status, data = 0, b""
                except Exception as error:  # http.client: an answer that broke off
                    status, data = 0, str(error).encode()
                if status == 200:
                    answer = json.loads(data)
                    if answer["accepted"] + answer["duplicates"] == len(numbers):
                        self.acknowledged.update(numbers)
                    else:
                        self.refused.append(answer)
                    break
                if status not in (0, 413, 429, 503, 507):
                    self.refused.append((status, data[:200]))
                    break
                self.retries += 1
                time.sleep(0.1)
            time.sleep(self.pause)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.stopping.set()
        self.thread.join(60)


def found_rids(rig):
    found = Counter()
    # A query may use 64 MiB: only the beginning of the body, which holds the id.
    for row in rig.api.pages("substr(request_body, 1, 60) as head", "path = '/q' and source = 'check-1'", page=2_000):
        rid = RID.search(row["head"] or "")
        found[rid[1] if rid else "?"] += 1
    return found


def found_numbers(rig, source):
    found, last = Counter(), -1
    while True:
        rows = rig.api.sql(f"select sequence, count(*) as n from events where source = '{source}' and "
                           f"sequence > {last} group by sequence order by sequence limit 10000")
        for row in rows:
            found[row["sequence"]] = row["n"]
        if len(rows) < 10_000:
            return found
        last = rows[-1]["sequence"]


def same_sequence_twice(rig):
    return rig.api.sql("select source, sequence, count(*) as n from events where sequence is not null "
                       "group by source, sequence having count(*) > 1 limit 10")


def rig_with_load(args, name, mounts=()):
    rig = Rig(args, name)
    for folder, megabytes in mounts:
        rig.mount(rig.folder / folder, megabytes)
    rig.start_server()
    rig.set_up()
    rig.write_gateway(SITES.format(nginx=rig.start_nginx()))
    rig.start_gateway()
    return rig


def kills(args, verdict):
    """Rounds of load with a kill in each."""
    chance = random.Random(args.seed)
    with rig_with_load(args, "crash") as rig:
        load = Load(rig, 6, 0.004).start()
        sensors = [Sensor(rig, n, 0.02).start() for n in range(2)]
        spooled, gateway_kills, server_kills, starts, dead = {}, [], 0, [], []
        for number in range(args.rounds):
            victim = chance.choice(["server", "gateway", "both"])
            time.sleep(0.5 + chance.random() * args.round_seconds)
            if victim in ("server", "both"):
                rig.server.kill()
                server_kills += 1
            if victim in ("gateway", "both"):
                accepted = rig.metrics().get("plura_evidence_spooled_total", 0)
                # The counter runs ahead of the file by one group of at most 128; a sync is due every 0.2 s.
                time.sleep(0.5)
                dead.append([time.monotonic(), None])
                rig.gateway.kill()
                spooled[load.life] = int(accepted)
                gateway_kills.append(load.life)
                load.life = f"a{len(gateway_kills)}"
                # Requests named after the old life have ended before the new one begins.
                time.sleep(0.3)
            time.sleep(chance.random() * 0.5)
            order = ["server", "gateway"]
            chance.shuffle(order)
            for which in order:
                if which == "server" and not rig.server.alive():
                    starts.append(rig.start_server(120))
                if which == "gateway" and not rig.gateway.alive():
                    rig.start_gateway()
                    dead[-1][1] = time.monotonic()
            print(f"    round {number + 1}: killed {victim}", flush=True)
        time.sleep(1)
        load.stop()
        [s.stop() for s in sensors]
        rig.drain(300)
        spooled[load.life] = int(rig.metrics()["plura_evidence_spooled_total"])

        found = found_rids(rig)
        twice = [rid for rid, n in found.items() if n > 1]
        missing = load.answered - set(found)
        by_life = Counter(rid.split("-")[0] for rid in missing)
        found_by_life = Counter(rid.split("-")[0] for rid in found)
        unkept = {life: (n, found_by_life[life]) for life, n in spooled.items() if found_by_life[life] < n}
        reported = rig.dropped()
        verdict.figure("rounds", args.rounds)
        verdict.figure("kills of server, of gateway", (server_kills, len(gateway_kills)))
        verdict.figure("server ready after a kill, worst (s)", round(max(starts, default=0), 2))
        verdict.figure("gateway requests answered", len(load.answered))
        verdict.figure("gateway events found", sum(found.values()))
        verdict.figure("spool accepted before each kill, all found", sum(spooled.values()))
        verdict.figure("in memory at kill -9 of the gateway (answered, not spooled)", sum(by_life[l] for l in gateway_kills))
        verdict.figure("worst of them in one kill", max((by_life[l] for l in gateway_kills), default=0))
        verdict.figure("losses the gateway reports", reported)
        verdict.expect("no exchange is found twice", not twice, twice[:5])
        verdict.expect("everything the spool accepted is found", not unkept, f"life: (accepted, found) {unkept}")
        verdict.expect("nothing is missing from lives that were not killed", by_life[load.life] == sum(reported.values()),
                       (by_life, reported))
        # Half a second for a client to notice that its connection has gone.
        stray = [e for e in load.errors
                 if isinstance(e[1], int) or not any(a - 0.1 <= e[0] <= b + 0.5 for a, b in dead)]
        verdict.figure("client errors (all while the gateway itself was dead)", len(load.errors))
        verdict.expect("clients saw errors only where the gateway was killed", not stray, stray[:5])
        verdict.expect("no (source, sequence) is stored twice", not same_sequence_twice(rig), same_sequence_twice(rig))
        for sensor in sensors:
            numbers = found_numbers(rig, sensor.source)
            lost = sorted(n for n in sensor.acknowledged if numbers[n] == 0)
            double = sorted(n for n in numbers if numbers[n] > 1)
            strange = sorted(set(numbers) - sensor.sent)
            verdict.figure(f"{sensor.source}: acknowledged, found, sent again", (len(sensor.acknowledged), len(numbers), sensor.retries))
            verdict.expect(f"{sensor.source}: every acknowledged event exactly once",
                           sensor.acknowledged and not lost and not double and not strange and not sensor.refused,
                           f"lost {len(lost)} {lost[:3]} double {double[:3]} strange {strange[:3]} refused {sensor.refused[:2]}")


def settle(rig, verdict, load, what, allow_loss=None):
    """After the trouble: answered = found + lost, and the server knows it."""
    load.stop()
    rig.drain(300)
    found = found_rids(rig)
    missing = load.answered - set(found)
    twice = [rid for rid, n in found.items() if n > 1]
    reported = sum(rig.dropped().values())
    end = time.monotonic() + 30
    told = None
    while time.monotonic() < end:
        told = rig.api.json("GET", "/api/v1/health")["dropped"]
        if told == reported:
            break
        time.sleep(0.5)
    verdict.figure(f"{what}: requests answered", len(load.answered))
    verdict.figure(f"{what}: slowest, 99th percentile (s)",
                   (round(max(load.latencies), 3), round(percentile(load.latencies, 0.99), 3)))
    verdict.figure(f"{what}: events found", sum(found.values()))
    verdict.figure(f"{what}: loss measured", len(missing))
    verdict.figure(f"{what}: loss reported by the gateway, known to the server", (rig.dropped(), told))
    verdict.expect(f"{what}: traffic never stopped", not load.errors, (len(load.errors), load.errors[:5]))
    verdict.expect(f"{what}: none is found twice", not twice, twice[:5])
    verdict.expect(f"{what}: loss reported = loss measured", len(missing) == reported == told, (len(missing), reported, told))
    if allow_loss is False:
        verdict.expect(f"{what}: nothing is lost", not missing, len(missing))
    if allow_loss is True:
        verdict.expect(f"{what}: the trouble was real (something was lost)", reported > 0)
    return found


def server_down(args, verdict):
    with rig_with_load(args, "down") as rig:
        load = Load(rig, 6, 0.004).start()
        time.sleep(2)
        rig.server.kill()
        before = len(load.answered)
        time.sleep(args.down_seconds)
        verdict.figure("server down: seconds, requests answered meanwhile", (args.down_seconds, len(load.answered) - before))
        rig.start_server(120)
        time.sleep(2)
        settle(rig, verdict, load, "server down", allow_loss=False)


def fill(folder):
    """Takes all the room there is; the file to remove."""
    path = folder / "filler"
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1 << 9, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                pass
    return path


def disk_full(args, verdict, which):
    """A disk with no room for a while: the gateway's spool, or the server's data folder."""
    what = f"disk full ({which})"
    mounts = [("gateway/spool", 24)] if which == "spool" else [("server", 192)]
    with rig_with_load(args, "full", mounts) as rig:
        disk = rig.folder / mounts[0][0]
        load = Load(rig, 6, 0.004, body_bytes=4_000).start()
        time.sleep(2)
        before = len(load.answered)
        if which == "spool":
            # With the server away nothing leaves the spool, and the room ends by itself.
            rig.server.kill()
        filler = fill(disk)
        end = time.monotonic() + args.full_seconds
        answers = Counter()
        while time.monotonic() < end:
            if which == "data":
                status, _, data = rig.api.call("POST", "/api/v1/intake/logs?source=full&format=auto", b"x" * 4000 + b"\n",
                                               {"Content-Type": "text/plain"})
                code = json.loads(data).get("code", "accepted") if data else ""
                answers[f"{status} {code}"] += 1
                if not filler.exists() or answers["200 accepted"]:
                    # What the store still had reserved is used up; take what was freed, too.
                    with open(filler, "ab", buffering=0) as file:
                        try:
                            while True:
                                file.write(b"\0" * 4096)
                        except OSError:
                            pass
            time.sleep(0.5)
        verdict.figure(f"{what}: seconds, requests answered meanwhile", (args.full_seconds, len(load.answered) - before))
        if answers:
            verdict.figure(f"{what}: intake answered", dict(answers))
        filler.unlink()
        if which == "spool":
            rig.start_server(120)
        time.sleep(4)
        after = len(load.answered)
        time.sleep(2)
        found = settle(rig, verdict, load, what, allow_loss=which == "spool")
        late = [rid for rid in list(load.answered) if rid in found]
        verdict.expect(f"{what}: it records again afterwards", len(load.answered) > after and late, after)
        if which == "data":
            verdict.expect(f"{what}: intake said so and was asked to wait", any(k.startswith(("503", "507")) for k in answers), answers)
            verdict.expect(f"{what}: the server lived on", rig.server.alive(), rig.server.errors(800))


def main():
    args = arguments(__doc__, ("--rounds", 20, "kills"), ("--round-seconds", 2.0, "load between kills, at most"),
                     ("--seed", 20261122, "of the chances"), ("--down-seconds", 60, "how long the server is away"),
                     ("--full-seconds", 60, "how long the disk is full"),
                     ("--only", "", "kills, down, spool or data"))
    verdict = Verdict("crash", args)
    parts = {
        "kills": lambda: kills(args, verdict),
        "down": lambda: server_down(args, verdict),
        "spool": lambda: disk_full(args, verdict, "spool"),
        "data": lambda: disk_full(args, verdict, "data"),
    }
    for name, part in parts.items():
        if args.only in ("", name):
            print(f"  -- {name}", flush=True)
            try:
                part()
            except (RuntimeError, TimeoutError, OSError) as error:
                verdict.expect(f"{name}: ran to its end", False, error)
    return verdict.end()


if __name__ == "__main__":
    sys.exit(main())
