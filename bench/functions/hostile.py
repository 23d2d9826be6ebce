"""Does to the machine what its event's `attack` says, for as long as it is let."""

from __future__ import annotations

import os
from typing import Any

FLOOD_BYTES = 1 << 30
BLOCK = b"x" * 1023 + b"\n"


def fork_bomb() -> None:
    """Every process forks; when there can be no more, all of them go on trying."""
    while True:
        try:
            os.fork()
        except OSError:
            continue


def memory_bomb() -> None:
    """Memory that is written to, until the kernel ends it."""
    hoard = []
    while True:
        hoard.append(b"x" * (4 << 20))


def disk_filler() -> None:
    """Fills /tmp, makes room and fills it again."""
    block = BLOCK * 1024
    while True:
        with open("/tmp/filler", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(block)
            except OSError:
                file.truncate(0)


def log_flood() -> None:
    """A gigabyte of lines."""
    block = BLOCK * 64
    for _ in range(FLOOD_BYTES // len(block)):
        os.write(1, block)


def fd_exhauster() -> None:
    """Opens until it may no more, lets go and opens again."""
    while True:
        opened: list[int] = []
        try:
            while True:
                opened += os.pipe()
        except OSError:
            for fd in opened:
                os.close(fd)


def busy_loop() -> None:
    while True:
        pass


def handler(event: Any, context: Any) -> None:
    globals()[event["attack"]]()
