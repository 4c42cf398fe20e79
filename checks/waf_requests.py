"""The requests of `waf.py`, as bytes: CRS's own tests, everyday ones, and labelled values in four carriers."""

import base64
import csv
import json
import random
import re
import sys
from dataclasses import dataclass
from urllib.parse import quote, quote_plus, unquote_plus

from waf_peer import crs, shared

ATTACKS = ("sqli", "xss", "path-traversal", "cmdi")
CARRIERS = ("query", "form", "json", "multipart")


@dataclass
class Case:
    """A request, and where it is from: `942100-3`, `canned 951110-1`, `clean login`."""

    name: str
    raw: bytes
    kind: str
    # Rules that CRS's test of it wants, and those it does not.
    expects: tuple = ()
    forbids: tuple = ()


def suite():
    """Every request of CRS's regression tests, as go-ftw would send it."""
    try:
        import yaml
    except ImportError:
        sys.exit("missing: python3-yaml\nhint: apt-get install python3-yaml")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for file in sorted((crs() / "tests" / "regression" / "tests").glob("*/*.y*ml")):
        with open(file, "rb") as text:
            told = yaml.load(text, Loader=loader)
        for test in told["tests"]:
            for number, stage in enumerate(test["stages"]):
                name = f"{told['rule_id']}-{test['test_id']}" + (f".{number + 1}" if number else "")
                log = (stage.get("output") or {}).get("log") or {}
                yield name, stage["input"], tuple(log.get("expect_ids") or ()), tuple(log.get("no_expect_ids") or ())


def suite_cases():
    """The tests' requests; and for those that show a response its answer, to be asked for innocently."""
    cases, canned = [], []
    for name, said, expects, forbids in suite():
        cases.append(Case(name, of_test(said), "suite", expects, forbids))
        if str(said.get("uri", "")).startswith("/reflect") and said.get("data"):
            try:
                canned.append(json.loads(said["data"]))
            except ValueError:
                continue
            cases.append(Case(f"canned {name}", get(f"/canned/{len(canned) - 1}"), "canned", expects, forbids))
    return cases, canned


def of_test(said):
    """A test's bytes (go-ftw, `ftwhttp/request.go`: standard headers unless told not to, unencoded forms
    encoded, multipart lines ended by CRLF)."""
    if said.get("encoded_request"):
        return base64.b64decode(said["encoded_request"])
    headers = [[str(name), str(value)] for name, value in (said.get("headers") or {}).items()]
    data = repeated(str(said.get("data") or "")).encode("utf-8", "surrogateescape")
    method, complete = str(said.get("method", "GET")), said.get("autocomplete_headers", True)

    def value(name):
        return next((v for n, v in headers if n.lower() == name), "")

    def add(name, text):
        if not any(n.lower() == name.lower() for n, _ in headers):
            headers.append([name, text])

    if data and complete:
        add("Content-Type", "application/x-www-form-urlencoded")
        if value("content-type") == "application/x-www-form-urlencoded":
            data = encoded(data)
    if value("content-type").startswith("multipart/form-data;"):
        data = data.replace(b"\n", b"\r\n")
    if complete:
        add("Connection", "close")
        if data or method.startswith("POST") or "PUT" in method or "PATCH" in method or method.endswith("DELETE"):
            add("Content-Length", str(len(data)))
    lines = [f"{method} {said.get('uri', '/')} {said.get('version', 'HTTP/1.1')}"] + [f"{n}: {v}" for n, v in headers]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + data


def repeated(text):
    """go-ftw's templates, of which the tests use one: `{{ "1" | repeat 152 }}`."""
    return re.sub(r'\{\{\s*"([^"]*)"\s*\|\s*repeat\s+(\d+)\s*\}\}', lambda m: m[1] * int(m[2]), text)


def encoded(data):
    """A form as tests write it, percent-encoded unless it already is."""
    text = data.decode("utf-8", "surrogateescape")
    if re.search(r"%(?![0-9a-fA-F]{2})", text) or unquote_plus(text, errors="surrogateescape") != text:
        return data
    parts = [("=".join(quote_plus(half, safe="~", errors="surrogateescape") for half in part.split("=", 1)))
             for part in text.split("&")]
    return "&".join(parts).encode()


BROWSER = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n")


def get(target, more=""):
    return f"GET {target} HTTP/1.1\r\nHost: shop.example\r\n{BROWSER}{more}\r\n".encode()


