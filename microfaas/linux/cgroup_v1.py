"""The cgroup v1 driver: one directory in each hierarchy that this machine mounts.

A process joins by writing `0` to each `tasks` file itself, while it is single-threaded: that
takes the kernel about 0.2 ms for all, whereas moving a process by its pid through `cgroup.procs`
waits for an RCU grace period, 6 to 10 ms.
"""

from __future__ import annotations

import contextlib
import os

from microfaas.linux import cgroup_files as files
from microfaas.linux.cgroup import Family, Group, GroupLimits

CONTROLLERS = ("memory", "pids", "cpu", "cpuacct")
# Not everywhere: it needs a scheduler of disks that knows weights.
IO, IO_WEIGHT = "blkio", "blkio.bfq.weight"
IO_WEIGHT_MAX = 1000
FREEZER = "freezer"
CPU_PERIOD_US = 100_000
NUMBER_BYTES_MAX = 32


def mounts() -> dict[str, str]:
    """The directory of this process's own group per controller, for those that are mounted."""
    own = {}
    for line in files.read("/proc/self/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        own.update(dict.fromkeys(names.split(","), path))
    found = {}
    for line in files.read("/proc/mounts").splitlines():
        _, target, kind, options, *_ = line.split(" ")
        for name in (*CONTROLLERS, IO, FREEZER) if kind == "cgroup" else ():
            if name in options.split(",") and name in own:
                directory = target + own[name].rstrip("/")
                # Inside a container the path may be that of the host: then the mount is the root.
                found[name] = directory if os.path.isdir(directory) else target
    return found


class GroupV1:
    """One directory per hierarchy. Two controllers mounted together share one."""

    def __init__(self, directories: dict[str, str], limits: GroupLimits) -> None:
        self._directories = directories
        self._swap_bytes = limits.swap_bytes
        self._distinct = list(dict.fromkeys(directories.values()))
        for directory in self._distinct:
            os.mkdir(directory)
        self._limit(limits)
        self.join_fds = [
            os.open(f"{directory}/tasks", os.O_WRONLY | os.O_CLOEXEC)
            for directory in self._distinct
        ]
        self._peak = self._open("memory", "memory.max_usage_in_bytes")
        self._cpu = self._open("cpuacct", "cpuacct.usage")

    def _open(self, controller: str, name: str) -> int:
        return os.open(f"{self._directories[controller]}/{name}", os.O_RDONLY | os.O_CLOEXEC)

    def _limit(self, limits: GroupLimits) -> None:
        cpu = self._directories["cpu"]
        if limits.memory_bytes is not None:
            self.limit_memory(limits.memory_bytes)
        if limits.processes is not None:
            files.write(f"{self._directories['pids']}/pids.max", str(limits.processes))
        if limits.cpu_weight is not None:
            _weigh(self._directories, limits.cpu_weight)
        if limits.cpu is not None:
            files.write(f"{cpu}/cpu.cfs_period_us", str(CPU_PERIOD_US))
            files.write(f"{cpu}/cpu.cfs_quota_us", str(max(1000, int(limits.cpu * CPU_PERIOD_US))))

    def close_joins(self) -> None:
        while self.join_fds:
            os.close(self.join_fds.pop())

    def take_in(self, pid: int) -> None:
        for directory in self._distinct:
            files.move(pid, directory)

    def limit_memory(self, limit_bytes: int) -> None:
        memory = self._directories["memory"]
        # Memory with swap may never be limited below memory alone: so the order depends on
        # whether the limit grows. Where swap is not accounted there is no such file.
        both = [
            ("memory.limit_in_bytes", limit_bytes),
            ("memory.memsw.limit_in_bytes", limit_bytes + self._swap_bytes),
        ]
        if limit_bytes > int(files.read(f"{memory}/memory.limit_in_bytes")):
            both.reverse()
        for name, value in both:
            with contextlib.suppress(FileNotFoundError):
                files.write(f"{memory}/{name}", str(value))

    def memory_bytes(self) -> int:
        return files.field(files.read(f"{self._directories['memory']}/memory.stat"), "rss")

    def memory_peak_bytes(self) -> int:
        return int(os.pread(self._peak, NUMBER_BYTES_MAX, 0))

    def cpu_us(self) -> int:
        return int(os.pread(self._cpu, NUMBER_BYTES_MAX, 0)) // 1000

    def freeze(self, frozen: bool) -> None:
        if FREEZER in self._directories:
            files.freeze_v1(self._directories[FREEZER], frozen)

    def pids(self) -> list[int]:
        return files.pids(self._directories["pids"])

    def out_of_memory(self) -> bool:
        control = files.read(f"{self._directories['memory']}/memory.oom_control")
        return files.field(control, "oom_kill") > 0

    def kill(self) -> None:
        # A group of which this hierarchy's part is removed already has no members any more.
        with contextlib.suppress(FileNotFoundError):
            # No new member may appear while the list is walked.
            files.write(f"{self._directories['pids']}/pids.max", "0")
            files.kill(self._directories["pids"])
            # What is frozen dies only now.
            self.freeze(False)

    def remove(self) -> bool:
        gone = [files.remove(directory) for directory in self._distinct]
        if not all(gone):
            return False
        self.close_joins()
        for fd in (self._peak, self._cpu):
            os.close(fd)
        return True


def _weigh(directories: dict[str, str], cpu_weight: int) -> None:
    files.write(f"{directories['cpu']}/cpu.shares", str(max(2, cpu_weight)))
    if IO in directories:
        weight = min(IO_WEIGHT_MAX, max(1, cpu_weight * 100 // 1024))
        files.write(f"{directories[IO]}/{IO_WEIGHT}", str(weight))


class FamilyV1:
    """Groups below one directory in each hierarchy."""

    def __init__(self, roots: dict[str, str]) -> None:
        self._roots = roots

    def create(self, name: str, limits: GroupLimits) -> Group:
        return GroupV1({c: f"{root}/{name}" for c, root in self._roots.items()}, limits)


class DriverV1(FamilyV1):
    """Groups below `NAME` in the hierarchies; `memory_bytes` bounds them all together."""

    name = "cgroup v1"

    def __init__(self, name: str, memory_bytes: int | None = None) -> None:
        found = mounts()
        missing = [controller for controller in CONTROLLERS if controller not in found]
        if missing:
            raise OSError(f"cgroup v1 has no {', '.join(missing)} hierarchy here")
        super().__init__({controller: f"{path}/{name}" for controller, path in found.items()})
        for root in set(self._roots.values()):
            os.makedirs(root, exist_ok=True)
        self.weighs_io = os.path.exists(f"{self._roots.get(IO)}/{IO_WEIGHT}")
        if not self.weighs_io and IO in self._roots:
            unused = self._roots.pop(IO)
            if unused not in self._roots.values():
                files.remove(unused)
        self.freezes = FREEZER in self._roots
        # As a whole, functions weigh as many ordinary processes as there are CPUs; else all of
        # them together would get what one gets.
        files.write(f"{self._roots['cpu']}/cpu.shares", str(1024 * (os.cpu_count() or 1)))
        if memory_bytes is not None:
            files.write(f"{self._roots['memory']}/memory.limit_in_bytes", str(memory_bytes))

    @property
    def directories(self) -> list[str]:
        # What is frozen can be swept from the others only when it is thawed.
        roots = sorted(self._roots.items(), key=lambda row: row[0] != FREEZER)
        return list(dict.fromkeys(root for _, root in roots))

    def family(self, name: str, cpu_weight: int) -> Family:
        """Only where there are weights: another level in the others would cost and mean nothing."""
        weighed = {self._roots["cpu"], self._roots.get(IO)}
        roots = {
            c: f"{root}/{name}" if root in weighed else root for c, root in self._roots.items()
        }
        for root in {root for c, root in roots.items() if root != self._roots[c]}:
            os.makedirs(root, exist_ok=True)
        _weigh(roots, cpu_weight)
        return FamilyV1(roots)

    def sweep(self) -> None:
        files.sweep(self.directories)
