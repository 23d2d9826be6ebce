"""Who is subscribed to which topic: those of the configuration, and those made through the API."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Iterable
from typing import Literal

import msgspec

from microfaas import patterns
from microfaas.errors import MachineError, ServiceError
from microfaas.payloads import sns
from microfaas.store.messages import Batch, MessageStore
from microfaas.store.resources import Change, Resource, Resources

KIND = "subscription"
PREFIX = "subscription:"
SUBSCRIPTIONS_MAX = 10_000
Scope = Literal["MessageAttributes", "MessageBody"]
PROTOCOLS = ("lambda", "sqs", "http", "https", "email", "email-json")
# Those that something is sent to over a network, and therefore later.
REMOTE = ("http", "https", "email", "email-json")


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """One receiver of one topic. `endpoint` is the name of a function (or of a version or alias,
    `NAME:QUALIFIER`) or a queue, a URL or an address."""

    arn: str
    topic: str
    protocol: str
    endpoint: str
    policy: str = ""
    scope: Scope = "MessageAttributes"
    raw: bool = False
    # The name of a queue; empty: what cannot be delivered becomes a dead letter.
    dead_letter: str = ""
    # What the endpoint has to send back first; kept, for it may do so twice.
    token: str = ""
    pending: bool = False
    declared: bool = False

    @property
    def id(self) -> str:
        return self.arn.rpartition(":")[2]

    @property
    def function(self) -> tuple[str, str]:
        """The function's name and qualifier, where it is one."""
        name, _, qualifier = self.endpoint.partition(":")
        return name, qualifier

    @property
    def local(self) -> str:
        """The name of the function or queue, where it is one."""
        return self.endpoint.partition(":")[0]

    @property
    def queue(self) -> str:
        """Where what is on its way to it waits."""
        return PREFIX + self.id


class Subscriptions:
    """The book of them, and what of it is on disk.

    The book is changed at once and the disk after it, so that no change is made to what another
    one is just changing; what does not reach the disk is taken back.
    """

    def __init__(
        self, store: MessageStore, resources: Resources, declared: Iterable[Subscription]
    ) -> None:
        self._store = store
        self._resources = resources
        self._all: dict[str, Subscription] = {}
        self._by_topic: dict[str, dict[str, Subscription]] = {}
        self._policies: dict[str, patterns.Policy] = {}
        for resource in resources.all(KIND):
            made = msgspec.json.decode(resource.settings, type=Subscription)
            self._keep(made, _compile(made))
        self.declare(declared)

    def declare(self, declared: Iterable[Subscription]) -> None:
        """Those of the file and of functions' triggers are these, and no others any more."""
        for each in [each for each in self._all.values() if each.declared]:
            self._drop(each)
        for made in declared:
            self._keep(made, _compile(made))

    def all(self) -> list[Subscription]:
        return list(self._all.values())

    def of(self, topic: str) -> list[Subscription]:
        """Those of a topic."""
        return list(self._by_topic.get(topic, {}).values())

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
        before = self._all.get(changed.arn)
        self._keep(changed, _compile(changed))
        settings = msgspec.json.encode(changed)
        resource = Resource(changed.arn, int(time.time() * 1000), settings)
        await self._write(self._resources.stored(KIND, resource), changed, before)

    async def remove(self, subscription: Subscription) -> None:
        """What is on its way to it already will still come."""
        _refuse_declared(subscription)
        self._drop(subscription)
        await self._write(self._resources.removed(KIND, subscription.arn), None, subscription)

    async def _write(
        self, change: Change, after: Subscription | None, before: Subscription | None
    ) -> None:
        batch = Batch()
        batch.also(*change)
        try:
            await self._store.commit(batch)
        except MachineError:
            if after is not None:
                self._drop(after)
            if before is not None:
                self._keep(before, _compile(before))
            raise

    def _keep(self, subscription: Subscription, policy: patterns.Policy) -> None:
        self._all[subscription.arn] = subscription
        self._by_topic.setdefault(subscription.topic, {})[subscription.arn] = subscription
        self._policies[subscription.arn] = policy

    def _drop(self, subscription: Subscription) -> None:
        self._all.pop(subscription.arn, None)
        self._by_topic.get(subscription.topic, {}).pop(subscription.arn, None)
        self._policies.pop(subscription.arn, None)


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
