"""Limits of a process that need no cgroup."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
from child import UID, as_root, become_nobody, run, waiting

from microfaas.linux import capabilities, limits, users

EXPECTED = {
    "CORE": 0,
    "NOFILE": 64,
    "MEMLOCK": limits.LOCKED_BYTES_MAX,
    "MSGQUEUE": limits.QUEUED_BYTES_MAX,
    "SIGPENDING": limits.SIGNALS_MAX,
    "RTPRIO": 0,
    "NICE": 0,
}
SCORE = Path("/proc/self/oom_score_adj")


def limit(name: str) -> tuple[int, int]:
    which: int = getattr(resource, f"RLIMIT_{name}")
    return resource.getrlimit(which)


def test_both_limits_are_what_is_written_or_less_where_there_was_less() -> None:
    def act() -> dict[str, tuple[int, int]]:
        limits.apply(64, None)
        return {name: limit(name) for name in EXPECTED}

    before = {name: limit(name)[1] for name in EXPECTED}
    for name, found in run(act).items():
        hard = before[name]
        wanted = EXPECTED[name] if hard < 0 else min(EXPECTED[name], hard)
        assert found == (wanted, wanted)


def test_processes_are_limited_only_when_they_are_to_be() -> None:
    def act() -> tuple[tuple[int, int], tuple[int, int]]:
        limits.apply(64, None)
        free = limit("NPROC")
        limits.apply(64, 10)
        return free, limit("NPROC")

    assert run(act) == (limit("NPROC"), (10, 10))


def test_no_limit_is_raised_past_one_that_was_there() -> None:
    """An ordinary user may not: a function of theirs starts all the same."""

    def act() -> list[tuple[int, int]]:
        for name in ("NPROC", "NOFILE", "MEMLOCK"):
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (20, 20))
        become_nobody()
        limits.apply(1024, 512)
        return [limit(name) for name in ("NPROC", "NOFILE", "MEMLOCK")]

    assert run(act) == [(20, 20)] * 3


def test_who_is_limited_cannot_lift_it() -> None:
    def act() -> None:
        become_nobody()
        limits.apply(64, 10)
        for name in EXPECTED:
            with pytest.raises(ValueError, match="not allowed to raise"):
                resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (1 << 40, 1 << 40))

    run(act)


@as_root
def test_processes_of_one_user_are_counted_together() -> None:
    def act() -> int:
        limits.apply(1024, 3)
        users.become(UID + 1)
        # The one that starts the others is the first.
        return 1 + sum(_started() for _ in range(10))

    assert run(act) == 3


def _started() -> bool:
    try:
        return waiting() > 0
    except BlockingIOError:
        return False


def test_functions_go_first_when_memory_runs_out() -> None:
    def act() -> int:
        limits.offer_to_oom_killer()
        return int(SCORE.read_text())

    assert run(act) == max(limits.OOM_SCORE, int(SCORE.read_text()))


@as_root
def test_who_goes_first_already_stays_so() -> None:
    """In a container the score may be higher, and lowering it needs a privilege."""

    def act() -> int:
        SCORE.write_text("900")
        capabilities.drop()
        limits.offer_to_oom_killer()
        return int(SCORE.read_text())

    assert run(act) == 900


def test_hidden_memory_is_not_read_by_the_same_user() -> None:
    def act() -> tuple[int, int]:
        become_nobody()
        return _reading_parent(hidden=True), _reading_parent(hidden=False)

    assert run(act) == (1, 0)


def _reading_parent(*, hidden: bool) -> int:
    """1 when a child cannot read its parent's environment, 0 when it can."""
    limits.hide_memory(hidden)
    pid = os.fork()
    if pid == 0:
        try:
            Path(f"/proc/{os.getppid()}/environ").read_bytes()
        except PermissionError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
