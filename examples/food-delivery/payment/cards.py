"""A stand-in for the service that charges cards, and as reliable as `$FAILURE_RATE` says.

Like a real one it knows a charge by its key, here the order's id, and repeats what it said at
first: nobody pays twice. Its book is a file per charge in `$CHARGES`.
"""

import hashlib
import json
import os

import files

CHARGES = os.environ["CHARGES"]
FAILURE_RATE = float(os.environ["FAILURE_RATE"])
# Test numbers, as payment services publish them.
DECLINED = {"4000000000000002": "card declined", "4000000000009995": "insufficient funds"}
UNREACHABLE = "4000000000000119"
AMOUNT_CENTS_MAX = 100_000


class ServiceDown(Exception):
    """There was no answer; another time there may be one."""


def charge(key, attempt, card, amount_cents):
    """Whether it was approved, and if not why."""
    path = os.path.join(CHARGES, f"{key}.json")
    if os.path.exists(path):
        with open(path) as file:
            return json.load(file)
    if card == UNREACHABLE or is_down(key, attempt):
        raise ServiceDown(f"the card service did not answer for {key}, attempt {attempt}")
    reason = DECLINED.get(card) or ("over the limit" if amount_cents > AMOUNT_CENTS_MAX else None)
    answer = {"approved": reason is None, "reason": reason}
    files.write(path, json.dumps(answer))
    return answer


def is_down(key, attempt):
    """By chance, but the same chance whenever it is asked; another attempt has another."""
    drawn = hashlib.sha256(f"{key} {attempt}".encode()).digest()[:8]
    return int.from_bytes(drawn, "big") / 2**64 < FAILURE_RATE
