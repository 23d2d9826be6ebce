"""Carries topics' copies to the endpoints outside: HTTP, HTTPS and mail."""

from __future__ import annotations

import asyncio

import msgspec

from microfaas.dispatch.delivery import Route, Verdict, letter_of
from microfaas.dispatch.http import HttpSender
from microfaas.dispatch.mail import MailSender
from microfaas.errors import MicrofaasError
from microfaas.messaging.copies import Parcel, QueueDraft
from microfaas.messaging.subscriptions import PREFIX, REMOTE, Subscription
from microfaas.messaging.topics import Topics
from microfaas.store.messages import Batch, Message, MessageStore

_decode = msgspec.msgpack.Decoder(Parcel).decode
# Those that came or went are noticed so often.
LOOK_S = 0.5


class Subscribers:
    """A way to each subscription whose endpoint is outside."""

    def __init__(
        self,
        store: MessageStore,
        topics: Topics,
        http: HttpSender,
        mail: MailSender,
        queue_draft: QueueDraft,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._store = store
        self._topics = topics
        self._http = http
        self._mail = mail
        self._queue_draft = queue_draft
        self._tasks = tasks
        self._routes: dict[str, Route] = {}
        self._by_queue: dict[str, Subscription] = {}

    async def run(self) -> None:
        """Follow who is subscribed, until cancelled."""
        while True:
            self._look()
            await asyncio.sleep(LOOK_S)

    def stop(self) -> list[Route]:
        """Begin nothing more; those that may still be at work."""
        for route in self._routes.values():
            route.stop()
        return list(self._routes.values())

    def _look(self) -> None:
        remote = {
            each.queue: each for each in self._topics.subscriptions.all() if each.protocol in REMOTE
        }
        # Of one that has gone, what was on its way to it still goes there.
        self._by_queue |= remote
        left = {d.name for d in self._store.depths() if d.messages and d.name.startswith(PREFIX)}
        for queue in remote.keys() | left:
            if queue not in self._routes:
                route = Route(self._store, queue, self._send, self._bury, self._tasks)
                self._routes[queue] = route
        for queue in self._routes.keys() - remote.keys() - left:
            self._routes.pop(queue).stop()
            self._by_queue.pop(queue, None)

    async def _send(self, message: Message) -> Verdict:
        subscription = self._by_queue.get(self._store.name(message))
        if subscription is None:
            return Verdict("never", f"{self._store.name(message)} is subscribed no more")
        parcel = _decode(message.attributes)
        if subscription.protocol in ("http", "https"):
            return await self._http.post(subscription.endpoint, message.body, parcel.headers)
        text = message.body.decode(errors="replace")
        return await self._mail.send(subscription.endpoint, parcel.subject, text, parcel.message_id)

    def _bury(self, batch: Batch, store: MessageStore, message: Message, verdict: Verdict) -> None:
        """To the subscription's dead-letter queue, when it has one."""
        subscription = self._by_queue.get(store.name(message))
        if subscription is not None and subscription.dead_letter:
            try:
                trace_id = _decode(message.attributes).headers.get("X-Amzn-Trace-Id", "")
                dead = subscription.dead_letter
                batch.put(self._queue_draft(dead, message.body, {}, trace_id=trace_id))
                return
            except MicrofaasError as error:
                verdict = Verdict("never", f"{verdict.why}; {error}")
        letter_of(batch, store, message, verdict)
