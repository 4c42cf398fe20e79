"""Differences to libmodsecurity that are understood: each with its reason. `waf.py` counts them apart.

A rule is told by what differs: `(reason, test)`, where the test gets the case and the rule ids that only
the peer and only we found. Anything that no test claims makes the check fail.
"""

import re


def has(case, pattern):
    return re.search(pattern, case.raw, re.IGNORECASE | re.DOTALL) is not None


KNOWN = [
]


def reason(case, only_peer, only_ours):
    return next((why for why, holds in KNOWN if holds(case, only_peer, only_ours)), None)
