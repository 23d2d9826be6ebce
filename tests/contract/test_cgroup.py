"""Every cgroup driver that this kernel offers does the same."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from microfaas.linux.cgroup import Driver, Group, GroupLimits, NoDriver
from microfaas.linux.cgroup_v1 import DriverV1
from microfaas.linux.cgroup_v2 import DriverV2
from microfaas.model import MIB

Make = Callable[..., Driver]

# One that this user may run: the own one may lie in the home directory of another.
PYTHON = shutil.which(sys.executable) or shutil.which("python3") or "python3"
# A member joins first, as a function's process does, and says so once it has done its part.
JOIN = """
import os, sys, time
for fd in map(int, sys.argv[1].split(",")):
    os.write(fd, b"0")
def say(*words):
    print(*words, flush=True)
"""
HOLD = "say('ready'); sys.stdin.read()"
TAKE = "held = bytearray({0} * 1024 * 1024); held[::4096] = b'x' * len(held[::4096]); "


def usable(make: Make) -> bool:
    try:
        make(f"microfaas-test-{os.getpid()}").sweep()
    except OSError:
        return False
    return True


KINDS: dict[str, Make] = {"v1": DriverV1, "v2": DriverV2}
USABLE = {name: make for name, make in KINDS.items() if usable(make)}


@dataclass
class World:
    """A driver, and the processes that the test puts into its groups."""

    make: Make
    name: str
    driver: Driver
    members: list[subprocess.Popen[str]] = field(default_factory=list)

    def group(self, **limits: float) -> Group:
        return self.driver.create("one", GroupLimits(**limits))  # type: ignore[arg-type]

    def start(self, group: Group, code: str) -> subprocess.Popen[str]:
        """A Python program that joins the group before anything else."""
        fds = ",".join(map(str, group.join_fds))
        member = subprocess.Popen(
            [PYTHON, "-S", "-E", "-c", JOIN + code, fds],
            pass_fds=group.join_fds,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.members.append(member)
        return member

    def run(self, group: Group, code: str) -> tuple[int, str]:
        """Its exit code, and what it said."""
        member = self.start(group, code)
        said, _ = member.communicate()
        return member.returncode, said


@pytest.fixture(params=USABLE.values(), ids=USABLE.keys())
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    name = f"microfaas-test-{uuid.uuid4().hex[:12]}"
    made = World(request.param, name, request.param(name))
    yield made
    made.driver.sweep()
    for member in made.members:
        member.kill()
        member.communicate()


def said(member: subprocess.Popen[str]) -> str:
    assert member.stdout is not None
    return member.stdout.readline().strip()


def gone(driver: Driver) -> bool:
    return not any(os.path.exists(directory) for directory in driver.directories)


def test_some_driver_is_usable_here() -> None:
    assert USABLE


def test_a_process_that_writes_0_to_each_file_is_a_member(world: World) -> None:
    code = "say(open('/proc/self/cgroup').read().count(sys.argv[2]) > 0)"
    code = code.replace("sys.argv[2]", repr(f"/{world.name}/one"))
    assert world.run(world.group(), code) == (0, "True\n")


def test_children_of_a_member_are_members(world: World) -> None:
    code = f"say(os.popen('cat /proc/self/cgroup').read().count('/{world.name}/one') > 0)"
    assert world.run(world.group(), code) == (0, "True\n")


def test_once_the_joins_are_closed_there_are_none(world: World) -> None:
    group = world.group()
    assert group.join_fds
    group.close_joins()
    assert group.join_fds == []


def test_what_is_frozen_does_nothing_until_it_is_thawed(world: World) -> None:
    assert world.driver.freezes
    group = world.group()
    member = world.start(group, "say('ready'); sys.stdin.readline(); say('ran')")
    said(member)
    group.freeze(True)
    assert member.stdin is not None
    assert member.stdout is not None
    member.stdin.write("go\n")
    member.stdin.flush()
    assert select.select([member.stdout], [], [], 0.3)[0] == []
    group.freeze(False)
    assert said(member) == "ran"


def test_what_is_frozen_can_be_killed(world: World) -> None:
    group = world.group()
    member = world.start(group, HOLD)
    said(member)
    group.freeze(True)
    group.kill()
    assert member.wait() == -signal.SIGKILL


def test_a_frozen_group_is_swept(world: World) -> None:
    group = world.group()
    member = world.start(group, HOLD)
    said(member)
    group.freeze(True)
    world.driver.sweep()
    assert member.wait() == -signal.SIGKILL
    assert gone(world.driver)


def test_a_process_can_be_taken_over_from_another_group(world: World) -> None:
    first = world.group()
    member = world.start(first, HOLD)
    said(member)
    second = world.driver.create("two", GroupLimits())
    second.take_in(member.pid)
    assert (first.pids(), second.pids()) == ([], [member.pid])


def test_a_process_that_is_gone_is_taken_over_by_nobody(world: World) -> None:
    group = world.group()
    member = world.start(group, "pass")
    member.wait()
    group.take_in(member.pid)
    assert group.pids() == []


def test_what_takes_too_much_memory_is_killed(world: World) -> None:
    group = world.group(memory_bytes=32 * MIB)
    assert world.run(group, TAKE.format(96) + "say('still here')") == (-signal.SIGKILL, "")
    assert group.out_of_memory()


def test_what_keeps_within_its_memory_is_not_killed(world: World) -> None:
    group = world.group(memory_bytes=64 * MIB)
    assert world.run(group, TAKE.format(16) + "say('still here')") == (0, "still here\n")
    assert not group.out_of_memory()


def test_what_we_killed_did_not_run_out_of_memory(world: World) -> None:
    group = world.group(memory_bytes=64 * MIB)
    member = world.start(group, HOLD)
    said(member)
    group.kill()
    assert member.wait() == -signal.SIGKILL
    assert not group.out_of_memory()


def test_a_limit_can_be_raised(world: World) -> None:
    group = world.group(memory_bytes=32 * MIB)
    group.limit_memory(256 * MIB)
    assert world.run(group, TAKE.format(96) + "say('still here')") == (0, "still here\n")


def test_a_limit_can_be_lowered(world: World) -> None:
    group = world.group(memory_bytes=256 * MIB)
    group.limit_memory(32 * MIB)
    assert world.run(group, TAKE.format(96))[0] == -signal.SIGKILL


def test_all_groups_together_have_a_limit(world: World) -> None:
    driver = world.make(world.name, 48 * MIB)
    group = driver.create("two", GroupLimits())
    assert world.run(group, TAKE.format(128))[0] == -signal.SIGKILL
    assert group.remove()


BOMB = """
forks = 0
try:
    while forks < 100:
        if os.fork() == 0:
            time.sleep(3600)
        forks += 1
