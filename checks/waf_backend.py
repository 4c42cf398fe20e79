"""The application behind the WAFs of `waf.py`: what it answers is a function of the request alone.

`/reflect` answers with what the request's JSON says (status, headers, body or encodedBody), as the one of
CRS's own tests does; `/canned/N` with the Nth of the answers in the file named on the command line;
anything else with a small page. Every answer bears `X-Backend`, so that it is told from a WAF's.

    waf_backend.py PORT [CANNED.json]
"""

import asyncio
import base64
import json
import sys

PAGE = b"<!doctype html><title>shop</title><p>hello, hello, hello, hello, hello, hello</p>\n"
BODY_BYTES_MAX = 32 * 1024 * 1024


def dechunk(data):
    """The body that `data` holds in chunks, or None while it is not whole."""
    body, at = b"", 0
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        try:
            size = int(data[at:end].split(b";")[0].strip() or b"x", 16)
        except ValueError:
            return b""
        if size < 0:
            return b""
        if len(data) < end + 2 + size + 2:
            return None
        body += data[end + 2:end + 2 + size]
        at = end + 2 + size + 2
        if size == 0:
            return body


def split(raw):
    """(method, target, fields, rest) of a request's bytes; the names of `fields` are in lower case."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    words = lines[0].split()
    method, target = (words + [b"", b""])[:2]
    fields = {}
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        fields.setdefault(name.strip().lower(), value.strip())
    return method, target, fields, rest


def body_of(fields, rest):
    if b"chunked" in fields.get(b"transfer-encoding", b"").lower():
        return dechunk(rest + b"\r\n") or b""
    return rest


def answer(method, target, body, canned=()):
    """(status, [(name, value)], body): texts, and bytes."""
    path = target.split(b"?")[0]
    if path.startswith(b"/canned/"):
        try:
            return of_specification(canned[int(path[8:])])
        except (ValueError, IndexError):
            return 404, [("Content-Type", "text/plain")], b"none\n"
    if path == b"/reflect":
        try:
            # Lenient as Go's decoder is not: a test that is no JSON gets the page of errors there, too.
            return of_specification(json.loads(body))
        except (ValueError, TypeError, AttributeError):
            return 400, [("Content-Type", "text/plain")], b"invalid JSON\n"
    return 200, [("Content-Type", "text/html; charset=utf-8")], PAGE


def of_specification(said):
    fields = [(str(name), str(value)) for name, value in (said.get("headers") or {}).items()]
    if said.get("encodedBody"):
        body = base64.b64decode(said["encodedBody"])
    else:
        body = str(said.get("body", "")).encode()
    if not any(name.lower() == "content-type" for name, _ in fields):
        fields.append(("Content-Type", "text/plain; charset=utf-8"))
    return int(said.get("status") or 200), fields, body


class Connection(asyncio.Protocol):
    def __init__(self, canned):
        self.canned, self.rest = canned, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.rest += data
        while self.one():
            pass
        if len(self.rest) > BODY_BYTES_MAX:
            self.transport.close()

    def one(self):
        """Answers the request in front, if it is whole."""
        if b"\r\n\r\n" not in self.rest:
            return False
        method, target, fields, rest = split(self.rest)
        if b"chunked" in fields.get(b"transfer-encoding", b"").lower():
            body = dechunk(rest)
            if body is None:
                return False
            # Chunks are re-sent by proxies without trailers.
            self.rest = rest[rest.find(b"0\r\n\r\n") + 5:]
        else:
            size = int(fields.get(b"content-length", b"0") or 0)
            if len(rest) < size:
                return False
            body, self.rest = rest[:size], rest[size:]
        status, said, content = answer(method, target, body, self.canned)
        lines = [f"HTTP/1.1 {status} Answer", "X-Backend: 1", f"Content-Length: {len(content)}"]
        lines += [f"{name}: {value}".replace("\r", " ").replace("\n", " ") for name, value in said if name.lower() != "content-length"]
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        bodiless = method == b"HEAD" or status in (204, 304) or 100 <= status < 200
        self.transport.write(head + (b"" if bodiless else content))
        return True


async def serve(port, canned):
    server = await asyncio.get_running_loop().create_server(lambda: Connection(canned), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    table = []
    if len(sys.argv) > 2:
        with open(sys.argv[2], encoding="utf-8") as file:
            table = json.load(file)
    try:
        asyncio.run(serve(int(sys.argv[1]), table))
    except KeyboardInterrupt:
        pass
