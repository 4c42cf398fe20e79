"""The decision point before real fronts: AuthZEN over HTTP, nginx's auth_request, our own gateway; steps up, denies,
fails closed or open as configured, acts on changes within 1 s, and takes nothing hostile for a yes."""

import base64
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import trust_hostile
import trust_load
from rig import Rig, Verdict, Wire, _listens, arguments, free_port, percentile, request, wait_for
from trust_fixture import ARCHIVED, EIGHT, EVALUATION, EVALUATIONS, GRANTS, asks

# What the tenant says of itself: nginx's site `shop`, the gateway's sites `app` and `open`.
SITE = """networks:
  - {{cidr: 10.0.0.0/8, network_type: corporate, src_ip_class: enterprise_isp}}
  - {{cidr: 127.0.0.0/8, network_type: corporate, src_ip_class: enterprise_isp}}
reputation:
  - {{cidr: 10.0.0.0/8, ip_rep: safe}}
  - {{cidr: 198.51.100.7, ip_rep: bad, proxy_vpn_tor: tor}}
resources:
  - {{name: administration, type: route, id: "app/* /admin/*", required: [mfa_result]}}
  - {{name: secrets, type: route, id: "shop/* /orders/secret/*", required: [mfa_result]}}
grants:{fixture}
  - {{subjects: [kim, lee], actions: [GET], resources: ["route:shop/GET /orders/*"{more}]}}
  - {{subjects: ["user*", "guest*"], actions: [GET, POST], resources: ["route:app/*", "route:open/*"]}}
  - {{subjects: ["*"], actions: [GET], resources: ["route:app/GET /news"]}}
people:
  - {{accounts: ["guest*"], user_type: guest, domain_approved: true}}
callers: {{trusted_signals: [mfa_result]}}
"""

SERVER = """trust:
  front:
    identity_headers: true
    step_up_url: https://login.example/?back={url}
"""

# nginx proves the account (Basic), finds the laptop in its own inventory, and tells only what it knows itself:
# no header of the client's reaches the decision point under its own name, but for cookie and user agent.
NGINX = """
worker_processes 1;
daemon off;
error_log {home}/error.log warn;
pid {home}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fcgi;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  set_real_ip_from 127.0.0.1;
  real_ip_header X-Forwarded-For;
  map $remote_user $laptop {{ kim laptop-kim; lee laptop-lee; }}
  upstream plura {{ server 127.0.0.1:{server}; keepalive 8; }}
  upstream app {{ server 127.0.0.1:{app}; keepalive 8; }}
  server {{
    listen 127.0.0.1:{closed};
    auth_basic shop; auth_basic_user_file {home}/people;
    location / {{
      auth_request /decide;
      auth_request_set $page $upstream_http_location;
      auth_request_set $score $upstream_http_plura_trust_score;
      add_header Trust-Score $score always;
      error_page 401 = @prove;
      proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_pass http://app;
    }}
    location @prove {{ auth_basic off; if ($page) {{ return 302 $page; }} return 401; }}
    {decide}
  }}
  server {{
    listen 127.0.0.1:{open};
    auth_basic shop; auth_basic_user_file {home}/people;
    location / {{
      auth_request /decide;
      error_page 500 = @undecided;
      proxy_pass http://app;
    }}
    location @undecided {{ proxy_pass http://app; }}
    {decide}
  }}
}}
"""
DECIDE = """location = /decide {{
      internal; auth_basic off;
      proxy_pass https://plura/api/v1/trust/forward-auth?site=shop&proxy=nginx;
      proxy_http_version 1.1; proxy_connect_timeout 2s; proxy_read_timeout 5s;
      proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca}; proxy_ssl_name localhost; proxy_ssl_session_reuse on;
      proxy_pass_request_body off; proxy_pass_request_headers off;
      proxy_set_header Connection ""; proxy_set_header Authorization "Bearer {token}";
      proxy_set_header Cookie $http_cookie; proxy_set_header User-Agent $http_user_agent;
      proxy_set_header X-Original-URI $request_uri; proxy_set_header X-Original-Method $request_method;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header Plura-Account $remote_user; proxy_set_header Plura-Device $laptop;
    }}"""

SITES = """  - name: app
    hosts: [app.test]
    upstreams: [{{ url: 'http://127.0.0.1:{app}' }}]
    step_up: {{ url: /verify, allow: ['POST /api/verify'], pass_secs: 600 }}
    trust: {{ unavailable: deny, timeout: 2s, skip: ['POST /login'] }}
    routes: {routes}
  - name: open
    hosts: [open.test]
    upstreams: [{{ url: 'http://127.0.0.1:{app}' }}]
    trust: {{ unavailable: allow, timeout: 2s, skip: ['POST /login'] }}
    routes: {routes}
"""
ROUTES = """
      - {match: POST /login, action: login, account: ["form:username"]}
      - {match: POST /api/verify, action: step-up}
"""
OFFICE = "10.1.2.3"
TOR = "198.51.100.7"
PASSWORDS = {"kim": "kim-pass", "lee": "lee-pass"}


