"""Real input, not ours: nginx and a Python application behind the gateway, wrk and curl and a corpus
of parameter values in front of it. Every request is found again; no planted secret is anywhere."""

import csv
import ctypes
import json
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from app import status_for
from planted import HOST, forms_of, plants
from rig import ROOT, Rig, Verdict, Wire, arguments, request, wait_for

CORPUS = ROOT.parent / "shared" / "corpora" / "httpparams" / "train.csv"
KINDS = ("query", "form", "json", "multipart")
MASK = re.compile(r"(?:%5B|\[)(?:secret|rrn|my-number|card|bank-account|passport|phone|email|other)(?:%3A|:)"
                  r"[^\]\s]*?\]", re.I)
CANARY = "visible-canary-5d1c"

SITES = """  - name: nginx
    hosts: [nginx.test]
    upstreams: [{{ url: 'http://127.0.0.1:{nginx}' }}]
  - name: app
    hosts: [app.test, 127.0.0.1]
    upstreams: [{{ url: 'http://127.0.0.1:{app}' }}]
    routes:
      - match: POST /login
        action: login
        account: ["form:username"]
        outcome:
          - {{ when: response.status == 200, result: success }}
          - {{ when: 'response.json.error == "bad_password"', result: failure, reason: bad-password }}
"""


def raw_of(kind, rid, number, value):
    """(bytes of the request, what is to be found in its column)."""
    if kind == "query":
        # The fate of a target is nginx's own: long ones are cut out of the corpus by nobody.
        text = f"rid={rid}&v={quote(value, safe='')}"
        return request("GET", f"/q?{text}", "nginx.test"), text
    number_header = ("X-Number", str(number))
    if kind == "form":
        text = f"rid={rid}&v={quote_plus(value)}"
        return request("POST", "/form", HOST, text.encode(),
                       [("Content-Type", "application/x-www-form-urlencoded"), number_header]), text
    if kind == "json":
        text = json.dumps({"rid": rid, "v": value}, ensure_ascii=False)
        return request("POST", "/json", HOST, text.encode(), [("Content-Type", "application/json"), number_header]), text
    text = "".join(f'--bnd\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{part}\r\n'
                   for name, part in (("rid", rid), ("v", value))) + "--bnd--\r\n"
    return request("POST", "/multipart", HOST, text.encode(),
                   [("Content-Type", "multipart/form-data; boundary=bnd"), number_header]), text


def unescape(text):
    text = re.sub(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})|&#x([0-9a-fA-F]+);|&#([0-9]+);",
                  lambda m: chr(int(m[1] or m[2] or m[3], 16) if (m[1] or m[2] or m[3]) else int(m[4])), text)
    return text.replace('\\"', '"').replace("\\/", "/")


def same_but_masked(sent, stored):
    """Whether `stored` is `sent` with masks in it, perhaps decoded where a mask was put."""
    if not MASK.search(stored):
        return False
    between = [part for part in MASK.split(stored)]
    views = [sent]
    for view in (unquote, unquote_plus, unescape):
        views += [view(v) for v in list(views)]
    for stored_view in (lambda t: t, unquote, unquote_plus):
        parts = [stored_view(part) for part in between]
        for view in views:
            at, fits = 0, True
            for part in parts:
                found = view.find(part, at)
                if found < 0:
                    fits = False
                    break
                at = found + len(part)
            if fits:
                return True
    return False


def send_corpus(rig, values, threads):
    """Statuses by (kind, number)."""
    jobs = [(kind, i, value) for i, value in enumerate(values) for kind in KINDS]
    statuses, lock, faults = {}, threading.Lock(), []
    place = iter(jobs)

    def work():
        wire = Wire(rig.gateway_port, timeout=60)
        while True:
            with lock:
                job = next(place, None)
            if job is None:
                break
            kind, i, value = job
            raw, _ = raw_of(kind, f"{kind[0]}{i:06d}", i, value)
            try:
                status, _, _ = wire.ask(raw)
            except OSError as error:
                faults.append(f"{kind} {i}: {error}")
                status = 0
            statuses[kind, i] = status
        wire.close()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    [w.start() for w in workers]
    [w.join() for w in workers]
    return statuses, faults


RID = re.compile(r"""rid(?:=|"\s*:\s*"|"\r\n\r\n)([a-z][0-9]{6})""")


