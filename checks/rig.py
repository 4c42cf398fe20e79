"""Starts what a check needs: server, gateway, upstreams, command line; and stops it again.

Standard library only. Everything listens on free ports of 127.0.0.1 and lives in one temporary
folder; children die with this process (PR_SET_PDEATHSIG), mounts are taken down at exit.
"""

import argparse
import atexit
import ctypes
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PASSWORD = "violet harbour 42 kites"
LIBC = ctypes.CDLL(None, use_errno=True)


def default_plura():
    target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    for profile in ("release", "quick", "debug"):
        if (target / profile / "plura").exists():
            return str(target / profile / "plura")
    return str(target / "quick" / "plura")


def arguments(about, *more):
    """`more`: (flag, default, help); the default's type is the flag's."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--plura", default=default_plura(), help="the binary to check")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    parser.add_argument("--json", help="write the figures to this file as well")
    for flag, default, text in more:
        if isinstance(default, bool):
            parser.add_argument(flag, action="store_true", help=text)
        else:
            parser.add_argument(flag, type=type(default), default=default, help=f"{text} ({default})")
    args = parser.parse_args()
    if not Path(args.plura).is_file():
        sys.exit(f"no binary at {args.plura}: build it, or give --plura PATH")
    args.plura = str(Path(args.plura).resolve())
    return args


_taken = set()


def free_port():
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in _taken:
            _taken.add(port)
            return port


def wait_for(what, check, seconds, every=0.05):
    """The first true answer of `check`; gives up loudly."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = check()
        if answer:
            return answer
        time.sleep(every)
    raise TimeoutError(f"{what}: not within {seconds} s")


def _die_with_parent():
    LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _end_with_parent():
    LIBC.prctl(1, signal.SIGTERM)


class Child:
    """A process of ours with its output in files."""

    def __init__(self, name, argv, folder, env=None, count=0):
        self.name = name
        self.is_nginx = argv[0].endswith("/nginx")
        self.out = Path(folder) / f"{name}.{count}.out"
        self.err = Path(folder) / f"{name}.{count}.err"
        self.started = time.monotonic()
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen(
                argv, stdout=out, stderr=err, stdin=subprocess.DEVNULL, env=env,
                preexec_fn=_end_with_parent if self.is_nginx else _die_with_parent,
            )
        self.pid = self.process.pid

    def alive(self):
        return self.process.poll() is None

    def text(self):
        return self.out.read_text(errors="replace")

    def errors(self, last=4000):
        return self.err.read_text(errors="replace")[-last:]

    def kill(self):
        if self.alive():
            os.kill(self.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self, seconds=20):
        """The kind way; False when it had to be killed."""
        if not self.alive():
            return True
        os.kill(self.pid, signal.SIGTERM)
        try:
            self.process.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            self.kill()
            return False


class Api:
    """The server's API, over one connection a thread."""

    def __init__(self, base, ca_file):
        self.host = base.split("//")[1]
        self.context = ssl.create_default_context(cafile=str(ca_file))
        self.local = threading.local()
        self.token = None

    def call(self, method, path, body=None, headers=None, token=None, timeout=70):
        """(status, headers, bytes). A connection the server closed meanwhile is tried once more.
        `token`: "" for none."""
        send = {"Accept": "application/json"}
        token = self.token if token is None else token
        if token:
            send["Authorization"] = f"Bearer {token}"
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            send["Content-Type"] = "application/json"
        send.update(headers or {})
        for again in (True, False):
            connection = getattr(self.local, "connection", None)
            fresh = connection is None
            if fresh:
                connection = http.client.HTTPSConnection(self.host, context=self.context, timeout=timeout)
                self.local.connection = connection
            try:
                connection.request(method, path, body=body, headers=send)
                answer = connection.getresponse()
                data = answer.read()
                return answer.status, answer.headers, data
            except (http.client.HTTPException, OSError):
                connection.close()
                self.local.connection = None
                if fresh or not again:
                    raise
        raise AssertionError("unreachable")

    def json(self, method, path, body=None, headers=None, token=None):
        status, _, data = self.call(method, path, body, headers, token)
        if not 200 <= status < 300:
            raise RuntimeError(f"{method} {path}: {status} {data[:600].decode(errors='replace')}")
        return json.loads(data) if data else None

    def sql(self, text, rows=10_000):
        """Rows as dictionaries."""
        answer = self.json("POST", "/api/v1/query", {"sql": text, "rows": rows})
        names = [column["name"] for column in answer["columns"]]
        if answer.get("truncated_by") in ("bytes", "time"):
            raise RuntimeError(f"query cut by {answer['truncated_by']}: {text}")
        return [dict(zip(names, row)) for row in answer["rows"]]

    def pages(self, columns, where, page=3_000):
        """All rows that fit, by pages of `sequence`."""
        last = -1
        named = columns if columns == "*" else f"sequence, {columns}"
        while True:
            rows = self.sql(
                f"select {named} from events where ({where}) and sequence > {last} "
                f"order by sequence limit {page}", rows=page)
            yield from rows
            if len(rows) < page:
                return
            # Equal sequences (of several sources) may straddle a page.
            newest = rows[-1]["sequence"]
            if rows[0]["sequence"] == newest:
                raise RuntimeError("a page of one sequence")
            last = newest