def put_site(rig, more=""):
    text = SITE.format(fixture=GRANTS.rstrip(), more=more)
    return rig.api.json("PUT", "/api/v1/trust/site", {"text": text, "reason": "check"})


def register(rig, device, **entry):
    status, _, data = rig.api.call("PUT", f"/api/v1/trust/registers/devices/{device}", entry)
    if status != 204:
        raise RuntimeError(f"register {device}: {status} {data[:300]}")
    return time.monotonic()


def authzen(rig, verdict):
    """The certification scenario over HTTP, its errors and its batches."""
    pep = rig.decide_token

    def ask(body, path=EVALUATION, headers=None, token=pep):
        status, fields, data = rig.api.call("POST", path, body, headers, token=token)
        return status, fields, trust_hostile.read(data)

    wrong = []
    for number, (question, wanted) in enumerate(EIGHT, 1):
        status, fields, answer = ask(question)
        later = {**question, "context": {"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"}, "foo": "bar"}
        again = ask(later)[2].get("decision")
        if (status, answer.get("decision"), again) != (200, wanted, wanted) or fields["Content-Type"] != "application/json":
            wrong.append((number, status, answer, again))
    verdict.figure("AuthZEN: decisions of the fixture as they should be", f"{len(EIGHT) - len(wrong)} of {len(EIGHT)}")
    verdict.expect("AuthZEN: alice and bob, eight decisions, also with context and unknown fields", not wrong, wrong)
    context = ask(EIGHT[0][0])[2].get("context") or {}
    has = {"id", "score", "decisions", "ttl_secs", "policy", "profile", "obligations", "reason_admin", "reason_user"}
    verdict.expect("AuthZEN: an answer says why, how long and on which conditions", has <= set(context), context)
    verdict.expect("AuthZEN: reasons in three languages", all(context["reason_user"].get(l) for l in ("en", "ko", "ja")), context.get("reason_user"))

    wrong = []
    for part, field in (("subject", None), ("action", None), ("resource", None), ("subject", "type"), ("subject", "id"),
                        ("action", "name"), ("resource", "type"), ("resource", "id")):
        question = asks("alice", "read", "record-1")
        question.pop(part) if field is None else question[part].pop(field)
        status, fields, problem = ask(question)
        if status != 400 or problem.get("code") != "evaluation-invalid" or fields["Content-Type"] != "application/problem+json":
            wrong.append((part, field, status, problem))
        for bad in (7, [], "x" if field is None else {}, None):
            question = asks("alice", "read", "record-1")
            if field is None:
                question[part] = bad
            else:
                question[part][field] = bad
            status, _, problem = ask(question)
            if status != 400 or not problem.get("code") or not problem.get("hint"):
                wrong.append((part, field, bad, status, problem))
    verdict.expect("AuthZEN: what is missing or of the wrong type is a 400 that names it", not wrong, wrong)
    status, fields, problem = ask(EIGHT[0][0], token="")
    verdict.expect("AuthZEN: without a token 401", status == 401 and problem.get("code") and "decision" not in problem, (status, problem))
    echoed = []
    for token, body in ((pep, EIGHT[0][0]), (pep, {}), ("", EIGHT[0][0])):
        echoed.append(ask(body, headers={"X-Request-ID": "bfe9eb29-ab87-4ca3-be83"}, token=token)[1].get("X-Request-ID"))
    verdict.expect("AuthZEN: X-Request-ID comes back, also with 400 and 401", echoed == ["bfe9eb29-ab87-4ca3-be83"] * 3, echoed)

    def decisions(body):
        status, _, answer = ask(body, EVALUATIONS)
        return [e.get("decision") for e in answer.get("evaluations", [])] if status == 200 else (status, answer)

    record = lambda name, status: {"resource": {"type": "record", "id": name, "properties": {"status": status}}}
    three = {"subject": {"type": "user", "id": "alice"}, "action": {"name": "write"}, "resource": {"type": "record"},
             "evaluations": [{"resource": {"id": "record-1", "properties": {"status": "active"}}}, record("record-2", "archived"), record("record-1", "active")]}
    wrong = []
    for semantic, wanted in ((None, [True, False, True]), ("execute_all", [True, False, True]), ("deny_on_first_deny", [True, False]),
                             ("permit_on_first_permit", [True])):
        options = {} if semantic is None else {"options": {"evaluations_semantic": semantic, "unknown": 1}}
        got = decisions({**three, **options})
        if got != wanted:
            wrong.append((semantic, got))
    verdict.expect("AuthZEN: three ways through a batch", not wrong, wrong)
    status, _, problem = ask({**three, "options": {"evaluations_semantic": "allow_all"}}, EVALUATIONS)
    verdict.expect("AuthZEN: a fourth is 400", status == 400 and problem.get("code"), (status, problem))
    who = {"action": {"name": "write"}, "resource": {"type": "record", "id": "record-2", "properties": ARCHIVED},
           "evaluations": [{"subject": {"type": "user", "id": "alice"}}, {"subject": {"type": "user", "id": "bob", "properties": {"role": "admin"}}}]}
    verdict.expect("AuthZEN: a batch over subjects", decisions(who) == [False, True], decisions(who))
    status, _, answer = ask({"subject": {"type": "user", "id": "alice"}, "action": {"name": "read"},
                             "evaluations": [{"resource": {"type": "record", "id": "record-1"}}, {}]}, EVALUATIONS)
    both = answer.get("evaluations", [{}, {}])
    verdict.expect("AuthZEN: one that is incomplete is refused alone, and says why",
                   [e.get("decision") for e in both] == [True, False] and both[1]["context"]["error"]["status"] == 400, (status, answer))
    singles = [ask({**EIGHT[0][0], **more}, EVALUATIONS)[2].get("decision") for more in ({}, {"evaluations": []})]
    verdict.expect("AuthZEN: a batch of none is a single question", singles == [True, True], singles)
    status, _, problem = ask({"evaluations": [{}] * 501}, EVALUATIONS)
    verdict.expect("AuthZEN: 501 in a batch are too many", status == 400 and problem.get("code") == "too-many-evaluations", (status, problem))
    status, _, data = rig.api.call("GET", "/.well-known/authzen-configuration", token="")
    found = trust_hostile.read(data)
    verdict.expect("AuthZEN: .well-known/authzen-configuration", status == 200 and found.get("policy_decision_point") == rig.base
                   and found.get("access_evaluation_endpoint") == rig.base + EVALUATION
                   and found.get("access_evaluations_endpoint") == rig.base + EVALUATIONS, found)
    search = ask({"subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "record", "id": "record-1"}}, "/access/v1/search/subject")[2]
    verdict.expect("AuthZEN: who may read record-1?", [r["id"] for r in search.get("results", [])] == ["alice", "bob"], search)


def start_nginx(rig):
    home = rig.folder / "front"
    home.mkdir()
    (home / "people").write_text("".join(f"{name}:{{PLAIN}}{password}\n" for name, password in PASSWORDS.items()))
    rig.closed_port, rig.open_port = free_port(), free_port()
    decide = DECIDE.format(ca=rig.ca_file, token=rig.decide_token)
    conf = home / "nginx.conf"
    conf.write_text(NGINX.format(home=home, server=rig.server_port, app=rig.app_port, closed=rig.closed_port, open=rig.open_port, decide=decide))
    # The workers read the certificate before they give their rights up; the folder is ours alone.
    child = rig.child("front", ["/usr/sbin/nginx", "-p", home, "-c", conf])
    wait_for("nginx", lambda: _listens(rig.closed_port, child), 20)
    return child


def as_person(name, target, address=OFFICE, method="GET", headers=(), body=b""):
    basic = base64.b64encode(f"{name}:{PASSWORDS[name]}".encode()).decode()
    lines = [("Authorization", f"Basic {basic}"), ("X-Forwarded-For", address), *headers]
    return request(method, target, "shop.test", body, lines)


def raw_target(name, target, headers=()):
    """A request line of bytes."""
    basic = base64.b64encode(f"{name}:{PASSWORDS[name]}".encode()).decode()
    lines = [f"Authorization: Basic {basic}", f"X-Forwarded-For: {OFFICE}", *headers]
    return b"GET " + target + b" HTTP/1.1\r\nHost: shop.test\r\n" + "\r\n".join(lines).encode() + b"\r\n\r\n"


def nginx(rig, verdict):
    """Debian's nginx asks by auth_request, and does as it is told."""
    register(rig, "laptop-kim", account="kim", registered=True, owner="company", patch_state="latest", edr_state="healthy", disk_encrypt=True)
    register(rig, "laptop-lee", account="lee", registered=True, owner="company", patch_state="latest", edr_state="healthy", disk_encrypt=True)
    rig.front = start_nginx(rig)
    closed, undecided = Wire(rig.closed_port), Wire(rig.open_port)

    def ask(wire, data):
        status, fields, body = wire.ask(data)
        return status, fields.get(b"location", b"").decode(), body, fields

    status, _, body, fields = ask(closed, as_person("kim", "/orders/7"))
    verdict.expect("nginx: allows, and the application answers", status == 200 and json.loads(body)["path"] == "/orders/7", (status, body[:200], rig.front.errors(600)))
    verdict.figure("nginx: score of an ordinary access", fields.get(b"trust-score", b"").decode())
    status, page, _, _ = ask(closed, as_person("kim", "/cart"))
    verdict.expect("nginx: steps up by redirect where no grant reaches", (status, page) == (302, "https://login.example/?back=%2Fcart"), (status, page))
    status, fields, data = rig.api.call("GET", "/api/v1/trust/forward-auth?site=shop&proxy=nginx", None,
                                        {"X-Original-URI": "/cart", "X-Original-Method": "GET", "Plura-Account": "kim", "X-Real-IP": OFFICE}, token=rig.decide_token)
    verdict.expect("nginx: what it was told is 401, WWW-Authenticate, Location, obligations",
                   status == 401 and fields["WWW-Authenticate"] == "Plura-Step-Up" and fields["Location"] and "step_up_mfa" in fields["Plura-Obligations"],
                   (status, dict(fields), data[:200]))
    status, _, _, _ = ask(closed, as_person("kim", "/orders/7", TOR))
    verdict.expect("nginx: denies by reputation (TOR) with 403", status == 403, status)
    status, _, _, _ = ask(closed, as_person("kim", "/orders/7", method="POST", body=b"{}"))
    verdict.expect("nginx: a method nobody granted does not pass", status == 302, status)

    began = register(rig, "laptop-kim", account="kim", registered=True, owner="company", stolen_reported=True)
    status, _, _, _ = ask(closed, as_person("kim", "/orders/7"))
    took = time.monotonic() - began
    verdict.figure("nginx: theft reported to first refusal (ms)", round(took * 1000, 1))
    verdict.expect("nginx: the next request from a stolen laptop is denied", status == 403, status)
    status = ask(closed, as_person("lee", "/orders/7"))[0]
    verdict.expect("nginx: nobody else is", status == 200, status)
    register(rig, "laptop-kim", account="kim", registered=True, owner="company", stolen_reported=False)
    status = ask(closed, as_person("kim", "/orders/7"))[0]
    verdict.expect("nginx: found again, it is let in", status == 200, status)
    put_site(rig, ', "route:shop/GET /cart"')
    status = ask(closed, as_person("kim", "/cart"))[0]
    verdict.expect("nginx: a grant put through the API holds at once", status == 200, status)
    put_site(rig)
    status = ask(closed, as_person("kim", "/cart"))[0]
    verdict.expect("nginx: and its withdrawal", status == 302, status)

    tricks = [
        ("an account of one's own choice", as_person("lee", "/cart", headers=[("Plura-Account", "alice"), ("Plura-Session", "x"), ("Plura-Address", OFFICE)])),
        ("another address told by oneself", as_person("kim", "/cart", headers=[("X-Original-URI", "/orders/7"), ("X-Forwarded-Uri", "/orders/7")])),
        ("a path of two readings", as_person("kim", "/orders/..%2fadmin")),
        ("dots beyond the root", as_person("kim", "/orders/../../cart")),
        ("a semicolon segment", as_person("kim", "/orders/..;/cart")),
        ("a path that is not UTF-8", as_person("kim", "/orders/%ff%fe")),
        ("raw bytes in the path", raw_target("kim", b"/orders/\xff\xfe")),
        ("a parameter in a path that demands proof", as_person("kim", "/orders/secret;x/9")),
        ("the same, escaped", as_person("kim", "/orders/secret%3bx/9")),
        ("the path itself", as_person("kim", "/orders/secret/9")),
        ("a path of 7,000 letters", as_person("kim", "/orders/" + "a" * 7_000)),
        ("a query of 2,000 letters", as_person("kim", "/cart?q=" + "a" * 2_000)),
        ("a query of 7,000 letters", as_person("kim", "/cart?q=" + "a" * 7_000)),
        ("a query of 7,000 percent signs", as_person("kim", "/cart?q=" + "%25" * 2_300)),
        ("a cookie of 8,000 letters", as_person("kim", "/cart", headers=[("Cookie", "sid=" + "a" * 8_000)])),
        ("as much as nginx takes", as_person("kim", "/cart?q=" + "a" * 7_900, headers=[
            ("Cookie", "sid=" + "a" * 8_000), ("Cookie", "b=" + "b" * 7_900), ("User-Agent", "c" * 7_000)])),
        ("raw bytes in a cookie", raw_target("kim", b"/cart", [f"Cookie: sid={chr(255)}"])),
        ("150 headers", as_person("kim", "/cart", headers=[(f"X-{n}", "a") for n in range(150)])),
        ("an address that is none", as_person("kim", "/cart", "not-an-address")),
    ]
    for what, data in tricks:
        answers = []
        for wire in (closed, undecided):
            try:
                answers.append(ask(wire, data)[0])
            except OSError as error:
                wire.close()
                answers.append(type(error).__name__)
        verdict.expect(f"nginx: {what} opens neither the closed nor the open front", 200 not in answers, answers)
    status = ask(undecided, as_person("kim", "/orders/7"))[0]
    verdict.expect("nginx: the front that would open asks as well", status == 200 and ask(undecided, as_person("kim", "/cart"))[0] == 401, status)
    closed.close(), undecided.close()


class Person:
    """Somebody at the gateway, on a connection of their own."""

    def __init__(self, rig, name, host="app.test"):
        self.rig, self.name, self.host = rig, name, host
        self.sid = f"sid-{name}-{host}-{time.monotonic_ns()}"
        self.wire = Wire(rig.gateway_port)

    def ask(self, target, method="GET", headers=(), body=b""):
        lines = [("X-Forwarded-For", OFFICE), ("Cookie", f"sid={self.sid}"), ("User-Agent", "check/1"), *headers]
        return self.send(request(method, target, self.host, body, lines))

    def ask_with_cookies(self, target, cookies):
        """`cookies`: bytes, with `SID` for one's own."""
        cookies = cookies.replace(b"SID", b"sid=" + self.sid.encode())
        head = request("GET", target, self.host, headers=[("X-Forwarded-For", OFFICE), ("User-Agent", "check/1")])
        return self.send(head[:-2] + b"Cookie: " + cookies + b"\r\n\r\n")

    def send(self, data):
        status, fields, data = self.wire.ask(data)
        code = trust_hostile.read(data).get("code", "")
        return status, code, fields

    def login(self):
        body = f"username={self.name}&password=right-1&remember={self.sid}".encode()
        return self.ask("/login", "POST", [("Content-Type", "application/x-www-form-urlencoded")], body)[0]


def sessions_of(rig, people):
    """How the evidence names each one's session."""
    rig.drain()
    rows = rig.api.sql("select account, session from events where path = '/home' and account is not null and session is not null")
    found = {row["account"]: row["session"] for row in rows}
    return {p.name: found[p.name] for p in people}


def tell(rig, events, source):
    body = "\n".join(json.dumps(e) for e in events).encode()
    answer = rig.api.json("POST", "/api/v1/intake/events", body, {"Content-Type": "application/x-ndjson", "Plura-Source": source})
    if answer["accepted"] != len(events):
        raise RuntimeError(f"intake: {answer}")
    return time.monotonic()


def sign_in_events(sessions, device):
    """The identity provider's word: who signed in, by which session, from which device."""
    now = int(time.time() * 1000)
    return [{"class_uid": 3002, "activity_id": 1, "status_id": 1, "time": now, "is_mfa": True,
             "user": {"name": name}, "actor": {"user": {"name": name}, "session": {"uid": session}},
             "src_endpoint": {"ip": OFFICE, "uid": device(name)}, "metadata": {"log_source": "idp", "sequence": n + 1}}
            for n, (name, session) in enumerate(sessions.items())]


def watch(person, wanted, seconds, target="/home"):
    """Asks every 10 ms until the answer's status is, or is no longer, 200: (monotonic, status, code), or None."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status, code, _ = person.ask(target)
        if (status == 200) == wanted:
            return time.monotonic(), status, code
        time.sleep(0.01)
    return None


def gateway(rig, verdict):
    """Our own gateway: fine, stepped up, read only."""
    user, guest = Person(rig, "user-a"), Person(rig, "guest-a")
    signed = user.login(), guest.login()
    verdict.expect("gateway: signing in is skipped", signed == (200, 200), signed)
    answers = [user.ask("/home")[0], user.ask("/orders", "POST", body=b"{}")[0]]
    verdict.expect("gateway: an ordinary session reads and writes", answers == [200, 200], answers)
    status, code, fields = user.ask("/admin/users", headers=[("Accept", "text/html")])
    verdict.expect("gateway: a resource that demands proof steps a browser up", status == 302 and fields.get(b"location", b"").startswith(b"/verify"), (status, code, fields))
    status, code, _ = user.ask("/admin/users")
    verdict.expect("gateway: and a program", (status, code) == (401, "trust-step-up"), (status, code))
    proved = user.ask("/api/verify", "POST", body=b"{}")[0]
    status, code, _ = user.ask("/admin/users")
    verdict.expect("gateway: with the proof it is let in", (proved, status) == (200, 200), (proved, status, code))
    reads, writes = guest.ask("/home"), guest.ask("/orders", "POST", body=b"{}")
    verdict.expect("gateway: a guest reads, watermarked", reads[0] == 200 and reads[2].get(b"plura-watermark"), reads)
    verdict.expect("gateway: and does not write", writes[:2] == (403, "trust-read-only"), writes)
    hidden = guest.ask("/home", headers=[("X-HTTP-Method-Override", "DELETE")])
    verdict.expect("gateway: nor by a reading that is a writing", hidden[:2] == (403, "trust-read-only"), hidden)
    strangers = [Person(rig, "nobody", host) for host in ("app.test", "open.test")]
    answers = [(p.login(), *p.ask("/home")[:2]) for p in strangers]
    verdict.expect("gateway: who has no grant does not get in", all(a[1] in (401, 403) and a[2].startswith("trust-") for a in answers), answers)
    tricks = [
        ("a path of 7,000 letters", "/" + "a" * 7_000, []), ("500 segments", "/a" * 500, []), ("a path of control characters", "/%c2%85%01", []),
        ("a path that is not UTF-8", "/%ff%fe", []), ("a path of two readings", "/..%2fhome", []), ("a query of 7,000 letters", "/home?q=" + "a" * 7_000, []),
        ("a user agent of 20,000 letters", "/home", [("User-Agent", "a" * 20_000)]), ("a user agent with controls", "/home", [("User-Agent", "a\u0085b")]),
        ("an account of one's own choice", "/home", [("Authorization", "Basic " + base64.b64encode(b"user-a:x").decode()), ("X-Account", "user-a")]),
        ("a key of 20,000 letters", "/home", [("Authorization", "Bearer " + "a" * 20_000)]), ("70 cookies of sessions", "/home", [("Cookie", f"sid={n}") for n in range(70)]),
        ("an address that is none", "/home", [("X-Forwarded-For", "not-an-address")]),
    ]
    spellings = ["//admin/users", "/%61dmin/users", "/x/../admin/users", "/./admin/users", "/admin;x/users", "/x/%2e%2e/admin/users",
                 "/admin%2fusers", "/x/..%2fadmin/users", "/admin//users", "/a\\..\\admin/users", "http://app.test/admin/users"]
    other = Person(rig, "user-b")
    other.login()
    answers = [(target, *other.ask(target)[:2]) for target in spellings]
    verdict.expect(f"gateway: {len(spellings)} spellings of a path that demands proof open none of it", all(a[1] in (400, 401, 403) for a in answers), answers)
    other.wire.close()
    opened = []
    for what, target, headers in tricks:
        for person in strangers:
            try:
                status, code, _ = person.ask(target, headers=headers)
            except OSError:
                person.wire.close()
                continue
            if status < 400 or status >= 500:
                opened.append((what, person.host, status, code))
    verdict.expect(f"gateway: {len(tricks)} tricks open neither the site that would deny nor the one that would allow", not opened, opened)
    metrics = {k: v for k, v in rig.metrics().items() if k.startswith("plura_gateway_trust") and "bucket" not in k and v}
    verdict.figure("gateway: its own counters", {k.removeprefix("plura_gateway_trust_"): v for k, v in metrics.items()})
    for person in (user, guest, *strangers):
        person.wire.close()


def live(rig, verdict, count):
    """A change reaches the gateway: theft reported, taken back; a finding, closed."""
    people = [Person(rig, f"user{n:03d}") for n in range(count)]
    hunted = [Person(rig, f"user9{n:02d}") for n in range(3)]
    for person in people + hunted:
        person.login()
        person.ask("/home")
    sessions = sessions_of(rig, people + hunted)
    laptop = lambda name: f"laptop-{name}"
    tell(rig, sign_in_events(sessions, laptop), "idp")
    for person in people + hunted:
        register(rig, laptop(person.name), account=person.name, registered=True, owner="company", patch_state="latest", edr_state="healthy")
    time.sleep(1)
    first = [p.ask("/home")[0] for p in people + hunted]
    verdict.expect(f"live: {len(first)} sessions are let in", set(first) == {200}, first)
    view = rig.api.json("GET", f"/api/v1/trust/sessions/session:{sessions[people[0].name]}")
    verdict.figure("live: score at the beginning", view["current"]["decision"]["score"])

    def measured(change, wanted, seconds=5):
        times, wrong = [], []
        for person in people:
            seen, go = [], threading.Event()

            def look(person=person):
                go.set()
                seen.append(watch(person, wanted, seconds))

            watcher = threading.Thread(target=look, daemon=True)
            watcher.start()
            go.wait(5)
            returned = change(person)
            watcher.join(seconds + 5)
            if seen and seen[0]:
                # The gateway may know before the caller does.
                times.append(max(0.0, seen[0][0] - returned))
                if not wanted and seen[0][2] != "trust-session-terminated":
                    wrong.append((person.name, seen[0][1:]))
            else:
                wrong.append((person.name, "never"))
        return times, wrong

    def told(what, times, wrong, goal=1.0):
        if times:
            verdict.figure(f"{what}: p50, worst of {len(times)} (ms)", [round(1000 * t, 1) for t in (percentile(times, 0.5), max(times))])
        verdict.expect(f"{what}: each within {goal:g} s", times and not wrong and max(times) < goal, wrong[:5])

    stolen = lambda p: register(rig, laptop(p.name), account=p.name, registered=True, owner="company", stolen_reported=True)
    found = lambda p: register(rig, laptop(p.name), account=p.name, registered=True, owner="company", stolen_reported=False)
    told("live: theft reported to refusal", *measured(stolen, False))
    view = rig.api.json("GET", f"/api/v1/trust/sessions/session:{sessions[people[0].name]}")
    verdict.figure("live: score with it", view["current"]["decision"]["score"])
    record = next((d for d in view["decisions"] if d["cause"] == "register"), {})
    verdict.expect("live: the record names its cause, what was before, and why in three languages",
                   record.get("previous", {}).get("permit") is True and record.get("causes") and all(record["reason_admin"].get(l) for l in ("en", "ko", "ja")), record)
    decoys = [b"SID", b"SID; sid=x", b"sid=x; SID", b"a_session=x; SID", b"theme=\xff; SID", b"sid=\xff; SID"]
    answers = [(cookies, *people[1].ask_with_cookies("/news", cookies)[:2]) for cookies in decoys]
    verdict.expect("live: no decoy of a cookie hides a session, where even strangers may read",
                   all(a[1:] == (403, "trust-session-terminated") for a in answers) and people[1].ask_with_cookies("/news", b"a=b")[0] == 200, answers)
    told("live: taken back to let in", *measured(found, True))

    # The whole entry withdrawn: nobody reports a theft any more. It has to stand as it will after a restart.
    one = people[0]
    register(rig, laptop(one.name), account=one.name, registered=True, owner="company", stolen_reported=True)
    gone = rig.api.call("DELETE", f"/api/v1/trust/registers/devices/{laptop(one.name)}")[0]
    standing = rig.api.json("GET", f"/api/v1/trust/sessions/session:{sessions[one.name]}")["current"]["decision"]
    is_stolen = [r["code"] for r in standing.get("reasons", []) if "stolen" in r["code"]]
    verdict.expect("live: a withdrawn entry no longer speaks of theft", gone == 204 and not is_stolen, (gone, standing["score"], is_stolen))
    found(one)

    # Findings: a session walks through other people's orders.
    times, states = [], []
    for n, person in enumerate(hunted):
        seen, go = [], threading.Event()

        def look(person=person):
            go.set()
            seen.append(watch(person, False, 20))

        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        go.wait(5)
        returned = tell(rig, walk(person.name, sessions[person.name], 10_000 * (n + 1)), "gateway-2")
        watcher.join(25)
        if seen and seen[0]:
            times.append(max(0.0, seen[0][0] - returned))
            states.append(seen[0][1:])
    told("live: events of an attack acknowledged to refusal of its session", times, [] if len(times) == len(hunted) else states)
    verdict.figure("live: refused as", states)
    incidents = rig.api.json("GET", "/api/v1/incidents?limit=50")["items"]
    verdict.figure("live: incidents", [(i["id"][:8], i.get("severity"), i.get("status")) for i in incidents])
    began = time.monotonic()
    for incident in incidents:
        rig.api.json("PATCH", f"/api/v1/incidents/{incident['id']}", {"status": "closed"})
    returned = time.monotonic()
    back = [watch(p, True, 10) for p in hunted]
    verdict.expect("live: incident closed, its sessions are let in again within 1 s", all(back) and max(b[0] for b in back) - returned < 1.0,
                   [b and round(b[0] - began, 2) for b in back])
    for person in people + hunted:
        person.wire.close()


def walk(account, session, first):
    now = int(time.time() * 1000)
    events = []
    for n in range(150):
        refused = n % 3 > 0
        events.append({
            "class_uid": 4002, "activity_id": 3, "time": now - 150_000 + n * 1000,
            "http_request": {"http_method": "GET", "url": {"path": f"/orders/{first + n}"}},
            "http_response": {"code": 404 if refused else 200},
            "actor": {"user": {"name": account}, "session": {"uid": session}}, "src_endpoint": {"ip": OFFICE},
            "plura": {"endpoint": "GET /orders/{id}", "site": "app",
                      "outcome": {"result": "failure" if refused else "success", **({"reason": "not-found"} if refused else {})}},
            "metadata": {"log_source": "gateway-2", "sequence": first + n},
        })
    return events


def down(rig, verdict):
    """The decision point is stopped: closed where it was said so, open where that was said."""
    known = Person(rig, "user-known")
    known.login()
    kept = known.ask("/home")[0]
    rig.server.kill()
    closed, undecided = Wire(rig.closed_port), Wire(rig.open_port)
    fresh = {host: Person(rig, "user-fresh", host) for host in ("app.test", "open.test")}
    for person in fresh.values():
        person.login()

    def answers():
        return {"nginx closed": closed.ask(as_person("kim", "/orders/7"))[0], "nginx open": undecided.ask(as_person("kim", "/orders/7"))[0],
                "gateway deny": fresh["app.test"].ask("/home")[:2], "gateway allow": fresh["open.test"].ask("/home")[:2]}

    without = answers()
    verdict.figure("server stopped", without)
    verdict.expect("stopped: nginx without a fallback refuses", without["nginx closed"] in (403, 500, 502, 503), without)
    verdict.expect("stopped: nginx with one passes", without["nginx open"] == 200, without)
    verdict.expect("stopped: the gateway that shall deny answers 503", without["gateway deny"] == (503, "trust-unavailable"), without)
    verdict.expect("stopped: the gateway that shall allow passes", without["gateway allow"][0] == 200, without)
    verdict.figure("stopped: a decision the gateway keeps (before, now)", (kept, known.ask("/home")[0]))
    rig.start_server(60, rig.server_config)

    def back():
        now = answers()
        return now if now == {"nginx closed": 200, "nginx open": 200, "gateway deny": (200, ""), "gateway allow": (200, "")} else None

    began = time.monotonic()
    try:
        wait_for("decisions again", back, 30, every=0.2)
        verdict.figure("started again: decided as before after (s)", round(time.monotonic() - began, 2))
        verdict.expect("started again: everybody asks again", True)
    except TimeoutError:
        verdict.expect("started again: everybody asks again", False, answers())
    status = undecided.ask(as_person("kim", "/cart"))[0]
    verdict.expect("started again: the open front refuses again", status == 401, status)


def main():
    args = arguments(__doc__, ("--sessions", 24, "whose reaction is measured"), ("--load-seconds", 8, "of each load"),
                     ("--only", "", "authzen, nginx, gateway, live, hostile, down or load"))
    verdict = Verdict("trust", args)
    with Rig(args, "trust") as rig:
        rig.server_config = rig.folder / "server.yaml"
        rig.server_config.write_text(SERVER)
        rig.start_server(60, rig.server_config)
        rig.set_up()
        rig.decide_token = rig.make_token("front", ["decide"])
        put_site(rig)
        rig.app_port = rig.start_app()
        rig.write_gateway(SITES.format(app=rig.app_port, routes=ROUTES.rstrip()))
        rig.start_gateway()
        parts = {"authzen": lambda: authzen(rig, verdict), "nginx": lambda: nginx(rig, verdict), "gateway": lambda: gateway(rig, verdict),
                 "live": lambda: live(rig, verdict, args.sessions),
                 "hostile": lambda: (trust_hostile.rows(rig, verdict, rig.decide_token), trust_hostile.policies(rig, verdict),
                                     trust_hostile.tenants(rig, verdict, rig.decide_token)),
                 "down": lambda: (None if hasattr(rig, "front") else nginx(rig, verdict), down(rig, verdict))}
        for name, part in parts.items():
            if args.only in ("", name):
                try:
                    part()
                except (RuntimeError, TimeoutError, OSError, ValueError, KeyError, IndexError, subprocess.TimeoutExpired) as error:
                    verdict.expect(f"{name}: ran to its end", False, f"{type(error).__name__}: {error}")
                    rig.api.local.connection = None
        verdict.expect("server and gateway live", rig.server.alive() and rig.gateway.alive())
        for log in sorted(rig.logs.glob("*.err")):
            text = Path(log).read_text(errors="replace")
            if log.name.startswith(("server", "gateway")):
                verdict.expect(f"{log.stem}: no panic in its log", "panicked" not in text, text[-800:])
    if args.only in ("", "load"):
        try:
            trust_load.load(args, verdict)
        except (RuntimeError, TimeoutError, OSError, ValueError, KeyError) as error:
            verdict.expect("load: ran to its end", False, f"{type(error).__name__}: {error}")
    return verdict.end()


if __name__ == "__main__":
    sys.exit(main())
