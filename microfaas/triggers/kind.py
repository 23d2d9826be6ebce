"""What a kind of trigger is, and what the server gives it to work with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from microfaas.config import Trigger
from microfaas.model import Address, Outcome
from microfaas.store.dead import DeadLetters
from microfaas.store.objects import Ledger
from microfaas.triggers.watching import Watcher

# Runs a function with an event, retries included: how it ended at last, after how many attempts.
# Raises ShuttingDown, or another MicrofaasError when it is the machine that failed.
Deliver = Callable[[str, bytes], Awaitable[tuple[Outcome, int]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What triggers have in common. When `stopping` is set, they take nothing new and end once
    what they have begun is recorded."""

    root: str
    address: Address
    concurrency: Callable[[str], int]
    deliver: Deliver
    ledger: Ledger
    dead: DeadLetters
    watcher: Watcher
    stopping: asyncio.Event


@dataclass(frozen=True, slots=True)
class TriggerKind:
    """The settings it declares, and what runs until it is cancelled or the server stops."""

    settings: type[msgspec.Struct]
    run: Callable[[Trigger, Surroundings], Awaitable[None]]
