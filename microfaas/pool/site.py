"""Where processes are started: this machine's means, and the server's places."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from microfaas.errors import MachineError
from microfaas.linux.cgroup import Driver
from microfaas.linux.fence import Fence
from microfaas.linux.fitting import Place, fits
from microfaas.linux.isolation import Isolation
from microfaas.linux.launch import Fit, Launch, Warden
from microfaas.linux.launcher import Launcher
from microfaas.linux.namespaces import Root
from microfaas.linux.warden import CellRequest
from microfaas.log import FunctionLog
from microfaas.log.streams import short_of
from microfaas.model import MIB, Address, Function, Limits, Version
from microfaas.pool import environment, platform_lines, roots
from microfaas.pool.environment import LAYERS_ROOT, MOUNT_ROOT, TASK_ROOT
from microfaas.pool.footing import Footing
from microfaas.pool.lodging import Lodging
from microfaas.pool.output import Output
from microfaas.pool.reach import Reach, reach
from microfaas.runtime import Runtime, Runtimes, custom_variables
from microfaas.runtime.manifest import RUNTIME_DIR

TMP = "/tmp"
# Lambda's name for a program that is to start the runtime.
WRAPPER = "AWS_LAMBDA_EXEC_WRAPPER"


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
        log_of: Callable[[str], FunctionLog],
        supplies: Supplies,
    ) -> None:
        self.launcher = launcher
        self.address = address
        self.log_of = log_of
        self.supplies = supplies
        self.lodging = Lodging(isolation, driver, data_dir)
        self._isolation = isolation
        self._runtimes = runtimes
        self._endpoint_port = endpoint_port
        self._staging = os.path.join(data_dir, "root")
        os.makedirs(self._staging, exist_ok=True)

    def check(self, function: Function) -> None:
        """Whether it can be run here as it is meant. Raises RuntimeNotFound, MachineError."""
        self._runtimes.runner(function)
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
        if function.layers and not self._isolation.mounts:
            raise MachineError(
                f"cannot show {function.name} its layers: {whys['namespaces']}; "
                "copy what is in them into its code"
            )

    def runtime(self, version: Version) -> Runtime:
        """What runs the version. Raises RuntimeNotFound, BuildFailed."""
        wrapped = WRAPPER in version.function.environment or _has_extensions(version.layers_dir)
        return self._runtimes.runner(version.function, wrapped=wrapped)

    def output(self, version: Version, stream: str, log_read: int) -> Output:
        """What takes the log of one process, which is a stream of its function's."""
        function = version.function
        output_bytes_max = function.limits.output_mb_max * MIB
        log = self.log_of(function.name)
        log.begin_stream(stream)
        form = platform_lines.form_of(function.logs)
        return Output(log_read, log, short_of(stream), output_bytes_max, form)

    def starting(self, version: Version) -> platform_lines.Runtime:
        """What the log says of the start of a runtime."""
        runtime = self.runtime(version).told
        return platform_lines.Runtime(
            name=runtime.manifest.name,
            version=runtime.interpreter.version,
            function=version.function.name,
            number=version.number,
            provisioned=version.provisioned,
        )

    def reach(self, version: Version) -> Reach | None:
        """The network it has to itself, unless it has the machine's."""
        gateway = urlsplit(self.address.endpoint_url)
        place = gateway.hostname or "", gateway.port or 0
        talks = self.runtime(version).is_custom
        return reach(version.function.network, self._endpoint_port, place, talks=talks)

    def launch_zygote(self, version: Version) -> Launch:
        """The program that becomes the version's zygote. Raises MachineError."""
        return self._launch(version, {}, None, cells=True)

    def launch_instance(self, version: Version, variables: Mapping[str, str]) -> Launch:
        """The program that becomes an instance in the version's place. Raises MachineError."""
        mounts = version.function.mounts
        writable = [TMP, *(f"{MOUNT_ROOT}/{mount.name}" for mount in mounts if mount.write)]
        return self._launch(version, variables, writable, cells=False)

    def _launch(
        self,
        version: Version,
        variables: Mapping[str, str],
        writable: list[str] | None,
        *,
        cells: bool,
    ) -> Launch:
        function = version.function
        runtime = self.runtime(version)
        real = {} if self._isolation.mounts else self._real_paths(version, runtime)
        network = self.reach(version)
        user = self.lodging.user(function)
        root = None
        if not real:
            root = roots.of_function(
                version,
                runtime,
                staging=self._staging,
                new_proc=self._isolation.new_proc,
                user=user,
                secrets=self.supplies.secrets(function),
                network=network,
            )
        return Launch(
            ticket=0,
            argv=runtime.argv(function.limits.memory_mb, shown=root is not None),
            env={**self.variables(version), **variables},
            cwd=real.get(TASK_ROOT, TASK_ROOT),
            targets=[],
            fence=self._fence(function.limits, user, root, writable, network),
            warden=self._warden(function, network, cells=cells),
        )

    def variables(self, version: Version) -> dict[str, str]:
        """The environment of all its instances. Raises MachineError."""
        function = version.function
        runtime = self.runtime(version)
        network = self.reach(version)
        given = {
            **runtime.environment(function.limits.memory_mb, shown=self._isolation.mounts),
            **self.supplies.credentials(function),
        }
        if runtime.is_custom:
            given |= custom_variables(self.address.account_id, own_network=network is not None)
        return environment.variables(
            version,
            self._address(network),
            given,
            secrets=self.supplies.secrets(function),
            real_paths={} if self._isolation.mounts else self._real_paths(version, runtime),
        )

    def footing(self, version: Version) -> Footing | None:
        """What a spare must have been started with to become its instance; None when none can."""
        function = version.function
        if not self._isolation.mounts or function.network.kind != "host":
            return None
        files = [secret for secret in function.secrets if not secret.in_environment]
        if function.mounts or function.devices or files:
            return None
        runtime = self.runtime(version)
        started_with = environment.of_spare(
            runtime.environment(function.limits.memory_mb, shown=True)
        )
        wanted = self.variables(version).items() - started_with.items()
        if any(runtime.boots_with(name) for name, _ in wanted):
            return None
        directories = filter(None, (version.code_dir, version.layers_dir))
        if not all(fits(directory) for directory in directories):
            return None
        limits = function.limits
        return Footing(
            runtime=function.runtime,
            interpreter=function.interpreter,
            memory_mb=limits.memory_mb,
            tmp_mb=limits.tmp_mb,
            files_max=limits.files_max,
            processes_max=limits.processes_max,
        )

    def launch_spare(self, footing: Footing, user: int | None) -> Launch:
        """The program that waits for a function."""
        runtime = self._runtimes.find(footing.runtime, footing.interpreter)
        root = roots.of_spare(
            runtime,
            staging=self._staging,
            new_proc=self._isolation.new_proc,
            user=user,
            tmp_mb=footing.tmp_mb,
        )
        limits = Limits(files_max=footing.files_max, processes_max=footing.processes_max)
        return Launch(
            ticket=0,
            argv=runtime.argv(footing.memory_mb, shown=True),
            env=environment.of_spare(runtime.environment(footing.memory_mb, shown=True)),
            cwd=TASK_ROOT,
            targets=[],
            fence=self._fence(limits, user, root, [TMP], None),
        )

    def fit(self, version: Version) -> Fit:
        """How a spare comes to see the version."""
        places = [Place(version.code_dir, TASK_ROOT)]
        if version.layers_dir:
            places.append(Place(version.layers_dir, LAYERS_ROOT))
        return Fit(ticket=0, places=places, user_namespace=self._isolation.own_user_namespace)

    def _fence(
        self,
        limits: Limits,
        user: int | None,
        root: Root | None,
        writable: list[str] | None,
        network: Reach | None,
    ) -> Fence:
        return self._isolation.fence(
            files_max=limits.files_max,
            processes_max=limits.processes_max if self.lodging.uncounted else None,
            root=root,
            user=user,
            own_network=network is not None,
            writable=writable,
        )

    def mounted(self, version: Version) -> list[tuple[int, int] | None]:
        """Which directories the mounts show; one that was made anew is another one."""
        return [_identity(mount.source) for mount in version.function.mounts]

    def cell(self, version: Version) -> CellRequest | None:
        """The cell that each instance gets; None where there are none."""
        if not (self._isolation.cells and self.runtime(version).forks):
            return None
        return CellRequest(version.function.limits.tmp_mb, self.shown_in_tmp(version))

    def shown_in_tmp(self, version: Version) -> list[str]:
        """What lies below /tmp on this machine and must be seen in spite of a /tmp of one's own."""
        directories = self.runtime(version).directories
        return [directory for directory in directories if directory.startswith("/tmp/")]

    def _address(self, network: Reach | None) -> Address:
        """In a network of its own a function finds the gateway on its loopback."""
        if network is None:
            return self.address
        url = f"http://127.0.0.1:{self._endpoint_port}"
        return msgspec.structs.replace(self.address, endpoint_url=url)

    def _warden(self, function: Function, network: Reach | None, *, cells: bool) -> Warden | None:
        if not (cells and self._isolation.cells) and network is None:
            return None
        writable = [f"{MOUNT_ROOT}/{mount.name}" for mount in function.mounts if mount.write]
        wires = network.wires if network else None
        return self._isolation.warden(self.lodging.user(function), wires, writable, cells=cells)

    def _real_paths(self, version: Version, runtime: Runtime) -> dict[str, str]:
        return {
            TASK_ROOT: version.code_dir,
            RUNTIME_DIR: runtime.told.host_dir,
            **{f"{MOUNT_ROOT}/{m.name}": m.source for m in version.function.mounts},
        }


def _has_extensions(layers_dir: str) -> bool:
    """Whether layers bring programs that run beside the function."""
    directory = os.path.join(layers_dir, "extensions")
    return bool(layers_dir) and os.path.isdir(directory) and bool(os.listdir(directory))


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
