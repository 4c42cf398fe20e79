"""Hostile input to the decision point: a row each. Nothing of it may be allowed, nor end a request with 5xx."""

import json
import re
import socket
import time

from trust_fixture import EVALUATION, EVALUATIONS, asks

MEDIA = {"Content-Type": "application/json"}
WHOLE = json.dumps(asks("alice", "read", "record-1"))
REFUSED = json.dumps(asks("bob", "write", "record-1"))
LONG = "x" * 1_000_000
DEEP = "[" * 100_000 + "]" * 100_000


def with_member(text, member):
    return "{" + member + "," + text[1:]


def context(member, text=WHOLE):
    return with_member(text, '"context":{' + member + "}")


def signals(members):
    return context('"signals":{' + members + "}")


def swapped(name, value):
    """The allowed question with one of its texts replaced by other JSON."""
    return WHOLE.replace(f'"{name}"', value, 1)


# (what, body, headers, status, codes)
ROWS = [
    ("an unknown signal", signals('"mfa_reslt":"success"'), MEDIA, 400, "signal-invalid"),
    ("a value no signal has", signals('"mfa_result":"yes"'), MEDIA, 400, "signal-invalid"),
    ("a signal of the wrong type", signals('"mfa_result":true'), MEDIA, 400, "signal-invalid"),
    ("a signal that is null", signals('"mfa_result":null'), MEDIA, 400, "body-invalid"),
    ("a signal that is an object", signals('"mfa_result":{"value":"success"}'), MEDIA, 400, "body-invalid"),
    ("signals as a list", context('"signals":[]'), MEDIA, 400, "body-invalid"),
    ("a subject that is a list", WHOLE.replace('{"type": "user", "id": "alice"}', '["user","alice"]'), MEDIA, 400, "body-invalid"),
    ("an id that is a number", swapped("alice", "7"), MEDIA, 400, "body-invalid"),
    ("an id that is an object", swapped("alice", '{"$ne":null}'), MEDIA, 400, "body-invalid"),
    ("an empty id", swapped("alice", '""'), MEDIA, 400, "evaluation-invalid"),
    ("an action that is text", WHOLE.replace('{"name": "read"}', '"read"'), MEDIA, 400, "body-invalid"),
    ("a body that is a list", f"[{WHOLE}]", MEDIA, 400, "body-invalid"),
    ("a body that is null", "null", MEDIA, 400, "body-invalid"),
    ("an empty body", "", MEDIA, 400, "body-invalid"),
    ("two bodies", WHOLE * 2, MEDIA, 400, "body-invalid"),
    ("half a body", WHOLE[:-9], MEDIA, 400, "body-invalid"),
    ("NaN", signals('"failed_attempts_recent":NaN'), MEDIA, 400, "body-invalid"),
    ("Infinity", signals('"failed_attempts_recent":Infinity'), MEDIA, 400, "body-invalid"),
    ("minus Infinity", signals('"failed_attempts_recent":-Infinity'), MEDIA, 400, "body-invalid"),
    ("1e400", signals('"failed_attempts_recent":1e400'), MEDIA, 400, "body-invalid"),
    ("1e400 in a property", WHOLE.replace('"alice"', '"alice","properties":{"n":1e400}'), MEDIA, 400, "body-invalid"),
    ("a count of 99999999999999999999", signals('"failed_attempts_recent":99999999999999999999'), MEDIA, 400, "body-invalid"),
    ("a negative count", signals('"failed_attempts_recent":-5'), MEDIA, 400, "signal-invalid"),
    ("half a count", signals('"failed_attempts_recent":0.5'), MEDIA, 400, "body-invalid"),
    ("an id of 1 MB", swapped("alice", f'"{LONG}"'), MEDIA, 400, "evaluation-invalid"),
    ("a signal of 1 MB", signals(f'"locale_lang":"{LONG}"'), MEDIA, 400, ("evaluation-invalid", "signal-invalid")),
    ("a name of 1 MB", signals(f'"{LONG}":true'), MEDIA, 400, ("evaluation-invalid", "signal-invalid")),
    ("a user agent of 1 MB", context(f'"user_agent":"{LONG}"'), MEDIA, 400, "evaluation-invalid"),
    ("200 signals", signals(",".join(f'"s{n}":true' for n in range(200))), MEDIA, 400, "body-invalid"),
    ("200 properties", WHOLE.replace('"alice"', '"alice","properties":' + json.dumps({f"p{n}": n for n in range(200)})), MEDIA, 400, "evaluation-invalid"),
    ("control characters", WHOLE.replace("alice", "ali\\u0000ce"), MEDIA, 400, "evaluation-invalid"),
    ("half a surrogate", WHOLE.replace("alice", "ali\\ud800ce"), MEDIA, 400, "body-invalid"),
    ("a signal twice", signals('"mfa_result":"fail","mfa_result":"success"'), MEDIA, 400, "body-invalid"),
    ("a subject twice", with_member(WHOLE, '"subject":{"type":"user","id":"eve"}'), MEDIA, 400, "body-invalid"),
    ("an id twice", WHOLE.replace('"id": "alice"', '"id":"eve","id": "alice"'), MEDIA, 400, "body-invalid"),
    ("100,000 brackets", DEEP, MEDIA, 400, "body-invalid"),
    ("100,000 brackets as the subject", WHOLE.replace('{"type": "user", "id": "alice"}', DEEP), MEDIA, 400, "body-invalid"),
    ("100,000 brackets as a property", WHOLE.replace('"alice"', f'"alice","properties":{{"a":{DEEP}}}'), MEDIA, 400, "body-invalid"),
    ("100,000 brackets as a signal", signals(f'"mfa_result":{DEEP}'), MEDIA, 400, "body-invalid"),
    ("10 MB", signals(f'"locale_lang":"{LONG * 10}"'), MEDIA, 413, "body-too-large"),
    ("bytes that are not UTF-8", WHOLE.encode().replace(b"alice", b"ali\xff\xfece"), MEDIA, 400, "body-invalid"),
    ("UTF-16", WHOLE.encode("utf-16"), MEDIA, 400, "body-invalid"),
    ("text", WHOLE, {"Content-Type": "text/plain"}, 400, "content-type-invalid"),
    ("a form", "subject=alice", {"Content-Type": "application/x-www-form-urlencoded"}, 400, "content-type-invalid"),
    ("no content type", WHOLE, {}, 400, "content-type-invalid"),
    ("gzip that nobody announced", b"\x1f\x8b\x08\x00", MEDIA, 400, "body-invalid"),
]
# (what, member of the body, note): documented to be ignored or noted; what was refused stays refused.
NOTED = [
    ("unknown fields", '"decision":true,"futureField":{"nested":[1]}', None),
    ("an unknown part of the context", '"context":{"ip":"192.0.2.1","decision":true}', None),
    ("100,000 brackets in an unknown field", f'"futureField":{DEEP}', None),
    ("context.time a day ago", None, "context-time-skewed"),
    ("context.time tomorrow", None, "context-time-skewed"),
    ("context.time unreadable", '"context":{"time":"yesterday"}', "context-time-unreadable"),
    ("good news of oneself", '"context":{"signals":{"authorization":"match"}}', None),
]


