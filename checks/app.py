"""An application behind the gateway: logins, JSON, forms, uploads; answers that hold planted secrets.

    app.py PORT [PLANTED.json]
"""

import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PLANTED = []


def status_for(number):
    """What the application answers to request `number`: mostly well, at times not."""
    return {7: 404, 9: 422}.get(number % 10, 200)


class App(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 120
    # One write an answer: two would wait for each other (Nagle, delayed ACK).
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def reply(self, status, body, kind="application/json", headers=()):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def json(self, status, value, headers=()):
        self.reply(status, json.dumps(value).encode(), headers=headers)

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            data = b""
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                data += self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    return data
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_GET(self):
        self.body()
        parts = urlsplit(self.path)
        if parts.path.startswith("/planted/"):
            plant = PLANTED[int(parts.path.rsplit("/", 1)[1])]
            self.reply(plant.get("status", 200), base64.b64decode(plant["body"]), plant["type"], plant["headers"])
        elif parts.path == "/health":
            self.json(200, {"ok": True})
        else:
            self.json(200, {"path": parts.path, "fields": len(parse_qs(parts.query))})

    do_HEAD = do_GET

    def do_POST(self):
        data = self.body()
        path = urlsplit(self.path).path
        if path == "/login":
            # The password is right when it begins with `right-`; `remember` names the session to begin.
            form = parse_qs(data.decode("utf-8", "replace"))
            if form.get("password", [""])[0].startswith("right-"):
                sid = form.get("remember", [""])[0]
                self.json(200, {"ok": True}, [("Set-Cookie", f"sid={sid}; HttpOnly")] if sid else [])
            else:
                self.json(401, {"error": "bad_password"})
            return
        # `X-Number` chooses the answer.
        number = int(self.headers.get("X-Number") or 0)
        status = status_for(number)
        self.json(status, {"ok": status == 200, "bytes": len(data)})

    do_PUT = do_PATCH = do_POST

    def do_DELETE(self):
        self.body()
        self.reply(204, b"")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, *_):
        pass  # a client that went away


if __name__ == "__main__":
    if len(sys.argv) > 2:
        PLANTED = json.load(open(sys.argv[2], encoding="utf-8"))
    Server(("127.0.0.1", int(sys.argv[1])), App).serve_forever()
