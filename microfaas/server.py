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
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import uvloop

from microfaas import account
from microfaas.audit import Audit
from microfaas.builder import Builder
from microfaas.config import Config, endpoint_url
from microfaas.control import grants
from microfaas.control.editions import Machine
from microfaas.control.registry import Registry
from microfaas.controlplane import ControlPlane, of_file
from microfaas.deploy import Deployer
from microfaas.durable import Durable
from microfaas.errors import MachineError, MicrofaasError
from microfaas.gateway.app import Gateway, bind
from microfaas.gateway.auth import Guard
from microfaas.gateway.aws.service import Services
from microfaas.gateway.connections import is_loopback
from microfaas.gateway.control_api import ControlApi
from microfaas.gateway.hosts import Own
from microfaas.gateway.lambda_api import LambdaApi
from microfaas.gateway.tls import Certificate
from microfaas.invoke import Invoker
from microfaas.linux import ground, process
from microfaas.linux.facilities import Facility
from microfaas.linux.ground import Ground
from microfaas.linux.launcher import Launcher
from microfaas.log import FunctionLog, path_of
from microfaas.model import MIB, Function
from microfaas.pool.site import Closable, Site
from microfaas.pool.supervisor import Supervisor
from microfaas.reloading import Reloader
from microfaas.runtime import Runtimes
from microfaas.store import db, machine_key
from microfaas.store.code import CodeStore
from microfaas.store.db import Database
from microfaas.store.functions import Functions
from microfaas.store.keys import KeyRing
from microfaas.store.machine_key import MachineKey
from microfaas.store.objects import Ledger
from microfaas.store.packages import Packages
from microfaas.store.resources import Resources
from microfaas.store.secrets import SecretStore
from microfaas.store.usage import UsageLog
from microfaas.supplies import Stores
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
        config = self.config
        stopped = _stop_signal()
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._close_logs)
            certificate = Certificate(config.tls) if config.tls else None
            database = Database(os.path.join(config.data, db.FILE_NAME))
            database.open()
            stack.callback(database.close)
            usage = UsageLog(database)
            stack.push_async_callback(usage.flush)
            launcher = Launcher(self.ground.nursery, self.ground.sweep)
            stack.callback(launcher.close)
            tasks = await stack.enter_async_context(_tasks())
            code = CodeStore(os.path.join(config.data, "code"))
            key = MachineKey.load(os.path.join(config.data, machine_key.FILE_NAME))
            secrets = SecretStore(database, key)
            supplies = Stores(key, secrets, code, self._serve_endpoint)
            site = self._site(launcher, supplies)
            supervisor = Supervisor(site, self.budget_mb, tasks)
            stack.push_async_callback(supervisor.close)
            functions = Functions()
            builder = Builder(self._runtimes, code, os.path.join(config.data, "builds"))
            deployer = Deployer(builder, code, functions, supervisor)
            resources = Resources(database)
            registry = Registry(resources, functions, config.address)
            registry.open()
            invoker = Invoker(functions, supervisor, usage, config.address, registry.allows_loops)
            durable = Durable(
                config,
                self.url,
                database,
                invoker,
                tasks,
                functions,
                resources,
                registry.event_settings,
                functools.partial(grants.permits, registry),
            )
            await durable.open()
            packages = Packages(os.path.join(config.data, "packages"))
            machine = Machine(self._runtimes, packages, deployer, site.check, self.budget_mb)
            plane = ControlPlane(config, registry, machine, durable, key, tasks, self.url)
            watcher = Watcher()
            stack.callback(watcher.close)
            triggered = Triggered(config, durable, Ledger(database), watcher, secrets, tasks)
            reloader = Reloader(
                config, deployer, watcher, lambda name: registry.origin(name) == "file"
            )
            for forever in (supervisor.run, usage.run, self._write_logs):
                tasks.create_task(forever())
            declared = of_file(registry, config)
            versions = [await deployer.install(f, reloader.not_code) for f in declared]
            plane.lifecycle.when_gone(triggered.forget)
            await plane.open()
            await deployer.prune()
            ring, audit = KeyRing(database, key, functions), Audit(config.data)
            # It knows who signs requests to functions' URLs, also where all else asks for no key.
            guard = Guard(ring, audit, config.address)
            guard.refresh()
            tasks.create_task(guard.follow())
            if certificate is not None:
                tasks.create_task(certificate.follow())
            beside = account.opened(config, database, functions, tasks)
            more = (*triggered.operations(), *plane.operations())
            gateway = self._gateway = Gateway(
                LambdaApi(invoker, durable.events.accept, config.address),
                ControlApi(functions, supervisor, registry, durable.invocations, more),
                config.address,
                drain_s_max=config.drain_s_max,
                guard=guard if self.access == "keys" else None,
                requests=config.requests,
                services=Services(
                    [
                        *durable.services(),
                        *plane.services(triggered.mappings),
                        *beside.services,
                    ]
                ),
                certificate=durable.topics.certificate,
                lists=durable.lists(),
                download=plane.download,
                own=Own(plane.urls, guard, triggered.routes, config.http_prefix),
            )
            stack.push_async_callback(durable.close)
            durable.serve()
            await self._listen(gateway, certificate)
            stack.push_async_callback(gateway.close)
            stack.callback(durable.hurry)
            stack.callback(beside.hurry)
            audit.record("start", self.url, who="system", access=self.access)
            stack.callback(audit.record, "stop", self.url, who="system")
            triggered.start()
            stack.push_async_callback(triggered.close)
            made = sum(registry.origin(name) == "api" for name in registry.names())
            announce(self._serving(len(ring), made))
            for version in versions:
                tasks.create_task(reloader.keep(version))
            await stopped.wait()
            _log.info("stopping")

    async def _listen(self, gateway: Gateway, certificate: Certificate | None) -> None:
        await gateway.listen(self.listener, certificate)
        if self.inner is not None:
            await gateway.listen(self.inner)

    async def _serve_endpoint(self, listener: socket.socket) -> Closable:
        """The gateway, for functions that do not see the machine's network."""
        # Functions are started by the gateway's requests, or once it listens.
        assert self._gateway is not None
        return await self._gateway.serve(listener)

    def _site(self, launcher: Launcher, supplies: Stores) -> Site:
        site = Site(
            isolation=self.ground.machine.isolation,
            driver=self.ground.driver,
            launcher=launcher,
            runtimes=self._runtimes,
            address=self.config.address,
            endpoint_port=self.config.port,
            data_dir=self.config.data,
            log_of=self._log_of,
            supplies=supplies,
        )
        for function in self.config.functions:
            site.check(function)  # what cannot be is told before anything starts
        return site

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


class _Over(Exception):
    """Ends a task group."""


@contextlib.asynccontextmanager
async def _tasks() -> AsyncIterator[asyncio.TaskGroup]:
    """A group whose tasks run until the end of the block, not beyond."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
            raise _Over
    except* _Over:
        pass
