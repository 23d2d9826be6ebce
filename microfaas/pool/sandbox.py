"""The fence round one process, as the supervisor holds it: cgroup and pidfd."""

from __future__ import annotations

import os
from collections.abc import Collection

from microfaas.linux import process
from microfaas.linux.cgroup import Group, NoGroup
from microfaas.model import MIB


class Sandbox:
    """Measures one process and everything it starts, and ends them."""

    def __init__(
        self,
        group: Group,
        pid: int,
        pidfd: int,
        shared_bytes: int = 0,
        former: Group | None = None,
    ) -> None:
        """`former` is the group that a spare was in before it was anybody's."""
        self.pid = pid
        self._group = group
        self._groups = [group] if former is None else [group, former]
        self._pidfd = pidfd
        # Memory of the zygote that the instance was forked from: it uses it, another pays.
        self._shared_bytes = shared_bytes
        self._sampled_peak = 0
        self.over_memory = False
        self.frozen = False
        self._frozen_peak_mb = 0

    @property
    def sampled(self) -> bool:
        """Whether nothing but sampling stands between this process and the machine's memory."""
        return isinstance(self._group, NoGroup)

    def sample(self, limit_bytes: int) -> None:
        """Without a cgroup: look at the memory now, and end what is over its limit."""
        now = process.tree_memory_bytes(self.pid)
        self._sampled_peak = max(self._sampled_peak, now)
        if now > limit_bytes:
            self.over_memory = True
            self.kill()

    def memory_peak_bytes(self) -> int:
        return max(self._group.memory_peak_bytes() + self._shared_bytes, self._sampled_peak)

    def memory_peak_mb(self) -> int:
        return -(-self.memory_peak_bytes() // MIB)

    def memory_bytes(self) -> int:
        return self._group.memory_bytes() or process.tree_memory_bytes(self.pid)

    def limit_memory(self, limit_bytes: int) -> None:
        self._group.limit_memory(limit_bytes)

    def own_peak_mb(self) -> int:
        """What stopping this instance would give back, at most."""
        if self.frozen:
            return self._frozen_peak_mb  # the kernel need not be asked about each of a thousand
        return -(-sum(group.memory_peak_bytes() for group in self._groups) // MIB)

    def cpu_us(self) -> int:
        if self.sampled:
            return process.cpu_us(self.pid)
        return sum(group.cpu_us() for group in self._groups)

    def out_of_memory(self) -> bool:
        return self.over_memory or any(group.out_of_memory() for group in self._groups)

    def freeze(self) -> None:
        """Let nothing of it run between two invocations, as in Lambda."""
        for group in self._groups:
            group.freeze(True)
        self._frozen_peak_mb = self.own_peak_mb()
        self.frozen = True

    def thaw(self) -> None:
        for group in self._groups:
            group.freeze(False)
        self.frozen = False

    def kill(self) -> None:
        """SIGKILL the process, its children, and what they detached. Safe to repeat."""
        if self.sampled:
            process.kill_tree(self.pid)
        else:
            for group in self._groups:
                group.kill()
        process.kill(self._pidfd)

    def move_in(self) -> None:
        """Take the process over from its former group, unless it has ended. Blocking.

        Raises OSError when it cannot be, or is just being cleared up.
        """
        if not process.ended(self._pidfd):  # else somebody else may have its number by now
            self._group.take_in(self.pid)

    @property
    def joined(self) -> bool:
        """Whether the process is where it is limited and metered: it has to go there by itself."""
        return self.sampled or self.pid in self._group.pids()

    def members(self) -> set[int]:
        """Who is in its cgroup now, besides the process itself."""
        return {*self._group.pids()} - {self.pid}

    def kill_strays(self, settled: Collection[int], instances: Collection[int]) -> None:
        """End what an instance has left behind in this zygote's place, or below it.

        In its cgroup only those belong who were there before the first fork. Without one, whoever
        detached himself is a child of the zygote's by now.
        """
        if self.sampled:
            process.kill_strays(self.pid, instances)
        else:
            for pid in self.members().difference(settled, instances):
                process.kill_pid(pid)

    def close(self) -> bool:
        """Remove the cgroup of a process that is gone; False when it must be tried again."""
        while self._groups:
            if not self._groups[-1].remove():
                # Something that it started slipped through, or takes its time to die.
                self._groups[-1].kill()
                return False
            self._groups.pop()
        os.close(self._pidfd)
        return True