def check_corpus(rig, verdict, values, statuses):
    found, exact, masked, wrong, odd_outcome = Counter(), Counter(), Counter(), [], []
    where = "path in ('/q','/form','/json','/multipart') and source = 'check-1'"
    for row in rig.api.pages("path, query, request_body, request_body_encoding, request_truncated, outcome, http_code",
                             where):
        kind = {"/q": "query", "/form": "form", "/json": "json", "/multipart": "multipart"}[row["path"]]
        text = (row["query"] if kind == "query" else row["request_body"]) or ""
        rid = RID.search(text)
        if not rid or rid[1][0] != kind[0]:
            wrong.append(f"{kind}: no id in {text[:200]!r}")
            continue
        i = int(rid[1][1:])
        found[kind, i] += 1
        _, sent = raw_of(kind, rid[1], i, values[i])
        if text == sent:
            exact[kind] += 1
        elif same_but_masked(sent, text):
            masked[kind] += 1
        else:
            wrong.append(f"{kind} {i}: sent {sent[:300]!r} stored {text[:300]!r}")
        status = statuses.get((kind, i))
        if str(row["http_code"]) != str(status) or row["outcome"] != ("success" if status < 400 else "failure"):
            odd_outcome.append(f"{kind} {i}: answered {status}, stored {row['http_code']} {row['outcome']}")
    wanted = {(kind, i) for i in range(len(values)) for kind in KINDS}
    missing = sorted(wanted - set(found))
    twice = [key for key, n in found.items() if n > 1]
    verdict.figure("corpus requests", len(wanted))
    verdict.figure("found again", len(wanted & set(found)))
    verdict.figure("body as sent", dict(exact))
    verdict.figure("body as sent but masked", dict(masked))
    verdict.expect("every corpus request is found", not missing, f"{len(missing)} missing: {missing[:5]}")
    verdict.expect("none is found twice", not twice, twice[:5])
    verdict.expect("every body is as sent, masks aside", not wrong, f"{len(wrong)}: {wrong[:3]}")
    verdict.expect("every outcome is the application's", not odd_outcome, f"{len(odd_outcome)}: {odd_outcome[:3]}")


def check_wrk(rig, verdict, seconds):
    script = rig.folder / "wrk.lua"
    script.write_text("""
local threads = 0
function setup(thread) threads = threads + 1; thread:set("id", threads) end
function init(args) n = 0 end
function request() n = n + 1; return wrk.format("GET", "/w?rid=w" .. id .. "-" .. n, {Host = "nginx.test"}) end
""")
    connections = 16
    before = rig.dropped()
    done = subprocess.run(["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "-s", script,
                           f"http://127.0.0.1:{rig.gateway_port}"], capture_output=True, timeout=seconds + 60, text=True)
    total = int(re.search(r"(\d+) requests in", done.stdout)[1])
    errors = re.search(r"Socket errors.*|Non-2xx.*", done.stdout)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])
    rig.drain()
    lost = sum(rig.dropped().values()) - sum(before.values())
    answer = rig.api.sql("select count(*) as n, count(distinct query) as d from events where path = '/w'")[0]
    verdict.figure("wrk requests answered", total)
    verdict.figure("wrk requests a second", rate)
    verdict.figure("wrk events found", answer["n"])
    verdict.figure("wrk events reported lost", lost)
    verdict.expect("wrk saw no errors", errors is None, errors and errors[0])
    verdict.expect("wrk events are distinct", answer["n"] == answer["d"], answer)
    # What wrk had under way when its time was over is an event but not in its count.
    verdict.expect("wrk: found + lost = answered (and up to one under way per connection)",
                   total <= answer["n"] + lost <= total + connections, f"{answer} lost {lost} answered {total}")


