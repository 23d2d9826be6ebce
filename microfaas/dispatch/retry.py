"""The one retry policy: what to do after an attempt. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# Throttling and machine faults are nobody's attempt: they are waited out, ever more patiently.
BUSY_DELAY_S = 0.1
BUSY_DELAY_S_MAX = 300.0
# A random part of every delay, so that what failed together does not come back together.
JITTER = 0.2

# Why something was given up: the names that Lambda gives in its records.
Condition = Literal[
    "RetriesExhausted", "EventAgeExceeded", "ZeroReservedConcurrency", "RecursiveInvocation"
]


@dataclass(frozen=True, slots=True)
class Policy:
    """How often and for how long something is tried. The n-th retry comes `retry_delay_s * n`
    after the n-th failure, as in Lambda, or with `doubling` twice as late each time."""

    retries_max: int
    retry_delay_s: float
    age_s_max: float
    doubling: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What to do after an attempt: be done, try again after a delay, or give up."""

    action: Literal["done", "retry", "bury"]
    delay_s: float = 0.0
    condition: Condition = "RetriesExhausted"


def decide(
    policy: Policy, attempts: int, refusals: int, ok: bool | None, age_s: float, chance: float
) -> Step:
    """`attempts` were run, the last one ended `ok`; None means it was refused, not run.

    `chance` from 0 to 1 is what jitter is made of.
    """
    if ok:
        return Step("done")
    if ok is None:
        delay_s = min(BUSY_DELAY_S * 2.0 ** min(refusals, 16), BUSY_DELAY_S_MAX)
    elif attempts > policy.retries_max:
        return Step("bury")
    else:
        steps = 2.0 ** min(attempts - 1, 16) if policy.doubling else attempts
        delay_s = min(policy.retry_delay_s * steps, max(BUSY_DELAY_S_MAX, policy.retry_delay_s))
    delay_s *= 1 + chance * JITTER
    if age_s + delay_s > policy.age_s_max:
        return Step("bury", condition="EventAgeExceeded")
    return Step("retry", delay_s)