class Wire:
    """A plain HTTP/1.1 client on one kept connection: quick, and it sends what it is told."""

    def __init__(self, port, timeout=30):
        self.address = ("127.0.0.1", port)
        self.timeout = timeout
        self.socket = None
        self.rest = b""

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None
        self.rest = b""

    def ask(self, request):
        """(status, head, body) of one whole request."""
        if self.socket is None:
            self.socket = socket.create_connection(self.address, timeout=self.timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.socket.sendall(request)
            return self.answer()
        except OSError:
            self.close()
            raise

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("closed before the answer was whole")
        self.rest += data

    def answer(self):
        while True:
            while b"\r\n\r\n" not in self.rest:
                self._more()
            head, self.rest = self.rest.split(b"\r\n\r\n", 1)
            status = int(head.split(b" ", 2)[1])
            if status >= 200:
                break
        fields = {}
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            fields[name.strip().lower()] = value.strip()
        if status in (204, 304):
            body = b""
        elif fields.get(b"transfer-encoding", b"").lower() == b"chunked":
            body = b""
            while True:
                while b"\r\n" not in self.rest:
                    self._more()
                size, self.rest = self.rest.split(b"\r\n", 1)
                size = int(size.split(b";")[0], 16)
                while len(self.rest) < size + 2:
                    self._more()
                body += self.rest[:size]
                self.rest = self.rest[size + 2:]
                if size == 0:
                    break
        else:
            size = int(fields.get(b"content-length", b"0"))
            while len(self.rest) < size:
                self._more()
            body, self.rest = self.rest[:size], self.rest[size:]
        if fields.get(b"connection", b"").lower() == b"close":
            self.close()
        return status, fields, body


def request(method, target, host, body=b"", headers=()):
    """The bytes of a request."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + body


class Rig:
    """Server, gateway and upstreams of one check."""

    def __init__(self, args, name):
        self.plura = args.plura
        self.keep = args.keep
        self.folder = Path(tempfile.mkdtemp(prefix=f"plura-{name}-"))
        os.chmod(self.folder, 0o755)
        self.logs = self.folder / "logs"
        self.logs.mkdir()
        self.children = []
        self.mounts = []
        self.counts = {}
        self.api = None
        self.server = None
        self.gateway = None
        self.data = self.folder / "server"
        self.edge = self.folder / "gateway"
        self.profile = self.folder / "profile.json"
        atexit.register(self.close)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for child in reversed(self.children):
            try:
                # A killed nginx leaves its workers behind.
                child.stop(3) if child.is_nginx else child.kill()
            except (OSError, subprocess.TimeoutExpired):
                pass
        self.children = []
        while self.mounts:
            subprocess.run(["umount", "-l", str(self.mounts.pop())], check=False, timeout=20)
        if self.keep:
            if self.folder.exists():
                print(f"kept {self.folder}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def env(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("PLURA_")}
        env.update(PLURA_PROFILE=str(self.profile), HOME=str(self.folder), PLURA_LOG="info", NO_COLOR="1")
        return env

    def child(self, name, argv):
        count = self.counts[name] = self.counts.get(name, -1) + 1
        child = Child(name, [str(a) for a in argv], self.logs, self.env(), count)
        self.children = [c for c in self.children if c.alive()] + [child]
        return child

    def mount(self, folder, megabytes):
        """A small disk of its own."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "plura-check", str(folder)],
                       check=True, timeout=20)
        self.mounts.append(folder)

    # server

    def start_server(self, seconds=60, config=None):
        """Starts it and waits until it is ready; seconds it took."""
        if not hasattr(self, "server_port"):
            self.server_port = free_port()
        argv = [self.plura, "server", "--data", self.data, "--listen", f"127.0.0.1:{self.server_port}"]
        if config:
            argv += ["--config", config]
        self.server = self.child("server", argv)

        def ready():
            if not self.server.alive():
                raise RuntimeError(f"the server ended: {self.server.text()}\n{self.server.errors()}")
            return "ready at" in self.server.text()

        wait_for("server ready", ready, seconds, every=0.01)
        return time.monotonic() - self.server.started

    @property
    def base(self):
        return f"https://127.0.0.1:{self.server_port}"

    @property
    def ca_file(self):
        return self.data / "tls" / "server.pem"

    def set_up(self, mode="observe"):
        """First login, a password of one's own, tokens, the tenant's mode, a profile."""
        self.api = Api(self.base, self.ca_file)
        # It stands a line or two below `ready`.
        once = wait_for("the one-time password", lambda: next(
            (line for line in self.server.text().splitlines() if "one-time password" in line and line.count("`") == 4), None), 10)
        once = once.split("one-time password", 1)[1].strip().strip("`")
        status, headers, data = self.api.call("POST", "/api/v1/login", {"name": "owner", "password": once})
        if status != 200:
            raise RuntimeError(f"first login: {status} {data!r}")
        cookie = headers["Set-Cookie"].split(";")[0]
        session = {"Cookie": cookie, "Plura-Csrf": json.loads(data)["csrf"]}
        self.api.json("POST", "/api/v1/password", {"current": once, "new": PASSWORD}, session)

        self.session = session
        self.edge.mkdir(exist_ok=True)
        self.intake_token = self.make_token("gateway", ["gateway", "intake"])
        self.api.token = self.make_token("checks", ["query", "act", "audit", "reveal", "admin", "intake"], 2)
        if mode != "observe":
            self.api.json("PATCH", "/api/v1/tenant", {"mode": mode, "reason": "check"}, session)
        secret_file(self.folder / "cli-token", self.api.token)
        self.cli("config", "set", "--server", self.base, "--token-file", self.folder / "cli-token",
                 "--ca-file", self.ca_file)

    def make_token(self, name, scopes, days=None, tenant="default"):
        body = {"name": name, "scopes": scopes}
        if days:
            body["expires_days"] = days
        headers = {**self.session, "Plura-Tenant": tenant}
        return self.api.json("POST", "/api/v1/tokens", body, headers, token="")["token"]

    def cli(self, *args, expect=(0,), timeout=120):
        """Runs `plura …`; (exit code, standard output, standard error)."""
        done = subprocess.run([self.plura, *map(str, args)], env=self.env(), capture_output=True,
                              timeout=timeout, stdin=subprocess.DEVNULL)
        out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        if expect is not None and done.returncode not in expect:
            raise RuntimeError(f"plura {' '.join(map(str, args))}: exit {done.returncode}\n{out[-800:]}\n{err[-800:]}")
        return done.returncode, out, err

    def cli_json(self, *args, timeout=120):
        return json.loads(self.cli("-o", "json", *args, timeout=timeout)[1])

    # gateway

    def write_gateway(self, sites, tls=False, spool=None, extra=""):
        """`sites`: YAML below `sites:`, two blanks deep."""
        self.edge.mkdir(exist_ok=True)
        for name in ("gateway_port", "tls_port", "admin_port"):
            if not hasattr(self, name):
                setattr(self, name, free_port())
        secret_file(self.edge / "token", self.intake_token)
        if not (self.edge / "key").exists():
            secret_file(self.edge / "key", secrets.token_hex(32))
        listeners = f"  - address: 127.0.0.1:{self.gateway_port}\n"
        if tls:
            pair = f"{{ cert_file: {self.data}/tls/server.pem, key_file: {self.data}/tls/server.key }}"
            listeners += f"  - {{ address: '127.0.0.1:{self.tls_port}', tls: {{ certificates: [{pair}] }} }}\n"
        self.spool = Path(spool or self.edge / "spool")
        text = (
            f"gateway: check-1\nlisteners:\n{listeners}admin: 127.0.0.1:{self.admin_port}\n"
            f"trusted_proxies: [127.0.0.0/8]\n"
            f"server: {{ url: '{self.base}', token_file: token, ca_file: {self.ca_file} }}\n"
            f"state_dir: state\nkey_file: key\nspool: {{ dir: {self.spool} }}\n{extra}sites:\n{sites}"
        )
        self.gateway_yaml = self.edge / "gateway.yaml"
        self.gateway_yaml.write_text(text)

    def start_gateway(self, seconds=30):
        self.gateway = self.child("gateway", [self.plura, "gateway", "--config", self.gateway_yaml])

        def ready():
            if not self.gateway.alive():
                raise RuntimeError(f"the gateway ended: {self.gateway.text()}\n{self.gateway.errors()}")
            return "metrics and health on" in self.gateway.text()

        wait_for("gateway ready", ready, seconds, every=0.01)
        return time.monotonic() - self.gateway.started

    def metrics(self):
        """The gateway's samples by name with labels."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=10)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        samples = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                samples[name] = float(value)
        return samples

    def dropped(self):
        return {name.split('"')[1]: int(value) for name, value in self.metrics().items()
                if name.startswith("plura_evidence_dropped_total") and value}

    def spooled_and_acknowledged(self):
        """Last sequence in the spool's files, and the last one it knows the server to have."""
        acknowledged = last = 0
        for slot in (0, 32):
            bytes_ = (self.spool / "ack").read_bytes()[slot:slot + 16]
            turn, sequence = struct.unpack("<QQ", bytes_)
            acknowledged = max(acknowledged, sequence if turn else 0)
        for segment in sorted(self.spool.glob("*.seg"), reverse=True):
            data, at = segment.read_bytes(), 0
            while at + 16 <= len(data):
                length, _, sequence = struct.unpack_from("<IIQ", data, at)
                if length == 0 or at + 16 + length > len(data):
                    break
                last, at = max(last, sequence), at + 16 + length
            if last:
                break
        return last, acknowledged

    def drain(self, seconds=180):
        """Waits until the gateway has handed everything over, also what an earlier life of it left.

        The counters begin anew with each life; the spool's own files do not (evidence/spool.rs)."""
        calm, before = 0, None
        end = time.monotonic() + seconds
        m, state = {}, None
        while time.monotonic() < end:
            m = self.metrics()
            try:
                state = self.spooled_and_acknowledged()
            except OSError:
                state = (1, 0)  # a segment that was handed over just now
            done = m["plura_evidence_queue"] == 0 and state[0] <= state[1]
            now = (m["plura_evidence_spooled_total"], state)
            calm = calm + 1 if done and now == before else 0
            before = now
            if calm >= 3:
                return True
            time.sleep(0.3)
        raise TimeoutError(f"the spool did not drain within {seconds} s: last, acknowledged {state}; "
                           f"{ {k: v for k, v in m.items() if k.startswith('plura_evidence')} }")

    # upstreams

    def start_nginx(self):
        """Debian's nginx with a configuration of its own; its port."""
        port = free_port()
        home = self.folder / "nginx"
        home.mkdir()
        (home / "html").mkdir()
        (home / "html" / "page.html").write_text("<h1>hello</h1>\n")
        conf = home / "nginx.conf"
        conf.write_text(f"""
worker_processes 1;
daemon off;
error_log {home}/error.log warn;
pid {home}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 1000000;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fcgi;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  large_client_header_buffers 4 32k;
  server {{
    listen 127.0.0.1:{port};
    root {home}/html;
    location /missing/ {{ return 404 "none\\n"; }}
    location /q {{ return 200 "ok\\n"; }}
    location /w {{ return 200 "ok\\n"; }}
  }}
}}
""")
        child = self.child("nginx", ["/usr/sbin/nginx", "-p", home, "-c", conf])
        wait_for("nginx", lambda: _listens(port, child), 20)
        self.nginx = child
        return port

    def start_app(self, planted=None):
        """The Python application; its port."""
        port = free_port()
        argv = [sys.executable, HERE / "app.py", str(port)]
        if planted:
            argv.append(planted)
        child = self.child("app", argv)
        wait_for("app", lambda: _listens(port, child), 20)
        self.app = child
        return port


