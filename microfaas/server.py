"""The composition root: builds every part once, starts them, and stops them in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec
import uvloop

from microfaas import account, engine
from microfaas.audit import Audit
from microfaas.config import Config, endpoint_url
from microfaas.control import grants
from microfaas.control.editions import Machine
from microfaas.controlplane import ControlPlane, of_file
from microfaas.durable import Durable
from microfaas.engine import Engine
from microfaas.errors import MachineError, MicrofaasError
from microfaas.gateway.app import Gateway, bind
from microfaas.gateway.auth import Guard
from microfaas.gateway.aws.service import Services
from microfaas.gateway.connections import is_loopback
from microfaas.gateway.control_api import ControlApi
from microfaas.gateway.hosts import Own
from microfaas.gateway.lambda_api import LambdaApi
from microfaas.gateway.tls import Certificate
from microfaas.linux import ground, process
from microfaas.linux.facilities import Facility
from microfaas.linux.ground import Ground
from microfaas.log import FunctionLog, path_of
from microfaas.model import MIB, Function, Version
from microfaas.pool.site import Closable
from microfaas.reloading import Reloader
from microfaas.runtime import Runtimes
from microfaas.store.keys import KeyRing
from microfaas.store.objects import Ledger
from microfaas.store.packages import Packages
from microfaas.triggered import Triggered
from microfaas.triggers.watching import Watcher

LOCK = "lock"
# How long what the functions print may stay in memory before it is written.
LOG_FLUSH_S = 0.2
MEMORY_BUDGET_SHARE = 0.75
# Who may call: who has a key, everybody on this machine, or everybody who reaches it.
Access = Literal["keys", "loopback", "insecure"]

_log = logging.getLogger("microfaas")


@dataclass(frozen=True)
class Serving:
    """What is told to the user once the server listens."""

    url: str
    config: Config
    machine: list[Facility]
    functions: list[Function]
    # How many the API has made.
    made: int
    memory_budget_mb: int
    access: Access
    # How many keys there are, and whether others than this machine can reach it.
    keys: int
    exposed: bool


def serve(config: Config, announce: Callable[[Serving], None]) -> int:
    """Serve until SIGTERM or SIGINT; the exit code. Raises MicrofaasError when it cannot start."""
    process.raise_open_files()
    runtimes = Runtimes()
    functions = runtimes.complete_all(config.functions, config.source or config.root)
    config = msgspec.structs.replace(config, functions=functions)
    share = int(process.machine_memory_mb() * MEMORY_BUDGET_SHARE)
    budget_mb = config.memory_budget_mb or share
    with (
        _lock(config.data),
        bind(config.host, config.port) as listener,
        ground.prepare(config.data, budget_mb * MIB, config.sandbox_off) as found,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        if config.require_enforced:
            _require_enforced(found.machine.facilities)
        try:
            runner.run(_Server(config, runtimes, found, listener, budget_mb).run(announce))
        except* MicrofaasError as group:
            raise _first(group) from None
    return 0


def _require_enforced(facilities: Sequence[Facility]) -> None:
    """Raises MachineError for limits that are not the kernel's to keep."""
    weak = [facility for facility in facilities if facility.limit and facility.state != "enforced"]
    if weak:
        lines = "".join(f"\n  {row.name} would be {row.state}: {row.why}" for row in weak)
        fixes = "".join(f"\n  {fix}" for fix in dict.fromkeys(row.fix for row in weak if row.fix))
        raise MachineError(f"cannot start with --require enforced:{lines}\nTo fix it:{fixes}")


