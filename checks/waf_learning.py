"""From shadow to enforce on a live store: what ordinary visitors trip over becomes exceptions, attacks stay blocked.

A gateway with OWASP CRS in shadow before an application, and a server that keeps what happened. Shoppers search in words
that are SQL, too (942270), in a query and in JSON; suppliers upload a content type that CRS does not list (920420), at
several endpoints. A swarm and a scanner attack with the same rules elsewhere, a vandal at the suppliers' own place.
`plura waf report` counts it, `plura waf suggest` names exceptions; the check pastes them into the gateway's file as
an operator would, goes over to enforce, and asks again.
"""

import json
import signal
import sys
import time
from datetime import datetime, timedelta
from urllib.parse import quote

from rig import Rig, Verdict, Wire, arguments, request, wait_for
from waf_peer import crs

HOST = "shop.example"
SHOPPERS, SUPPLIERS, SWARM, ROUNDS = 8, 6, 6, 4
# So many that the commands read several pages of events (1,000 each).
SWARM_ROUNDS, OTHER_ROUNDS = 100, 6
PLAIN = ["red shoes", "wool socks", "union jack mug", "a table for two", "rain coat"]
# 942270: `union.*?select.*?from`; the first trips 942190, too.
WORDS = ["trade union members select leaders from within", "student union: select a book from the shelf",
         "credit union members: how to select savings from home", "european union, select flags from all members"]
NOTES = ["wrap the reunion gift, select the blue paper from stock", "for the union picnic: select cakes from the list"]
ATTACK = "1' UNION ALL SELECT login,password FROM users-- -"
UPLOADS = ("/api/import", "/api/stock", "/api/returns")
# Where the vandal uploads, too.
PRICES = "/api/prices"
CSV = b"sku,count\nA-1,3\nB-2,5\n"
SITES = """  - name: shop
    hosts: [shop.example]
    upstreams: [{{ url: 'http://127.0.0.1:{app}' }}]
    routes:
      - {{match: POST /login, action: login, account: ["form:username"]}}
    waf:
      - rules: crs
        stage: {stage}
        paranoia: 1
{exceptions}"""
SEARCH = (942270, HOST, "GET /search", "ARGS:q")
SEARCH_TOO = (942190, HOST, "GET /search", "ARGS:q")
NOTE = (942270, HOST, "POST /api/orders", "ARGS:json.items.array_0.note")
SWARMED = (942270, HOST, "GET /products", "ARGS:id")


def types(path):
    return 920420, HOST, f"POST {path}", "TX:content_type"


def person(kind, n, address):
    session = f"{kind[:2].encode().hex()}{n:04}5e550f3b9ac27d41e8b6a90c"
    return {"account": f"{kind}-{n}", "session": session, "address": address}


PEOPLE = ([person("shopper", n, f"192.0.2.{10 + n}") for n in range(SHOPPERS)]
          + [person("supplier", n, f"192.0.2.{110 + n}") for n in range(SUPPLIERS)])


def sent(method, target, who, body=b"", kind=None):
    headers = [("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:148.0) Gecko/20100101 Firefox/148.0"), ("Accept", "*/*"),
               ("X-Forwarded-For", who["address"])]
    if who.get("session"):
        headers.append(("Cookie", f"sid={who['session']}"))
    if kind:
        headers.append(("Content-Type", kind))
    return request(method, target, HOST, body, headers)


def login(who):
    form = f"username={who['account']}&password=right-{who['account']}&remember={who['session']}"
    return sent("POST", "/login", {"address": who["address"]}, form.encode(), "application/x-www-form-urlencoded")


def search(who, words, more=""):
    return sent("GET", f"/search?q={quote(words)}{more}", who)


def note(who, text):
    return sent("POST", "/api/orders", who, json.dumps({"items": [{"sku": "A-1", "note": text}]}).encode(), "application/json")


def upload(who, path, body=CSV, query=""):
    return sent("POST", path + query, who, body, "text/csv")


def plain(who, n):
    return [search(who, PLAIN[n % len(PLAIN)]), note(who, "please ring twice")]


def tripping(who, n):
    """What trips over a rule, though nobody means harm."""
    if who["account"].startswith("shopper"):
        return [search(who, WORDS[n % len(WORDS)]), note(who, NOTES[n % len(NOTES)])]
    return [upload(who, path) for path in (*UPLOADS, PRICES)]


