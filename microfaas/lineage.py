"""The lineage in a trace header: which functions ran already in a chain of events, how often. Pure.

`Root=…;Parent=…;Sampled=0;Lineage=1:a87bd80c:3|1:68fd508a:0` says that one function ran four times
and another one once. A function finds the header in its environment, and AWS's SDKs send it on
with whatever they send; so a function that an event comes back to can be told from one that many
events came to. As X-Ray has it, a function is eight digits of a hash, and the count begins at 0.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable

MARK = "Lineage="
# As often as Lambda runs a function in one chain.
PASSES_MAX = 16
# What a chain remembers, so that the header does not grow with its length.
FUNCTIONS_MAX = 24
COUNT_MAX = 255
# Clients may send more; that is passed on to nobody.
TRACE_CHARS_MAX = 1024

# Older headers have no number before the hash; botocore sends the bar as %7C.
_ENTRY = re.compile(r"(?:\d{1,5}:)?([0-9a-f]{8}):(\d{1,3})")
_BAR = re.compile(r"\||%7[Cc]")


def hash_of(arn: str) -> str:
    """What a function is called in lineages, by its ARN without a qualifier."""
    return hashlib.blake2s(arn.encode(), digest_size=4).hexdigest()


def plain(trace_id: str) -> str:
    """A client's trace, if it is fit to go back to him and into the environment; else nothing."""
    fit = trace_id.isascii() and trace_id.isprintable() and len(trace_id) <= TRACE_CHARS_MAX
    return trace_id if fit else ""


def new_trace_id(request_id: str, at_s: float | None = None) -> str:
    """The trace of a request that came without one, now or at a time of the epoch."""
    # Random already, and seen in the same logs: the request's id serves for the trace's.
    tail = request_id[24:]
    root = f"{request_id[:8]}{request_id[9:13]}{tail}"
    at_s = time.time() if at_s is None else at_s
    return f"Root=1-{int(at_s):08x}-{root};Parent={request_id[19:23]}{tail};Sampled=0"


def extended(trace_id: str, function: str) -> str:
    """What a function that is run for a trace is given. `function` is its hash."""
    if MARK not in trace_id:
        return f"{trace_id};{MARK}1:{function}:0"
    rest, counts = _read(trace_id)
    count = counts.pop(function, -1) + 1
    return _written(rest, {**counts, function: min(count, COUNT_MAX)})


def passes(trace_id: str, function: str) -> int:
    """How often a function ran already in the chain that a trace comes from."""
    if MARK not in trace_id:
        return 0
    return _read(trace_id)[1].get(function, -1) + 1


def joined(trace_ids: Iterable[str]) -> str:
    """One trace for what came by several: the first one's, with every function's highest count."""
    found = list(dict.fromkeys(filter(None, trace_ids)))
    if len(found) < 2 or not any(MARK in each for each in found):
        return found[0] if found else ""
    most: dict[str, int] = {}
    for each in found:
        for function, count in _read(each)[1].items():
            most[function] = max(count, most.get(function, 0))
    return _written(_read(found[0])[0], most)


def begun_anew(trace_id: str) -> str:
    """The trace of what somebody sends again, having seen where it led."""
    return _read(trace_id)[0]


def _read(trace_id: str) -> tuple[str, dict[str, int]]:
    """The rest of a trace, and what is understood of its lineage."""
    rest, counts = [], {}
    for field in trace_id.split(";"):
        if not field.startswith(MARK):
            rest.append(field)
            continue
        for entry in _BAR.split(field.removeprefix(MARK)):
            if match := _ENTRY.fullmatch(entry):
                counts[match[1]] = min(int(match[2]), COUNT_MAX)
    return ";".join(rest), counts


def _written(rest: str, counts: dict[str, int]) -> str:
    """Whoever ran last is kept: so a circle of as many functions is always found."""
    kept = list(counts.items())[-FUNCTIONS_MAX:]
    lineage = "|".join(f"1:{function}:{count}" for function, count in kept)
    return ";".join(filter(None, (rest, lineage and f"{MARK}{lineage}")))