except OSError:
    pass
say(forks)
sys.stdin.read()
"""


def test_a_fork_bomb_is_stopped(world: World) -> None:
    group = world.group(processes=8)
    assert int(said(world.start(group, BOMB))) == 7


def test_killing_ends_a_fork_bomb(world: World) -> None:
    group = world.group(processes=32)
    bomb = world.start(group, BOMB)
    said(bomb)
    group.kill()
    # The pipe is at its end only once no process holds it.
    assert bomb.stdout is not None
    assert bomb.stdout.read() == ""


DAEMON = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        say("daemon")
        time.sleep(3600)
    os._exit(0)
"""


def test_killing_ends_a_daemon_that_left_its_session(world: World) -> None:
    group = world.group()
    parent = world.start(group, DAEMON)
    assert said(parent) == "daemon"
    parent.wait()
    group.kill()
    assert parent.stdout is not None
    assert parent.stdout.read() == ""


def test_killing_an_empty_group_is_fine(world: World) -> None:
    group = world.group()
    group.kill()
    assert group.remove()


def test_killing_twice_is_fine(world: World) -> None:
    group = world.group()
    member = world.start(group, HOLD)
    said(member)
    group.kill()
    group.kill()
    assert member.wait() == -signal.SIGKILL


def test_the_processor_time_of_all_members_is_measured(world: World) -> None:
    group = world.group()
    burn = "\nwhile time.process_time() < 0.2: pass\n"
    before = group.cpu_us()
    assert world.run(group, f"os.fork(){burn}os.getpid()")[0] == 0
    world.run(group, burn)
    assert group.cpu_us() - before >= 200_000


def test_the_peak_of_memory_is_measured_after_it_was_given_back(world: World) -> None:
    group = world.group()
    world.run(group, TAKE.format(24))
    assert group.memory_peak_bytes() >= 24 * MIB


def test_memory_in_use_is_measured(world: World) -> None:
    group = world.group()
    said(world.start(group, TAKE.format(24) + HOLD))
    assert group.memory_bytes() >= 24 * MIB