def _listens(port, child):
    if not child.alive():
        raise RuntimeError(f"{child.name} ended: {child.errors()}")
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def secret_file(path, text):
    path = Path(path)
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)


def rss_mib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Verdict:
    """What a check prints: figures, and what was expected of them."""

    def __init__(self, name, args):
        self.name, self.args = name, args
        self.figures, self.expectations = {}, []
        self.began = time.monotonic()

    def figure(self, name, value):
        self.figures[name] = value
        print(f"  {name:52} {value}", flush=True)

    def expect(self, what, holds, detail=""):
        self.expectations.append({"what": what, "holds": bool(holds), "detail": str(detail)[:2000]})
        print(f"  {'ok  ' if holds else 'FAIL'} {what}{' · ' + str(detail)[:600] if detail and not holds else ''}",
              flush=True)

    def end(self):
        self.figures["seconds"] = round(time.monotonic() - self.began, 1)
        failed = [e for e in self.expectations if not e["holds"]]
        answer = {"check": self.name, "ok": not failed, "figures": self.figures, "failed": failed,
                  "expectations": len(self.expectations)}
        text = json.dumps(answer, indent=1, ensure_ascii=False, default=str)
        print(text)
        if self.args.json:
            Path(self.args.json).write_text(text + "\n")
        print(f"{self.name}: {'ok' if not failed else 'FAILED'} "
              f"({len(self.expectations) - len(failed)} of {len(self.expectations)} hold)")
        return 0 if not failed else 1
