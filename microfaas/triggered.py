"""What fires functions, wired: the file's triggers and those that come while the server runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from typing import Any

from microfaas import subscribed
from microfaas.config import Config, FunctionTable, StreamTable, Trigger
from microfaas.config.events import destination
from microfaas.config.http import check_routes
from microfaas.config.queue_triggers import check_visibility
from microfaas.config.schedules import check_names
from microfaas.config.streams import StreamSettings, check_streams, readers
from microfaas.control.http_routes import HttpRoutes
from microfaas.control.mappings import Mappings
from microfaas.durable import Durable
from microfaas.errors import InvalidRequest, Problem
from microfaas.gateway.invocations_api import Operation
from microfaas.gateway.triggers_api import TriggersApi
from microfaas.remote.calls import Calls
from microfaas.remote.endpoints import Endpoints
from microfaas.store.objects import Ledger
from microfaas.store.secrets import SecretStore
from microfaas.triggers import tailing
from microfaas.triggers.bucket import BucketSettings
from microfaas.triggers.deployed import triggers_of
from microfaas.triggers.kind import Surroundings
from microfaas.triggers.mapped import Mapped
from microfaas.triggers.running import Triggers
from microfaas.triggers.watching import Watcher


class Triggered:
    """The triggers' runner, and what may be put into it."""

    def __init__(
        self,
        config: Config,
        durable: Durable,
        ledger: Ledger,
        watcher: Watcher,
        secrets: SecretStore,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._config = config
        self._durable = durable
        self.routes = HttpRoutes()
        self._calls = Calls()
        around = Surroundings(
            root=config.root,
            address=config.address,
            store=durable.store,
            queues=durable.queues,
            schedules=durable.schedules,
            streams=durable.streams,
            destinations=durable.destinations,
            invoker=durable.invoker,
            ledger=ledger,
            watcher=watcher,
            routes=self.routes,
            endpoints=Endpoints(config.endpoints, secrets.find, os.environ),
            resources=durable.resources,
            calls=self._calls,
            stopping=asyncio.Event(),
        )
        self.running = Triggers(around, config.drain_s_max)
        self.mappings = Mappings(
            durable.resources,
            Mapped(self.running, around),
            config.address,
            tasks,
            config.api.settle_ms,
        )
        self._putting = asyncio.Lock()

    def start(self) -> None:
        """The file's, what feeds its streams, what was deployed, and mappings.

        Raises MachineError.
        """
        streams = self._config.streams
        self.running.put_work("tails", [lambda around: tailing.run(streams, around)])
        self.running.put("file", self._config.triggers)
        for function in self._durable.deployed.functions():
            self._run(function)
        self.mappings.open()

    def operations(self) -> Sequence[Operation]:
        """The rows of microfaas's own API."""
        return TriggersApi(self).operations

    async def close(self) -> None:
        """They take nothing new, and what runs may finish."""
        await self.running.close()
        await self.mappings.close()
        await self._calls.close()

    def tables(self, function: str) -> Sequence[dict[str, Any]]:
        """What was deployed. Raises FunctionNotFound, and InvalidRequest for the file's."""
        self._check_ours(function)
        return self._durable.deployed.tables(function)

    async def put(self, function: str, tables: Sequence[dict[str, Any]]) -> None:
        """Keep and run these, once those before have ended what they had begun.

        Raises FunctionNotFound, InvalidRequest, MachineError.
        """
        self._check_ours(function)
        self._check(function, tables)
        await self._replace(function, tables)

    async def forget(self, function: str) -> None:
        """The function is no more, and neither are its triggers. Raises MachineError."""
        if self._durable.deployed.tables(function):
            await self._replace(function, [])

    async def _replace(self, function: str, tables: Sequence[dict[str, Any]]) -> None:
        async with self._putting:
            await self._durable.deployed.put(function, tables)
            await self._durable.declare()
            self._run(function)

    def _run(self, function: str) -> None:
        self.running.put(f"function:{function}", self._durable.deployed.triggers(function))

    def _check_ours(self, function: str) -> None:
        if any(each.name == function for each in self._config.functions):
            text = f"the triggers of {function} stand in microfaas.toml; change them there"
            raise InvalidRequest(text, "ResourceConflictException")
        self._durable.invoker.check(function, "")

    def _check(self, function: str, tables: Sequence[dict[str, Any]]) -> None:
        """As the file's are checked. Raises InvalidRequest with all that is wrong."""
        problems: list[Problem] = []
        made = triggers_of(function, tables, problems)
        check_names(made, problems)
        limits = self._durable.invoker.check(function, "").function.limits
        row = FunctionTable(timeout_s=limits.timeout_s)
        queues = {each.name: each.settings for each in self._durable.queues.directory.all()}
        check_visibility([(function, row)], made, queues, problems)
        streams = {stream.name: StreamTable() for stream in self._durable.streams.all()}
        check_streams(streams, readers(made), problems)
        self._check_topics(function, made, problems)
        problems += self._outside(function, made)
        others = [t for t in self._durable.deployed.all() if t.function != function]
        check_routes([*self._config.triggers, *others, *made], problems)
        if problems:
            lines = "".join(f"\n  {problem}" for problem in problems)
            raise InvalidRequest(f"cannot use these triggers:{lines}")

    def _outside(self, function: str, triggers: Sequence[Trigger]) -> Iterator[Problem]:
        """What would let who deploys look at, or write to, this machine's other directories."""
        where = f"functions.{function}.triggers"
        root, data = (os.path.realpath(path) for path in (self._config.root, self._config.data))
        for each in triggers:
            settings = each.settings
            if isinstance(settings, BucketSettings):
                path = os.path.realpath(os.path.join(root, settings.path))
                if not _is_in(path, root) or _is_in(path, data):
                    what = f"a bucket's path must lie below {root}, and not in {data}"
                    yield Problem(where, f"{what}; others stand in microfaas.toml")
            elif isinstance(settings, StreamSettings):
                made = settings.on_failure and destination(settings.on_failure, root)
                if made and made.kind == "directory":
                    yield Problem(where, "on_failure may be a directory in microfaas.toml only")

    def _check_topics(
        self, function: str, triggers: Sequence[Trigger], problems: list[Problem]
    ) -> None:
        known = {topic.name for topic in self._durable.topics.all()}
        seen: set[str] = set()
        where = f"functions.{function}.triggers"
        for each in subscribed.of_triggers(triggers, self._config.address, problems):
            if each.topic not in known:
                problems.append(Problem(where, f"there is no topic {each.topic}; make it first"))
            if each.arn in seen:
                what = f"subscribes to the topic {each.topic} twice alike; once will do"
                problems.append(Problem(where, what))
            seen.add(each.arn)


def _is_in(path: str, folder: str) -> bool:
    return path.startswith(os.path.join(folder, ""))
