"""Whatever carries messages on from queues and topics: to addresses outside, and into streams."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from microfaas.config.topics import Smtp
from microfaas.dispatch.delivery import Route
from microfaas.dispatch.http import HttpSender
from microfaas.dispatch.into_streams import IntoStreams
from microfaas.dispatch.mail import MailSender
from microfaas.dispatch.outbox import Outbox
from microfaas.dispatch.subscribers import Subscribers
from microfaas.messaging.queues import Queues
from microfaas.messaging.streams import Streams
from microfaas.messaging.topics import Topics
from microfaas.model import Destination
from microfaas.store.messages import MessageStore


class Carriers:
    """They share the way over HTTP."""

    def __init__(
        self,
        store: MessageStore,
        streams: Streams,
        topics: Topics,
        queues: Queues,
        smtp: Smtp | None,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.into_streams = IntoStreams(store, streams, tasks)
        self._http = HttpSender()
        self._mail = MailSender(smtp)
        self._outbox = Outbox(store, self._http, tasks)
        self._subscribers = Subscribers(store, topics, self._http, self._mail, queues.draft, tasks)
        self._routes: list[Route] = []

    def serve(self, ends: Iterable[Destination | None]) -> None:
        """Begin, with these ends of functions and triggers."""
        self.into_streams.serve()
        self.follow(ends)

    def follow(self, ends: Iterable[Destination | None]) -> None:
        """Carry to these ends, too."""
        self._outbox.serve(ends)

    async def run(self) -> None:
        """Follow who subscribes to topics. Until cancelled."""
        await self._subscribers.run()

    def stop(self) -> None:
        """Begin nothing more."""
        self._routes += self._outbox.stop()
        self._routes += self._subscribers.stop()
        self._routes += self.into_streams.stop()

    async def close(self, timeout_s: float) -> None:
        """Let end what is under way, for so long; the rest waits on disk."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                for route in self._routes:
                    await route.drained()
        await self._http.close()
        self._outbox.close()
        self._mail.close()
