"""Topics: one publication, a copy for every subscriber that wants it, all in one commit.

A copy for a function is an event in the function's queue, a copy for a queue a message there; one
that has to travel waits in a queue of its subscription's own, so that an endpoint that is down
holds up nobody else.
"""

from __future__ import annotations

import hmac
import logging
import re
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from microfaas.errors import MachineError, MicrofaasError, ServiceError
from microfaas.messaging.copies import Copies
from microfaas.messaging.subscriptions import Subscription, Subscriptions
from microfaas.messaging.targets import Permits, not_permitted
from microfaas.model import Address
from microfaas.payloads import sns
from microfaas.payloads.s3 import time_of
from microfaas.payloads.sns import Attributes, Publication
from microfaas.store.dead import DeadLetter
from microfaas.store.messages import Batch, Draft, MessageStore
from microfaas.store.resources import Resource, Resources

KIND = "topic"
TOPICS_MAX = 10_000
MESSAGE_BYTES_MAX = 256 * 1024
SUBJECT_CHARS_MAX = 100
_SUBJECT = re.compile(r"[^\x00-\x1f\x7f]*")
_NAME = re.compile(r"[a-zA-Z0-9-_]{1,256}")

_log = logging.getLogger("microfaas.messaging")


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic and its settings."""

    name: str
    display_name: str = ""
    signature_version: Literal["1", "2"] = "1"
    tags: dict[str, str] = {}
    # Attributes that are kept for whoever asks, and not acted on.
    told: dict[str, str] = {}
    declared: bool = False


class Topics:
    """All topics of this machine."""

    def __init__(
        self,
        store: MessageStore,
        resources: Resources,
        subscriptions: Subscriptions,
        copies: Copies,
        address: Address,
        declared: Iterable[Topic],
        permits: Permits,
    ) -> None:
        self._permits = permits
        self.subscriptions = subscriptions
        self._store = store
        self._resources = resources
        self.copies = copies
        self._address = address
        self._topics = {
            topic.name: topic
            for row in resources.all(KIND)
            for topic in [msgspec.json.decode(row.settings, type=Topic)]
        }
        self._topics |= {topic.name: topic for topic in declared}

    async def open(self) -> None:
        """Have the key ready before the first message is signed. Raises MachineError."""
        if self._topics:
            await self.copies.prepare()

    def arn(self, name: str) -> str:
        return f"arn:aws:sns:{self._address.region}:{self._address.account_id}:{name}"

    def all(self) -> list[Topic]:
        return sorted(self._topics.values(), key=lambda topic: topic.name)

    def get(self, arn: str) -> Topic:
        """The topic of an ARN, or of a bare name. Raises ServiceError."""
        name = arn.rpartition(":")[2]
        topic = self._topics.get(name)
        if topic is None or arn not in (name, self.arn(name)):
            raise ServiceError("NotFoundException", "Topic does not exist")
        return topic

    async def create(self, topic: Topic) -> Topic:
        """Make it, or find it as it is."""
        if (known := self._topics.get(topic.name)) is not None:
            return known
        if topic.name.endswith(".fifo"):
            what = "microfaas has no FIFO topics; send to a FIFO queue"
            raise ServiceError(
                "InvalidParameterException", f"Invalid parameter: Topic Name Reason: {what}"
            )
        if not _NAME.fullmatch(topic.name):
            raise ServiceError("InvalidParameterException", "Invalid parameter: Topic Name")
        if len(self._topics) >= TOPICS_MAX:
            raise ServiceError("TopicLimitExceededException", f"There may be {TOPICS_MAX} topics.")
        await self.change(topic)
        return topic

    async def change(self, topic: Topic) -> None:
        """Keep it as it is now. Raises ServiceError for one of the configuration."""
        _refuse_declared(topic)
        await self.copies.prepare()
        before = self._topics.get(topic.name)
        self._topics[topic.name] = topic
        batch = Batch()
        settings = msgspec.json.encode(topic)
        resource = Resource(topic.name, int(time.time() * 1000), settings)
        batch.also(*self._resources.stored(KIND, resource))
        try:
            await self._store.commit(batch)
        except MachineError:
            self._topics.pop(topic.name)
            if before is not None:
                self._topics[topic.name] = before
            raise

    async def delete(self, arn: str) -> None:
        """The topic and its subscriptions; one that is not there is deleted as well."""
        topic = self._topics.get(arn.rpartition(":")[2])
        if topic is None:
            return
        _refuse_declared(topic)
        for subscription in self.subscriptions.of(topic.name):
            if not subscription.declared:
                await self.subscriptions.remove(subscription)
        batch = Batch()
        batch.also(*self._resources.removed(KIND, topic.name))
        await self._store.commit(batch)
        self._topics.pop(topic.name, None)

    async def publish(
        self,
        topic: Topic,
        message: str,
        subject: str | None = None,
        attributes: Attributes | None = None,
        messages: Mapping[str, str] | None = None,
        trace_id: str = "",
    ) -> str:
        """Send a message to all who want it; its id, once every copy is on disk.

        `messages` has other texts for some protocols. Raises ServiceError, QueueFull,
        MachineError.
        """
        check(message, subject, attributes or {})
        batch = Batch()
        message_id = self.add(batch, topic, message, subject, attributes, messages, trace_id)
        await self._store.commit(batch)
        return message_id

    def add(
        self,
        batch: Batch,
        topic: Topic,
        message: str,
        subject: str | None = None,
        attributes: Attributes | None = None,
        messages: Mapping[str, str] | None = None,
        trace_id: str = "",
    ) -> str:
        """Put all copies of a message into a batch; its id."""
        kept = dict(attributes or {})
        publication = Publication(
            topic_arn=self.arn(topic.name),
            message_id=str(uuid.uuid4()),
            message=message,
            subject=subject,
            attributes=kept,
            timestamp=time_of(int(time.time() * 1000)),
            signature_version=topic.signature_version,
            trace_id=trace_id,
        )
        signed: dict[str, Publication] = {}
        for subscription in self.subscriptions.of(topic.name):
            text = (messages or {}).get(subscription.protocol, message)
            if not self.subscriptions.accepts(subscription, kept, text):
                continue
            if text not in signed:
                told = msgspec.structs.replace(publication, message=text)
                signed[text] = self.copies.signed(told)
            self._add_copy(batch, subscription, signed[text], topic)
        return publication.message_id

    def sink(
        self, batch: Batch, name: str, body: bytes, attributes: Attributes, trace_id: str = ""
    ) -> None:
        """A destination's way in. Raises ServiceError when there is no such topic."""
        text = body.decode(errors="replace")
        self.add(batch, self.get(name), text, None, attributes, {}, trace_id)

    async def subscribe(self, subscription: Subscription) -> Subscription:
        """Add one; an endpoint elsewhere is asked first whether it wants to be."""
        kept = await self.subscriptions.add(subscription)
        if kept.pending:
            arn = self.arn(kept.topic)
            version = self._topics[kept.topic].signature_version
            await self._store.put(self.copies.confirmation(kept, arn, version))
        return kept

    async def confirm(self, topic_arn: str, token: str) -> Subscription:
        """What an endpoint was sent came back: it is subscribed, however often it comes."""
        for each in self.subscriptions.of(self.get(topic_arn).name):
            if token and hmac.compare_digest(each.token.encode(), token.encode()):
                confirmed = msgspec.structs.replace(each, pending=False)
                if each.pending:
                    await self.subscriptions.change(confirmed)
                return confirmed
        raise ServiceError("InvalidParameterException", "Invalid parameter: Token")

    def _add_copy(
        self, batch: Batch, subscription: Subscription, publication: Publication, topic: Topic
    ) -> None:
        """What cannot be put where it belongs is kept elsewhere: nobody else's copy is to suffer
        from it, nor the publisher."""
        copy: Draft | None = None
        try:
            copy = self.copies.made(subscription, publication, topic.display_name or topic.name)
            # Asked here, for otherwise one who is full would stop all.
            self._store.depth(copy.queue).check(1, copy.size)
            self._check_permitted(subscription)
            batch.put(copy)
            return
        except MicrofaasError as error:
            _log.error("topic %s, for %s: %s", topic.name, subscription.endpoint, error)
            letter = _undeliverable(subscription, publication, copy, error)
        try:
            if subscription.dead_letter:
                dead, trace_id = subscription.dead_letter, publication.trace_id
                batch.put(self.copies.queue_draft(dead, letter.event, {}, trace_id=trace_id))
                return
        except MicrofaasError as error:
            _log.error("topic %s: %s", topic.name, error)
        batch.also("bury", [letter])

    def _check_permitted(self, subscription: Subscription) -> None:
        """Raises MicrofaasError when a function lets no such topic call it. What a file or a
        function's trigger subscribes asks nobody."""
        topic = self.arn(subscription.topic)
        if subscription.protocol != "lambda" or subscription.declared:
            return
        if not self._permits(topic, *subscription.function):
            raise not_permitted(topic, subscription.function[0])


