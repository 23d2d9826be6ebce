#!/usr/bin/env python3
"""Writes an access log as a busy web server would, in the combined format, and rotates it.

    ./traffic.py logs/access.log --rate 200                     until interrupted
    ./traffic.py logs/access.log --lines 5000 --errors 0.2 --rotate-every 1000
    ./traffic.py logs/access.log --rotate-every 1000 --rotation copytruncate

At its end it prints what it has written, as JSON.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import time
from collections import Counter
from datetime import UTC, datetime

PAGES = ("/", "/products", "/products/17", "/cart", "/checkout", "/api/orders", "/static/app.js")
AGENTS = ("Mozilla/5.0 (X11; Linux x86_64) Firefox/143.0", "curl/8.14.1", "Googlebot/2.1")
GOOD = (200, 200, 200, 200, 200, 200, 204, 301, 304, 404)
BAD = (500, 502, 503)
KEPT = 14


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path")
    parser.add_argument("--rate", type=float, default=0.0, help="lines a second; 0: no pause")
    parser.add_argument("--lines", type=int, default=0, help="how many; 0: for ever")
    parser.add_argument("--errors", type=float, default=0.01, help="share of 5xx")
    parser.add_argument("--rotate-every", type=int, default=0, metavar="LINES")
    parser.add_argument("--rotation", choices=("rename", "copytruncate"), default="rename")
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    chance, written = random.Random(given.seed), Counter()
    with contextlib.suppress(KeyboardInterrupt):
        write(given, chance, written)
    print(json.dumps({"requests": written.total(), "statuses": dict(sorted(written.items()))}))


def write(given, chance, written):
    with contextlib.ExitStack() as files:
        log = files.enter_context(appending(given.path))
        number = 0
        while not given.lines or number < given.lines:
            status = chance.choice(BAD if chance.random() < given.errors else GOOD)
            log.write(line(chance, status))
            written[str(status)] += 1
            number += 1
            if given.rotate_every and number % given.rotate_every == 0:
                rotate(given.path, given.rotation)
                if given.rotation == "rename":
                    files.close()
                    log = files.enter_context(appending(given.path))
            if given.rate:
                time.sleep(chance.expovariate(given.rate))


def appending(path):
    """A line at a time."""
    return open(path, "a", buffering=1)


def line(chance, status):
    at = datetime.now(UTC).strftime("%d/%b/%Y:%H:%M:%S %z")
    address = f"192.0.2.{chance.randrange(1, 255)}"
    seconds = chance.lognormvariate(-3.5, 0.8) + (2.0 if status == 503 else 0.0)
    return (
        f'{address} - - [{at}] "GET {chance.choice(PAGES)} HTTP/1.1" {status} '
        f'{chance.randrange(150, 40_000)} "-" "{chance.choice(AGENTS)}" {seconds:.3f}\n'
    )


def rotate(path, rotation):
    """As logrotate does: the newest is .1, and KEPT of them are kept."""
    for number in range(KEPT, 0, -1):
        if os.path.exists(f"{path}.{number}"):
            os.replace(f"{path}.{number}", f"{path}.{number + 1}")
    if os.path.exists(f"{path}.{KEPT + 1}"):
        os.remove(f"{path}.{KEPT + 1}")
    if rotation == "copytruncate":
        shutil.copyfile(path, f"{path}.1")
        os.truncate(path, 0)
    else:
        os.rename(path, f"{path}.1")


if __name__ == "__main__":
    main()
