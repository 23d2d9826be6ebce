"""Test a handler without a server: a context, one call as Lambda makes it, and a fake invoker.

from microfaas.testing import context, invoke
from app import handler

def test_greets():
    assert invoke(handler, {"name": "Ada"}, context(timeout_s=1)) == {"hello": "Ada"}
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from microfaas.errors import FunctionNotFound
from microfaas.invoke import Invoker
from microfaas.model import LATEST, Address, Function, Invocation, Limits, Outcome, Status, Version
from microfaas.pool.instance import OnChunk

Handler = Callable[[Any, Any], Any]


@dataclass(kw_only=True)
class LambdaContext:
    """What a handler gets beside the event: the fields and methods of Lambda's context."""

    function_name: str
    function_version: str
    invoked_function_arn: str
    memory_limit_in_mb: str
    aws_request_id: str
    log_group_name: str
    log_stream_name: str
    deadline_s: float
    client_context: Any = None
    identity: Any = None
    tenant_id: str | None = None

    def get_remaining_time_in_millis(self) -> int:
        """How long the function may still run."""
        return max(0, int((self.deadline_s - time.time()) * 1000))

    def log(self, message: str) -> None:
        """Print without a line's end, as Lambda's does."""
        print(message, end="")


def context(
    name: str = "function", *, memory_mb: int = 128, timeout_s: float = 3.0, **fields: Any
) -> LambdaContext:
    """A context whose time runs from now; `fields` replace any field of LambdaContext."""
    made: dict[str, Any] = {
        "function_name": name,
        "function_version": LATEST,
        "invoked_function_arn": Address().arn(name),
        "memory_limit_in_mb": str(memory_mb),
        "aws_request_id": str(uuid.uuid4()),
        "log_group_name": f"/aws/lambda/{name}",
        "log_stream_name": f"{time.strftime('%Y/%m/%d')}/[{LATEST}]{uuid.uuid4().hex}",
        "deadline_s": time.time() + timeout_s,
    }
    return LambdaContext(**{**made, **fields})


def invoke(handler: Handler, event: Any = None, with_context: LambdaContext | None = None) -> Any:
    """Call a handler with an event that went through JSON, and its result back through JSON.

    What the handler raises, you get. Raises TypeError where the event or the result cannot be
    written as JSON: deployed, that would be a MarshalError.
    """
    result = handler(json.loads(json.dumps(event)), with_context or context())
    if isinstance(result, bytes):
        return json.loads(result)
    return json.loads(json.dumps(result, default=_plain))


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


Answer = Callable[[Invocation], Awaitable[Outcome]]


@dataclass
class FakeInvoker(Invoker):
    """Stands in for the invoker of a gateway or a dispatcher: functions are coroutines here."""

    functions: Mapping[str, Answer]
    invocations: list[Invocation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._address = Address()
        self._allows_loops = lambda _: False

    def check(self, name: str, qualifier: str) -> Version:
        """Raises FunctionNotFound, as the real one does."""
        if name not in self.functions or qualifier not in ("", LATEST):
            raise FunctionNotFound(name, qualifier or LATEST)
        function = Function(name=name, runtime="python", handler="", code="", limits=Limits())
        return Version(function=function, code_dir="", code_sha256="")

    def meant(self, name: str, qualifier: str) -> list[Version]:
        """The one that there is. Raises FunctionNotFound."""
        return [self.check(name, qualifier)]

    async def invoke(
        self,
        invocation: Invocation,
        on_chunk: OnChunk | None = None,
        version: Version | None = None,
    ) -> Outcome:
        """Note the invocation, and let the function of that name answer it."""
        self.check(invocation.function, invocation.qualifier)
        self._check_loop(invocation)
        self.invocations.append(invocation)
        return await self.functions[invocation.function](invocation)


async def echo(invocation: Invocation) -> Outcome:
    """A function for FakeInvoker that gives back its event."""
    return Outcome(status=Status.OK, payload=invocation.event or b"{}", log_tail=b"echoed\n")
