"""What must exist before the event loop: the cgroup driver, the nursery, and what they allow."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from microfaas.linux import cgroup, cgroup_files, machine
from microfaas.linux.cgroup import Driver
from microfaas.linux.launcher import Nursery
from microfaas.linux.machine import Machine

# Where the cgroup trees of this run are noted, for the next one to sweep after a power cut.
TREES = "cgroups.json"


@dataclass(frozen=True)
class Ground:
    """The means of this machine; `sweep` are the cgroup trees that a nursery clears at its end."""

    driver: Driver
    sweep: list[str]
    nursery: Nursery
    machine: Machine


@contextlib.contextmanager
def prepare(data_dir: str, memory_bytes: int, off: Collection[str]) -> Iterator[Ground]:
    """Clear what an earlier run left, choose the driver, start the nursery; undone at the end."""
    trees = os.path.join(data_dir, TREES)
    with contextlib.suppress(FileNotFoundError, ValueError), open(trees) as file:
        cgroup_files.sweep([str(path) for path in json.load(file)])
    driver, why = machine.choose_driver(cgroup.tree_name(data_dir), memory_bytes)
    sweep = driver.directories
    with open(trees, "w") as file:
        json.dump(sweep, file)
    nursery = Nursery(sweep)
    try:
        yield Ground(driver, sweep, nursery, machine.survey(nursery, driver, why, off))
    finally:
        driver.sweep()
