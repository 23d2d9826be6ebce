"""Everything that is kept until it is dealt with, wired: events, and what they go to and come from.

The server builds this once the functions are there, starts it when it listens, and closes it when
the triggers take nothing new any more.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import time
from collections.abc import Callable

from microfaas import subscribed
from microfaas.config import Config
from microfaas.dispatch.carriers import Carriers
from microfaas.dispatch.destinations import Destinations
from microfaas.dispatch.events import Events, Served, SettingsOf
from microfaas.dispatch.history import History
from microfaas.dispatch.letters import Letters
from microfaas.errors import MachineError
from microfaas.gateway.aws.events import EventsApi
from microfaas.gateway.aws.kinesis import KinesisApi
from microfaas.gateway.aws.scheduler import SchedulerApi
from microfaas.gateway.aws.service import Service
from microfaas.gateway.aws.sns import SnsApi
from microfaas.gateway.aws.sqs import SqsApi
from microfaas.gateway.invocations_api import InvocationsApi
from microfaas.gateway.queues_api import QueuesApi
from microfaas.gateway.reply import Reply
from microfaas.gateway.schedule_list import ScheduleList
from microfaas.invoke import Invoker
from microfaas.messaging import streams
from microfaas.messaging.copies import Copies
from microfaas.messaging.moves import Moves
from microfaas.messaging.queues import Queues
from microfaas.messaging.rules import Rules
from microfaas.messaging.scheduler import Scheduler
from microfaas.messaging.schedules import Schedules
from microfaas.messaging.streams import Streams
from microfaas.messaging.subscriptions import Subscription, Subscriptions
from microfaas.messaging.targets import Kind, Send, Targets
from microfaas.messaging.topics import Topics
from microfaas.model import EventSettings, Version
from microfaas.store import signing
from microfaas.store.db import Database
from microfaas.store.dead import DeadLetters
from microfaas.store.functions import Functions
from microfaas.store.messages import MessageStore
from microfaas.store.resources import Resources
from microfaas.store.results import Results
from microfaas.store.signing import Signer
from microfaas.store.streams import StreamStore
from microfaas.triggers import event, schedule, stream
from microfaas.triggers.deployed import Deployed

PRUNE_S = 10.0

_log = logging.getLogger("microfaas.durable")


class Durable:
    """The parts, by their names."""

    def __init__(
        self,
        config: Config,
        url: str,
        database: Database,
        invoker: Invoker,
        tasks: asyncio.TaskGroup,
        functions: Functions,
        resources: Resources,
        settings_of: SettingsOf,
        permits: Callable[[str, str, str, str], bool],
    ) -> None:
        """`url` is where others than functions find the gateway. `permits` tells whether one of
        AWS's services may for something, by its ARN, call a function's qualifier."""
        self._functions = functions
        self._config = config
        self._tasks = tasks
        self.invoker = invoker
        self.resources = resources
        self.store = MessageStore(database)
        self.results = Results(database)
        self.dead = DeadLetters(database)
        self.deployed = Deployed(resources)
        # All that is known before anything is served.
        self._triggers = [*config.triggers, *self.deployed.all()]
        address = config.address
        self.schedules = Schedules(database, self.store)
        self.streams = Streams(
            StreamStore(database), resources, address, streams.declared(config.streams)
        )
        self.queues = Queues(database, self.store, resources, address, config.queues, tasks)
        self.moves = Moves(self.queues, self.store, resources, tasks)
        self.topics = self._made_topics(url, functools.partial(permits, "sns.amazonaws.com"))
        self._carriers = Carriers(
            *(self.store, self.streams, self.topics, self.queues, config.smtp, tasks)
        )
        targets = Targets(
            self._sends(),
            functools.partial(self._exists, "lambda"),
            functools.partial(permits, "events.amazonaws.com"),
        )
        declared = event.rules(self._triggers)
        self.rules = Rules(self.store, resources, self.schedules, targets, address, declared)
        self.scheduler = Scheduler(resources, self.schedules, targets, address)
        self.destinations = Destinations(
            {"topic": self.topics.sink, "queue": self.queues.sink, "bus": self.rules.sink}
        )
        self.events = Events(
            *(self.store, invoker, self.destinations, address, tasks), settings_of=settings_of
        )
        self.invocations = InvocationsApi(
            History(self.store, self.events, self.results),
            Letters(self.store, self.dead, self.events),
            QueuesApi(self.queues).operations,
        )

    async def open(self) -> None:
        """Take in what the last run left; nothing runs yet. Raises MachineError."""
        await self.store.open()
        await self.streams.open()
        await self.topics.open()
        await self._discard_schedules()
        await self.rules.open()
        await self.scheduler.open()

    def serve(self) -> None:
        """Start to deal with what waits."""
        for version in self._functions.all():
            self.follow(version)
        # Their events wait until they can be run, as long as they may.
        self.events.serve(dict.fromkeys(self._functions.failed(), Served(EventSettings(), 1)))
        self.moves.serve()
        settings = [function.events for function in self._config.functions]
        ends = [to for each in settings for to in (each.on_success, each.on_failure)]
        self._carriers.serve([*ends, *stream.destinations(self._triggers, self._config.root)])
        for forever in (self._carriers.run, self.schedules.run, self.streams.run, self._prune):
            self._tasks.create_task(forever())

    def follow(self, version: Version) -> None:
        """Run the events of a function from now on, in the way that it says now."""
        function = version.function
        served = Served(function.events, max(1, function.limits.concurrency_max))
        self.events.serve({function.name: served})

    def services(self) -> list[Service]:
        """What the gateway answers of AWS's other APIs."""
        sns = SnsApi(self.topics, self._config.address, self._exists, self.store.commit)
        buses = EventsApi(self.rules, self._config.address)
        sqs = SqsApi(self.queues, self.moves)
        timed = SchedulerApi(self.scheduler)
        kinesis = KinesisApi(self.streams)
        return [api.service() for api in (sqs, sns, kinesis, buses, timed)]

    def lists(self) -> dict[str, Callable[[str], Reply]]:
        """What the gateway lists beside functions."""
        return {"schedules": ScheduleList(self.schedules).reply}

    def hurry(self) -> None:
        """Let nobody wait for messages any more: the gateway is to close."""
        self.queues.stop()

    async def close(self) -> None:
        """Begin nothing more, let what runs end; the rest waits on disk."""
        self._carriers.stop()
        await self.events.close(self._config.drain_s_max)
        await self._carriers.close(self._config.drain_s_max)

    async def declare(self) -> None:
        """Other triggers than before are deployed: what they do is what is done from now on.

        Raises MachineError.
        """
        self._triggers = [*self._config.triggers, *self.deployed.all()]
        self.topics.subscriptions.declare(self._subscriptions())
        self.rules.declare(event.rules(self._triggers))
        self._carriers.follow(stream.destinations(self._triggers, self._config.root))
        await self._discard_schedules()

    def _made_topics(self, url: str, permits: Callable[[str, str, str], bool]) -> Topics:
        signer = Signer(os.path.join(self._config.data, signing.FILE_NAME))
        return Topics(
            self.store,
            self.resources,
            Subscriptions(self.store, self.resources, self._subscriptions()),
            Copies(signer, url, self.queues.draft),
            self._config.address,
            subscribed.topics(self._config),
            permits,
        )

    def _subscriptions(self) -> list[Subscription]:
        made = subscribed.subscriptions(self._config, self._config.queues)
        return [*made, *subscribed.of_triggers(self.deployed.all(), self._config.address, [])]

    async def _discard_schedules(self) -> None:
        await self.schedules.discard(schedule.gone(self.schedules.keys(), self._triggers))

    def _sends(self) -> dict[Kind, Send]:
        """How rules and schedules send to what is no function."""
        return {
            "topic": lambda batch, to, body: self.topics.sink(
                batch, to.name, body, {}, to.trace_id
            ),
            "queue": lambda batch, to, body: batch.put(
                self.queues.draft(to.name, body, {}, to.group, to.trace_id)
            ),
            "stream": self._carriers.into_streams.add,
        }

    def _exists(self, protocol: str, name: str) -> bool:
        """Whether there is a function, or a queue, of that name."""
        if protocol == "sqs":
            return name in self.queues.directory
        return protocol == "lambda" and self._functions.knows(name)

    async def _prune(self) -> None:
        """Keep the histories within their bounds."""
        while True:
            now_ms = int(time.time() * 1000)
            try:
                await self.results.prune(now_ms)
                await self.queues.tidy()
                if dropped := await self.dead.prune(now_ms):
                    _log.error("the %d oldest dead letters are forgotten: too many", dropped)
            except MachineError as error:
                _log.error("cannot tidy up: %s", error)
            await asyncio.sleep(PRUNE_S)
