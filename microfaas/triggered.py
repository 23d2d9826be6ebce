"""What fires functions, wired: the file's triggers and those that come while the server runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from microfaas import subscribed
from microfaas.config import Config, FunctionTable, StreamTable, Trigger
from microfaas.config.events import destination
from microfaas.config.http import check_routes
from microfaas.config.queue_triggers import check_visibility
from microfaas.config.queues import QueueTable
from microfaas.config.schedules import check_names
from microfaas.config.streams import StreamSettings, check_streams, readers
from microfaas.control.http_routes import HttpRoutes
from microfaas.control.mappings import Mappings
from microfaas.durable import Durable
from microfaas.errors import InvalidRequest, Problem
from microfaas.gateway.invocations_api import Operation
from microfaas.gateway.triggers_api import Planned, TriggersApi
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
        self._check_not_the_files(function)
        self._durable.invoker.check(function, "")
        return self._durable.deployed.tables(function)

    def check(self, planned: Planned) -> None:
        """As the file's are checked. Raises FunctionNotFound, and InvalidRequest with all that is
        wrong."""
        names = planned.triggers
        for function in names:
            self._check_not_the_files(function)
        problems: list[Problem] = []
        made = [
            each
            for function, tables in names.items()
            for each in triggers_of(function, tables, problems)
        ]
        check_names(made, problems)
        rows = [
            (function, FunctionTable(timeout_s=self._timeout_s(function, planned)))
            for function in names
        ]
        queues = {each.name: each.settings for each in self._durable.queues.directory.all()}
        queues |= {name: QueueTable(visibility_timeout_s=s) for name, s in planned.queues.items()}
        check_visibility(rows, made, queues, problems)
        streams = [*(stream.name for stream in self._durable.streams.all()), *planned.streams]
        check_streams(dict.fromkeys(streams, StreamTable()), readers(made), problems)
        topics = {*(topic.name for topic in self._durable.topics.all()), *planned.topics}
        self._check_topics(topics, made, problems)
        problems += self._outside(made)
        others = [t for t in self._durable.deployed.all() if t.function not in names]
        check_routes([*self._config.triggers, *others, *made], problems)
        if problems:
            lines = "".join(f"\n  {problem}" for problem in problems)
            raise InvalidRequest(f"cannot use these triggers:{lines}")

    async def put(self, triggers: Mapping[str, Sequence[dict[str, Any]]]) -> None:
        """Keep and run these, once those before have ended what they had begun.

        Raises FunctionNotFound, InvalidRequest, MachineError.
        """
        async with self._putting:
            self.check(Planned({name: [*tables] for name, tables in triggers.items()}))
            await self._replace(triggers)

    async def forget(self, function: str) -> None:
        """The function is no more, and neither are its triggers. Raises MachineError."""
        if self._durable.deployed.tables(function):
            async with self._putting:
                await self._replace({function: []})

    async def _replace(self, triggers: Mapping[str, Sequence[dict[str, Any]]]) -> None:
        await self._durable.deployed.put(triggers)
        await self._durable.declare()
        for function in triggers:
            self._run(function)

    def _run(self, function: str) -> None:
        self.running.put(f"function:{function}", self._durable.deployed.triggers(function))

    def _check_not_the_files(self, function: str) -> None:
        if any(each.name == function for each in self._config.functions):
            text = f"the triggers of {function} stand in microfaas.toml; change them there"
            raise InvalidRequest(text, "ResourceConflictException")

    def _timeout_s(self, function: str, planned: Planned) -> float:
        if (planned_s := planned.functions.get(function)) is not None:
            return planned_s
        return self._durable.invoker.check(function, "").function.limits.timeout_s

    def _outside(self, triggers: Sequence[Trigger]) -> Iterator[Problem]:
        """What would let who deploys look at, or write to, this machine's other directories."""
        root, data = (os.path.realpath(path) for path in (self._config.root, self._config.data))
        for each in triggers:
            settings, where = each.settings, f"functions.{each.function}.triggers"
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
        self, known: Collection[str], triggers: Sequence[Trigger], problems: list[Problem]
    ) -> None:
        seen: set[str] = set()
        for each in subscribed.of_triggers(triggers, self._config.address, problems):
            where = f"functions.{each.local}.triggers"
            if each.topic not in known:
                problems.append(Problem(where, f"there is no topic {each.topic}; make it first"))
            if each.arn in seen:
                what = f"subscribes to the topic {each.topic} twice alike; once will do"
                problems.append(Problem(where, what))
            seen.add(each.arn)


def _is_in(path: str, folder: str) -> bool:
    return path.startswith(os.path.join(folder, ""))
