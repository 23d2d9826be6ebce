"""What runs functions, wired: the store, the pools over this machine, and the one way to invoke."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from microfaas.builder import Builder
from microfaas.config import Config
from microfaas.control.registry import Registry
from microfaas.deploy import Deployer
from microfaas.invoke import Invoker
from microfaas.linux import process
from microfaas.linux.ground import Ground
from microfaas.linux.launcher import Launcher
from microfaas.log import FunctionLog
from microfaas.pool.site import Site
from microfaas.pool.supervisor import Supervisor
from microfaas.runtime import Runtimes
from microfaas.store import db, machine_key
from microfaas.store.code import CodeStore
from microfaas.store.db import Database
from microfaas.store.functions import Functions
from microfaas.store.machine_key import MachineKey
from microfaas.store.resources import Resources
from microfaas.store.secrets import SecretStore
from microfaas.store.usage import UsageLog
from microfaas.supplies import ServeEndpoint, Stores


class Engine(NamedTuple):
    """The parts, by their names. What runs until the server stops is one of `tasks`."""

    tasks: asyncio.TaskGroup
    database: Database
    usage: UsageLog
    key: MachineKey
    secrets: SecretStore
    resources: Resources
    site: Site
    supervisor: Supervisor
    functions: Functions
    deployer: Deployer
    registry: Registry
    invoker: Invoker


async def built(
    config: Config,
    runtimes: Runtimes,
    ground: Ground,
    budget_mb: int,
    log_of: Callable[[str], FunctionLog],
    endpoint: ServeEndpoint,
    stack: contextlib.AsyncExitStack,
) -> Engine:
    """Build it on `ground`; what has to be closed is on the stack. `endpoint` serves the gateway
    to functions that do not see the machine's network.

    Raises MachineError, ConfigError for a function that cannot be run here.
    """
    database = Database(os.path.join(config.data, db.FILE_NAME))
    database.open()
    stack.callback(database.close)
    usage = UsageLog(database)
    stack.push_async_callback(usage.flush)
    launcher = Launcher(ground.nursery, ground.sweep)
    stack.callback(launcher.close)
    tasks = await stack.enter_async_context(_tasks())
    code = CodeStore(os.path.join(config.data, "code"))
    key = MachineKey.load(os.path.join(config.data, machine_key.FILE_NAME))
    secrets = SecretStore(database, key)
    site = Site(
        isolation=ground.machine.isolation,
        driver=ground.driver,
        launcher=launcher,
        runtimes=runtimes,
        address=config.address,
        endpoint_port=config.port,
        data_dir=config.data,
        log_of=log_of,
        supplies=Stores(key, secrets, code, endpoint),
    )
    for function in config.functions:
        site.check(function)  # what cannot be is told before anything starts
    supervisor = Supervisor(site, budget_mb, process.raise_open_files(), tasks)
    stack.push_async_callback(supervisor.close)
    functions = Functions()
    builder = Builder(runtimes, code, os.path.join(config.data, "builds"))
    deployer = Deployer(builder, code, functions, supervisor)
    resources = Resources(database)
    registry = Registry(resources, functions, config.address)
    registry.open()
    invoker = Invoker(functions, supervisor, usage, config.address, registry.allows_loops)
    return Engine(
        *(tasks, database, usage, key, secrets, resources),
        *(site, supervisor, functions, deployer, registry, invoker),
    )


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
