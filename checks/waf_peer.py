"""nginx with libmodsecurity and the CRS of `../shared`: the WAF that ours is put beside.

    with Peer(folder, rules=Rules(paranoia=2, blocking=True)) as peer:
        for answer in peer.ask([b"GET /?q=1 HTTP/1.1\\r\\nHost: shop.example\\r\\n\\r\\n"]):
            print(answer.status, answer.denied, answer.ids, answer.inbound, answer.outbound)

Debian's nginx, libnginx-mod-http-modsecurity and libmodsecurity3, one worker, a prefix folder of its own;
nothing of /etc is read. As a command it asks for the requests in files: `waf_peer.py [--paranoia N]
[--detect] FILE…`, each a request's bytes.

**Configuration.** `Rules` writes it, the same folder for them and for us: the switches and rules that
`modsecurity.conf-recommended` has for bodies, CRS's own setup, the settings that CRS's README demands for
its tests (without their detect-only), CRS unmodified, and at the end of phase 5 one rule that writes the
scores into the log. libmodsecurity does not look at JSON or XML of its own accord: rules 200000 and 200001
(`ctl:requestBodyProcessor=XML` and `=JSON`, by content type) tell it, as its recommended file does.

**nginx.** `ignore_invalid_headers off`, so that it hands on `X_Name` and the like as we do. What nginx itself
refuses (a bad request line, no Host, CONNECT) never reaches the WAF: such answers have `judged` false.
"""

import argparse
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from rig import HERE, ROOT, Child, _listens as listens, free_port, wait_for

MODULE = Path("/usr/lib/nginx/modules/ngx_http_modsecurity_module.so")
# Bookkeeping, which may be in the log of one and not of the other: the scores' own rule, and CRS's report.
BOOKKEEPING = frozenset([9_900_001, 980_170])
SCORES = re.compile(rb"scores in=(\d*) detected=(\d*) out=(\d*) detected_out=(\d*)")


def shared():
    for folder in (os.environ.get("PLURA_SHARED"), ROOT.parent / "shared"):
        if folder and Path(folder).is_dir():
            return Path(folder).resolve()
    sys.exit("no ../shared: set PLURA_SHARED")


def crs():
    return shared() / "corpora" / "crs"


def missing():
    """What this machine lacks for the peer: Debian's names."""
    lacks = []
    if not Path("/usr/sbin/nginx").exists():
        lacks.append("nginx-light")
    if not MODULE.exists():
        lacks.append("libnginx-mod-http-modsecurity")
    return lacks


BASE = r"""
SecRuleEngine {engine}
SecRequestBodyAccess On
SecRequestBodyLimit 13107200
SecRequestBodyNoFilesLimit 131072
SecRequestBodyLimitAction Reject
SecRequestBodyJsonDepthLimit 512
SecArgumentsLimit 1000
SecRule REQUEST_HEADERS:Content-Type "@rx ^(?:application(?:/soap\+|/)|text/)xml" "id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/(?:[a-z0-9.-]+[+])?json" "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQBODY_ERROR "!@eq 0" "id:200002,phase:2,t:none,log,deny,status:400,msg:'The request body cannot be read',logdata:'%{{reqbody_error_msg}}'"
SecRule MULTIPART_STRICT_ERROR "!@eq 0" "id:200003,phase:2,t:none,log,deny,status:400,msg:'The multipart body is not strict'"
SecRule MULTIPART_UNMATCHED_BOUNDARY "@eq 1" "id:200004,phase:2,t:none,log,deny,status:403,msg:'A multipart boundary that may not match'"
SecResponseBodyAccess On
SecResponseBodyMimeType text/plain text/html text/xml application/json
SecResponseBodyLimit 524288
SecResponseBodyLimitAction ProcessPartial
SecArgumentSeparator &
SecCookieFormat 0
SecTmpDir {folder}/
SecDataDir {folder}/
SecAuditEngine {audit}
SecAuditLogRelevantStatus "^403$"
SecAuditLogParts AHZ
SecAuditLogFormat JSON
SecAuditLogType Serial
"""

# CRS's README, "Requirements": what its tests assume.
TEST_SETTINGS = """SecAction "id:900005,phase:1,nolog,pass,t:none,\\
    setvar:tx.crs_validate_utf8_encoding=1,\\
    setvar:tx.arg_name_length=100,\\
    setvar:tx.arg_length=400,\\
    setvar:tx.total_arg_length=64000,\\
    setvar:tx.max_num_args=255,\\
    setvar:tx.max_file_size=64100,\\
    setvar:tx.combined_file_sizes=65535"
"""

