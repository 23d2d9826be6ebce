"""What a function is held to on this machine, as a list for people: how firmly, and by what."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Literal

import msgspec

from microfaas.linux.cgroup import Driver, NoDriver
from microfaas.linux.isolation import OFF, Isolation
from microfaas.linux.landlock import SCOPES_SINCE

State = Literal["enforced", "sampled", "off"]

_DELEGATE = (
    "systemd-run --user --scope -p Delegate=yes microfaas run, or Delegate=yes in the service, "
    "or run it as root"
)
_FREEZER = "the kernel needs CONFIG_CGROUP_FREEZER, or cgroup v2"
_APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
_SYSTEM_CALLS = "apt-get install libseccomp2; the kernel needs CONFIG_SECCOMP_FILTER"
_LANDLOCK = "boot Linux 5.13 or newer with landlock in lsm=, as most distributions do"
_SCOPES = 'Linux 6.12 or newer; or network = "none" or "loopback" against abstract sockets'
_USERS = "run it as root: it starts each function as a user of its own, without capabilities"
_NETWORKS = "the kernel needs CONFIG_NET_NS; a container needs the right to make namespaces"


class Facility(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a function is held to: how firmly, by what, why not better, and the remedy.

    `limit` is set where it bounds what a function may take of the machine.
    """

    name: str
    state: State
    how: str
    why: str = ""
    fix: str = ""
    limit: bool = False


def describe(isolation: Isolation, driver: Driver, why: str) -> tuple[Facility, ...]:
    """The findings; `why` there is no better cgroup driver."""
    return (*_limits(isolation, driver, why), *_places(isolation), *_walls(isolation))


def _limits(found: Isolation, driver: Driver, why: str) -> Iterator[Facility]:
    files = Facility(name="open files", state="enforced", how="RLIMIT_NOFILE", limit=True)
    if isinstance(driver, NoDriver):
        yield _weak("memory", "sampled", "psutil, ten times a second", why, _DELEGATE, limit=True)
        yield _weak("cpu", "off", "", why, _DELEGATE, limit=True)
        yield _weak("rest between calls", "off", "", why, _DELEGATE)
        yield _processes(found, why)
        yield Facility(name="time", state="enforced", how="process tree is killed", limit=True)
        yield files
        return
    how = driver.name
    for name, by in (
        ("memory", "memory controller; page cache and /tmp count"),
        ("cpu", "cpu controller, share by memory"),
        ("processes", "pids controller"),
        ("time", "all members are killed"),
    ):
        yield Facility(name=name, state="enforced", how=f"{how}: {by}", limit=True)
    if driver.freezes:
        yield Facility(
            name="rest between calls", state="enforced", how=f"{how}: frozen after half a second"
        )
    else:
        yield _weak("rest between calls", "off", "", "there is no freezer here", _FREEZER)
    if driver.weighs_io:
        yield Facility(name="disk share", state="enforced", how=f"{how}: io weight")
    yield files


def _processes(found: Isolation, why: str) -> Facility:
    """Without the pids controller."""
    if not found.counts_processes:
        return _weak("processes", "off", "", why, _DELEGATE, limit=True)
    how = "RLIMIT_NPROC, all instances of a function together"
    return Facility(name="processes", state="enforced", how=how, limit=True)


def _places(found: Isolation) -> Iterator[Facility]:
    why = found.whys.get("namespaces", "")
    if not found.mounts:
        fix = _user_namespaces()
        yield _weak("/var/task, /mnt", "off", "real paths in variables", why, fix)
        yield _weak("private /tmp", "off", "TMPDIR in the data directory", why, fix)
        yield _weak("processes unseen", "off", "", why, fix)
        return
    by = "mount" if os.geteuid() == 0 else "user and mount"
    yield Facility(
        name="/var/task, /mnt", state="enforced", how=f"{by} namespace, pivot_root, read-only"
    )
    if found.cells:
        yield Facility(
            name="private /tmp", state="enforced", how="tmpfs of limited size per instance"
        )
    else:
        shared = "one /tmp for all instances of a function"
        yield _weak("private /tmp", "off", shared, found.whys["cells"], _user_namespaces())
    if found.new_proc:
        yield Facility(name="processes unseen", state="enforced", how="pid namespace")
    else:
        yield _weak("processes unseen", "off", "", why, _user_namespaces())


def _walls(found: Isolation) -> Iterator[Facility]:
    yield Facility(name="capabilities", state="enforced", how="none, no_new_privs")
    why = found.whys.get
    if found.users:
        yield Facility(name="user per function", state="enforced", how="a uid of its own")
    else:
        yield _weak("user per function", "off", "microfaas's own user", why("users"), _USERS)
    if found.filters:
        yield Facility(name="system calls", state="enforced", how="seccomp, a list of allowed ones")
    else:
        yield _weak("system calls", "off", "", why("seccomp"), _SYSTEM_CALLS)
    if found.landlock:
        how = f"Landlock, version {found.landlock}"
        yield Facility(name="second layer of files", state="enforced", how=how)
    else:
        yield _weak("second layer of files", "off", "", why("landlock"), _LANDLOCK)
    yield _scopes(found)
    if found.networks:
        how = "host by default; none, loopback and lists by network namespaces"
        yield Facility(name="network policy", state="enforced", how=how)
    else:
        yield _weak("network policy", "off", "only host", why("networks"), _NETWORKS)


def _scopes(found: Isolation) -> Facility:
    name = "signals, abstract sockets"
    if found.landlock >= SCOPES_SINCE:
        return Facility(name=name, state="enforced", how="Landlock, scoped to each instance")
    why = found.whys.get("landlock") or f"Landlock here is version {found.landlock}"
    how = "only between functions, by pid and network namespaces" if found.new_proc else ""
    return _weak(name, "off", how, why, _SCOPES)


def _weak(
    name: str, state: State, how: str, why: str | None, fix: str, *, limit: bool = False
) -> Facility:
    if why == OFF:
        fix = "remove it from sandbox_off"
    return Facility(name=name, state=state, how=how, why=why or "", fix=fix, limit=limit)


def _user_namespaces() -> str:
    """The command that lets this user have user namespaces here."""
    if os.path.exists(_APPARMOR):
        return "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    return "sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000"