def test_memory_given_back_is_not_in_use(world: World) -> None:
    group = world.group()
    world.run(group, TAKE.format(24))
    assert group.memory_bytes() < 24 * MIB


def test_a_removed_group_leaves_no_directory(world: World) -> None:
    group = world.group()
    world.run(group, "")
    assert group.remove()
    assert not any(os.path.exists(f"{root}/one") for root in world.driver.directories)


def test_a_removed_group_leaves_no_descriptor(world: World) -> None:
    before = os.listdir("/proc/self/fd")
    assert world.group(memory_bytes=64 * MIB, processes=8, cpu=0.5, cpu_weight=10).remove()
    assert os.listdir("/proc/self/fd") == before


def test_a_group_with_a_member_is_not_removed(world: World) -> None:
    group = world.group()
    member = world.start(group, HOLD)
    said(member)
    assert not group.remove()
    group.kill()
    member.wait()
    assert group.remove()


def test_a_name_can_be_used_again_once_its_group_is_removed(world: World) -> None:
    assert world.group().remove()
    assert world.group().remove()


def test_a_name_that_is_taken_is_refused(world: World) -> None:
    group = world.group()
    with pytest.raises(OSError, match="exists"):
        world.group()
    assert group.remove()


@pytest.mark.parametrize("weight", [1, 2, 74, 1024, 1_000_000])
@pytest.mark.parametrize("cpu", [0.001, 0.5, 16])
def test_any_share_of_the_processor_is_accepted(world: World, weight: int, cpu: float) -> None:
    assert world.group(cpu_weight=weight, cpu=cpu).remove()


def test_sweeping_leaves_no_directory(world: World) -> None:
    groups = [world.driver.create(name, GroupLimits()) for name in ("a", "b")]
    world.driver.sweep()
    assert gone(world.driver)
    assert all(group.remove() for group in groups)


def test_sweeping_ends_what_an_earlier_run_left(world: World) -> None:
    leftovers = [world.driver.create(name, GroupLimits()) for name in ("a", "b")]
    members = [world.start(group, HOLD) for group in leftovers]
    assert [said(member) for member in members] == ["ready"] * 2
    world.make(world.name).sweep()
    assert [member.wait() for member in members] == [-signal.SIGKILL] * 2
    assert gone(world.driver)
    assert all(group.remove() for group in leftovers)


def test_a_group_tells_its_members(world: World) -> None:
    group = world.group()
    assert group.pids() == []
    member = world.start(group, HOLD)
    assert said(member) == "ready"
    assert group.pids() == [member.pid]


def test_a_family_of_many_weighs_as_much_as_one_of_one(world: World) -> None:
    """Four spinning groups beside a single one on one CPU: each family has about a half."""
    families = [world.driver.family(name, 1024) for name in ("many", "one")]
    assert world.driver.family("one", 1024) is not None  # again is fine
    crowd = [families[0].create(name, GroupLimits(cpu_weight=1024)) for name in "abcd"]
    single = families[1].create("e", GroupLimits(cpu_weight=1024))
    groups = [*crowd, single]
    on_one = "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); "
    for group in groups:
        assert said(world.start(group, f"{on_one}say('ready')\nwhile True: pass")) == "ready"
    before = [group.cpu_us() for group in groups]
    time.sleep(2)
    *many, one = (group.cpu_us() - start for group, start in zip(groups, before, strict=True))
    assert one > sum(many) / 2


def test_sweeping_a_family_leaves_no_directory(world: World) -> None:
    group = world.driver.family("f", 1024).create("one", GroupLimits())
    member = world.start(group, HOLD)
    assert said(member) == "ready"
    world.driver.sweep()
    assert member.wait() == -signal.SIGKILL
    assert gone(world.driver)


def test_sweeping_what_is_not_there_is_fine(world: World) -> None:
    world.driver.sweep()
    world.driver.sweep()
    assert gone(world.driver)


def test_without_cgroups_groups_measure_and_hold_nothing() -> None:
    group = NoDriver().create("one", GroupLimits(memory_bytes=1))
    group.limit_memory(1)
    measured = (group.memory_bytes(), group.memory_peak_bytes(), group.cpu_us())
    assert (group.join_fds, measured, group.out_of_memory()) == ([], (0, 0, 0), False)


def test_without_cgroups_groups_are_always_removed() -> None:
    driver = NoDriver()
    group = driver.create("one", GroupLimits())
    group.kill()
    group.close_joins()
    assert group.remove()
    driver.sweep()
    assert driver.directories == []