def _first(group: BaseExceptionGroup[MicrofaasError]) -> MicrofaasError:
    """What stopped the server: task groups wrap it, once or more often."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, MicrofaasError)
    return error


@contextlib.contextmanager
def _lock(data_dir: str) -> Iterator[None]:
    """The data directory, for one server alone."""
    try:
        # Keys, secrets and other functions' code: nobody else on this machine is to look in.
        os.makedirs(data_dir, mode=0o700, exist_ok=True)
        with open(os.path.join(data_dir, LOCK), "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError:
        raise MachineError(
            f"cannot use {data_dir}: another microfaas runs with it; choose another with --data"
        ) from None
    except OSError as error:
        raise MachineError(f"cannot use {data_dir}: {error.strerror or error}") from None


class _Parts(NamedTuple):
    """What is served over the engine."""

    durable: Durable
    plane: ControlPlane
    triggered: Triggered
    reloader: Reloader
    beside: account.Beside
    ring: KeyRing
    audit: Audit


class _Server:
    """The parts and their order."""

    def __init__(
        self,
        config: Config,
        runtimes: Runtimes,
        found: Ground,
        listener: socket.socket,
        budget_mb: int,
    ) -> None:
        self._runtimes = runtimes
        host, port = listener.getsockname()[:2]
        self.url = endpoint_url(host, port, secure=config.tls is not None)
        self.access = _access(config, host)
        # Functions know no certificate of ours, and need none on this machine.
        self.inner = bind("127.0.0.1", 0) if config.tls else None
        inner_url = f"http://127.0.0.1:{self.inner.getsockname()[1]}" if self.inner else self.url
        address = msgspec.structs.replace(config.address, endpoint_url=inner_url)
        self.config = msgspec.structs.replace(config, address=address, port=port)
        self.ground = found
        self.listener = listener
        self.budget_mb = budget_mb
        self.logs: dict[str, FunctionLog] = {}
        self._gateway: Gateway | None = None

    async def run(self, announce: Callable[[Serving], None]) -> None:
        """Build, start, wait for the signal; leaving the stack stops all in reverse."""
        stopped = _stop_signal()
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._close_logs)
            certificate = Certificate(self.config.tls) if self.config.tls else None
            runs = await self._engine(stack)
            parts = await self._parts(runs, stack)
            for forever in (runs.supervisor.run, runs.usage.run, self._write_logs):
                runs.tasks.create_task(forever())
            versions = await self._deployed(runs, parts)
            # It knows who signs requests to functions' URLs, also where all else asks for no key.
            guard = Guard(parts.ring, parts.audit, self.config.address)
            guard.refresh()
            runs.tasks.create_task(guard.follow())
            if certificate is not None:
                runs.tasks.create_task(certificate.follow())
            self._gateway = self._made_gateway(runs, parts, guard)
            await self._open(self._gateway, parts, certificate, stack)
            made = sum(runs.registry.origin(name) == "api" for name in runs.registry.names())
            announce(self._serving(len(parts.ring), made))
            for version in versions:
                runs.tasks.create_task(parts.reloader.keep(version))
            await stopped.wait()
            _log.info("stopping")

    async def _engine(self, stack: contextlib.AsyncExitStack) -> Engine:
        return await engine.built(
            *(self.config, self._runtimes, self.ground, self.budget_mb),
            *(self._log_of, self._serve_endpoint, stack),
        )

    async def _parts(self, runs: Engine, stack: contextlib.AsyncExitStack) -> _Parts:
        """What is served, as the last run left it; nothing of it runs yet."""
        config, tasks, registry = self.config, runs.tasks, runs.registry
        durable = Durable(
            *(config, self.url, runs.database, runs.invoker, tasks, runs.functions, runs.resources),
            registry.event_settings,
            functools.partial(grants.permits, registry),
        )
        await durable.open()
        packages = Packages(os.path.join(config.data, "packages"))
        machine = Machine(self._runtimes, packages, runs.deployer, runs.site.check, self.budget_mb)
        plane = ControlPlane(config, registry, machine, durable, runs.key, tasks, self.url)
        watcher = Watcher()
        stack.callback(watcher.close)
        ledger = Ledger(runs.database)
        triggered = Triggered(config, durable, ledger, watcher, runs.secrets, tasks)
        plane.lifecycle.before_gone(triggered.forget)
        return _Parts(
            durable=durable,
            plane=plane,
            triggered=triggered,
            reloader=Reloader(
                config, runs.deployer, watcher, lambda name: registry.origin(name) == "file"
            ),
            beside=account.opened(config, runs.database, runs.functions, tasks),
            ring=KeyRing(runs.database, runs.key, runs.functions),
            audit=Audit(config.data),
        )

    async def _deployed(self, runs: Engine, parts: _Parts) -> list[Version]:
        """Serve the file's functions, which are given, and the API's."""
        declared = of_file(runs.registry, self.config)
        not_code = parts.reloader.not_code
        versions = [await runs.deployer.install(function, not_code) for function in declared]
        await parts.plane.open()
        await runs.deployer.prune()
        return versions

    def _made_gateway(self, runs: Engine, parts: _Parts, guard: Guard) -> Gateway:
        config, durable, plane = self.config, parts.durable, parts.plane
        triggered = parts.triggered
        more = (*triggered.operations(), *plane.operations())
        services = [
            *durable.services(),
            *plane.services(triggered.mappings),
            *parts.beside.services,
        ]
        return Gateway(
            LambdaApi(runs.invoker, durable.events.accept, config.address),
            ControlApi(runs.functions, runs.supervisor, runs.registry, durable.invocations, more),
            config.address,
            drain_s_max=config.drain_s_max,
            guard=guard if self.access == "keys" else None,
            requests=config.requests,
            services=Services(services),
            certificate=durable.topics.copies.certificate,
            lists=durable.lists(),
            download=plane.download,
            own=Own(plane.urls, guard, triggered.routes, config.http_prefix),
        )

    async def _open(
        self,
        gateway: Gateway,
        parts: _Parts,
        certificate: Certificate | None,
        stack: contextlib.AsyncExitStack,
    ) -> None:
        """Let in what comes: first what waits, then calls, then what triggers find."""
        stack.push_async_callback(parts.durable.close)
        parts.durable.serve()
        await self._listen(gateway, certificate)
        stack.push_async_callback(gateway.close)
        stack.callback(parts.durable.hurry)
        stack.callback(parts.beside.hurry)
        parts.audit.record("start", self.url, who="system", access=self.access)
        stack.callback(parts.audit.record, "stop", self.url, who="system")
        parts.triggered.start()
        stack.push_async_callback(parts.triggered.close)

    async def _listen(self, gateway: Gateway, certificate: Certificate | None) -> None:
        await gateway.listen(self.listener, certificate)
        if self.inner is not None:
            await gateway.listen(self.inner)

    async def _serve_endpoint(self, listener: socket.socket) -> Closable:
        """The gateway, for functions that do not see the machine's network."""
        # Functions are started by the gateway's requests, or once it listens.
        assert self._gateway is not None
        return await self._gateway.serve(listener)

    def _serving(self, keys: int, made: int) -> Serving:
        return Serving(
            url=self.url,
            config=self.config,
            machine=list(self.ground.machine.facilities),
            functions=list(self.config.functions),
            made=made,
            memory_budget_mb=self.budget_mb,
            access=self.access,
            keys=keys,
            exposed=not is_loopback(self.listener.getsockname()[0]),
        )

    def _log_of(self, name: str) -> FunctionLog:
        if name not in self.logs:
            path = path_of(self.config.data, name)
            bytes_max = self.config.log_mb_max * MIB
            self.logs[name] = FunctionLog(path, bytes_max, self.config.log_files_max)
        return self.logs[name]

    async def _write_logs(self) -> None:
        while True:
            await asyncio.sleep(LOG_FLUSH_S)
            self._flush()

    def _close_logs(self) -> None:
        for log in self.logs.values():
            log.close()

    def _flush(self) -> None:
        for log in self.logs.values():
            log.flush()


def _access(config: Config, host: str) -> Access:
    """`host` is the address that is listened on, whatever name it was given by."""
    if config.auth:
        return "keys"
    if is_loopback(host):
        return "loopback"
    return "insecure" if config.insecure else "keys"


def _stop_signal() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT; the second one does what it always does."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def stop(number: int) -> None:
        stopped.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    return stopped
