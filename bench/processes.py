"""What processes use, as the kernel counts it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def rollup_kb(pid: int) -> dict[str, int]:
    """The sums of `smaps_rollup` in kB; nothing for a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {name: int(rest.split()[0]) for name, rest in (line.split(":") for line in lines)}


def private_kb(pid: int) -> int:
    """USS: what would be free if the process ended."""
    rollup = rollup_kb(pid)
    return rollup.get("Private_Clean", 0) + rollup.get("Private_Dirty", 0)


def shared_fairly_kb(pids: Iterable[int]) -> int:
    """PSS of all: each shared page counted once in all."""
    return sum(rollup_kb(pid).get("Pss", 0) for pid in pids)


def resident_kb(pid: int) -> int:
    return rollup_kb(pid).get("Rss", 0)


def cpu_s(pid: int) -> float:
    """CPU time since the process began, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def tree(root: int) -> set[int]:
    """ROOT and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (parent := parent_of(int(entry))):
            children.setdefault(parent, []).append(int(entry))
    found, fresh = {root}, [root]
    while fresh:
        fresh = [child for pid in fresh for child in children.get(pid, ())]
        found.update(fresh)
    return found


def parent_of(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(stat.rpartition(")")[2].split()[1])