def hostile():
    """A swarm from as many networks and a scanner at other endpoints, with the same rule; a vandal where the suppliers upload."""
    for turn in range(SWARM_ROUNDS):
        for n in range(SWARM):
            swarm = {"address": f"198.18.{n}.20"}
            yield sent("GET", f"/products?id={quote(ATTACK)}%20{turn}", swarm)
            yield sent("GET", f"/products?id={quote('1; cat /etc/passwd')}", swarm)
    for _ in range(OTHER_ROUNDS):
        for path in ("/items", "/list", "/goods", "/admin"):
            yield sent("GET", f"{path}?id={quote(ATTACK)}", {"address": "203.0.113.44"})
        yield upload({"address": "203.0.113.99"}, PRICES, query=f"?sku={quote(ATTACK)}")


def play(rig, requests):
    """Statuses, in order."""
    wire = Wire(rig.gateway_port)
    try:
        return [wire.ask(raw)[0] for raw in requests]
    finally:
        wire.close()


def write(rig, app, stage, exceptions=""):
    rules = f"'{crs()}/crs-setup.conf.example', '{crs()}/rules/*.conf'"
    # As an operator pastes it: below `rules:`, indented.
    exceptions = "".join(f"        {line}\n" for line in exceptions.splitlines())
    rig.write_gateway(SITES.format(app=app, stage=stage, exceptions=exceptions), extra=f"rule_sets:\n  crs: {{files: [{rules}]}}\n")


def reload(rig, stage):
    """SIGHUP; waits until requests are inspected in `stage`."""
    rig.gateway.process.send_signal(signal.SIGHUP)
    name = f'plura_gateway_waf_inspected_total{{site="shop",rules="crs",stage="{stage}"}}'

    def is_there():
        play(rig, [search({"address": "192.0.2.200"}, "reload")])
        return rig.metrics().get(name, 0) > 0

    wait_for(f"the gateway in {stage}", is_there, 20, every=0.2)


def stored(rig, where):
    return rig.api.sql(f"select count(*) as n from events where host = '{HOST}' and {where}")[0]["n"]


def drained(rig, where, count):
    rig.drain()
    wait_for("all events stored", lambda: stored(rig, where) >= count, 60, every=0.5)


