"""Secrets and personal data in every place a request or response has. None is real.

`plants(folder)` gives the requests to send and the needles that must appear nowhere afterwards.
"""

import base64
import gzip
import json
import secrets
from urllib.parse import quote, quote_plus

from rig import request

HOST = "app.test"


def _jwt(mark):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part({'sub': mark, 'admin': False})}.{secrets.token_urlsafe(32)}"


def _luhn(digits):
    total = 0
    for i, digit in enumerate(reversed(digits)):
        n = int(digit) * (2 if i % 2 == 0 else 1)
        total += n - 9 if n > 9 else n
    return digits + str((10 - total % 10) % 10)


def _card(prefix, length):
    return _luhn(prefix + "".join(secrets.choice("0123456789") for _ in range(length - len(prefix) - 1)))


def _rrn():
    # A date, a century, and a check digit (weights 2 to 9, then 2 to 5).
    body = f"{secrets.randbelow(40) + 60:02d}{secrets.randbelow(12) + 1:02d}{secrets.randbelow(28) + 1:02d}"
    body += str(1 + secrets.randbelow(2)) + "".join(secrets.choice("0123456789") for _ in range(5))
    weights = [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]
    check = (11 - sum(int(d) * w for d, w in zip(body, weights)) % 11) % 10
    return f"{body[:6]}-{body[6:]}{check}"


def _pem():
    lines = [base64.b64encode(secrets.token_bytes(48)).decode() for _ in range(6)]
    return "-----BEGIN PRIVATE KEY-----\n" + "\n".join(lines) + "\n-----END PRIVATE KEY-----\n", lines


