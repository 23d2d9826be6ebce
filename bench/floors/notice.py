"""The notice floor: bare inotify, from just before a file's close to a process woken by it.

Nothing is stored, matched or invoked. Prints one JSON list of microseconds.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import tempfile
import time

IN_CLOSE_WRITE = 0x8
STAMP_BYTES = 8


def watch(folder: str) -> int:
    """An inotify descriptor for files closed in FOLDER."""
    libc = ctypes.CDLL(None, use_errno=True)
    watcher = int(libc.inotify_init1(os.O_CLOEXEC))
    if libc.inotify_add_watch(watcher, os.fsencode(folder), IN_CLOSE_WRITE) < 0:
        raise OSError(ctypes.get_errno(), "cannot watch", folder)
    return watcher


def stamp(watcher: int, speak: int) -> None:
    """The child: one monotonic time for each notice, until it is killed."""
    while os.read(watcher, 4096):
        os.write(speak, time.monotonic_ns().to_bytes(STAMP_BYTES, "big"))


def delay_us(folder: str, heard: int, number: int) -> float:
    file = os.open(os.path.join(folder, str(number)), os.O_CREAT | os.O_WRONLY, 0o644)
    os.write(file, b"x" * 200)
    closed_ns = time.monotonic_ns()
    os.close(file)
    return (int.from_bytes(os.read(heard, STAMP_BYTES), "big") - closed_ns) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as folder:
        watcher = watch(folder)
        heard, speak = os.pipe()
        pid = os.fork()
        if pid == 0:
            stamp(watcher, speak)
        delays = []
        for number in range(count):
            delays.append(delay_us(folder, heard, number))
            time.sleep(0.005)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    print(json.dumps(delays))


if __name__ == "__main__":
    main()
