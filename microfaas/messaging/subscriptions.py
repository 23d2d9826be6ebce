"""Who is subscribed to which topic: those of the configuration, and those made through the API."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Iterable
from typing import Literal

import msgspec

from microfaas import patterns
from microfaas.errors import ServiceError
from microfaas.payloads import sns
from microfaas.store.messages import Batch, MessageStore
from microfaas.store.resources import Resource, Resources

KIND = "subscription"
PREFIX = "subscription:"
SUBSCRIPTIONS_MAX = 10_000
Scope = Literal["MessageAttributes", "MessageBody"]
PROTOCOLS = ("lambda", "sqs", "http", "https", "email", "email-json")
# Those that something is sent to over a network, and therefore later.
REMOTE = ("http", "https", "email", "email-json")


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """One receiver of one topic. `endpoint` is the name of a function or queue, a URL or an
    address."""

    arn: str
    topic: str
    protocol: str
    endpoint: str
    policy: str = ""
    scope: Scope = "MessageAttributes"
    raw: bool = False
    # The name of a queue; empty: what cannot be delivered becomes a dead letter.
    dead_letter: str = ""
    # What the endpoint has to send back first; empty once it did.
    token: str = ""
    declared: bool = False

    @property
    def id(self) -> str:
        return self.arn.rpartition(":")[2]

    @property
    def pending(self) -> bool:
        return bool(self.token)

    @property
    def queue(self) -> str:
        """Where what is on its way to it waits."""
        return PREFIX + self.id


class Subscriptions:
    """The book of them, and what of it is on disk."""

    def __init__(
        self, store: MessageStore, resources: Resources, declared: Iterable[Subscription]
    ) -> None:
        self._store = store
        self._resources = resources
        self._all: dict[str, Subscription] = {}
        self._policies: dict[str, patterns.Policy] = {}
        for resource in resources.all(KIND):
            self._keep(msgspec.json.decode(resource.settings, type=Subscription))
        for subscription in declared:
            self._keep(subscription)

    def all(self) -> list[Subscription]:
        return list(self._all.values())

    def of(self, topic: str) -> list[Subscription]:
        """Those of a topic."""
        return [each for each in self._all.values() if each.topic == topic]

    def find(self, arn: str) -> Subscription | None:
        return self._all.get(arn)

    def accepts(self, subscription: Subscription, attributes: sns.Attributes, message: str) -> bool:
        """Whether it is to get this message."""
        return not subscription.pending and self._policies[subscription.arn].accepts(
            attributes, message
        )

    async def add(self, made: Subscription) -> Subscription:
        """Keep one; the same endpoint of the same topic is the same subscription."""
        for each in self.of(made.topic):
            if (each.protocol, each.endpoint) == (made.protocol, made.endpoint):
                return each
        if len(self._all) >= SUBSCRIPTIONS_MAX:
            text = f"There may be {SUBSCRIPTIONS_MAX} subscriptions in all."
            raise ServiceError("SubscriptionLimitExceededException", text)
        await self.change(made)
        return made

    async def change(self, changed: Subscription) -> None:
        """Keep it as it is now. Raises ServiceError for one of the configuration."""
        _refuse_declared(changed)
        policy = _compile(changed)
        settings = msgspec.json.encode(changed)
        resource = Resource(changed.arn, int(time.time() * 1000), settings)
        batch = Batch()
        batch.also(*self._resources.stored(KIND, resource))
        await self._store.commit(batch)
        self._all[changed.arn] = changed
        self._policies[changed.arn] = policy

    async def remove(self, subscription: Subscription) -> None:
        """What is on its way to it already will still come."""
        _refuse_declared(subscription)
        batch = Batch()
        batch.also(*self._resources.removed(KIND, subscription.arn))
        await self._store.commit(batch)
        self._all.pop(subscription.arn, None)
        self._policies.pop(subscription.arn, None)

    def _keep(self, subscription: Subscription) -> None:
        self._all[subscription.arn] = subscription
        self._policies[subscription.arn] = _compile(subscription)


def new_arn(topic_arn: str) -> str:
    return f"{topic_arn}:{uuid.uuid4()}"


def new_token() -> str:
    return secrets.token_hex(64)


def _compile(subscription: Subscription) -> patterns.Policy:
    try:
        return patterns.compile_policy(subscription.policy or {}, subscription.scope)
    except patterns.InvalidPattern as error:
        text = f"Invalid parameter: Attributes Reason: FilterPolicy: {error.reason}"
        raise ServiceError("InvalidParameterException", text) from None


def _refuse_declared(subscription: Subscription) -> None:
    if subscription.declared:
        text = f"Subscription {subscription.arn} is of microfaas.toml; change it there"
        raise ServiceError("InvalidParameterException", f"Invalid parameter: {text}")
