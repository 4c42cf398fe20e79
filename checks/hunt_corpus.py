"""`plura hunt` with SigmaHQ's rules over ../shared/corpora/evtx: in how many files is the folder's technique named?

A file counts where a rule that fired on it has the technique of its folder as tag, or a sub-technique of it, or, where
the folder names a sub-technique, its parent; which of the three is printed. With --peer (the program of benches/sigma)
`rsigma-eval` sees the same records, and each difference is listed rule by rule with what explains it.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

from rig import ROOT, Verdict, arguments

# The folders' names are older than the rules' tags: what ATT&CK 19 revoked, by its own `revoked-by`.
REVOKED = {"T1070.001": "T1685.005", "T1562.001": "T1685", "T1562.002": "T1685.001", "T1562.004": "T1686", "T1574.002": "T1574.001"}
FOLDERS = ("rules", "rules-compliance", "rules-emerging-threats", "rules-threat-hunting")
KINDS = ("exact", "sub-technique", "parent")


def shared(path):
    for folder in (os.environ.get("PLURA_SHARED"), ROOT.parent / "shared"):
        if folder and (Path(folder) / path).is_dir():
            return Path(folder) / path
    sys.exit("no ../shared: set PLURA_SHARED")


def technique(file):
    """What the folder says: `T1550`, `T1021.006`; nothing for the few folders that name none."""
    found = [re.match(r"T(\d{4})(\.\d{3})?", part) for part in Path(file).parts]
    found = [match[0] for match in found if match]
    return REVOKED.get(found[-1], found[-1]) if found else None


def kind(wanted, techniques):
    """How close the techniques of what fired come to the one that is wanted."""
    if wanted in techniques:
        return "exact"
    if any(t.startswith(wanted + ".") for t in techniques):
        return "sub-technique"
    if "." in wanted and wanted.split(".")[0] in techniques:
        return "parent"
    return None


def rules(root):
    """By id: title and techniques. Read here without any engine."""
    found = {}
    for folder in FOLDERS:
        for file in (root / folder).rglob("*.yml"):
            text = file.read_text()
            title = re.search(r"^title: *(.*)$", text, re.MULTILINE)[1].strip("'\" ")
            tags = {t.upper() for t in re.findall(r"^ *- *attack\.(t\d{4}(?:\.\d{3})?)\b", text, re.MULTILINE | re.IGNORECASE)}
            found[re.search(r"^id: *([0-9a-f-]{36})", text, re.MULTILINE)[1]] = (title, tags)
    return found


def hunted(plura, root, logs):
    """Ids of the rules that fired, by file, and the summary."""
    with tempfile.TemporaryDirectory(prefix="plura-hunt-") as folder:
        timeline = Path(folder) / "hits.jsonl"
        done = subprocess.run([plura, "-o", "json", "hunt", "--rules", root, "--timeline", "jsonl", "--save", timeline, logs],
                              capture_output=True, timeout=3600, check=False)
        # 1: something was found.
        if done.returncode not in (0, 1):
            raise RuntimeError(f"plura hunt: exit {done.returncode}: {done.stderr.decode(errors='replace')[-800:]}")
        fired = defaultdict(set)
        for line in timeline.open():
            hit = json.loads(line)
            if hit["file"]:
                fired[hit["file"]].add(hit["rule_id"])
    return fired, json.loads(done.stdout)


def named(files, fired, known):
    """By file how its technique is named, and the counts."""
    found = {}
    for file in files:
        techniques = set().union(*(known[rule][1] for rule in fired.get(file, ()) if rule in known))
        found[file] = kind(technique(file), techniques)
    counts = Counter(found.values())
    return found, {"named": sum(counts[k] for k in KINDS), **{k: counts[k] for k in KINDS}}


def compared(verdict, peer, root, logs, files, ours, known):
    done = subprocess.run([peer, "--rules", root, "--", logs], capture_output=True, timeout=3600, check=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    by_file = {line["file"]: line for line in lines if "file" in line}
    verdict.figure("peer: rules", next(line["rules"] for line in lines if "rules" in line))
    verdict.figure("peer: seconds for the same records", next(line["seconds"] for line in lines if "seconds" in line))
    theirs, counts = named(files, {file: set(line["rsigma"]) for file, line in by_file.items()}, known)
    verdict.figure("rsigma: files whose technique is named", counts)
    same = all(set(by_file[file]["ours"]) == ours[1].get(file, set()) for file in by_file)
    verdict.expect("the program beside us sees what `plura hunt` sees", same)
    verdict.expect("ours names at least as many files", sum(map(bool, ours[0].values())) >= counts["named"])
    for file in files:
        if bool(ours[0][file]) != bool(theirs[file]):
            side = "ours" if ours[0][file] else "rsigma"
            print(f"    only {side}: {Path(file).relative_to(logs)} ({technique(file)})")
    reasons, by_rule = Counter(), defaultdict(Counter)
    for line in by_file.values():
        for rule, whys in line["differences"].items():
            by_rule[rule].update(whys)
    for rule, whys in sorted(by_rule.items(), key=lambda item: -sum(item[1].values())):
        reasons.update(whys.keys())
        print(f"    {rule} {known.get(rule, (rule,))[0]}: {'; '.join(f'{why} in {n} records' for why, n in whys.items())}")
    verdict.figure("rules with a difference", len(by_rule))
    for why, count in reasons.most_common():
        verdict.figure(f"  {why}: rules", count)
    verdict.expect("each difference is explained", not any(why.endswith("language") for why in reasons),
                   [rule for rule, whys in by_rule.items() if any(why.endswith("language") for why in whys)])


def main():
    args = arguments(__doc__, ("--peer", "", "the program of benches/sigma"))
    verdict = Verdict("hunt_corpus", args)
    root, logs = shared("corpora/sigma"), shared("corpora/evtx")
    known = rules(root)
    every = sorted(str(file) for file in logs.rglob("*.evtx"))
    files = [file for file in every if technique(file)]
    fired, summary = hunted(args.plura, root, logs)
    verdict.figure("files, of which in a folder that names a technique", (len(every), len(files)))
    verdict.figure("records, hits, problems, seconds", (summary["records"]["records"], summary["hits"], summary["problems"]["total"],
                                                        round(summary["seconds"], 1)))
    verdict.figure("files with any hit", sum(bool(fired.get(file)) for file in every))
    found, counts = named(files, fired, known)
    verdict.figure("ours: files whose technique is named", counts)
    for file in files:
        if not found[file]:
            print(f"    not named: {Path(file).relative_to(logs)} ({technique(file)}); {len(fired.get(file, ()))} rules fired")
    verdict.expect("every file is read", summary["files"]["unreadable"] == 0 and summary["files"]["found"] == len(every), summary["files"])
    verdict.expect("every hit names its rule", all(rule in known for rules_of in fired.values() for rule in rules_of))
    linux = {rule for rules_of in fired.values() for rule in rules_of if "(Linux)" in known[rule][0] or "Linux" in known[rule][0].split(" - ")[-1:]}
    verdict.figure("rules called Linux's that fired on Windows' logs", sorted(linux))
    if args.peer:
        compared(verdict, args.peer, root, logs, files, (found, fired), known)
    return verdict.end()


if __name__ == "__main__":
    sys.exit(main())