LEVEL = """SecAction "id:9900000,phase:1,nolog,pass,t:none,\\
    setvar:tx.blocking_paranoia_level={paranoia},\\
    setvar:tx.detection_paranoia_level={paranoia},\\
    setvar:tx.inbound_anomaly_score_threshold={inbound},\\
    setvar:tx.outbound_anomaly_score_threshold={outbound}"
"""

AFTER = """SecAction "id:9900001,phase:5,pass,t:none,log,auditlog,\\
    msg:'scores in=%{tx.blocking_inbound_anomaly_score} detected=%{tx.detection_inbound_anomaly_score} \
out=%{tx.blocking_outbound_anomaly_score} detected_out=%{tx.detection_outbound_anomaly_score}'"
"""


@dataclass
class Rules:
    """A configuration for both sides."""

    paranoia: int = 1
    blocking: bool = True
    inbound: int = 5
    outbound: int = 4
    # `On` for an entry of every request, `RelevantOnly` for refusals.
    audit: str = "On"
    # CRS's limits on arguments and files are off unless a test's settings are asked for.
    test_settings: bool = False
    # One rule more, at the end of phase 5, that says the scores.
    scores: bool = True
    # Rule 200004: `zentinel-modsec` does not know its variable.
    unmatched_boundary: bool = True
    more: str = ""
    # Before all rules, for the peer alone: to undo a trait of libmodsecurity.
    peer_only: str = ""
    # Changes of a rule file's text, for the same end: a copy of CRS is made.
    edits: tuple = ()
    label: str = ""

    @property
    def name(self):
        return f"pl{self.paranoia}-{'block' if self.blocking else 'detect'}{self.label}"

    def write(self, folder):
        """`rules.conf` for us, `peer.conf` for libmodsecurity, which adds where its log is."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        base = BASE.format(engine="On" if self.blocking else "DetectionOnly", audit=self.audit, folder=folder)
        if not self.unmatched_boundary:
            base = "".join(line for line in base.splitlines(True) if "id:200004" not in line)
        level = LEVEL.format(paranoia=self.paranoia, inbound=self.inbound, outbound=self.outbound)
        (folder / "rules.conf").write_text(
            base + f"Include {crs()}/crs-setup.conf.example\n" + (TEST_SETTINGS if self.test_settings else "") + level
            + f"Include {self.rule_files(folder)}/*.conf\n" + (AFTER if self.scores else "") + self.more)
        (folder / "peer.conf").write_text(f"SecAuditLog {folder}/audit.json\n{self.peer_only}\nInclude {folder}/rules.conf\n")
        return folder / "rules.conf"

    def rule_files(self, folder):
        if not self.edits:
            return crs() / "rules"
        copy = folder / "crs"
        shutil.copytree(crs() / "rules", copy, dirs_exist_ok=True)
        for file in copy.glob("*.conf"):
            text = file.read_text()
            for edit in self.edits:
                text = edit(text)
            file.write_text(text)
        return copy


@dataclass
class Answer:
    """What one request came to."""

    status: int = 0
    # The WAF saw it: its front did not refuse the request on its own.
    judged: bool = False
    denied: bool = False
    # None when the log has no entry.
    ids: tuple = None
    inbound: int = None
    outbound: int = None
    note: str = ""
    # The client's, where the answer came without a mark or each has a connection.
    port: int = 0
    fields: dict = field(default_factory=dict, repr=False)


NGINX = """
worker_processes 1;
daemon off;
error_log {folder}/error.log crit;
pid {folder}/nginx.pid;
{load}
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  client_header_timeout 3s;
  client_body_timeout 3s;
  client_max_body_size 32m;
  client_body_buffer_size 256k;
  large_client_header_buffers 8 64k;
  ignore_invalid_headers off;
  underscores_in_headers on;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream application {{ server 127.0.0.1:{backend}; keepalive 64; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port};
    {waf}
    add_header X-Request-Mark $request_id always;
    location / {{
      proxy_pass http://application;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_buffers 16 64k;
      proxy_buffer_size 64k;
    }}
  }}
  server {{ listen 127.0.0.1:{status}; location / {{ stub_status; }} }}
}}
"""


class Nginx:
    """nginx before a backend; with `rules` libmodsecurity in it, without them plain."""

    def __init__(self, folder, backend, rules=None, name=None):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        # The worker is `nobody` where this is root.
        os.chmod(self.folder, 0o777)
        self.port, self.status_port = free_port(), free_port()
        self.audit = self.folder / "audit.json"
        load = waf = ""
        if rules:
            rules.write(self.folder)
            load = f"load_module {MODULE};"
            waf = (f"modsecurity on; modsecurity_rules_file {self.folder}/peer.conf; "
                   "modsecurity_transaction_id $request_id;")
        conf = self.folder / "nginx.conf"
        conf.write_text(NGINX.format(folder=self.folder, port=self.port, status=self.status_port, backend=backend, load=load, waf=waf))
        began = time.monotonic()
        self.child = Child(name or self.folder.name, ["/usr/sbin/nginx", "-p", str(self.folder), "-e", str(self.folder / "error.log"), "-c", str(conf)],
                           self.folder)
        try:
            wait_for("nginx", lambda: listens(self.port, self.child), 60)
        except BaseException:
            self.close()
            raise
        self.asked = 0
        self.load_secs = time.monotonic() - began
        children = Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children")
        self.worker = int(wait_for("its worker", lambda: children.read_text().split(), 10)[0])

    def handled(self):
        """Requests so far, as nginx counts them, once none is being worked on."""

        def idle():
            with urllib.request.urlopen(f"http://127.0.0.1:{self.status_port}/", timeout=10) as answer:
                lines = answer.read().decode().splitlines()
            self.asked += 1
            # This question is the one that is written.
            return int(lines[2].split()[2]) if lines[3].split()[3] == "1" else None

        return wait_for("nginx idle", idle, 20) - self.asked

    def close(self):
        self.child.stop(5)


class Backend:
    """`waf_backend.py` on a port of its own."""

    def __init__(self, folder, canned=None):
        folder = Path(folder)
        self.port = free_port()
        argv = [sys.executable, "-B", str(HERE / "waf_backend.py"), str(self.port)]
        if canned:
            argv.append(str(canned))
        self.child = Child("backend", argv, folder)
        wait_for("the backend", lambda: listens(self.port, self.child), 20)

    def close(self):
        self.child.kill()


class Front:
    """Whatever listens in front of the backend and writes ModSecurity's JSON audit log."""

    # The field of its answers that has the `unique_id` of the log.
    mark = b"x-request-mark"
    # A connection for each request, so that its port tells where answers bear no mark.
    fresh = False

    def __init__(self, port, audit=None, connections=4):
        self.port, self.audit, self.connections = port, audit, connections
        self.read_to = 0
        self.seen = set()

    def ask(self, requests, progress=None):
        """An answer for each request, in order. Each gets a connection of its own when it says
        `Connection: close`; else connections are kept."""
        answers = [None] * len(requests)
        turn = iter(range(len(requests)))
        lock = threading.Lock()
        failed = []

        def work():
            wire = Client(self.port, self.fresh)
            try:
                while True:
                    with lock:
                        at = next(turn, None)
                    if at is None or failed:
                        return
                    answers[at] = wire.ask(requests[at])
                    if progress and at % 2000 == 1999:
                        progress(at + 1)
            except Exception as error:  # noqa: BLE001: told to the caller
                failed.append(error)
            finally:
                wire.close()

        threads = [threading.Thread(target=work, daemon=True) for _ in range(self.connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]
        self.look_up(answers)
        return answers

    def look_up(self, answers):
        """Ids and scores from the log."""
        if self.audit is None:
            return
        marked = {a.fields[self.mark]: a for a in answers if self.mark in a.fields}
        # A connection that ended without an answer has no mark: its port has to do, and the last entry of it.
        ported = {a.port: a for a in answers if a.port and self.mark not in a.fields}
        end = time.monotonic() + 5
        quiet = 0
        # The entry is written after the answer.
        while (marked or ported) and quiet < 3 and time.monotonic() < end:
            found = self.read_log()
            for mark, port, ids, scores in found:
                answer = marked.pop(mark, None) or (ported.get(port) if mark not in self.seen else None)
                self.seen.add(mark)
                if answer:
                    answer.judged = True
                    answer.ids, (answer.inbound, answer.outbound) = ids, scores
            quiet = 0 if found else quiet + 1
            time.sleep(0.05)

    def read_log(self):
        try:
            with open(self.audit, "rb") as log:
                log.seek(self.read_to)
                data = log.read()
        except FileNotFoundError:
            return []
        whole = data.rfind(b"\n") + 1
        self.read_to += whole
        # Appended to, so emptying is safe; else 80,000 entries would lie on the disk.
        if self.read_to > 1 << 28 and whole == len(data):
            os.truncate(self.audit, 0)
            self.read_to = 0
        entries = []
        for line in data[:whole].split(b"\n"):
            mark = re.search(rb'"unique_id":"([^"]*)"', line)
            port = re.search(rb'"client_port":(\d+)', line)
            if mark and port:
                entries.append((mark[1], int(port[1]), *read_entry(line)))
        return entries


def read_entry(line):
    """Rule ids and (inbound, outbound) of a log entry. By pattern: libmodsecurity puts a request's bytes
    into it that are no UTF-8."""
    ids = {int(i) for i in re.findall(rb'"ruleId":"(\d+)"', line)} - BOOKKEEPING
    scores = SCORES.search(line)
    inbound, outbound = (int(scores[1] or 0), int(scores[3] or 0)) if scores else (None, None)
    return tuple(sorted(ids)), (inbound, outbound)


class Client:
    """Sends what it is told and reads what comes back, however odd either is."""

    def __init__(self, port, fresh=False, seconds=8):
        self.port, self.fresh, self.seconds = port, fresh, seconds
        self.socket, self.rest = None, b""

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket, self.rest = None, b""

    def ask(self, raw):
        for again in (True, False):
            fresh, port = self.socket is None, 0
            try:
                if fresh:
                    self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=self.seconds)
                    self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                port = self.socket.getsockname()[1]
                try:
                    self.socket.sendall(raw)
                except (BrokenPipeError, ConnectionResetError):
                    # Refused before all of it was read: the answer may be there all the same.
                    if not select.select([self.socket], [], [], 0.2)[0]:
                        raise
                answer = self.read(raw[:5] == b"HEAD ")
                if self.fresh:
                    self.close()
                    answer.port = port
                return answer
            except (OSError, ConnectionError) as error:
                self.close()
                if fresh or not again:
                    return Answer(status=0, denied=True, port=port, note=f"no answer: {type(error).__name__}")
        raise AssertionError("unreachable")

    def more(self):
        data = self.socket.recv(1 << 16)
        self.rest += data
        return bool(data)

    def read(self, bodiless):
        while b"\r\n\r\n" not in self.rest:
            if not self.more():
                whole, self.rest = self.rest, b""
                self.close()
                if not whole:
                    raise ConnectionError("closed without an answer")
                return Answer(status=0, denied=True, note=f"no HTTP: {whole[:60]!r}")
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = head.split(b"\r\n")
        status = int(lines[0].split()[1])
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            fields[name.strip().lower()] = value.strip()
        if 100 <= status < 200 and status != 101:
            return self.read(bodiless)
        cut = ""
        if not bodiless and status not in (204, 304):
            cut = self.body(fields)
        if cut or fields.get(b"connection", b"").lower() == b"close" or not lines[0].startswith(b"HTTP/1.1"):
            self.close()
        from_backend = b"x-backend" in fields
        # A refusal in phase 4 comes after the head: the connection ends within the body.
        return Answer(status=status, denied=not from_backend or bool(cut), judged=from_backend or status == 403, fields=fields, note=cut)

    def body(self, fields):
        """Reads it; says so when it ends before its time."""
        if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
            while b"0\r\n\r\n" not in self.rest:
                if not self.more():
                    return "cut"
            self.rest = b""
            return ""
        if b"content-length" not in fields:
            while self.more():
                pass
            self.close()
            return ""
        size = int(fields[b"content-length"])
        while len(self.rest) < size:
            if not self.more():
                return "cut"
        self.rest = self.rest[size:]
        return ""


