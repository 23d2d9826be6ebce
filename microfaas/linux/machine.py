"""This machine: what of the kernel can be had here, what is enforced by it, and what is not.

Everything is found by trying, not by looking at versions: containers, old kernels and policies
refuse in many ways. The same findings choose the mechanisms and feed `microfaas doctor`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Literal

import msgspec

from microfaas.linux import syscalls
from microfaas.linux.cgroup import Driver, GroupLimits, NoDriver
from microfaas.linux.cgroup_v1 import DriverV1
from microfaas.linux.cgroup_v2 import DriverV2
from microfaas.linux.launch import Launch
from microfaas.linux.launcher import Nursery
from microfaas.linux.namespaces import Root

_SHARED = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
_DELEGATE = "run it as a systemd service with Delegate=yes, or as root"
_USERNS = (
    "sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000 (or run as root)"
)


class Facility(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a function is held to: how firmly, by what, why not better, and the remedy."""

    name: str
    state: Literal["enforced", "sampled", "off"]
    how: str
    why: str = ""
    fix: str = ""


class Isolation(msgspec.Struct, frozen=True, kw_only=True):
    """Which namespaces a function gets: clone's flags, and whether with a /proc of its own."""

    flags: int = 0
    new_proc: bool = False
    why: str = ""

    @property
    def mounts(self) -> bool:
        return bool(self.flags & syscalls.CLONE_NEWNS)


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What was found."""

    isolation: Isolation
    driver_name: str
    facilities: tuple[Facility, ...]


def probe() -> Machine:
    """Find out what this machine enforces; leaves nothing behind."""
    nursery = Nursery([])
    try:
        isolation = probe_isolation(nursery)
    finally:
        nursery.close()
    driver, why = choose_driver(f"microfaas-probe-{os.getpid()}", None)
    driver.sweep()
    return describe(isolation, driver, why)


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


def probe_isolation(nursery: Nursery) -> Isolation:
    """The most of namespaces that a small program can be started in."""
    user = 0 if os.geteuid() == 0 else syscalls.CLONE_NEWUSER
    candidates = (
        Isolation(flags=_SHARED | syscalls.CLONE_NEWPID | user, new_proc=True),
        Isolation(flags=_SHARED | user),
    )
    why = ""
    for ticket, isolation in enumerate(candidates):
        launched = nursery.ask(_trial(ticket, isolation))
        if not launched.fault:
            return msgspec.structs.replace(isolation, why=why)
        why = launched.fault
    return Isolation(why=why)


def _trial(ticket: int, isolation: Isolation) -> Launch:
    program = shutil.which("true") or "/bin/true"
    root = Root(staging=tempfile.gettempdir(), binds=[], tmp_mb=1, new_proc=isolation.new_proc)
    return Launch(
        ticket=ticket,
        argv=[program],
        env={},
        cwd="/",
        targets=[],
        files_max=64,
        namespaces=isolation.flags,
        root=root,
    )


def _try_group(driver: Driver) -> None:
    limits = GroupLimits(memory_bytes=64 << 20, processes=8, cpu_weight=100, cpu=0.5)
    group = driver.create(f"probe-{os.getpid()}", limits)
    group.close_joins()
    group.remove()


def describe(isolation: Isolation, driver: Driver, why: str) -> Machine:
    """The findings as a list for people."""
    return Machine(
        isolation=isolation,
        driver_name=driver.name,
        facilities=(*_resources(driver, why), *_places(isolation)),
    )


def _resources(driver: Driver, why: str) -> list[Facility]:
    if isinstance(driver, NoDriver):
        missing = {"why": why, "fix": _DELEGATE}
        return [
            Facility(name="memory", state="sampled", how="psutil, ten times a second", **missing),
            Facility(name="cpu", state="off", how="", **missing),
            Facility(name="processes", state="off", how="", **missing),
            Facility(name="time", state="enforced", how="process tree is killed", **missing),
            _open_files(),
        ]
    how = driver.name
    return [
        Facility(name="memory", state="enforced", how=f"{how}: memory controller"),
        Facility(name="cpu", state="enforced", how=f"{how}: cpu controller, share by memory"),
        Facility(name="processes", state="enforced", how=f"{how}: pids controller"),
        Facility(name="time", state="enforced", how=f"{how}: all members are killed"),
        _open_files(),
    ]


def _open_files() -> Facility:
    return Facility(name="open files", state="enforced", how="RLIMIT_NOFILE")


def _places(isolation: Isolation) -> list[Facility]:
    missing = {"why": isolation.why, "fix": _USERNS}
    if not isolation.mounts:
        return [
            Facility(name="/var/task, /mnt", state="off", how="real paths in variables", **missing),
            Facility(
                name="private /tmp", state="off", how="TMPDIR in the data directory", **missing
            ),
            Facility(name="processes unseen", state="off", how="", **missing),
        ]
    by = "user and mount" if isolation.flags & syscalls.CLONE_NEWUSER else "mount"
    places = [
        Facility(name="/var/task, /mnt", state="enforced", how=f"{by} namespace, read-only"),
        Facility(name="private /tmp", state="enforced", how="tmpfs of limited size per instance"),
    ]
    if isolation.new_proc:
        return [*places, Facility(name="processes unseen", state="enforced", how="pid namespace")]
    return [*places, Facility(name="processes unseen", state="off", how="", **missing)]