def raw(rig, token, body):
    """Sends all it can and reads what there is: a body refused by its length is answered before its end."""
    head = (f"POST {EVALUATION} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode()
    out = b""
    with socket.create_connection(("127.0.0.1", rig.server_port), timeout=30) as plain:
        with rig.api.context.wrap_socket(plain, server_hostname="127.0.0.1") as s:
            try:
                s.sendall(head + body)
            except OSError:
                pass
            try:
                while got := s.recv(65536):
                    out += got
            except OSError:
                pass
    status = int(out.split(b" ", 2)[1]) if out.startswith(b"HTTP/1.") else 0
    return status, out.split(b"\r\n\r\n", 1)[-1]


def read(data):
    try:
        value = json.loads(data)
        return value if isinstance(value, dict) else {}
    except ValueError:
        return {}


def still_answers(rig, token):
    status, _, data = rig.api.call("POST", EVALUATION, WHOLE.encode(), MEDIA, token=token)
    return status == 200 and read(data).get("decision") is True


def day(offset):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + offset * 86_400))


def rows(rig, verdict, token):
    hints, alive = [], 0
    for what, body, headers, status, codes in ROWS:
        body = body.encode() if isinstance(body, str) else body
        codes = (codes,) if isinstance(codes, str) else codes
        if len(body) > 1 << 20:
            got, data = raw(rig, token, body)
        else:
            got, _, data = rig.api.call("POST", EVALUATION, body, headers, token=token)
        problem = read(data)
        fits = got == status and problem.get("code") in codes and problem.get("detail") and "decision" not in problem
        verdict.expect(f"{what}: {status} {codes[0]}", fits, (got, data[:300]))
        if not problem.get("hint"):
            hints.append(what)
        alive += still_answers(rig, token)
        # The same as one question of a batch: refused, alone or with the batch.
        if status == 400 and headers is MEDIA and body.startswith(b"{") and len(body) < 500_000:
            batch = b'{"evaluations":[' + body + b"," + WHOLE.encode() + b"]}"
            got, _, data = rig.api.call("POST", EVALUATIONS, batch, MEDIA, token=token)
            answer = read(data)
            firsts = [e.get("decision") for e in answer.get("evaluations", [])][:1]
            if not (got == 400 and answer.get("code") or got == 200 and firsts == [False]):
                verdict.expect(f"{what}, in a batch: refused", False, (got, data[:300]))
    verdict.figure("hostile bodies", len(ROWS))
    verdict.expect("each has a hint", not hints, hints)
    verdict.expect("after each the server answers as before", alive == len(ROWS), alive)

    for what, member, note in NOTED:
        if "ago" in what or "tomorrow" in what:
            member = f'"context":{{"time":"{day(-1 if "ago" in what else 1)}"}}'
        answers = []
        for text in (REFUSED, WHOLE):
            status, _, data = rig.api.call("POST", EVALUATION, with_member(text, member).encode(), MEDIA, token=token)
            answers.append((status, read(data).get("decision")))
        notes = (read(data).get("context") or {}).get("notes") or []
        verdict.expect(f"{what}: changes nothing{', and is noted' if note else ''}",
                       answers == [(200, False), (200, True)] and (note is None or note in notes), (answers, notes))


