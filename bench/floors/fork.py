"""The fork floor: `os.fork()` of a process that has imported what the function imports.

Nothing is confined, limited or metered. Prints one JSON list: by default microseconds from
before the fork to the child's first byte. Needs nothing but the standard library, for it also
runs under the interpreter of the function that it stands for.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import time
from collections.abc import Iterator


def spawn(sleep_s: float) -> tuple[int, int]:
    """Fork a child that sleeps and writes one byte; its id and the pipe to read that from."""
    heard, speak = os.pipe()
    pid = os.fork()
    if pid == 0:
        if sleep_s:
            time.sleep(sleep_s)
        os.write(speak, b"x")
        os._exit(0)
    os.close(speak)
    return pid, heard


def first_byte_us() -> float:
    start = time.perf_counter_ns()
    pid, heard = spawn(0)
    os.read(heard, 1)
    took = time.perf_counter_ns() - start
    os.close(heard)
    os.waitpid(pid, 0)
    return took / 1000


def together_us(count: int, sleep_s: float) -> float:
    """Fork COUNT children at once; time until the last has spoken."""
    start = time.perf_counter_ns()
    children = [spawn(sleep_s) for _ in range(count)]
    for _, heard in children:
        os.read(heard, 1)
        os.close(heard)
    took = time.perf_counter_ns() - start
    for pid, _ in children:
        os.waitpid(pid, 0)
    return took / 1000


def private_kb() -> int:
    """Private memory of a forked child that does nothing."""
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(tell)
        os.read(told, 1)
        os._exit(0)
    time.sleep(0.05)
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        fields = dict(line.split(":", 1) for line in list(rollup)[1:])
    os.close(tell)
    os.waitpid(pid, 0)
    return sum(int(fields[name].split()[0]) for name in ("Private_Clean", "Private_Dirty"))


def figures(arguments: argparse.Namespace) -> Iterator[float]:
    for _ in range(arguments.count):
        if arguments.memory:
            yield private_kb()
        elif arguments.together:
            yield together_us(arguments.together, arguments.sleep_ms / 1000)
        else:
            yield first_byte_us()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--imports", nargs="*", default=[], metavar="MODULE")
    parser.add_argument("--together", type=int, default=0, help="children forked at once")
    parser.add_argument("--sleep-ms", type=float, default=0, help="what each child does first")
    parser.add_argument("--memory", action="store_true", help="kB private to an idle child")
    arguments = parser.parse_args()
    for module in arguments.imports:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    print(json.dumps(list(figures(arguments))))


if __name__ == "__main__":
    main()