class Peer(Front):
    """nginx and libmodsecurity with `rules`, before `backend` or one of its own."""

    name = "nginx + libmodsecurity"

    def __init__(self, folder, rules, backend=None, connections=4):
        self.own = None if backend else Backend(folder)
        self.nginx = Nginx(Path(folder) / rules.name, (backend or self.own).port, rules)
        self.rules_file = self.nginx.folder / "rules.conf"
        super().__init__(self.nginx.port, self.nginx.audit, connections)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.nginx.close()
        if self.own:
            self.own.close()


def versions():
    """Of nginx and libmodsecurity, as installed."""
    out = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}; ", "nginx", "libmodsecurity3", "libnginx-mod-http-modsecurity"],
                         capture_output=True, text=True, check=False).stdout
    return out.strip("; ")


def main():
    parser = argparse.ArgumentParser(description="nginx + libmodsecurity asked for the requests in files")
    parser.add_argument("--paranoia", type=int, default=1)
    parser.add_argument("--detect", action="store_true", help="detect only")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    if missing():
        sys.exit(f"missing: {' '.join(missing())}")
    with tempfile.TemporaryDirectory(prefix="plura-waf-") as folder:
        with Peer(folder, Rules(args.paranoia, not args.detect)) as peer:
            for file, answer in zip(args.files, peer.ask([Path(f).read_bytes() for f in args.files])):
                print(f"{file}: {answer.status}{' denied' if answer.denied else ''} ids={answer.ids} inbound={answer.inbound} "
                      f"outbound={answer.outbound} {answer.note}")


if __name__ == "__main__":
    main()