def policies(rig, verdict):
    """Policies that would run in circles, or away."""
    shipped = rig.api.json("GET", "/api/v1/trust/policy")
    text = shipped["text"]

    def derived(*entries):
        return text.replace("derived:\n", "derived:\n" + "".join(f"  - {e}\n" for e in entries), 1)

    cases = [
        ("two facts that rest on each other", derived("{id: loop_a, when: loop_b}", "{id: loop_b, when: loop_a}")),
        ("a fact that rests on itself", derived("{id: loop_c, when: \"loop_c || is_guest\"}")),
        ("a fact named like a signal", derived("{id: mfa_result, when: is_guest}")),
        ("the same fact twice", derived("{id: twice, when: is_guest}", "{id: twice, when: is_guest}")),
        ("a condition of 1,000 brackets", derived("{id: deep, when: \"" + "(" * 1_000 + "is_guest" + ")" * 1_000 + "\"}")),
        ("a condition of 10,000 parts", derived("{id: wide, when: \"" + "is_guest || " * 10_000 + "is_guest\"}")),
        ("a condition with a call", derived("{id: call, when: \"is_guest.all(x, x)\"}")),
        ("a billion laughs", "a: &a [x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n"),
        ("100,000 brackets", "a: " + DEEP),
        ("points that are not a number", re.sub(r"(points:\n  unknown: )\d+", r"\1.nan", text)),
        ("points beyond all", re.sub(r"(points:\n  unknown: )\d+", r"\g<1>1e400", text)),
        ("no policy", "policy: nothing\n"),
        ("a name twice", text.replace("version: 1\n", "version: 1\nversion: 2\n", 1)),
    ]
    for what, body in cases:
        status, _, data = rig.api.call("PUT", "/api/v1/trust/policy", {"text": body, "reason": "check"}, timeout=60)
        problem = read(data)
        told = problem.get("diagnostics") or []
        whole = all(d.get("code") and d.get("place") and d.get("message") and d.get("hint") for d in told)
        verdict.expect(f"policy, {what}: refused with code, place and hint",
                       status == 400 and problem.get("code") == "trust-policy-invalid" and told and whole, (status, data[:500]))
    now = rig.api.json("GET", "/api/v1/trust/policy")
    verdict.expect("the policy in force stayed", now["hash"] == shipped["hash"] and now["version"] == 0, (now["version"], now["hash"]))


