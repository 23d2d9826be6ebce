"""Where processes are started: this machine's means, and the server's places."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

from microfaas.linux.cgroup import Driver, Group, GroupLimits
from microfaas.linux.launch import Launch
from microfaas.linux.launcher import Launcher
from microfaas.linux.machine import Isolation
from microfaas.linux.namespaces import Bind, Root
from microfaas.log import LogFile
from microfaas.model import MEMORY_MB_PER_CPU, MIB, Address, Function, Version
from microfaas.pool import environment
from microfaas.pool.environment import LIBRARIES_DIR, MOUNT_ROOT, RUNTIME_DIR, TASK_ROOT
from microfaas.runtime import Runtime, Runtimes

# A cgroup's share of 1024 means one CPU.
SHARES_PER_CPU = 1024
# What an instance may at least take on top of the memory it shares with its zygote.
OWN_BYTES_MIN = 8 * MIB
# In the host's order: no input, its log twice, requests, replies, and the control socket.
_TARGETS = [0, 1, 2, 3, 4, 5]


class Site:
    """Turns a version into what the kernel is asked for."""

    def __init__(
        self,
        *,
        isolation: Isolation,
        driver: Driver,
        launcher: Launcher,
        runtimes: Runtimes,
        address: Address,
        data_dir: str,
        log_of: Callable[[str], LogFile],
    ) -> None:
        self.launcher = launcher
        self.address = address
        self.log_of = log_of
        self._isolation = isolation
        self._driver = driver
        self._runtimes = runtimes
        self._staging = os.path.join(data_dir, "root")
        self._tmp = os.path.join(data_dir, "tmp")
        shutil.rmtree(self._tmp, ignore_errors=True)
        for directory in (self._staging, self._tmp):
            os.makedirs(directory, exist_ok=True)

    def runtime(self, function: Function) -> Runtime:
        """Raises RuntimeNotFound."""
        return self._runtimes.find(function.runtime, function.python)

    def group(self, name: str, version: Version, shared_bytes: int = 0) -> Group:
        """A cgroup with the function's limits; memory it shares with its zygote counts."""
        limits = version.function.limits
        memory_bytes = max(limits.memory_mb * MIB - shared_bytes, OWN_BYTES_MIN)
        weight = limits.memory_mb * SHARES_PER_CPU // MEMORY_MB_PER_CPU
        return self._driver.create(
            name,
            GroupLimits(
                memory_bytes=memory_bytes,
                processes=limits.processes_max,
                cpu=limits.cpu,
                cpu_weight=max(2, weight),
            ),
        )

    def launch(self, version: Version) -> Launch:
        """The program that becomes the version's zygote."""
        runtime = self.runtime(version.function)
        real = {} if self._isolation.mounts else self._real_paths(version, runtime)
        host_dir = real.get(RUNTIME_DIR, RUNTIME_DIR)
        libraries_dir = real.get(LIBRARIES_DIR, LIBRARIES_DIR)
        return Launch(
            ticket=0,
            argv=runtime.argv(host_dir, libraries_dir),
            env=environment.variables(
                version, self.address, runtime.environment(), real_paths=real
            ),
            cwd=real.get(TASK_ROOT, TASK_ROOT),
            targets=_TARGETS,
            files_max=version.function.limits.files_max,
            namespaces=self._isolation.flags,
            root=None if real else self._root(version, runtime),
        )

    def mounted(self, version: Version) -> list[tuple[int, int] | None]:
        """Which directories the mounts show; one that was made anew is another one."""
        return [_identity(mount.source) for mount in version.function.mounts]

    def private_tmp(self, name: str, version: Version) -> tuple[int, dict[str, str]]:
        """Size of the /tmp that an instance mounts itself, or a TMPDIR where it cannot."""
        if self._isolation.mounts:
            return version.function.limits.tmp_mb, {}
        directory = os.path.join(self._tmp, name)
        os.mkdir(directory, 0o700)
        return 0, {"TMPDIR": directory}

    def shown_in_tmp(self, version: Version) -> list[str]:
        """What lies below /tmp on this machine and must be seen in spite of a /tmp of one's own."""
        if not self._isolation.mounts:
            return []
        directories = self.runtime(version.function).interpreter.directories
        return [directory for directory in directories if directory.startswith("/tmp/")]

    def remove_tmp(self, name: str) -> None:
        if not self._isolation.mounts:
            shutil.rmtree(os.path.join(self._tmp, name), ignore_errors=True)

    def _root(self, version: Version, runtime: Runtime) -> Root:
        binds = [
            Bind(directory, directory)
            for directory in runtime.interpreter.directories
            if not directory.startswith("/usr")
        ]
        msgpack = os.path.join(runtime.libraries_dir, "msgpack")
        binds += [
            Bind(version.code_dir, TASK_ROOT),
            Bind(runtime.host_dir, RUNTIME_DIR),
            Bind(msgpack, f"{LIBRARIES_DIR}/msgpack"),
            *(Bind(m.source, f"{MOUNT_ROOT}/{m.name}", m.write) for m in version.function.mounts),
        ]
        return Root(
            staging=self._staging,
            binds=binds,
            tmp_mb=version.function.limits.tmp_mb,
            new_proc=self._isolation.new_proc,
        )

    def _real_paths(self, version: Version, runtime: Runtime) -> dict[str, str]:
        return {
            TASK_ROOT: version.code_dir,
            RUNTIME_DIR: runtime.host_dir,
            LIBRARIES_DIR: runtime.libraries_dir,
            **{f"{MOUNT_ROOT}/{m.name}": m.source for m in version.function.mounts},
        }


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
