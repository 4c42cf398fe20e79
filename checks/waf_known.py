"""Differences to libmodsecurity that are understood. `waf.py` counts them apart; all others make it fail.

Three kinds of proof:
- a *trait*: with it undone, by a line of configuration or an edit of a copy of the rules, the peer decides and
  scores as we do, with the same request in the same run;
- nginx hands on another request than it was sent, as CRS's own `nginx-overrides.yaml` says;
- CRS's own test of the case expects the rules that we found, or forbids those that only the peer did.
"""

import re
from dataclasses import dataclass
from typing import Callable

from waf_peer import crs

# What adds up scores: it differs because of the others.
SUMS = frozenset([949110, 949111, 959100, 959101])
# Where a directive begins that is no comment.
DIRECTIVE = re.compile(r"^[ \t]*(?=Sec(?:Rule|Action)\b)", re.MULTILINE)


@dataclass
class Trait:
    reason: str
    # Before all rules.
    line: str = ""
    # Of a rule file's text.
    edit: Callable[[str], str] = None


def without_stale_vars(text):
    """A rule that never matches before each chain that looks at MATCHED_VARS: it empties them."""
    parts, start = DIRECTIVE.split(text), None
    for number, part in enumerate(parts[1:], 1):
        found = re.search(r'[",\s]id:(\d+)', part)
        if found:
            start = (number, found[1])
        elif part.startswith(("SecRule MATCHED_VARS", 'SecRule "MATCHED_VARS')) and start:
            at, rule = start
            phase = re.search(r"phase:(\d)", parts[at])
            parts[at] = (f'SecRule REQUEST_METHOD "@streq plura-none" "id:99{rule},phase:{phase[1] if phase else 2},t:none,pass,nolog"\n' + parts[at])
            start = None
    return "".join(parts)


def with_trimmed_part_headers(text):
    return re.sub(r'("id:922110,(?:[^"]*?))t:none,t:lowercase', r"\1t:none,t:lowercase,t:trim", text)


def with_words_as_pattern(text):
    """`@pmFromFile restricted-files.data` as the regular expression that the manual says it is."""

    def pattern(found):
        lines = (crs() / "rules" / "restricted-files.data").read_text().splitlines()
        words = [re.escape(line.strip()).replace('"', r"\x22") for line in lines if line.strip() and not line.startswith("#")]
        return f'"@rx (?i)(?:{"|".join(words)})"'

    return re.sub(r'"@pmFromFile restricted-files\.data"', pattern, text)


TRAITS = [
    Trait("libmodsecurity shows the body as REQUEST_BODY for JSON, XML and multipart, too (nginx-overrides.yaml: 944100 …)",
          line='SecRule REQUEST_HEADERS:Content-Type "@rx (?i)json|xml|multipart" "id:9900010,phase:1,t:none,pass,nolog,'
               'ctl:ruleRemoveTargetByTag=OWASP_CRS;REQUEST_BODY"'),
    Trait("libmodsecurity empties MATCHED_VARS only when a rule does not match: chains on it score what earlier rules matched, too",
          edit=without_stale_vars),
    Trait("libmodsecurity keeps the CRLF of a part's header: 922110 takes every charset for a wrong one", edit=with_trimmed_part_headers),
    Trait("libmodsecurity's @pmFromFile does not find each word that is there (`.env` in `/.a0proj/secrets.env`)", edit=with_words_as_pattern),
]


def by_words(case, row):
    return by_front(case) or by_test(case, row)


def by_front(case):
    if re.match(rb"[A-Z]+ [a-z]+://[^/ ]+ ", case.raw):
        return "nginx makes `/` of a target that has a host and no path (nginx-overrides.yaml: 920100-16)"
    return None


def by_test(case, row):
    """The test's own words, when they are about the very rules that differ."""
    peer, ours = set(row["only_peer"]) - SUMS, set(row["only_ours"]) - SUMS
    if (peer or ours) and peer <= set(case.forbids) and ours <= set(case.expects):
        return "CRS's own test of it expects what we do"
    return None
