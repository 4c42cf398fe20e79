"""Our WAF beside nginx + libmodsecurity: same rules, same requests, same run.

`--only blocking`: the suite that CRS's own (which only detects) leaves out: every request of its tests, what
those of its response tests answer, and everyday requests, refused or let through at paranoia 1 to 4, in and
out. The same decision and the same scores are expected; differences are listed by the rules that differ.

`--only efficacy`: labelled values of ../shared/corpora/httpparams as query, form, JSON and multipart at
paranoia 1: true positives no lower, false positives no higher, by type and carrier.

Ours is the engine in process (built from benches/waf), with `--gateway` for efficacy a `plura gateway` that blocks,
started here from `--plura`, or with `--live URL` one that runs elsewhere.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import waf_known
import waf_requests
from rig import Verdict, default_plura
from waf_gateway import Gateway
from waf_ours import InProcess, Live, built
from waf_peer import BOOKKEEPING, Backend, Peer, Rules, missing, versions

# As many at once: progress is told in between, and the log is read.
BATCH = 4000


def asked(side, requests, what):
    """Answers of one side, batch by batch, with the time it took."""
    began, answers = time.monotonic(), []
    for start in range(0, len(requests), BATCH):
        answers += side.ask(requests[start:start + BATCH])
        if start:
            print(f"    {what}: {len(answers)} of {len(requests)}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return answers, round(time.monotonic() - began, 1)


# blocking

def compare(case, level, peer, ours):
    """What differs, as a row; None when nothing does."""
    decision = peer.denied != ours.denied
    # A side without a log has no scores to compare.
    logged = peer.ids is not None and ours.ids is not None
    inbound = logged and peer.inbound != ours.inbound
    outbound = logged and peer.outbound != ours.outbound
    only_peer = tuple(sorted(set(peer.ids) - set(ours.ids))) if logged else ()
    only_ours = tuple(sorted(set(ours.ids) - set(peer.ids))) if logged else ()
    if not (decision or inbound or outbound):
        return None
    return {"case": case.name, "kind": case.kind, "level": level, "decision": decision, "score": inbound or outbound,
            "only_peer": only_peer, "only_ours": only_ours, "ids": ours.ids or (), "peer": brief(peer), "ours": brief(ours), "known": None}


def explain(different, folder, rules, backend):
    """Puts into each row why it differs, where that is known: the peer is asked again with its traits undone."""
    tries = [[trait] for trait in waf_known.TRAITS] + [waf_known.TRAITS]
    changed = defaultdict(list)
    for number, traits in enumerate(tries):
        unknown = [d for d in different if not d[1]["known"]]
        if not unknown:
            return
        undone = replace(rules, peer_only="\n".join(t.line for t in traits), edits=tuple(t.edit for t in traits if t.edit), label=f"-traits{number}")
        with Peer(folder, undone, backend) as peer:
            for (case, row, ours), answer in zip(unknown, peer.ask([case.raw for case, _, _ in unknown])):
                again = compare(case, row["level"], answer, ours)
                if len(traits) == 1:
                    if again is None:
                        row["known"] = traits[0].reason
                    elif again["peer"] != row["peer"] or again["only_peer"] != row["only_peer"]:
                        changed[case.name].append(traits[0].reason)
                    continue
                why = waf_known.by_words(case, again) if again else ""
                if why is not None:
                    row["known"] = "; and ".join(filter(None, [*changed[case.name], why])) or None
    for case, row, _ in different:
        row["known"] = row["known"] or waf_known.by_words(case, row)


def brief(answer):
    return {"status": answer.status, "denied": answer.denied, "inbound": answer.inbound, "outbound": answer.outbound, "note": answer.note}


def blocking(args, verdict, folder):
    cases, canned = waf_requests.suite_cases()
    cases += waf_requests.clean_cases()
    if args.limit:
        cases = cases[::max(1, len(cases) // args.limit)]
    table = folder / "canned.json"
    table.write_text(json.dumps(canned))
    backend = Backend(folder, table)
    requests = [case.raw for case in cases]
    verdict.figure("blocking: requests", dict(Counter(case.kind for case in cases)))
    rows, agreement = [], {}
    for level in args.levels:
        rules = Rules(paranoia=level, blocking=True, test_settings=True)
        with Peer(folder, rules, backend, args.connections) as peer:
            theirs, seconds = asked(peer, requests, f"peer, paranoia {level}")
            ours_side = side(args, peer.rules_file, canned)
            ours, our_seconds = asked(ours_side, requests, f"ours, paranoia {level}")
            ours_side.close()
        counted, different = Counter(), []
        for case, one, other in zip(cases, theirs, ours):
            if not one.judged:
                counted["refused by nginx itself"] += 1
                # What nginx does not hand on we need not judge, but may.
                counted["of them refused by us"] += other.denied
                continue
            counted["compared"] += 1
            counted["denied by peer"] += one.denied
            counted["denied by us"] += other.denied
            counted["same decision"] += one.denied == other.denied
            counted["same inbound score"] += one.inbound == other.inbound
            counted["same outbound score"] += one.outbound == other.outbound
            counted["same rules"] += one.ids == other.ids
            if one.ids is None:
                counted["without an entry in the peer's log"] += 1
            if case.kind == "clean":
                counted["everyday requests denied by peer"] += one.denied
                counted["everyday requests denied by us"] += other.denied
            row = compare(case, level, one, other)
            if row:
                different.append((case, row, other))
        explain(different, folder, rules, backend)
        rows += [row for _, row, _ in different]
        agreement[level] = counted
        verdict.figure(f"paranoia {level}", {**counted, "seconds of peer, ours": (seconds, our_seconds)})
    backend.close()
    print_agreement(agreement)
    print_groups(rows, args.rows)
    reasons = defaultdict(Counter)
    for row in rows:
        reasons[row["known"] or "not known"]["requests and levels"] += 1
        reasons[row["known"] or "not known"]["other decisions"] += row["decision"]
    verdict.figure("differences by reason", {why: dict(n) for why, n in reasons.items()})
    if args.list:
        with open(args.list, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    for level, counted in agreement.items():
        of_level = [row for row in rows if row["level"] == level and not row["known"]]
        verdict.expect(f"paranoia {level}: the same decision, but for what is known", counted["compared"] and not any(r["decision"] for r in of_level),
                       [r["case"] for r in of_level if r["decision"]][:40])
        verdict.expect(f"paranoia {level}: the same scores, but for what is known", counted["compared"] and not any(r["score"] for r in of_level),
                       [r["case"] for r in of_level if r["score"]][:40])


def print_agreement(agreement):
    print(f"\n{'paranoia':<10}{'compared':>9}{'peer denies':>12}{'we deny':>9}{'decision':>10}{'inbound':>9}{'outbound':>9}{'rules':>8}{'nginx alone':>13}")
    for level, n in agreement.items():
        share = lambda what: f"{100 * n[what] / max(1, n['compared']):.2f}%"
        print(f"{level:<10}{n['compared']:>9}{n['denied by peer']:>12}{n['denied by us']:>9}{share('same decision'):>10}"
              f"{share('same inbound score'):>9}{share('same outbound score'):>9}{share('same rules'):>8}{n['refused by nginx itself']:>13}")


def print_groups(rows, most):
    """Differences by the rules that only one side found."""
    groups = defaultdict(list)
    for row in rows:
        groups[("", row["only_peer"], row["only_ours"]) if not row["known"] else (row["known"],)].append(row)
    print(f"\n{len(rows)} differences in {len(groups)} groups; {sum(not row['known'] for row in rows)} without a reason")
    print(f"{'requests':>9}{'decision':>9}{'score':>7}  levels  {'only the peer':<30} {'only we':<30} examples")
    ordered = sorted(groups.items(), key=lambda item: (bool(item[0][0]), -len(item[1])))
    for (known, *_), found in ordered[:most]:
        only_peer = tuple(sorted({i for r in found for i in r["only_peer"]}))
        only_ours = tuple(sorted({i for r in found for i in r["only_ours"]}))
        levels = "".join(sorted({str(r["level"]) for r in found}))
        examples = ", ".join(dict.fromkeys(r["case"] for r in found))
        print(f"{len({r['case'] for r in found}):>9}{sum(r['decision'] for r in found):>9}{sum(r['score'] for r in found):>7}  {levels:<6}  "
              f"{named(only_peer):<30} {named(only_ours):<30} {examples[:90]}")
        if known:
            print(f"{'':>26}known: {known}")
    if len(groups) > most:
        print(f"… and {len(groups) - most} groups more: --rows, or --list FILE for all")


def named(ids, most=4):
    return (" ".join(map(str, ids[:most])) + (f" +{len(ids) - most}" if len(ids) > most else "")) or "-"


def side(args, rules_file, canned=()):
    if args.live:
        return Live(args.live, args.live_audit or None, args.connections)
    return InProcess(args.program, rules_file, canned)


# efficacy

def efficacy(args, verdict, folder):
    values = waf_requests.labelled(args.limit)
    verdict.figure("efficacy: values", dict(Counter(kind for _, kind in values)))
    backend = Backend(folder)
    found, disagreements, statuses = {}, [], {"peer": Counter(), "ours": Counter()}
    with Peer(folder, Rules(paranoia=1, blocking=True), backend, args.connections) as peer:
        if args.gateway:
            ours_side = Gateway(args.plura, folder / "gateway", [peer.rules_file], backend.port, connections=args.connections)
        else:
            ours_side = side(args, peer.rules_file)
        for carrier in waf_requests.CARRIERS:
            requests = [waf_requests.carried(value, carrier) for value, _ in values]
            theirs, seconds = asked(peer, requests, f"peer, {carrier}")
            ours, our_seconds = asked(ours_side, requests, f"ours, {carrier}")
            for raw, (value, kind), one, other in zip(requests, values, theirs, ours):
                statuses["peer"][one.status] += 1
                statuses["ours"][other.status] += 1
                n = found.setdefault((kind, carrier), Counter())
                n["values"] += 1
                n["peer"] += one.denied
                n["ours"] += other.denied
                n["no answer"] += one.status == 0 or other.status == 0
                if one.denied != other.denied:
                    disagreements.append({"type": kind, "carrier": carrier, "value": value, "peer": one.ids, "ours": other.ids,
                                          "peer_inbound": one.inbound, "ours_inbound": other.inbound, "raw": raw})
            verdict.figure(f"{carrier}: requests, seconds of peer and ours", (len(requests), seconds, our_seconds))
        ours_side.close()
        if args.gateway and disagreements:
            # Which rules, is told by its log of test rigs.
            with Gateway(args.plura, folder / "gateway-log", [peer.rules_file], backend.port, log=True) as gateway:
                for row in disagreements:
                    row["ours"] = tuple(i for i in gateway.ids_of(row["raw"]) if i not in BOOKKEEPING)
    for row in disagreements:
        row.pop("raw")
    backend.close()
    kinds = [k for k in waf_requests.ATTACKS if any(key[0] == k for key in found)] + ["norm"]
    print(f"\n{'type':<16}{'values':>7}" + "".join(f"{c + ' peer':>16}{'ours':>8}" for c in waf_requests.CARRIERS))
    for kind in kinds:
        cells = [found[kind, carrier] for carrier in waf_requests.CARRIERS]
        print(f"{'false positives' if kind == 'norm' else kind:<16}{cells[0]['values']:>7}"
              + "".join(f"{n['peer']:>16}{n['ours']:>8}" for n in cells))
    every = [sum((found[kind, carrier] for kind in kinds if kind != "norm"), Counter()) for carrier in waf_requests.CARRIERS]
    print(f"{'true positives':<16}{every[0]['values']:>7}"
          + "".join(f"{100 * n['peer'] / max(1, n['values']):>15.2f}%{100 * n['ours'] / max(1, n['values']):>7.2f}%" for n in every))
    verdict.figure("efficacy: answers by status", {name: dict(n) for name, n in statuses.items()})
    verdict.figure("efficacy", {f"{kind} {carrier}": dict(n) for (kind, carrier), n in found.items()})
    print(f"\n{len(disagreements)} different decisions")
    for row in disagreements[:args.rows]:
        print(f"  {row['type']:<15}{row['carrier']:<10} peer {row['peer_inbound']} {named(row['peer'] or ())} · ours {row['ours_inbound']} "
              f"{named(row['ours'] or ())} · {row['value'][:80]!r}")
    if args.list:
        with open(args.list, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in disagreements)
    verdict.expect("every request was answered", not any(n["no answer"] for n in found.values()))
    for kind in kinds:
        for carrier in waf_requests.CARRIERS:
            n = found[kind, carrier]
            if kind == "norm":
                verdict.expect(f"{carrier}: no more false positives", n["ours"] <= n["peer"], dict(n))
            else:
                verdict.expect(f"{carrier}: no fewer true positives, {kind}", n["ours"] >= n["peer"], dict(n))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", choices=["", "blocking", "efficacy"])
    parser.add_argument("--plura", default=default_plura(), help="the binary to check, with --gateway")
    parser.add_argument("--gateway", action="store_true", help="efficacy: a gateway in enforce, in place of the engine in process")
    parser.add_argument("--program", default="", help="a built plura-bench-waf; else benches/waf is built")
    parser.add_argument("--live", default="", help="URL of a gateway in place of the engine in process")
    parser.add_argument("--live-audit", default="", help="its ModSecurity JSON audit log: rule ids and scores")
    parser.add_argument("--limit", type=int, default=0, help="blocking: about so many requests; efficacy: so many values of each type (0: all)")
    parser.add_argument("--levels", default="1,2,3,4", help="paranoia (1,2,3,4)")
    parser.add_argument("--connections", type=int, default=4, help="to each front (4)")
    parser.add_argument("--rows", type=int, default=60, help="of the tables of differences (60)")
    parser.add_argument("--list", default="", help="all differences to this file, NDJSON")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    parser.add_argument("--json", help="write the figures to this file as well")
    args = parser.parse_args()
    args.levels = [int(level) for level in args.levels.split(",")]
    if missing():
        sys.exit(f"missing: {' '.join(missing())}\nhint: scripts/setup.sh bench")
    if args.gateway and args.live:
        sys.exit("--gateway starts one, --live asks one that runs: give one of them")
    if args.gateway and not Path(args.plura).is_file():
        sys.exit(f"no binary at {args.plura}: build it, or give --plura PATH")
    if not args.live and not (args.gateway and args.only == "efficacy"):
        args.program = built(args.program)
    verdict = Verdict("waf", args)
    verdict.figure("peer", versions())
    folder = Path(tempfile.mkdtemp(prefix="plura-waf-"))
    os.chmod(folder, 0o755)
    try:
        for name, part in (("blocking", blocking), ("efficacy", efficacy)):
            if args.only in ("", name):
                try:
                    part(args, verdict, folder)
                except (RuntimeError, TimeoutError, OSError, ValueError, KeyError) as error:
                    verdict.expect(f"{name}: ran to its end", False, f"{type(error).__name__}: {error}")
    finally:
        if args.keep:
            print(f"kept {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return verdict.end()


if __name__ == "__main__":
    sys.exit(main())
