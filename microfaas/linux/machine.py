"""This machine: what of the kernel can be had here, what is enforced by it, and what is not.

Everything is found by trying, not by looking at versions: containers, old kernels and policies
refuse in many ways. The same findings choose the mechanisms and feed `microfaas doctor`.
"""

from __future__ import annotations

import os
from collections.abc import Collection

import msgspec

from microfaas.linux import isolation as isolating
from microfaas.linux.cgroup import Driver, GroupLimits, NoDriver
from microfaas.linux.cgroup_v1 import DriverV1
from microfaas.linux.cgroup_v2 import DriverV2
from microfaas.linux.facilities import Facility, describe
from microfaas.linux.isolation import Isolation
from microfaas.linux.launcher import Nursery


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What was found."""

    isolation: Isolation
    driver_name: str
    facilities: tuple[Facility, ...]


def probe() -> Machine:
    """Find out what this machine enforces; leaves nothing behind."""
    nursery = Nursery([])
    try:
        driver, why = choose_driver(f"microfaas-probe-{os.getpid()}", None)
        driver.sweep()
        return survey(nursery, driver, why)
    finally:
        nursery.close()


def survey(nursery: Nursery, driver: Driver, why: str, off: Collection[str] = ()) -> Machine:
    """The machine with this driver; `off` are the layers not to use."""
    isolation = isolating.probe(nursery, off)
    return Machine(
        isolation=isolation,
        driver_name=driver.name,
        facilities=describe(isolation, driver, why),
    )


def choose_driver(name: str, memory_bytes: int | None) -> tuple[Driver, str]:
    """The best cgroup driver that works here, and why it is not a better one."""
    reasons = []
    for make in (DriverV2, DriverV1):
        try:
            driver: Driver = make(name, memory_bytes)
            _try_group(driver)
        except OSError as error:
            reasons.append(str(error))
            continue
        return driver, ""
    return NoDriver(), "; ".join(reasons)


def _try_group(driver: Driver) -> None:
    limits = GroupLimits(memory_bytes=64 << 20, processes=8, cpu_weight=100, cpu=0.5)
    group = driver.create(f"probe-{os.getpid()}", limits)
    group.close_joins()
    group.remove()