def shadow(rig, verdict):
    """Traffic of a day, in short."""
    requests = [login(who) for who in PEOPLE]
    # One is there before the others, and often.
    requests += [search(PEOPLE[0], words) for words in WORDS * 2]
    attacks = list(hostile())
    visits = [(who, n + turn) for turn in range(ROUNDS) for n, who in enumerate(PEOPLE)]
    each = -(-len(attacks) // len(visits))
    for number, (who, n) in enumerate(visits):
        requests += plain(who, n) + tripping(who, n) + plain(who, n + 1) + attacks[number * each:(number + 1) * each]
    statuses = play(rig, requests)
    verdict.figure("shadow: requests", len(requests))
    verdict.expect("shadow blocks nothing", set(statuses) == {200}, statuses)
    drained(rig, "path is not null", len(requests))
    verdict.expect("sessions are known by their accounts",
                   stored(rig, "path = '/search' and account like 'shopper-%'") == len(WORDS) * 2 + SHOPPERS * ROUNDS * 3)
    return len(attacks)


def reported(rig, verdict, attacks):
    _, text, _ = rig.cli("waf", "report", "--site", "shop")
    print(text)
    report = rig.cli_json("waf", "report", "--site", "shop")
    tripped = len(WORDS) * 2 + ROUNDS * (SHOPPERS * 2 + SUPPLIERS * (len(UPLOADS) + 1)) + attacks
    verdict.figure("report: events, rules", (report["events"], len(report["rules"])))
    [one] = report["sets"]
    verdict.expect("report: every event that tripped, would block, by stage",
                   (one["rules"], one["stage"], one["events"], one["would_block"], one["blocked"]) == ("crs", "shadow", tripped, tripped, 0), (one, tripped))
    verdict.expect("report: the clients", one["clients"] == len(PEOPLE) + SWARM + 2, one["clients"])
    by_rule = {rule["rule"]: rule for rule in report["rules"]}
    uploads = ROUNDS * SUPPLIERS * (len(UPLOADS) + 1)
    verdict.expect("report: 920420 with its paths; but for it they would pass",
                   (by_rule[920420]["hits"], by_rule[920420]["alone"], {top["name"] for top in by_rule[920420]["paths"]} <= {*UPLOADS, PRICES})
                   == (uploads + OTHER_ROUNDS, uploads, True), by_rule[920420])
    verdict.expect("report: none of another site", rig.cli_json("waf", "report", "--site", "blog")["events"] == 0)


def suggested(rig, verdict):
    found = rig.api.json("GET", "/api/v1/findings?limit=500&rule=web-attack")["items"]
    # Once a swarm is large enough, the detection takes it for visitors: the suggestion must not.
    swarm = [one["confidence"] for one in found if any(entity.startswith("address:198.18.") for entity in one["entities"])]
    verdict.figure("findings about the swarm, confidence of each", swarm)
    _, text, _ = rig.cli("waf", "suggest", "--site", "shop")
    print(text)
    answer = rig.cli_json("waf", "suggest", "--site", "shop")
    keys = lambda found: {(one["rule"], one["host"], one["path"], one["parameter"]) for one in found}
    wanted = {SEARCH, SEARCH_TOO, NOTE, *map(types, UPLOADS)}
    verdict.figure("suggested, declined", (len(answer["exceptions"]), len(answer["declined"])))
    verdict.expect("suggest: what shoppers and suppliers tripped over, and nothing else", keys(answer["exceptions"]) == wanted,
                   keys(answer["exceptions"]) ^ wanted)
    declined = {(one["rule"], one["path"], one["parameter"]): one["why"] for one in answer["declined"]}
    why = declined.get((SWARMED[0], *SWARMED[2:]), "")
    verdict.figure("suggest: why the swarm's is declined", why)
    verdict.expect("suggest: the swarm's is declined", "strangers" in why or "findings" in why, declined)
    verdict.expect("suggest: the place that the vandal used is declined", "findings" in declined.get((920420, f"POST {PRICES}", "TX:content_type"), ""), declined)
    spans = {datetime.fromisoformat(one["expires"]) - datetime.fromisoformat(one["added"]) for one in answer["exceptions"]}
    verdict.expect("suggest: for seven days", spans == {timedelta(days=7)}, spans)
    reasons = {(one["rule"], one["path"]): one["reason"] for one in answer["exceptions"]}
    verdict.expect("suggest: says which content type", "text/csv" in reasons.get((920420, f"POST {UPLOADS[0]}"), ""), reasons)
    verdict.expect("suggest: says what values look like", "free text" in reasons.get(SEARCH[::2], ""), reasons)
    verdict.expect("suggest: says that others attack with this rule", "elsewhere" in reasons.get(SEARCH[::2], ""), reasons)
    return text


def enforced(rig, verdict, app, text):
    """With the suggestion pasted in."""
    write(rig, app, "enforce", text)
    reload(rig, "enforce")
    began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
    harmless = [raw for n, who in enumerate(PEOPLE) for raw in tripping(who, n) + plain(who, n) if PRICES.encode() not in raw]
    statuses = play(rig, harmless)
    verdict.figure("enforce: ordinary requests", len(harmless))
    verdict.expect("enforce: ordinary requests pass", set(statuses) == {200}, statuses)
    mallory = {"address": "203.0.113.7"}
    blocked = {
        "an attack in the parameter with the exception": search(mallory, ATTACK),
        "an attack in another parameter there": search(mallory, "shoes", f"&sort={quote(ATTACK)}"),
        "the excepted words in another parameter there": search(mallory, "shoes", f"&sort={quote(WORDS[0])}"),
        "the excepted words elsewhere": sent("GET", f"/help?q={quote(WORDS[0])}", mallory),
        "the excepted words by another method": sent("POST", "/search", mallory, f"q={quote(WORDS[0])}".encode(), "application/x-www-form-urlencoded"),
        "an attack in the note": note(mallory, ATTACK),
        "an attack beside the upload": upload(mallory, UPLOADS[0], query=f"?sku={quote(ATTACK)}"),
        "the content type elsewhere": upload(mallory, "/api/other"),
        "the content type where it was declined": upload(mallory, PRICES),
        "the swarm's": sent("GET", f"/products?id={quote(ATTACK)}", mallory),
    }
    got = dict(zip(blocked, play(rig, blocked.values())))
    verdict.expect("enforce: attacks are blocked at the same places", set(got.values()) == {403}, got)
    drained(rig, f"time >= '{began}'", len(harmless) + len(blocked))
    told = stored(rig, f"time >= '{began}' and account is not null and rest like '%\"waf\":%'")
    verdict.expect("enforce: no rule matches the ordinary requests any more", told == 0, told)
    again = rig.cli_json("waf", "report", "--site", "shop", "--since", "1h")
    by_stage = {one["stage"]: one for one in again["sets"]}
    verdict.expect("report: what was blocked, beside what would have been", by_stage["enforce"]["blocked"] == len(blocked), by_stage)


def main():
    args = arguments(__doc__)
    verdict = Verdict("waf_learning", args)
    with Rig(args, "waf-learning") as rig:
        rig.start_server()
        rig.set_up()
        app = rig.start_app()
        write(rig, app, "shadow")
        rig.start_gateway(60)
        attacks = shadow(rig, verdict)
        reported(rig, verdict, attacks)
        text = suggested(rig, verdict)
        enforced(rig, verdict, app, text)
    return verdict.end()


if __name__ == "__main__":
    sys.exit(main())
