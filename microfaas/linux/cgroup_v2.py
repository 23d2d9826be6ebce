"""The cgroup v2 driver: groups below this process's own group, where it may make them.

The kernel wants processes only in leaves, so the supervisor first moves everything of its own
group into a leaf `supervisor`, then hands the controllers down. In the machine's root group
that rule does not hold, and nothing is moved.
"""

from __future__ import annotations

import contextlib
import os

from microfaas.linux import cgroup_files as files
from microfaas.linux.cgroup import Family, Group, GroupLimits

CONTROLLERS = ("memory", "pids", "cpu")
IO, IO_WEIGHT = "io", "io.weight"
CPU_PERIOD_US = 100_000
FREEZE = "cgroup.freeze"
STAT_BYTES_MAX = 4096
ROOT = "/sys/fs/cgroup"
SUPERVISOR = "supervisor"


def parent_directory() -> str:
    """Where this process may make groups. Raises OSError where v2 has no controllers or no right.

    In a group that was delegated to us, below it; as root otherwise, at the top, so that nothing
    of the session we were started from has to be moved.
    """
    if not os.path.exists(f"{ROOT}/cgroup.controllers"):
        raise OSError(f"cgroup v2 is not mounted on {ROOT}")
    available = files.read(f"{ROOT}/cgroup.controllers").split()
    missing = [name for name in CONTROLLERS if name not in available]
    if missing:
        raise OSError(f"cgroup v2 has no {', '.join(missing)} controller here")
    own = _own_directory()
    parent = os.path.dirname(own) if os.path.basename(own) == SUPERVISOR else own
    if not _delegated(parent) and os.access(f"{ROOT}/cgroup.procs", os.W_OK):
        parent = ROOT
    if not os.access(f"{parent}/cgroup.procs", os.W_OK):
        raise OSError(f"no right to make groups in {parent}; it is not delegated to this user")
    return parent


def _own_directory() -> str:
    for line in files.read("/proc/self/cgroup").splitlines():
        if line.startswith("0::"):
            directory = ROOT + line[3:].rstrip("/")
            return directory if os.path.isdir(directory) else ROOT
    raise OSError("this process is in no cgroup v2 group")


def _delegated(directory: str) -> bool:
    """Whether systemd marked the group as ours (`Delegate=yes`)."""
    for name in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            return os.getxattr(directory, name) == b"1"
    return False


