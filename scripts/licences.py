"""Checks `cargo metadata` on standard input against the licence list of deny.toml."""
import json
import re
import sys
import tomllib

with open(sys.argv[1], "rb") as file:
    allowed = set(tomllib.load(file)["licenses"]["allow"])


def is_allowed(expression: str) -> bool:
    """SPDX expressions: OR needs one side, AND needs both; brackets are rare and handled by recursion."""
    expression = expression.replace("/", " OR ").strip()
    while (inner := re.search(r"\(([^()]*)\)", expression)) is not None:
        verdict = "allowed-inner" if is_allowed(inner.group(1)) else "denied-inner"
        expression = expression[: inner.start()] + verdict + expression[inner.end() :]
    either = re.split(r"\s+OR\s+", expression)
    return any(
        all(term.strip() == "allowed-inner" or term.strip() in allowed for term in re.split(r"\s+AND\s+", side))
        for side in either
    )


packages = json.load(sys.stdin)["packages"]
refused = [p for p in packages if p["source"] and not is_allowed(p["license"] or "")]
for package in refused:
    print(f"{package['name']} {package['version']}: licence `{package['license']}` is not on deny.toml's list", file=sys.stderr)
print(f"licences: {len(packages)} crates read, {len(refused)} refused")
sys.exit(1 if refused else 0)
