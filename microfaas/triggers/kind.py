"""What a kind of trigger is, and what the server gives it to work with."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from microfaas.config import Trigger
from microfaas.control.http_routes import HttpRoutes
from microfaas.dispatch.destinations import Destinations
from microfaas.errors import FunctionFailed, FunctionNotFound
from microfaas.invoke import Invoker
from microfaas.messaging.queues import Queues
from microfaas.messaging.schedules import Schedules
from microfaas.messaging.streams import Streams
from microfaas.model import Address, Limits
from microfaas.remote.calls import Calls
from microfaas.remote.endpoints import Endpoints
from microfaas.store.messages import MessageStore
from microfaas.store.objects import Ledger
from microfaas.store.resources import Resources
from microfaas.triggers.watching import Watcher


def _nobody(_: bool) -> None:
    """Where nobody wants to know."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What triggers have in common. When `stopping` is set, they take nothing new and end once
    what they have begun is recorded."""

    root: str
    address: Address
    store: MessageStore
    queues: Queues
    schedules: Schedules
    streams: Streams
    destinations: Destinations
    invoker: Invoker
    ledger: Ledger
    watcher: Watcher
    routes: HttpRoutes
    # Where sources elsewhere are, and how they are called.
    endpoints: Endpoints
    resources: Resources
    calls: Calls
    stopping: asyncio.Event
    # Told of each batch whether the function's call went well.
    report: Callable[[bool], None] = _nobody

    def limits(self, trigger: Trigger) -> Limits:
        """What a function's calls may take, and where two versions share them, those of the one
        that may take longer. Where there is no such alias or version, what the function's own may;
        where there is no such function, what is usual."""
        for qualifier in dict.fromkeys((trigger.qualifier, "")):
            with contextlib.suppress(FunctionNotFound, FunctionFailed):
                meant = self.invoker.meant(trigger.function, qualifier)
                limits = [version.function.limits for version in meant]
                return max(limits, key=lambda each: each.timeout_s)
        return Limits()


@dataclass(frozen=True, slots=True)
class TriggerKind:
    """The settings it declares, and what runs until it is cancelled or the server stops."""

    settings: type[msgspec.Struct]
    run: Callable[[Trigger, Surroundings], Awaitable[None]]
