"""What people are told of their machine: what is kept, what is not, why, and what would help."""

from __future__ import annotations

import os

import msgspec
import pytest

from microfaas.linux import syscalls as sys
from microfaas.linux.cgroup import NoDriver
from microfaas.linux.facilities import Facility, describe
from microfaas.linux.isolation import LAYERS, OFF, Isolation
from microfaas.linux.landlock import SCOPES_SINCE

SHARED = sys.CLONE_NEWNS | sys.CLONE_NEWIPC | sys.CLONE_NEWUTS
ALL = Isolation(
    flags=SHARED | sys.CLONE_NEWPID,
    new_proc=True,
    cells=True,
    networks=True,
    users=True,
    filters=[b"12345678"],
    landlock=SCOPES_SINCE,
)
# What remains of all that without a layer, and what people call it.
WITHOUT = {
    "cells": ({"cells": False}, ["private /tmp"]),
    "networks": ({"networks": False}, ["network policy"]),
    "users": ({"users": False}, ["user per function"]),
    "seccomp": ({"filters": []}, ["system calls"]),
    "landlock": ({"landlock": 0}, ["second layer of files", "signals, abstract sockets"]),
    "namespaces": (
        {"flags": 0, "new_proc": False, "cells": False, "networks": False},
        ["/var/task, /mnt", "private /tmp", "processes unseen", "network policy"],
    ),
}


def found(isolation: Isolation, driver: object | None = None, why: str = "") -> dict[str, Facility]:
    rows = describe(isolation, driver or NoDriver(), why)  # type: ignore[arg-type]
    assert len({row.name for row in rows}) == len(rows)
    return {row.name: row for row in rows}


def weak(rows: dict[str, Facility]) -> list[str]:
    return [name for name, row in rows.items() if row.state != "enforced"]


@pytest.fixture
def groups() -> object:
    """A driver with groups: it has all that a driver has, and is not the one without."""
    return type("WithGroups", (), {"name": "cgroup v9", "weighs_io": True, "freezes": True})()


def without(layer: str, why: str) -> Isolation:
    changes, _ = WITHOUT[layer]
    whys = {layer: why}
    if layer == "namespaces":  # what stands on them is missing for the same reason
        whys |= {"cells": why, "networks": why}
    return msgspec.structs.replace(ALL, **changes, whys=whys)


def test_all_can_be_enforced(groups: object) -> None:
    rows = found(ALL, groups)
    assert weak(rows) == []
    assert all(row.how and not row.why and not row.fix for row in rows.values())
    assert rows["memory"].how.startswith("cgroup v9: ")


def test_every_layer_is_known_here() -> None:
    assert set(WITHOUT) == set(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_that_is_missing_has_a_reason_and_a_remedy(layer: str, groups: object) -> None:
    rows = found(without(layer, "the kernel said no"), groups)
    assert weak(rows) == WITHOUT[layer][1]
    for name in weak(rows):
        assert rows[name].why == "the kernel said no"
        assert rows[name].fix
        assert "sandbox_off" not in rows[name].fix
        assert not rows[name].limit


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_that_is_turned_off_is_to_be_turned_on(layer: str, groups: object) -> None:
    rows = found(without(layer, OFF), groups)
    assert weak(rows) == WITHOUT[layer][1]
    assert {rows[name].fix for name in weak(rows)} == {"remove it from sandbox_off"}


def test_without_groups_memory_is_sampled() -> None:
    rows = found(ALL, NoDriver(), "no cgroup here")
    assert weak(rows) == ["memory", "cpu", "rest between calls"]
    assert rows["memory"].state == "sampled"
    assert rows["cpu"].state == "off"
    for name in ("memory", "cpu"):
        assert rows[name].why == "no cgroup here"
        assert "Delegate=yes" in rows[name].fix
    assert "disk share" not in rows


def test_without_groups_processes_are_counted_by_user() -> None:
    assert found(ALL)["processes"].how.startswith("RLIMIT_NPROC")
    own = msgspec.structs.replace(ALL, users=False, flags=ALL.flags | sys.CLONE_NEWUSER)
    assert found(own)["processes"].state == "enforced"
    nothing = found(Isolation(whys=dict.fromkeys(LAYERS, "no")), why="no cgroup here")
    assert nothing["processes"].state == "off"
    assert nothing["processes"].why == "no cgroup here"


def test_limits_are_marked_as_such(groups: object) -> None:
    limits = {"memory", "cpu", "processes", "time", "open files"}
    for driver in (groups, NoDriver()):
        assert {name for name, row in found(ALL, driver).items() if row.limit} == limits


def test_an_old_landlock_does_not_scope(groups: object) -> None:
    rows = found(msgspec.structs.replace(ALL, landlock=SCOPES_SINCE - 1), groups)
    assert weak(rows) == ["signals, abstract sockets"]
    row = rows["signals, abstract sockets"]
    assert str(SCOPES_SINCE - 1) in row.why
    assert "namespaces" in row.how


def test_a_pid_namespace_may_be_missing_alone(groups: object) -> None:
    changes = {"flags": SHARED, "new_proc": False, "whys": {"namespaces": "no proc"}}
    rows = found(msgspec.structs.replace(ALL, **changes), groups)
    assert weak(rows) == ["processes unseen"]
    assert rows["processes unseen"].why == "no proc"


@pytest.mark.parametrize("exists", [True, False])
def test_the_remedy_is_that_of_this_system(
    exists: bool, groups: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "exists", lambda _: exists)
    fix = found(without("namespaces", "no"), groups)["private /tmp"].fix
    assert ("apparmor" in fix) is exists
    assert fix.startswith("sysctl -w ")