def post(target, content_type, body, more="", method="POST"):
    return (f"{method} {target} HTTP/1.1\r\nHost: shop.example\r\n{BROWSER}{more}Content-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def multipart(parts, boundary="----plura7MA4YWxkTrZu0gW"):
    """(content type, body); a part is (name, value) or (name, file name, content type, bytes)."""
    body = b""
    for part in parts:
        name = part[0].encode()
        if len(part) == 2:
            body += b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (boundary.encode(), name, part[1])
        else:
            body += b'--%b\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\nContent-Type: %b\r\n\r\n%b\r\n' % (
                boundary.encode(), name, part[1].encode(), part[2].encode(), part[3])
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


def clean_cases():
    """What honest users do: pages, searches in several languages, forms, APIs, uploads."""
    cases = []

    def add(name, raw):
        cases.append(Case(f"clean {name}", raw, "clean"))

    cookie = "Cookie: sid=9d8f7a6b5c4d3e2f; theme=dark; cart=3\r\n"
    for path in ("/", "/shop/shoes", "/products/1042?page=2&sort=price", "/static/app.3f2a9c.js", "/img/logo.png", "/robots.txt",
                 "/a/b/c/d.html", "/en/help/returns", "/feed.xml", "/api/v1/orders?limit=50&after=2024-01-01T00%3A00%3A00Z"):
        add(f"page {path}", get(path, cookie))
    for words in ("blue running shoes", "kaffee & kuchen", "Müller Straße 5", "서울 커피", "東京 靴", "l'été à Nice", "O'Neill wetsuit",
                  "rock'n'roll t-shirt", "50% off", "C++ primer", "100 ml (2 pack)", "who is the union select committee",
                  "how to drop a table off at the dump", "a=b", "x > y and y < z", "naïve café", "kim@example.com", "https://example.com/shoes?size=42",
                  "script writing course", "10:30 - 11:45", "#sale", "size 10 or 11", "1042-77/3", "\"exact phrase\""):
        add(f"search {words}", get(f"/search?q={quote(words)}", cookie))
        add(f"comment {words}", post("/comments", "application/x-www-form-urlencoded", f"text={quote_plus(words)}&stars=5".encode(), cookie))
        add(f"json {words}", post("/api/comments", "application/json", json.dumps({"text": words, "stars": 5}).encode(), cookie))
        add(f"multipart {words}", post("/comments", *multipart([("text", words.encode()), ("stars", b"5")]), cookie))
    add("login", post("/login", "application/x-www-form-urlencoded", b"name=kim&password=correct+horse+battery+staple&next=%2Fhome"))
    add("login json", post("/api/login", "application/json", b'{"name":"kim","password":"pa$$w0rd! #7"}'))
    order = {"name": "Kim", "email": "kim@example.com", "address": {"street": "5 Harbour Road", "zip": "02-1042", "city": "Busan"},
             "items": [{"sku": f"A-{n:04}", "count": n, "price": n * 990, "note": "please wrap this one in blue paper"} for n in range(1, 12)]}
    add("order", post("/api/orders", "application/json", json.dumps(order).encode(), cookie))
    add("patch", post("/api/orders/7", "application/json", b'{"status":"paid"}', cookie, "PATCH"))
    add("put", post("/api/orders/7", "application/json; charset=utf-8", b'{"status":"paid"}', cookie, "PUT"))
    add("nested", post("/api/tree", "application/json", json.dumps({"a": {"b": {"c": [[1, 2], [3, {"d": None}]], "e": True}}}).encode()))
    add("graphql", post("/graphql", "application/json", json.dumps({"query": "query Order($id: ID!) { order(id: $id) { id total lines { sku } } }",
                                                                     "variables": {"id": "7"}}).encode()))
    add("xml", post("/soap", "text/xml", b'<?xml version="1.0"?><order><id>7</id><note lang="en">blue paper</note></order>'))
    picture = bytes(random.Random(4).randbytes(4096))
    add("upload picture", post("/upload", *multipart([("title", b"holiday"), ("file", "beach.jpg", "image/jpeg", picture)]), cookie))
    add("upload text", post("/upload", *multipart([("file", "notes.txt", "text/plain", b"Monday: shoes\nTuesday: coats\n" * 20)])))
    add("markdown", post("/pages/7", "application/x-www-form-urlencoded",
                         b"body=" + quote_plus("# Title\n\nSome *text* with `code` and a [link](https://example.com/a?b=c).\n\n- one\n- two\n").encode()))
    add("head", get("/", cookie).replace(b"GET ", b"HEAD ", 1))
    add("options", get("/api/orders", "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n").replace(b"GET ", b"OPTIONS ", 1))
    add("delete", get("/api/orders/7", cookie).replace(b"GET ", b"DELETE ", 1))
    return cases


def labelled(limit=0, seed=7):
    """(value, type) of the corpus; with a limit so many of each type at most, the same at every run."""
    with open(shared() / "corpora" / "httpparams" / "train.csv", encoding="utf-8", newline="") as file:
        rows = [(row["payload"], row["attack_type"]) for row in csv.DictReader(file)]
    if not limit:
        return rows
    chance = random.Random(seed)
    chosen = []
    for kind in sorted({kind for _, kind in rows}):
        of_kind = [row for row in rows if row[1] == kind]
        chosen += chance.sample(of_kind, min(limit, len(of_kind)))
    return chosen


def carried(value, carrier):
    """A request that has the value in one parameter, encoded as a browser would."""
    if carrier == "query":
        return get(f"/search?q={quote(value, safe='')}")
    if carrier == "form":
        return post("/search", "application/x-www-form-urlencoded", f"q={quote_plus(value)}".encode())
    if carrier == "json":
        return post("/search", "application/json", json.dumps({"q": value}, ensure_ascii=False).encode())
    return post("/search", *multipart([("q", value.encode())]))
