"""Where processes are started: this machine's means, and the server's places."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from microfaas.errors import MachineError
from microfaas.linux import users
from microfaas.linux.cgroup import Driver, Family, Group, GroupLimits, NoDriver
from microfaas.linux.isolation import Isolation
from microfaas.linux.launch import Launch, Warden
from microfaas.linux.launcher import Launcher
from microfaas.linux.namespaces import Bind, File, Root
from microfaas.linux.warden import CellRequest
from microfaas.log import LogFile
from microfaas.model import MEMORY_MB_PER_CPU, MIB, Address, Function, Version
from microfaas.pool import environment, identity
from microfaas.pool.environment import (
    LIBRARIES_DIR,
    MOUNT_ROOT,
    RUNTIME_DIR,
    SECRETS_ROOT,
    TASK_ROOT,
)
from microfaas.pool.reach import Reach, reach
from microfaas.runtime import Runtime, Runtimes

# A cgroup's share of 1024 means one CPU.
SHARES_PER_CPU = 1024
# What an instance may at least take on top of the memory it shares with its zygote.
OWN_BYTES_MIN = 8 * MIB
# In the host's order: no input, its log twice, requests, replies, and the control socket.
_TARGETS = [0, 1, 2, 3, 4, 5]


class Closable(Protocol):
    """What listens until it is closed."""

    def close(self) -> None:
        """Take nothing new."""


class Supplies(Protocol):
    """What a function is given that others keep."""

    def secrets(self, function: Function) -> Mapping[str, bytes]:
        """Its secrets, by name. Raises MachineError."""

    def credentials(self, function: Function) -> Mapping[str, str]:
        """Its access key at the gateway, as the variables that AWS's clients read."""

    def verify(self, version: Version) -> None:
        """Raises MachineError when the copy of its code is not what it was. Blocking."""

    def serve_endpoint(self, listener: socket.socket) -> Awaitable[Closable]:
        """Have the gateway answer on a socket in a function's network."""


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
        endpoint_port: int,
        data_dir: str,
        log_of: Callable[[str], LogFile],
        supplies: Supplies,
    ) -> None:
        self.launcher = launcher
        self.address = address
        self.log_of = log_of
        self.supplies = supplies
        self._isolation = isolation
        self._driver = driver
        self._uncounted = isinstance(driver, NoDriver)
        self._runtimes = runtimes
        self._endpoint_port = endpoint_port
        self._data_dir = data_dir
        self._staging = os.path.join(data_dir, "root")
        self._tmp = os.path.join(data_dir, "tmp")
        self._users: dict[str, int] = {}
        self._families: dict[str, Family] = {}
        shutil.rmtree(self._tmp, ignore_errors=True)
        for directory in (self._staging, self._tmp):
            os.makedirs(directory, exist_ok=True)

    def check(self, function: Function) -> None:
        """Whether it can be run here as it is meant. Raises RuntimeNotFound, MachineError."""
        self.runtime(function)
        whys = self._isolation.whys
        if function.network.kind != "host" and not self._isolation.networks:
            raise MachineError(
                f"cannot hold {function.name} to its network: {whys['networks']}; "
                'run it elsewhere, or with network = "host"'
            )
        files = [secret.name for secret in function.secrets if not secret.in_environment]
        if files and not self._isolation.mounts:
            raise MachineError(
                f"cannot show {function.name} the secret {files[0]} as a file: "
                f'{whys["namespaces"]}; write as = "environment"'
            )

    def runtime(self, function: Function) -> Runtime:
        """Raises RuntimeNotFound."""
        return self._runtimes.find(function.runtime, function.python)

    def group(self, name: str, version: Version, shared_bytes: int = 0) -> Group:
        """A cgroup with the function's limits; memory it shares with its zygote counts."""
        limits = version.function.limits
        memory_bytes = max(limits.memory_mb * MIB - shared_bytes, OWN_BYTES_MIN)
        return self._family(version.function).create(
            name,
            GroupLimits(
                memory_bytes=memory_bytes,
                swap_bytes=limits.swap_mb * MIB,
                processes=limits.processes_max,
                cpu=limits.cpu,
                cpu_weight=_weight(limits.memory_mb),
            ),
        )

    def _family(self, function: Function) -> Family:
        """A function does not get more of the machine by running more instances than another.

        Each may claim one CPU's worth; one whose instances are larger than that, as much as they.
        """
        if function.name not in self._families:
            weight = max(SHARES_PER_CPU, _weight(function.limits.memory_mb))
            self._families[function.name] = self._driver.family(f"of-{function.name}", weight)
        return self._families[function.name]

    def user(self, function: Function) -> int | None:
        """The uid that the function has to itself, where it has one."""
        if not self._isolation.users:
            return None
        if function.name not in self._users:
            taken = self._users.values()
            self._users[function.name] = users.uid_of(function.name, self._data_dir, taken)
        return self._users[function.name]

    def reach(self, function: Function) -> Reach | None:
        """The network it has to itself, unless it has the machine's."""
        gateway = urlsplit(self.address.endpoint_url)
        place = gateway.hostname or "", gateway.port or 0
        return reach(function.network, self._endpoint_port, place)

    def launch(self, version: Version) -> Launch:
        """The program that becomes the version's zygote. Raises MachineError."""
        function = version.function
        runtime = self.runtime(function)
        real = {} if self._isolation.mounts else self._real_paths(version, runtime)
        host_dir = real.get(RUNTIME_DIR, RUNTIME_DIR)
        libraries_dir = real.get(LIBRARIES_DIR, LIBRARIES_DIR)
        secrets = self.supplies.secrets(function)
        network = self.reach(function)
        root = None if real else self._root(version, runtime, secrets, network)
        return Launch(
            ticket=0,
            argv=runtime.argv(host_dir, libraries_dir),
            env=environment.variables(
                version,
                self._address(network),
                {**runtime.environment(), **self.supplies.credentials(function)},
                secrets=secrets,
                real_paths=real,
            ),
            cwd=real.get(TASK_ROOT, TASK_ROOT),
            targets=_TARGETS,
            fence=self._isolation.fence(
                files_max=function.limits.files_max,
                processes_max=function.limits.processes_max if self._uncounted else None,
                root=root,
                user=self.user(function),
                own_network=network is not None,
            ),
            warden=self._warden(function, network),
        )

    def mounted(self, version: Version) -> list[tuple[int, int] | None]:
        """Which directories the mounts show; one that was made anew is another one."""
        return [_identity(mount.source) for mount in version.function.mounts]

    def cell(self, version: Version) -> CellRequest | None:
        """The cell that each instance gets; None where there are none."""
        if not self._isolation.cells:
            return None
        return CellRequest(version.function.limits.tmp_mb, self.shown_in_tmp(version))

    def private_tmp(self, name: str) -> dict[str, str]:
        """A TMPDIR for an instance that sees the machine's own /tmp."""
        if self._isolation.mounts:
            return {}
        directory = os.path.join(self._tmp, name)
        os.mkdir(directory, 0o700)
        return {"TMPDIR": directory}

    def shown_in_tmp(self, version: Version) -> list[str]:
        """What lies below /tmp on this machine and must be seen in spite of a /tmp of one's own."""
        directories = self.runtime(version.function).interpreter.directories
        return [directory for directory in directories if directory.startswith("/tmp/")]

    def remove_tmp(self, name: str) -> None:
        if not self._isolation.mounts:
            shutil.rmtree(os.path.join(self._tmp, name), ignore_errors=True)

    def _address(self, network: Reach | None) -> Address:
        """In a network of its own a function finds the gateway on its loopback."""
        if network is None:
            return self.address
        url = f"http://127.0.0.1:{self._endpoint_port}"
        return msgspec.structs.replace(self.address, endpoint_url=url)

    def _warden(self, function: Function, network: Reach | None) -> Warden | None:
        if not self._isolation.cells and network is None:
            return None
        writable = [f"{MOUNT_ROOT}/{mount.name}" for mount in function.mounts if mount.write]
        wires = network.wires if network else None
        return self._isolation.warden(self.user(function), wires, writable)

    def _root(
        self,
        version: Version,
        runtime: Runtime,
        secrets: Mapping[str, bytes],
        network: Reach | None,
    ) -> Root:
        function = version.function
        user = self.user(function)
        binds = [
            Bind(directory, directory)
            for directory in runtime.interpreter.directories
            if not directory.startswith("/usr")
        ]
        msgpack = os.path.join(runtime.libraries_dir, "msgpack")
        mounts = [(f"{MOUNT_ROOT}/{mount.name}", mount) for mount in function.mounts]
        binds += [
            Bind(version.code_dir, TASK_ROOT),
            Bind(runtime.host_dir, RUNTIME_DIR),
            Bind(msgpack, f"{LIBRARIES_DIR}/msgpack"),
            *(Bind(mount.source, target, mount.write, user or 0) for target, mount in mounts),
        ]
        files = [
            File(f"{SECRETS_ROOT}/{secret.name}", secrets[secret.name], private=True)
            for secret in function.secrets
            if not secret.in_environment
        ]
        files += identity.files(user, network.hosts if network else None)
        return Root(
            staging=self._staging,
            binds=binds,
            tmp_mb=function.limits.tmp_mb,
            new_proc=self._isolation.new_proc,
            files=files,
            devices=list(function.devices),
        )

    def _real_paths(self, version: Version, runtime: Runtime) -> dict[str, str]:
        return {
            TASK_ROOT: version.code_dir,
            RUNTIME_DIR: runtime.host_dir,
            LIBRARIES_DIR: runtime.libraries_dir,
            **{f"{MOUNT_ROOT}/{m.name}": m.source for m in version.function.mounts},
        }


def _weight(memory_mb: int) -> int:
    """As Lambda gives CPU by memory."""
    return max(2, memory_mb * SHARES_PER_CPU // MEMORY_MB_PER_CPU)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