def check(message: str, subject: str | None, attributes: Attributes) -> None:
    """Raises ServiceError for what SNS does not take. `message` is all texts of it as they came."""
    if not message:
        raise ServiceError("InvalidParameterException", "Invalid parameter: Empty message")
    if sns.size(message, attributes) > MESSAGE_BYTES_MAX:
        raise ServiceError("InvalidParameterException", "Invalid parameter: Message too long")
    if subject is not None and not (
        0 < len(subject) <= SUBJECT_CHARS_MAX and _SUBJECT.fullmatch(subject)
    ):
        raise ServiceError("InvalidParameterException", "Invalid parameter: Subject")


def _undeliverable(
    subscription: Subscription,
    publication: Publication,
    copy: Draft | None,
    error: MicrofaasError,
) -> DeadLetter:
    """`copy` is None when the queue that should get it is not there."""
    if copy is None:
        copy = Draft(f"queue:{subscription.endpoint}", publication.message.encode())
    return DeadLetter(
        int(time.time() * 1000),
        subscription.function[0] if subscription.protocol == "lambda" else "",
        publication.message_id,
        f"topic:{subscription.topic}",
        copy.body,
        msgspec.json.encode(str(error)),
        0,
        copy.queue,
        "Undeliverable",
        copy.attributes,
    )


def _refuse_declared(topic: Topic) -> None:
    if topic.declared:
        text = f"Topic {topic.name} is of microfaas.toml; change it there"
        raise ServiceError("InvalidParameterException", f"Invalid parameter: {text}")