def check_curl(rig, verdict):
    upload = rig.folder / "upload.txt"
    upload.write_text("curl upload file\n")
    plain, tls = f"http://127.0.0.1:{rig.gateway_port}", f"https://127.0.0.1:{rig.tls_port}"
    calls = [
        ["-G", f"{plain}/curl-get", "--data-urlencode", "rid=curl 1"],
        ["-d", "rid=curl2&v=x", f"{plain}/curl-form"],
        ["--json", '{"rid":"curl3","v":[1,2]}', f"{plain}/curl-json"],
        ["-F", "rid=curl4", "-F", f"file=@{upload}", f"{plain}/curl-upload"],
        ["--http2", "--cacert", rig.ca_file, "-d", "rid=curl5", f"{tls}/curl-h2"],
        ["--http1.1", "--cacert", rig.ca_file, "-d", "rid=curl6", f"{tls}/curl-tls"],
        ["-X", "DELETE", f"{plain}/curl-delete?rid=curl7"],
        ["-I", f"{plain}/curl-head?rid=curl8"],
        ["-T", upload, f"{plain}/curl-put?rid=curl9"],
        ["-H", "Transfer-Encoding: chunked", "-d", "rid=curl10", f"{plain}/curl-chunked"],
        ["-H", "Expect: 100-continue", "-d", "rid=curl11" + "y" * 2000, f"{plain}/curl-expect"],
    ]
    codes = []
    for call in calls:
        done = subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{http_version}", "-m", "20", *map(str, call)],
                              capture_output=True, text=True, timeout=30)
        codes.append(done.stdout or done.stderr)
    rig.drain()
    rows = {row["path"]: row for row in rig.api.sql(
        "select path, query, request_body, outcome, http_code, http_version from events where path like '/curl-%'")}
    verdict.figure("curl answers", codes)
    verdict.expect("curl: every call answered 2xx", all(code.startswith("2") for code in codes), codes)
    verdict.expect("curl: HTTP/2 is spoken and recorded", codes[4].endswith(" 2") and
                   rows.get("/curl-h2", {}).get("http_version", "").startswith("2"), (codes[4], rows.get("/curl-h2")))
    missing = [i + 1 for i, call in enumerate(calls)
               if not any(f"curl{i + 1}" in (f"{row['query']} {row['request_body']}".replace("%20", "").replace("+", ""))
                          and row["outcome"] == "success" for row in rows.values())]
    verdict.expect("curl: every call is found with body and outcome", not missing, (missing, rows))


# The search for what must not be there.

def frames(data):
    """Everything in `data` that is a zstd frame (Parquet pages, bodies), unpacked."""
    lib = ctypes.CDLL("libzstd.so.1")
    lib.ZSTD_findFrameCompressedSize.restype = ctypes.c_size_t
    lib.ZSTD_findFrameCompressedSize.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    lib.ZSTD_decompressBound.restype = ctypes.c_ulonglong
    lib.ZSTD_decompressBound.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    lib.ZSTD_decompress.restype = ctypes.c_size_t
    lib.ZSTD_decompress.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    lib.ZSTD_isError.argtypes = [ctypes.c_size_t]
    at = data.find(b"\x28\xb5\x2f\xfd")
    while at >= 0:
        rest = data[at:at + (8 << 20)]
        size = lib.ZSTD_findFrameCompressedSize(rest, len(rest))
        step = 4
        if not lib.ZSTD_isError(size):
            room = min(lib.ZSTD_decompressBound(rest, size), 256 << 20)
            out = ctypes.create_string_buffer(int(room) or 1)
            n = lib.ZSTD_decompress(out, room, rest, size)
            if not lib.ZSTD_isError(n):
                yield out.raw[:n]
                step = size
        at = data.find(b"\x28\xb5\x2f\xfd", at + step)


def search(rig, verdict, needles):
    """`grep` over every file as it is, over what is compressed in it, and over all a query can show."""
    view = rig.folder / "view"
    view.mkdir()
    unpacked = files = 0
    for root in (rig.data, rig.edge, rig.logs):
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            files += 1
            with open(view / f"unpacked-{files}", "wb") as out:
                for frame in frames(path.read_bytes()):
                    unpacked += 1
                    out.write(frame)
                    out.write(b"\n")
    rows = 0
    with open(view / "query", "w", encoding="utf-8") as out:
        for row in rig.api.pages("*", "class_uid >= 0", page=1_500):
            rows += 1
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    needle_file = rig.folder / "needles"
    forms = {}
    for needle, where in needles.items():
        for form in forms_of(needle):
            forms[form] = where
    needle_file.write_bytes(b"\n".join(sorted(forms)) + b"\n")

    def grep(patterns):
        argv = ["grep", "-raoF", "-f", str(patterns), str(rig.data), str(rig.edge), str(rig.logs), str(view)]
        done = subprocess.run(argv, capture_output=True, timeout=300, env={"LC_ALL": "C"})
        if done.returncode > 1:
            raise RuntimeError(done.stderr[:500])
        return [line for line in done.stdout.split(b"\n") if line]

    hits = grep(needle_file)
    told = Counter()
    for line in hits:
        path, _, form = line.partition(b":")
        told[forms.get(form, "?"), Path(path.decode()).relative_to(rig.folder).parts[0]] += 1
    (rig.folder / "canary").write_text(CANARY + "\n")
    canary = [line.partition(b":")[0].decode() for line in grep(rig.folder / "canary")]
    verdict.figure("planted values", len(needles))
    verdict.figure("spellings searched for", len(forms))
    verdict.figure("files searched", files)
    verdict.figure("compressed pieces unpacked", unpacked)
    verdict.figure("rows dumped with all columns", rows)
    verdict.expect("the search sees what is stored: in unpacked files and in the query's answer",
                   any("unpacked" in p for p in canary) and any(p.endswith("/query") for p in canary), canary[:5])
    verdict.expect("no planted value is anywhere", not hits,
                   "; ".join(f"{where} in {place} ×{n}" for (where, place), n in told.most_common(20)))


