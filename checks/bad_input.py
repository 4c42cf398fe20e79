"""Bad input: HTTP at the gateway; NDJSON, logs, syslog, configuration, policy and queries at the server.
Each fault gets a clear error (code, place, hint); its neighbours are taken."""

import gzip
import json
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import attack
from rig import Rig, Verdict, Wire, arguments, free_port, request, wait_for

SYSLOG = """
syslog:
  - {{ name: fw-udp, protocol: udp, listen: '127.0.0.1:{udp}', tenant: default }}
  - {{ name: fw-tcp, protocol: tcp, listen: '127.0.0.1:{tcp}', tenant: default }}
"""

H = "Host: app.test\r\n"
# (what, bytes, codes that are right)
HTTP = [
    ("both lengths", f"POST /x HTTP/1.1\r\n{H}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "content-length-and-transfer-encoding"),
    ("two lengths", f"POST /x HTTP/1.1\r\n{H}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "repeated-content-length"),
    ("two equal lengths", f"POST /x HTTP/1.1\r\n{H}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "repeated-content-length"),
    ("a list of lengths", f"POST /x HTTP/1.1\r\n{H}Content-Length: 5, 5\r\n\r\nhello", "invalid-content-length"),
    ("a signed length", f"POST /x HTTP/1.1\r\n{H}Content-Length: +5\r\n\r\nhello", "invalid-content-length"),
    ("a hexadecimal length", f"POST /x HTTP/1.1\r\n{H}Content-Length: 0x5\r\n\r\nhello", "invalid-content-length"),
    ("an endless length", f"POST /x HTTP/1.1\r\n{H}Content-Length: 99999999999999999999999\r\n\r\nhello", "invalid-content-length"),
    ("chunked twice", f"POST /x HTTP/1.1\r\n{H}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "unsupported-transfer-encoding"),
    ("chunked misspelt", f"POST /x HTTP/1.1\r\n{H}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "unsupported-transfer-encoding"),
    ("gzip, chunked", f"POST /x HTTP/1.1\r\n{H}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "unsupported-transfer-encoding"),
    ("chunked in HTTP/1.0", f"POST /x HTTP/1.0\r\n{H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "transfer-encoding-in-http10"),
    ("a folded header", f"GET /x HTTP/1.1\r\n{H}X-A: a\r\n b\r\n\r\n", "folded-header"),
    ("a folded first header", f"GET /x HTTP/1.1\r\n X-A: a\r\n{H}\r\n", ("folded-header", "invalid-header-name")),
    ("a blank before the colon", f"GET /x HTTP/1.1\r\n{H}X-A : a\r\n\r\n", "space-before-colon"),
    ("a blank in Transfer-Encoding's name", f"POST /x HTTP/1.1\r\n{H}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "space-before-colon"),
    ("bare line feeds", "GET /x HTTP/1.1\nHost: app.test\n\n", "bare-line-feed"),
    ("a bare carriage return", f"GET /x HTTP/1.1\r\n{H}X-A: a\rb\r\n\r\n", "bare-carriage-return"),
    ("a NUL", f"GET /x HTTP/1.1\r\n{H}X-A: a\0b\r\n\r\n", "nul-byte"),
    ("a header name with a blank", f"GET /x HTTP/1.1\r\n{H}X A: b\r\n\r\n", "invalid-header-name"),
    ("an empty header name", f"GET /x HTTP/1.1\r\n{H}: b\r\n\r\n", "invalid-header-name"),
    ("a header without colon", f"GET /x HTTP/1.1\r\n{H}nonsense\r\n\r\n", "invalid-header-name"),
    ("a control character in a value", f"GET /x HTTP/1.1\r\n{H}X-A: \x07\r\n\r\n", "invalid-header-value"),
    ("no version", f"GET /x\r\n{H}\r\n", ("invalid-request-line", "unsupported-version")),
    ("three blanks", f"GET  /x  HTTP/1.1\r\n{H}\r\n", ("invalid-request-line", "invalid-target")),
    ("no target", f"GET HTTP/1.1\r\n{H}\r\n", ("invalid-request-line", "invalid-target")),
    ("a target without slash", f"GET x HTTP/1.1\r\n{H}\r\n", "invalid-target"),
    ("a target with bytes", f"GET /\xff\xfe HTTP/1.1\r\n{H}\r\n", "invalid-target"),
    ("HTTP/3.7", f"GET /x HTTP/3.7\r\n{H}\r\n", "unsupported-version"),
    ("HTTP/1.2", f"GET /x HTTP/1.2\r\n{H}\r\n", "unsupported-version"),
    ("lower-case version", f"GET /x http/1.1\r\n{H}\r\n", ("unsupported-version", "invalid-request-line")),
    ("CONNECT", f"CONNECT app.test:443 HTTP/1.1\r\n{H}\r\n", ("method-refused", "invalid-target")),
    ("TRACE", f"TRACE /x HTTP/1.1\r\n{H}\r\n", "method-refused"),
    ("a method of bytes", f"G@T /x HTTP/1.1\r\n{H}\r\n", "invalid-request-line"),
    ("no host", "GET /x HTTP/1.1\r\n\r\n", "missing-host"),
    ("two hosts", f"GET /x HTTP/1.1\r\n{H}{H}\r\n", "repeated-host"),
    ("a host with a path", "GET /x HTTP/1.1\r\nHost: app.test/evil\r\n\r\n", "invalid-host"),
    ("a host with a user", "GET /x HTTP/1.1\r\nHost: a@app.test\r\n\r\n", "invalid-host"),
    ("another host in the target", f"GET http://other.test/x HTTP/1.1\r\n{H}\r\n", "host-mismatch"),
    ("a head of 40 KiB", f"GET /x HTTP/1.1\r\n{H}X-A: {'a' * 40_000}\r\n\r\n", "head-too-large"),
    ("150 headers", f"GET /x HTTP/1.1\r\n{H}" + "".join(f"X-{i}: a\r\n" for i in range(150)) + "\r\n", "too-many-headers"),
    ("a target of 9 KiB", f"GET /{'a' * 9_000} HTTP/1.1\r\n{H}\r\n", "target-too-long"),
    ("an unknown expectation", f"POST /x HTTP/1.1\r\n{H}Expect: 200-maybe\r\nContent-Length: 0\r\n\r\n", "expectation-unknown"),
    ("a chunk size of letters", f"POST /x HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", "invalid-chunk-size"),
    ("a negative chunk", f"POST /x HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n", "invalid-chunk-size"),
    ("an endless chunk size", f"POST /x HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", "invalid-chunk-size"),
    ("a chunk without its end", f"POST /x HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n", "invalid-chunk-end"),
    ("chunk sizes ended by LF", f"POST /x HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n", ("bare-line-feed", "invalid-chunk-size")),
    ("a trailer without colon", f"POST /x HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nbad trailer\r\n\r\n", "invalid-trailer"),
    ("TLS at the plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "\x01" * 40 + "\r\n\r\n", None),
    ("HTTP/2 at the plain port", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None),
    ("a host nobody claims", "GET /x HTTP/1.1\r\nHost: nobody.test\r\n\r\n", "unknown-host"),
]


def raw(port, data, timeout=15):
    """(status, code, number of answers, everything)."""
    out = b""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as s:
        s.settimeout(timeout)
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while True:
                got = s.recv(65536)
                if not got:
                    break
                out += got
        except OSError:
            pass
    status = int(out.split(b" ", 2)[1]) if out.startswith(b"HTTP/1.") else 0
    body = out.split(b"\r\n\r\n", 1)[-1]
    try:
        problem = json.loads(body)
    except ValueError:
        problem = {}
    return status, problem, len(re.findall(rb"HTTP/1\.[01] \d\d\d ", out)), out


def http(rig, verdict):
    wrong, untold, twice, neighbours = [], [], [], 0
    neighbour = Wire(rig.gateway_port)
    for n, (what, text, codes) in enumerate(HTTP):
        data = text.encode("latin-1")
        status, problem, answers, out = raw(rig.gateway_port, data)
        codes = (codes,) if isinstance(codes, str) else codes
        if codes is None:
            if status == 200:
                wrong.append((what, status, out[:100]))
        elif not 400 <= status < 600 or problem.get("code") not in codes:
            wrong.append((what, status, problem.get("code"), out[:80]))
        if codes and not all(problem.get(k) for k in ("code", "title", "status")):
            untold.append(what)
        if answers > 1:
            twice.append((what, answers))
        neighbours += neighbour.ask(request("GET", f"/neighbour?n={n}", "app.test"))[0] == 200
    neighbour.close()
    verdict.figure("malformed HTTP requests", len(HTTP))
    verdict.expect("each is refused with its permanent code", not wrong, wrong)
    verdict.expect("each answer is a problem with code, title and status", not untold, untold)
    verdict.expect("none is answered as two requests", not twice, twice)
    verdict.expect("a neighbour on a kept connection is served each time", neighbours == len(HTTP), neighbours)
    rig.drain()
    stored = rig.api.sql("select count(*) as n from events where path = '/neighbour'")[0]["n"]
    verdict.expect("each neighbour is recorded", stored == len(HTTP), stored)
    smuggled = rig.api.sql("select path, request_body from events where path = '/x' and outcome = 'success'")
    verdict.expect("nothing malformed reached the application", not smuggled, smuggled[:3])


def full(problem, what, missing):
    """Code, place and hint."""
    lacks = [k for k in ("code", "place", "message", "hint") if not problem.get(k)]
    if lacks:
        missing.append((what, lacks, problem))


def ndjson(rig, verdict):
    now = int(time.time() * 1000)

    def event(n, **more):
        return json.dumps({"class_uid": 4001, "time": now, "message": f"good {n}",
                           "metadata": {"log_source": "bad-ndjson", "sequence": n}, **more})

    bad = [("not JSON", '{"class_uid": 4001,'), ("a list", "[1,2]"), ("a number", "42"), ("text", '"hello"'), ("null", "null"),
           ("no time", '{"class_uid": 4001, "message": "no time"}'), ("time as text", '{"class_uid":4001,"time":"yesterday"}'),
           ("two objects", '{"time":1}{"time":2}'), ("bytes", b'\xff\xfe{"time":1}'), ("too deep", '{"a":' * 200 + "1" + "}" * 200),
           ("an unpaired surrogate", '{"time":1,"message":"\\ud800"}'), ("a NUL", '{"time":1,"message":"\0"}')]
    lines = []
    for n, (_, text) in enumerate(bad):
        lines.append(event(n).encode())
        lines.append(text if isinstance(text, bytes) else text.encode())
    lines.append(event(len(bad), src_endpoint={"port": "eighty"}).encode())  # kept, with a note
    body = b"\n".join(lines)
    status, _, data = rig.api.call("POST", "/api/v1/intake/events", body, {"Content-Type": "application/x-ndjson"})
    answer = json.loads(data)
    verdict.figure("NDJSON: lines, accepted, rejected", (len(lines), answer.get("accepted"), answer.get("rejected")))
    verdict.expect("NDJSON: 200, the good lines taken, the bad rejected",
                   status == 200 and answer.get("accepted") == len(bad) + 1 and answer.get("rejected") == len(bad), (status, answer))
    missing = []
    told = {}
    for d in answer.get("diagnostics", []):
        full(d, "ndjson", missing)
        line = re.search(r"line (\d+)", d["place"])
        told.setdefault(int(line[1]) if line else 0, []).append(d["code"])
    wanted = {2 * n + 2 for n in range(len(bad))} | {len(lines)}
    verdict.expect("NDJSON: each bad line is named with code, place and hint", set(told) >= wanted and not missing,
                   (sorted(wanted - set(told)), missing[:3]))
    verdict.figure("NDJSON: codes", sorted({c for codes in told.values() for c in codes}))
    stored = rig.api.sql("select count(*) as n from events where source = 'bad-ndjson'")[0]["n"]
    verdict.expect("NDJSON: the neighbours are stored", stored == len(bad) + 1, stored)

    cases = [("gzip that is none", b"hello", {"Content-Encoding": "gzip"}, "encoding-invalid", 400),
             ("zstd that is none", b"hello", {"Content-Encoding": "zstd"}, "encoding-invalid", 400),
             ("gzip that breaks off", gzip.compress(event(900).encode() * 1000)[:200], {"Content-Encoding": "gzip"}, "encoding-invalid", 400),
             ("an unknown encoding", b"hello", {"Content-Encoding": "br"}, "media-type-unsupported", 415),
             ("a gzip bomb", gzip.compress(b"\0" * (80 << 20), 9), {"Content-Encoding": "gzip"}, "body-too-large", 413),
             ("too much on the wire", b" " * (17 << 20), {}, "body-too-large", 413),
             ("a source of control characters", event(901).encode(), {"Plura-Source": "a\tb"}, "source-invalid", 400)]
    wrong = []
    for what, data, headers, code, wanted in cases:
        try:
            status, _, data = rig.api.call("POST", "/api/v1/intake/events", data, {"Content-Type": "application/x-ndjson", **headers})
            problem = json.loads(data)
        except OSError as error:
            # What is refused by its length may be answered before it was sent.
            rig.api.local.connection = None
            if what != "too much on the wire":
                wrong.append((what, str(error)))
            continue
        if status != wanted or problem.get("code") != code or not problem.get("detail"):
            wrong.append((what, status, problem))
    verdict.figure("intake bodies that cannot be read", len(cases))
    verdict.expect("intake bodies: each has its code", not wrong, wrong)
    stored = rig.api.sql("select count(*) as n from events where sequence >= 900 and source in ('bad-ndjson')")[0]["n"]
    verdict.expect("intake bodies: nothing of them was taken", stored == 0, stored)


def logs(rig, verdict):
    """A line nobody can read is kept and searchable, with the reason."""
    good = '203.0.113.9 - - [22/Nov/2026:06:00:00 +0000] "GET /good HTTP/1.1" 200 12 "-" "curl/8"'
    bad = ["nonsense", "203.0.113.9 - - [99/Foo/2026] \"GET", "\x00\x01\x02", "{\"time\":", "<999>1 broken", "é" * 300]
    text = "\n".join(line for b in bad for line in (good, b))
    status, _, data = rig.api.call("POST", "/api/v1/intake/logs?source=bad-logs&format=combined", text.encode(), {"Content-Type": "text/plain"})
    answer = json.loads(data)
    rows = rig.api.sql("select class_uid, path, diagnostic, diagnostic_detail, raw from events where source = 'bad-logs'")
    read = [r for r in rows if r["path"] == "/good"]
    kept = [r for r in rows if r["diagnostic"]]
    verdict.figure("log lines: good read, bad kept", (len(read), len(kept)))
    verdict.expect("log lines: all are stored, the bad ones with a reason", status == 200 and len(read) == len(bad) and
                   len(kept) == len(bad) and all(r["raw"] is not None and r["diagnostic_detail"] for r in kept), (status, answer, rows[:3]))
    missing = []
    for d in answer.get("diagnostics", []):
        full(d, "logs", missing)
    verdict.expect("log lines: each diagnostic has code, place and hint", answer.get("diagnostics") and not missing, missing[:3] or answer)
    for query, code in (("source=x&format=nonsense", "format-unknown"), ("format=auto", "query-invalid"), ("source=x&colour=red", "query-invalid"),
                        ("source=&format=auto", "source-invalid")):
        status, _, data = rig.api.call("POST", f"/api/v1/intake/logs?{query}", b"x\n", {"Content-Type": "text/plain"})
        verdict.expect(f"`{query}` is {code}", status == 400 and json.loads(data).get("code") == code, (status, data[:200]))


def syslog(rig, verdict, udp, tcp):
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    good = [f"<34>1 {now} host-{n} app 77 ID47 - syslog good {n}" for n in range(8)]
    bad = [b"", b"<", b"<999>1 x", b"<34", b"no priority at all", b"<34>99 version", b"\xff\xfe\xfd", b"<34>1 not-a-time host app - - - x",
           b"<34>1 " + b"a" * 3000, b"<34>1 " + now.encode() + b" h a p m [unclosed x=\"y sd"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for n, line in enumerate(good):
            s.sendto(line.encode(), ("127.0.0.1", udp))
            s.sendto(bad[n % len(bad)], ("127.0.0.1", udp))
            time.sleep(0.01)
    with socket.create_connection(("127.0.0.1", tcp), timeout=10) as s:
        for n, line in enumerate(good):
            s.sendall(line.replace("good", "tcp").encode() + b"\n" + bad[(n + 2) % len(bad)].replace(b"\n", b" ") + b"\n")
    # A connection that lies about its length, beside one that does not (RFC 6587 octet counting).
    with socket.create_connection(("127.0.0.1", tcp), timeout=10) as s:
        s.sendall(b"999999999999 <34>1 lies\n")
    with socket.create_connection(("127.0.0.1", tcp), timeout=10) as s:
        text = good[0].replace("good", "counted").encode()
        s.sendall(str(len(text)).encode() + b" " + text)

    def found():
        rows = rig.api.sql("select source, message, raw, diagnostic from events where source like 'fw-%'")
        texts = [f"{r['message']} {r['raw']}" for r in rows]
        counts = [sum(f"syslog {kind}" in t for t in texts) for kind in ("good", "tcp", "counted")]
        return (counts, rows) if counts == [8, 8, 1] else None

    try:
        counts, rows = wait_for("syslog lines", found, 15, every=0.3)
    except TimeoutError:
        rows = rig.api.sql("select source, message, raw, diagnostic from events where source like 'fw-%'")
        counts = [sum(f"syslog {kind}" in f"{r['message']} {r['raw']}" for r in rows) for kind in ("good", "tcp", "counted")]
    kept = [r for r in rows if r["diagnostic"]]
    verdict.figure("syslog: good over UDP, TCP, counted; bad kept with a reason", (*counts, len(kept)))
    verdict.expect("syslog: every good line is stored beside the bad", counts == [8, 8, 1], counts)
    verdict.expect("syslog: bad lines are kept with their reason", len(kept) >= 10, [r["raw"] for r in kept])


def configs(rig, verdict):
    good_gateway = rig.gateway_yaml.read_text()
    server_cases = [("a misspelt key", "lissten: 127.0.0.1:1\n"), ("not YAML", "listen: [1,\n"), ("a wrong type", "limits: { requests_max: many }\n"),
                    ("a zero limit", "limits: { requests_max: 0 }\n"), ("half a certificate", "tls: { cert: a.pem }\n"),
                    ("twin listeners", "syslog:\n- &a { name: x, protocol: udp, listen: '127.0.0.1:0', tenant: default }\n- { name: x, protocol: udp, listen: '127.0.0.1:0', tenant: default }\n"),
                    ("an unknown protocol", "syslog: [{ name: x, protocol: smoke, listen: '127.0.0.1:0', tenant: default }]\n"),
                    ("an address of words", "listen: localhost-somewhere\n"), ("a billion laughs", "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n"),
                    ("bytes", "\x00\x01\n")]
    gateway_cases = [("a misspelt key", good_gateway.replace("hosts:", "hostss:", 1)), ("no sites", re.sub(r"sites:.*", "sites: []\n", good_gateway, flags=re.S)),
                     ("a bad upstream", good_gateway.replace("url: 'http://", "url: 'ftp//", 1)), ("a bad id", good_gateway.replace("check-1", "Check One")),
                     ("a bad expression", good_gateway.replace("response.status == 401", "response.status ==== 401")),
                     ("a bad route", good_gateway.replace("POST /login", "POST login")), ("a bad place", good_gateway.replace("form:username", "forms:username")),
                     ("no listener", re.sub(r"listeners:\n(  - .*\n)+", "listeners: []\n", good_gateway)), ("not YAML", "gateway: [")]
    wrong = []
    for half, cases in (("server", server_cases), ("gateway", gateway_cases)):
        for what, text in cases:
            file = rig.folder / f"bad-{half}.yaml"
            file.write_text(text)
            code, out, err = rig.cli(half, "--config", file, "--check", expect=None, timeout=20)
            has_code = re.search(r"\[[a-z0-9-]+\]", err)
            has_place = file.name in err or re.search(r"sites\.|sites\[", err)
            if code != 3 or not has_code or not has_place or "hint:" not in err or "panicked" in err:
                wrong.append((half, what, code, err[:300]))
    verdict.figure("faulty configurations", len(server_cases) + len(gateway_cases))
    verdict.expect("configurations: each fault has code, place, hint and exit 3", not wrong, wrong[:6])
    # A running gateway keeps its configuration when the new one is faulty.
    rig.gateway_yaml.write_text(gateway_cases[0][1])
    rig.gateway.process.send_signal(1)
    wire = Wire(rig.gateway_port)
    time.sleep(1)
    status = wire.ask(request("GET", "/neighbour", "app.test"))[0]
    verdict.expect("reload of a faulty configuration: the old one stays", status == 200 and rig.gateway.alive(), (status, rig.gateway.errors(500)))
    rig.gateway_yaml.write_text(good_gateway)
    wire.close()
    for args in (["verify", "/nonexistent"], ["gateway", "--config", "/nonexistent"], ["query", "selec"], ["incident", "show", "zzz"], ["import", "/nonexistent"],
                 ["action", "undo", "zzz", "--reason", "x"], ["frobnicate"], ["query"]):
        code, out, err = rig.cli(*args, expect=None, timeout=30)
        verdict.expect(f"`plura {' '.join(args)}` fails with a reason", code in (1, 2, 3, 4) and err.strip() and "panicked" not in err, (code, err[:300]))


def policies(rig, verdict):
    rig.api.json("PUT", "/api/v1/policy", {"text": attack.POLICY, "reason": "check"})
    good = attack.POLICY
    cases = [("not YAML", "policies: [", "bad-yaml"), ("a misspelt field", good.replace("when:", "wen:"), "unknown-field"),
             ("an unknown rung", good.replace("rung: block", "rung: explode"), "unknown-value"), ("no time limit", good.replace("ttl: 1h, ", ""), "missing-field"),
             ("a bad time", good.replace("ttl: 1h", "ttl: soon"), "bad-duration"), ("too long", good.replace("ttl: 1h", "ttl: 90d"), "duration-out-of-range"),
             ("never above step-up", good.replace("approval: always", "approval: never"), "never-is-too-far"),
             ("a rate that does not fit", good.replace("ttl: 1h", "ttl: 1h, rate_per_minute: 5"), "rate-does-not-fit"),
             ("the same twice", good + good.split("\n", 1)[1], "duplicate-policy"),
             ("bad confidence", good.replace("entity: address", "entity: address, min_confidence: 101"), "bad-confidence")]
    wrong = []
    for what, text, code in cases:
        status, _, data = rig.api.call("PUT", "/api/v1/policy", {"text": text, "reason": "check"})
        problem = json.loads(data)
        missing = []
        codes = [d.get("code") for d in problem.get("diagnostics", [])]
        for d in problem.get("diagnostics", []):
            full(d, what, missing)
            if not re.search(r":\d+:\d+", d.get("place", "")):
                missing.append((what, "line and column", d.get("place")))
        if not 400 <= status < 500 or code not in codes or missing:
            wrong.append((what, status, problem.get("code"), codes, missing))
    verdict.figure("faulty policies", len(cases))
    verdict.expect("policies: each fault has code, file:line:column and hint", not wrong, wrong)
    now = rig.api.json("GET", "/api/v1/policy")
    verdict.expect("policies: the good one stays in force", now["text"] == good and now["version"] == 1, now["version"])


def queries(rig, verdict):
    cases = [("selec 1", "query-syntax"), ("select nope from events", "unknown-column"), ("select * from secrets", "unknown-table"),
             ("select nope(1) from events", "unknown-function"), ("delete from events", "query-not-read-only"), ("drop table events", "query-not-read-only"),
             ("select 1; select 2", None), ("create external table x stored as csv location '/etc/passwd'", None), ("set x = 1", None),
             ("copy events to '/tmp/x'", None), ("select * from '/etc/passwd'", None), ("", None), ("select path from events where time > 'soon'", None),
             ("select count(*) from events a, events b, events c, events d, events e where a.path = 'x'", ""),
             ("select " + "(" * 500 + "1" + ")" * 500, None), ("x" * 70_000, "text-too-long"), ("select 1/0", None), ("with recursive r as (select 1 as n union all select n+1 from r) select count(*) from r", None)]
    wrong = []
    for sql, code in cases:
        began = time.monotonic()
        status, _, data = rig.api.call("POST", "/api/v1/query", {"sql": sql, "rows": 10}, timeout=60)
        try:
            problem = json.loads(data)
        except ValueError:
            problem = {}
        if time.monotonic() - began > 40:
            wrong.append((sql[:60], "took", time.monotonic() - began))
        if code == "" and status == 200:
            continue
        place = (problem.get("diagnostics") or [{}])[0].get("place") or problem.get("code") == "text-too-long"
        if not 400 <= status < 500 or not problem.get("code") or (code and problem["code"] != code):
            wrong.append((sql[:60], status, problem.get("code"), problem.get("detail", "")[:120]))
        elif problem["code"] != "text-too-long" and (not problem.get("hint") or not place):
            wrong.append((sql[:60], "no hint or place", problem))
    verdict.figure("faulty queries", len(cases))
    verdict.expect("queries: each fault has code, place and hint", not wrong, wrong)
    verdict.expect("queries: a good one is answered afterwards", rig.api.sql("select count(*) as n from events")[0]["n"] > 0)

    wrong = []
    for method, path, body, headers, status_wanted, code in [
        ("POST", "/api/v1/query", b"{", {"Content-Type": "application/json"}, 400, "body-invalid"),
        ("POST", "/api/v1/query", b"{}", {"Content-Type": "text/plain"}, 415, "media-type-unsupported"),
        ("POST", "/api/v1/query", {"sql": "select 1", "colour": 1}, {}, 400, "body-invalid"),
        ("POST", "/api/v1/query", {"sql": "select 1", "rows": 0}, {}, 400, "limit-invalid"),
        ("GET", "/api/v1/events?limit=9999", None, {}, 400, "limit-invalid"),
        ("GET", "/api/v1/events?since=soon", None, {}, 400, "time-invalid"),
        ("GET", "/api/v1/events?after=zzz", None, {}, 400, "cursor-invalid"),
        ("GET", "/api/v1/events?entity=nonsense", None, {}, 400, "query-invalid"),
        ("GET", "/api/v1/events/not-a-uuid", None, {}, 400, "path-invalid"),
        ("GET", "/api/v1/nothing", None, {}, 404, "no-such-route"),
        ("DELETE", "/api/v1/events", None, {}, 405, "method-not-allowed"),
        ("GET", "/api/v1/events", None, {"Authorization": "Bearer nonsense"}, 401, None),
    ]:
        status, _, data = rig.api.call(method, path, body, headers)
        problem = json.loads(data) if data else {}
        if status != status_wanted or (code and problem.get("code") != code) or not problem.get("detail") :
            wrong.append((method, path, status, problem))
    verdict.expect("API: each bad request has its code", not wrong, wrong)
    status, _, _, out = raw_tls(rig, b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n")
    verdict.expect("API: malformed HTTP is refused", status in (0, 400), out[:100])


def raw_tls(rig, data):
    out = b""
    with socket.create_connection(("127.0.0.1", rig.server_port), timeout=10) as plain:
        with rig.api.context.wrap_socket(plain, server_hostname="127.0.0.1") as s:
            try:
                s.sendall(data)
                out = s.recv(65536)
            except OSError:
                pass
    return (int(out.split(b" ", 2)[1]) if out.startswith(b"HTTP/1.") else 0), None, 1, out


def main():
    args = arguments(__doc__, ("--only", "", "http, ndjson, logs, syslog, configs, policies or queries"))
    verdict = Verdict("bad-input", args)
    with Rig(args, "bad-input") as rig:
        udp, tcp = free_port(), free_port()
        config = rig.folder / "server.yaml"
        config.write_text(SYSLOG.format(udp=udp, tcp=tcp))
        rig.start_server(config=config)
        rig.set_up()
        rig.write_gateway(attack.SITES.format(app=rig.start_app()))
        rig.start_gateway()
        parts = {"http": lambda: http(rig, verdict), "ndjson": lambda: ndjson(rig, verdict), "logs": lambda: logs(rig, verdict),
                 "syslog": lambda: syslog(rig, verdict, udp, tcp), "configs": lambda: configs(rig, verdict),
                 "policies": lambda: policies(rig, verdict), "queries": lambda: queries(rig, verdict)}
        for name, part in parts.items():
            if args.only in ("", name):
                try:
                    part()
                except (RuntimeError, TimeoutError, OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
                    verdict.expect(f"{name}: ran to its end", False, f"{type(error).__name__}: {error}")
                    rig.api.local.connection = None
        verdict.expect("server and gateway live", rig.server.alive() and rig.gateway.alive())
        for child in (rig.server, rig.gateway):
            verdict.expect(f"{child.name}: no panic in its log", "panicked" not in Path(child.err).read_text(errors="replace"), child.errors(800))
    return verdict.end()


if __name__ == "__main__":
    sys.exit(main())