def tenants(rig, verdict, token):
    """Another tenant's token judges by another tenant's site, and sees nothing of ours."""
    rig.api.json("POST", "/api/v1/tenants", {"id": "other", "name": "Other"}, rig.session, token="")
    theirs = {**rig.session, "Plura-Tenant": "other"}
    rig.api.json("PUT", "/api/v1/trust/site", {"text": "grants: []", "reason": "check"}, theirs, token="")
    foreign = rig.make_token("foreign", ["decide"], tenant="other")
    status, _, data = rig.api.call("POST", EVALUATION, WHOLE.encode(), MEDIA, token=foreign)
    verdict.expect("another tenant's token: judged by that tenant's grants", status == 200 and read(data)["decision"] is False, (status, data[:200]))
    status, _, data = rig.api.call("POST", EVALUATION, WHOLE.encode(), {**MEDIA, "Plura-Tenant": "default"}, token=foreign)
    verdict.expect("another tenant's token that names ours: refused", status == 403 and read(data).get("code"), (status, data[:200]))
    rig.api.json("POST", EVALUATION, json.loads(REFUSED), token=token)
    ours = lambda: rig.api.json("GET", "/api/v1/trust/decisions?limit=1")["items"]
    end = time.monotonic() + 10
    while not ours() and time.monotonic() < end:
        time.sleep(0.1)
    record = ours()[0]["id"]
    status, _, _ = rig.api.call("GET", f"/api/v1/trust/decisions/{record}", None, theirs, token="")
    verdict.expect("our records are not there for them", status == 404, status)
    verdict.expect("ours still answers as before", still_answers(rig, token))
    for what, bearer in (("an invented token", "plura_0123456789abcdef_" + "a" * 43), ("nonsense", "nonsense"), ("10,000 letters", "a" * 10_000), ("none", "")):
        status, _, data = rig.api.call("POST", EVALUATION, WHOLE.encode(), MEDIA, token=bearer)
        verdict.expect(f"{what} as a token: 401", status == 401 and read(data).get("code"), (status, data[:200]))
    narrow = rig.make_token("narrow", ["intake"])
    status, _, data = rig.api.call("POST", EVALUATION, WHOLE.encode(), MEDIA, token=narrow)
    verdict.expect("a token without the right: 403", status == 403 and read(data).get("code"), (status, data[:200]))
    made = rig.api.json("POST", "/api/v1/tokens", {"name": "brief", "scopes": ["decide"]}, {**rig.session, "Plura-Tenant": "default"}, token="")
    before = still_answers(rig, made["token"])
    gone = rig.api.call("DELETE", f"/api/v1/tokens/{made['view']['id']}", None, {**rig.session, "Plura-Tenant": "default"}, token="")[0]
    status, _, data = rig.api.call("POST", EVALUATION, WHOLE.encode(), MEDIA, token=made["token"])
    verdict.expect("a token just revoked: 401 at once, though it was just looked up", before and gone == 204 and status == 401, (before, gone, status, data[:200]))