class GroupV2:
    """One directory; a member joins through `cgroup.procs`."""

    def __init__(self, directory: str, limits: GroupLimits) -> None:
        self._directory = directory
        os.mkdir(directory)
        self._limit(limits)
        self.join_fds = [os.open(f"{directory}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)]
        self._peak = self._open_peak()
        self._cpu = os.open(f"{directory}/cpu.stat", os.O_RDONLY | os.O_CLOEXEC)

    def _open_peak(self) -> int:
        try:
            return os.open(f"{self._directory}/memory.peak", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # before Linux 5.19 there is only the present charge
            return os.open(f"{self._directory}/memory.current", os.O_RDONLY | os.O_CLOEXEC)

    def _write(self, name: str, value: str) -> None:
        files.write(f"{self._directory}/{name}", value)

    def _limit(self, limits: GroupLimits) -> None:
        if limits.memory_bytes is not None:
            self.limit_memory(limits.memory_bytes)
            with contextlib.suppress(OSError):  # not there without swap
                self._write("memory.swap.max", str(limits.swap_bytes))
            self._write("memory.oom.group", "1")
        if limits.processes is not None:
            self._write("pids.max", str(limits.processes))
        if limits.cpu_weight is not None:
            _weigh(self._directory, limits.cpu_weight)
        if limits.cpu is not None:
            self._write("cpu.max", f"{max(1000, int(limits.cpu * CPU_PERIOD_US))} {CPU_PERIOD_US}")

    def close_joins(self) -> None:
        while self.join_fds:
            os.close(self.join_fds.pop())

    def take_in(self, pid: int) -> None:
        files.move(pid, self._directory)

    def limit_memory(self, limit_bytes: int) -> None:
        self._write("memory.max", str(limit_bytes))

    def memory_bytes(self) -> int:
        return files.field(files.read(f"{self._directory}/memory.stat"), "anon")

    def memory_peak_bytes(self) -> int:
        return int(os.pread(self._peak, STAT_BYTES_MAX, 0))

    def cpu_us(self) -> int:
        return files.field(os.pread(self._cpu, STAT_BYTES_MAX, 0).decode(), "usage_usec")

    def freeze(self, frozen: bool) -> None:
        with contextlib.suppress(FileNotFoundError):  # before Linux 5.2
            self._write(FREEZE, str(int(frozen)))

    def pids(self) -> list[int]:
        return files.pids(self._directory)

    def out_of_memory(self) -> bool:
        return files.field(files.read(f"{self._directory}/memory.events"), "oom_kill") > 0

    def kill(self) -> None:
        files.kill(self._directory)

    def remove(self) -> bool:
        if not files.remove(self._directory):
            return False
        self.close_joins()
        for fd in (self._peak, self._cpu):
            os.close(fd)
        return True


def _weigh(directory: str, cpu_weight: int) -> None:
    # v1's shares of 1024 are v2's weight of 100.
    weight = str(min(10000, max(1, cpu_weight * 100 // 1024)))
    files.write(f"{directory}/cpu.weight", weight)
    with contextlib.suppress(FileNotFoundError):  # where disks are not weighed
        files.write(f"{directory}/{IO_WEIGHT}", weight)


class FamilyV2:
    """Groups below one directory."""

    def __init__(self, root: str) -> None:
        self._root = root

    def create(self, name: str, limits: GroupLimits) -> Group:
        return GroupV2(f"{self._root}/{name}", limits)


class DriverV2(FamilyV2):
    """Groups below `NAME`; `memory_bytes` bounds them all together."""

    name = "cgroup v2"

    def __init__(self, name: str, memory_bytes: int | None = None) -> None:
        parent = parent_directory()
        if os.path.exists(f"{parent}/cgroup.type"):  # every group but the machine's root has it
            _move_members(parent, f"{parent}/{SUPERVISOR}")
        super().__init__(f"{parent}/{name}")
        _hand_down(parent)
        os.makedirs(self._root, exist_ok=True)
        _hand_down(self._root)
        self.weighs_io = os.path.exists(f"{self._root}/{IO_WEIGHT}")
        self.freezes = os.path.exists(f"{self._root}/{FREEZE}")
        # As a whole, functions weigh as many ordinary processes as there are CPUs; else all of
        # them together would get what one gets.
        files.write(f"{self._root}/cpu.weight", str(min(10000, 100 * (os.cpu_count() or 1))))
        if memory_bytes is not None:
            files.write(f"{self._root}/memory.max", str(memory_bytes))

    @property
    def directories(self) -> list[str]:
        return [self._root]

    def family(self, name: str, cpu_weight: int) -> Family:
        directory = f"{self._root}/{name}"
        os.makedirs(directory, exist_ok=True)
        _hand_down(directory)
        _weigh(directory, cpu_weight)
        return FamilyV2(directory)

    def sweep(self) -> None:
        files.sweep(self.directories)


def _hand_down(directory: str) -> None:
    enabled = files.read(f"{directory}/cgroup.subtree_control").split()
    there = files.read(f"{directory}/cgroup.controllers").split()
    names = (*CONTROLLERS, *(name for name in (IO,) if name in there))
    wanted = [f"+{name}" for name in names if name not in enabled]
    if wanted:
        files.write(f"{directory}/cgroup.subtree_control", " ".join(wanted))


def _move_members(source: str, target: str) -> None:
    os.makedirs(target, exist_ok=True)
    for pid in files.read(f"{source}/cgroup.procs").split():
        files.move(int(pid), target)