def main():
    args = arguments(__doc__, ("--values", 0, "corpus values to send; 0 is all"), ("--threads", 6, "clients at once"),
                     ("--wrk-seconds", 5, "how long wrk runs"))
    with open(CORPUS, newline="", encoding="utf-8") as file:
        values = [row["payload"] for row in csv.DictReader(file)]
    if args.values:
        # Spread over the corpus, whose attacks stand together.
        step = max(1, len(values) // args.values)
        values = values[::step][:args.values]
    verdict = Verdict("real-input", args)
    requests, answers, needles = plants()
    with Rig(args, "real-input") as rig:
        planted_file = rig.folder / "planted.json"
        planted_file.write_text(json.dumps(answers))
        rig.start_server()
        rig.set_up()
        rig.write_gateway(SITES.format(nginx=rig.start_nginx(), app=rig.start_app(planted_file)), tls=True)
        rig.start_gateway()

        wire = Wire(rig.gateway_port)
        wire.ask(request("GET", f"/q?rid=c000000&canary={CANARY}&path=canary", "nginx.test").replace(b"/q?", b"/canary?"))
        statuses = [wire.ask(raw)[0] for raw in requests]
        wire.close()
        rig.drain()
        found = rig.api.sql("select count(*) as n from events where path like '/planted%'")[0]["n"]
        verdict.figure("requests with planted secrets", len(requests))
        verdict.expect("all of them were answered and found", found == len(requests) and 0 not in statuses,
                       f"found {found}, answers {Counter(statuses)}")

        check_curl(rig, verdict)
        began = time.monotonic()
        statuses, faults = send_corpus(rig, values, args.threads)
        took = time.monotonic() - began
        verdict.figure("corpus requests a second (Python client)", round(len(statuses) / took))
        verdict.expect("the client saw no connection errors", not faults, faults[:3])
        expected = {(k, i): 200 if k == "query" else status_for(i) for k, i in statuses}
        wrong = [(key, statuses[key]) for key in statuses if statuses[key] != expected[key]]
        verdict.expect("every answer is the application's", not wrong, f"{len(wrong)}: {wrong[:4]}")
        rig.drain(600)
        verdict.figure("gateway reports lost", rig.dropped())
        check_corpus(rig, verdict, values, statuses)

        code, out, err = rig.cli("-o", "json", "query",
                                 "select count(*) as n from events where path in ('/q','/form','/json','/multipart')",
                                 expect=None)
        n = None
        if code == 0:
            rows = json.loads(out).get("rows") or [[None]]
            n = rows[0][0] if isinstance(rows[0], list) else rows[0].get("n")
        verdict.expect("`plura query` counts them too", n == len(values) * 4, f"exit {code}: {n} {err[:300]}")
        if args.wrk_seconds:
            check_wrk(rig, verdict, args.wrk_seconds)

        # The search reads the files of the lake: wait until everything is in it.
        rig.gateway.stop()
        wait_for("everything in the lake", lambda: rig.api.json("GET", "/api/v1/health")["events_unflushed"] == 0, 120, every=0.5)
        search(rig, verdict, needles)
        rig.server.stop(60)
    return verdict.end()


if __name__ == "__main__":
    sys.exit(main())
