"""Giving up capabilities, for good."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from child import as_root, enter, run, status

from microfaas.linux import capabilities
from microfaas.linux import syscalls as sys

HELD = ("CapInh", "CapPrm", "CapEff", "CapAmb")


def sets(pid: int | str = "self") -> dict[str, int]:
    return {name: int(v, 16) for name, v in status(pid).items() if name.startswith("Cap")}


def test_none_is_left_and_none_comes_back() -> None:
    def act() -> dict[str, int]:
        enter(sys.CLONE_NEWUTS)
        assert sets()["CapEff"]
        capabilities.unbind()
        capabilities.drop()
        return sets()

    assert set(run(act).values()) == {0}


def test_dropping_leaves_what_a_program_could_bring_back() -> None:
    """So both are needed."""

    def act() -> dict[str, int]:
        enter(sys.CLONE_NEWUTS)
        capabilities.drop()
        return sets()

    left = run(act)
    assert left["CapBnd"]
    assert {name: left[name] for name in HELD} == dict.fromkeys(HELD, 0)


def test_what_needs_one_is_refused_afterwards() -> None:
    def act() -> None:
        enter(sys.CLONE_NEWUTS)
        capabilities.unbind()
        capabilities.drop()
        with pytest.raises(PermissionError):
            sys.unshare(sys.CLONE_NEWNS)

    run(act)


@as_root
def test_a_program_that_root_starts_has_none() -> None:
    """Executing brings root all of the bounding set: there is nothing in it."""

    def act() -> str:
        capabilities.unbind()
        capabilities.drop()
        argv = ["grep", "Cap", "/proc/self/status"]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    assert {int(line.split()[1], 16) for line in run(act).splitlines()} == {0}


def test_who_has_none_cannot_unbind() -> None:
    def act() -> None:
        capabilities.drop()
        with pytest.raises(PermissionError):
            capabilities.unbind()
        # Dropping again is fine.
        capabilities.drop()

    run(act)


def test_the_kernel_has_no_more_than_are_tried() -> None:
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    assert last < capabilities.CAPABILITIES_MAX