def plants():
    """(requests, answers of /planted/<n>, {needle: where}). A needle is text that has to be gone."""
    requests, answers, needles = [], [], {}

    def word(prefix=""):
        return prefix + secrets.token_hex(10)

    def keep(where, *values):
        for value in values:
            needles[value] = where

    def send(where, raw, *values):
        requests.append(raw)
        keep(where, *values)

    def form(where, fields, *values):
        body = "&".join(f"{quote_plus(k)}={quote_plus(v)}" for k, v in fields).encode()
        send(where, request("POST", "/planted-form", HOST, body,
                            [("Content-Type", "application/x-www-form-urlencoded")]), *values)

    def js(where, value, *values, ascii_only=True):
        body = json.dumps(value, ensure_ascii=ascii_only).encode()
        send(where, request("POST", "/planted-json", HOST, body, [("Content-Type", "application/json")]), *values)

    def header(where, name, value, *values):
        send(where, request("GET", "/planted-header", HOST, headers=[(name, value)]), *values)

    def multipart(where, parts, *values):
        body = b""
        for disposition, kind, content in parts:
            body += f"--frontier\r\nContent-Disposition: form-data; {disposition}\r\n".encode()
            if kind:
                body += f"Content-Type: {kind}\r\n".encode()
            body += b"\r\n" + content + b"\r\n"
        body += b"--frontier--\r\n"
        send(where, request("POST", "/planted-upload", HOST, body,
                            [("Content-Type", "multipart/form-data; boundary=frontier")]), *values)

    # Query.
    for name in ("password", "access_token", "api_key", "client_secret"):
        value = word("q-")
        send(f"query {name}", request("GET", f"/planted-query?page=2&{name}={quote(value)}", HOST), value)
    value = _rrn()
    send("query rrn", request("GET", f"/planted-query?q={quote(value)}", HOST), value)
    value = _card("4", 16)
    send("query card", request("GET", f"/planted-query?q={value}", HOST), value)
    value = _jwt("query")
    send("query jwt", request("GET", f"/planted-query?next={quote('/x?t=' + value)}", HOST), value)

    # Forms.
    for name in ("password", "passwd", "user[password]", "newPassword", "pin", "otp", "cvv", "비밀번호", "パスワード"):
        value = word("f-")
        form(f"form {name}", [("username", "kim"), (name, value)], value)
    value = "pa ss&wörd=" + word("f-")
    form("form password with reserved characters", [("password", value)], value, value.split("=")[1])
    value = _rrn()
    form("form rrn", [("memo", f"주민번호는 {value} 입니다")], value)
    value = _rrn()
    form("form rrn without dash", [("memo", value.replace("-", ""))], value.replace("-", ""))
    value = _card("5555", 16)
    form("form card in groups", [("memo", " ".join(value[i:i + 4] for i in range(0, 16, 4)))],
         " ".join(value[i:i + 4] for i in range(0, 16, 4)), value)
    value = word("f-")
    form("form JSON in a field", [("payload", json.dumps({"user": "kim", "token": value}))], value)

    # JSON.
    value = word("j-")
    js("json password", {"user": "kim", "password": value}, value)
    value = word("j-")
    js("json nested", {"a": {"b": [{"credentials": {"secretKey": value}}]}}, value)
    value = word("j-")
    js("json in a json string", {"event": json.dumps({"auth": {"access_token": value}})}, value)
    value = word("j-")
    js("json twice in a json string", {"event": json.dumps({"inner": json.dumps({"password": value})})}, value)
    value = word("j-")
    escaped = "".join(f"\\u{ord(c):04x}" for c in "password")
    send("json with an escaped name", request("POST", "/planted-json", HOST, f'{{"{escaped}": "{value}"}}'.encode(),
                                              [("Content-Type", "application/json")]), value)
    value = word("j-")
    send("json that breaks off", request("POST", "/planted-json", HOST, f'{{"user": "kim", "password": "{value}'.encode(),
                                         [("Content-Type", "application/json")]), value)
    value = _card("37", 15)
    js("json card", {"payment": {"number": value}}, value)
    value = _card("4", 16)
    js("json card as a number", {"payment": {"reference": int(value)}}, value)
    value = _rrn()
    js("json rrn", {"고객": {"주민등록번호": value}}, value, ascii_only=False)
    pem, lines = _pem()
    js("json pem", {"note": pem}, *lines)
    value = "AKIA" + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(16))
    js("json aws key id", {"note": f"key is {value}"}, value)
    value = "ghp_" + "".join(secrets.choice("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789") for _ in range(36))
    js("json github token", {"note": f"try {value} please"}, value)
    value = "sk-proj-" + secrets.token_hex(24)
    js("json openai key", {"messages": [{"role": "user", "content": f"my key {value} fails"}]}, value)
    value = "xoxb-" + f"{secrets.randbelow(10**12):012d}-{secrets.randbelow(10**12):012d}-" + secrets.token_hex(12)
    js("json slack token", {"text": value}, value)
    value = _jwt("json")
    js("json jwt", {"note": f"Bearer {value}"}, value, value.split(".")[2])
    value = "010-" + f"{secrets.randbelow(9000) + 1000}-{secrets.randbelow(9000) + 1000}"
    js("json phone", {"note": f"전화 {value}"}, value, ascii_only=False)
    value = word("kim.") + "@mail.example"
    js("json e-mail", {"note": f"write to {value}"}, value)

    # Multipart.
    value = word("m-")
    multipart("multipart field", [('name="user"', None, b"kim"), ('name="password"', None, value.encode())], value)
    value = word("m-")
    multipart("multipart file of JSON", [('name="file"; filename="a.json"', "application/json",
                                          json.dumps({"api_key": value}).encode())], value)
    pem, lines = _pem()
    multipart("multipart file of a key", [('name="file"; filename="id.pem"', "application/octet-stream", pem.encode())],
              *lines)
    value = _rrn()
    multipart("multipart field rrn", [('name="memo"', None, value.encode())], value)

    # Headers and cookies.
    value = _jwt("header")
    header("header bearer", "Authorization", f"Bearer {value}", value, value.split(".")[2])
    value = secrets.token_hex(20)
    header("header bearer opaque", "Authorization", f"Bearer {value}", value)
    value = word("b-")
    basic = base64.b64encode(f"kim:{value}".encode()).decode()
    header("header basic", "Authorization", f"Basic {basic}", value, basic)
    for name in ("X-Api-Key", "X-Auth-Token", "X-Amz-Security-Token", "X-Session-Token", "X-Vault-Token"):
        value = word("h-")
        header(f"header {name}", name, value, value)
    value = word("c-")
    header("cookie session", "Cookie", f"theme=dark; session={value}; lang=ko", value)
    value = word("c-")
    header("cookie unknown name", "Cookie", f"zz={value}", value)
    value = word("r-")
    header("referer", "Referer", f"https://app.test/reset?token={value}", value)
    value = _jwt("path")
    send("path segment jwt", request("GET", "/planted-path/" + value, HOST), value)

    # Compressed request.
    value = word("z-")
    send("gzip request", request("POST", "/planted-json", HOST, gzip.compress(json.dumps({"password": value}).encode()),
                                 [("Content-Type", "application/json"), ("Content-Encoding", "gzip")]), value)
    value = word("z-")
    send("gzip form", request("POST", "/planted-form", HOST, gzip.compress(f"user=kim&passwd={value}".encode()),
                              [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Encoding", "gzip")]), value)

    # Responses.
    def answer(where, body, *values, kind="application/json", headers=()):
        number = len(answers)
        answers.append({"body": base64.b64encode(body).decode(), "type": kind, "headers": list(map(list, headers))})
        send(f"response {where}", request("GET", f"/planted/{number}", HOST), *values)

    value = word("s-")
    answer("set-cookie", b"{}", value, headers=[("Set-Cookie", f"sid={value}; Path=/; HttpOnly")])
    value = word("s-")
    answer("json access_token", json.dumps({"access_token": value, "token_type": "bearer"}).encode(), value)
    value = word("s-")
    answer("gzip json", gzip.compress(json.dumps({"refresh_token": value}).encode()), value,
           headers=[("Content-Encoding", "gzip")])
    value = _jwt("response")
    answer("html jwt", f"<script>var t = '{value}';</script>".encode(), value, kind="text/html")
    values = [_rrn() for _ in range(3)]
    answer("list of rrn", json.dumps([{"name": "Kim", "rrn": v} for v in values]).encode(), *values)
    value = _card("4", 16)
    answer("text card", f"paid with {value}\n".encode(), value, kind="text/plain")
    pem, lines = _pem()
    answer("text pem", pem.encode(), *lines, kind="text/plain")
    value = word("s-")
    answer("event stream", f'data: {{"token":"{value}"}}\n\ndata: [DONE]\n\n'.encode(), value, kind="text/event-stream")
    value = word("s-")
    answer("location", b"", value, headers=[("Location", f"/callback?code=1&id_token={value}")])
    return requests, answers, needles


def forms_of(needle):
    """How a value may still be there: as it is, percent-encoded, escaped in JSON, in base64, in hex."""
    plain = needle.encode()
    found = {plain, quote(needle, safe="").encode(), quote_plus(needle).encode(), plain.hex().encode(),
             json.dumps(needle)[1:-1].encode()}
    for pad in range(3):
        # Wherever it begins within base64's groups of three; the ends, which mix with neighbours, cut off.
        text = base64.b64encode(b"\0" * pad + plain).decode().rstrip("=")
        found.add(text[{0: 0, 1: 2, 2: 3}[pad]:len(text) - 2].encode())
    return {form for form in found if len(form) >= 8 and b"\n" not in form}
