"""What a service is to the gateway: coroutines by AWS's names, and who calls them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from microfaas.gateway.aws import model
from microfaas.gateway.aws.model import Model
from microfaas.scopes import Action

Params = dict[str, Any]


def _anything(_: Action, __: str) -> None:
    """Where nobody is asked for a key."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, by what way. `key_id` is empty where no key was asked for."""

    request_id: str
    source_ip: str
    base_url: str
    key_id: str = ""
    # The header that a function's SDK sends on, and says what its call comes from.
    trace_id: str = ""
    # Raises AccessRefused; for names that stand in no parameter.
    permit: Callable[[Action, str], None] = _anything


# The names of events, and their members: what a member of a result is that is a stream of them.
Events = AsyncGenerator[tuple[str, Params], None]
Call = Callable[[Caller, Params], Awaitable[Params]]


def in_turn(calls: Mapping[str, Call]) -> Mapping[str, Call]:
    """Of these one at a time: what a call finds and changes no other one changes meanwhile.

    Tools change several things of one resource at once.
    """
    turn = asyncio.Lock()

    def waiting(call: Call) -> Call:
        async def answer(caller: Caller, params: Params) -> Params:
            async with turn:
                return await call(caller, params)

        return answer

    return {name: waiting(call) for name, call in calls.items()}


class Service:
    """One of AWS's services, as far as it is there."""

    def __init__(self, name: str, operations: Mapping[str, Call]) -> None:
        """`name` is the model's, such as sqs or lambda; not all its operations need be there."""
        self.model: Model = model.load(name)
        self.operations = operations
        if unknown := operations.keys() - self.model.operations.keys():
            raise ValueError(f"cannot serve {', '.join(sorted(unknown))}: not in the model {name}")


class Services:
    """All services of a gateway."""

    def __init__(self, services: Iterable[Service]) -> None:
        self.all: Mapping[str, Service] = {each.model.name: each for each in services}
