"""The narrow waist: everything that runs a function goes through `Invoker.invoke`."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable

import msgspec

from microfaas import lineage
from microfaas.errors import RecursiveInvocation
from microfaas.model import Address, Invocation, Outcome, Status, Usage, Version
from microfaas.pool.instance import Instance, OnChunk
from microfaas.pool.loading import InitFailed
from microfaas.pool.supervisor import Supervisor
from microfaas.store.functions import Functions
from microfaas.store.usage import UsageLog, UsageRow

OnEnd = Callable[[Status, float], None]

_log = logging.getLogger("microfaas.invoke")


class Invoker:
    """Resolves a name, leases an instance, runs the event, accounts for it."""

    def __init__(
        self,
        functions: Functions,
        supervisor: Supervisor,
        usage: UsageLog,
        address: Address,
        allows_loops: Callable[[str], bool],
    ) -> None:
        """`allows_loops` tells whether a function may be run without end by one chain of events."""
        self._functions = functions
        self._supervisor = supervisor
        self._usage = usage
        self._address = address
        self._allows_loops = allows_loops
        self._watching: dict[tuple[str, str], OnEnd] = {}

    def watch(self, name: str, number: str, on_end: OnEnd) -> None:
        """Tell how each invocation of a version ends from now on, and after how many ms."""
        self._watching[name, number] = on_end

    def unwatch(self, name: str, number: str) -> None:
        self._watching.pop((name, number), None)

    def check(self, name: str, qualifier: str) -> Version:
        """The version that would run. Raises FunctionNotFound, FunctionFailed."""
        return self._functions.resolve(name, qualifier)

    def meant(self, name: str, qualifier: str) -> list[Version]:
        """The versions that may run, where an alias shares its calls.

        Raises FunctionNotFound, FunctionFailed.
        """
        return self._functions.meant(name, qualifier)

    def loops(self, name: str, trace_id: str) -> bool:
        """Whether the chain of events that a trace tells of has run a function as often as it may;
        that is logged."""
        if lineage.MARK not in trace_id:
            return False
        passes = lineage.passes(trace_id, lineage.hash_of(self._address.arn(name)))
        if passes < lineage.PASSES_MAX or self._allows_loops(name):
            return False
        text = "%s: recursive loop: not run again, after %d times in one chain of events: %s"
        _log.error(text, name, passes, trace_id)
        return True

    async def invoke(
        self,
        invocation: Invocation,
        on_chunk: OnChunk | None = None,
        version: Version | None = None,
    ) -> Outcome:
        """Run one event now; what the function streams goes to `on_chunk`, when there is one.

        `version` is for who has asked `check` for it already: an alias may mean another one now.
        Raises FunctionNotFound, RecursiveInvocation, TooManyRequests, MachineError; what the
        function itself does wrong is in the outcome.
        """
        if version is None:
            version = self._functions.resolve(invocation.function, invocation.qualifier)
        if lineage.MARK in invocation.trace_id:
            self._check_loop(invocation)
        try:
            instance = self._supervisor.lease_now(version)
            if instance is None:
                instance = await self._supervisor.lease(version)
        except InitFailed as failure:
            self._account(version, invocation, failure.status, Usage())
            return Outcome(status=failure.status, payload=failure.payload)
        try:
            outcome = await instance.run(invocation, on_chunk)
        except BaseException:
            # Given up on in the middle: what it is doing now is nobody's.
            instance.kill()
            self._supervisor.release(instance)
            raise
        if invocation.tail:
            tail = self._settle(instance, invocation, outcome)
            return msgspec.structs.replace(outcome, log_tail=tail)
        # In the loop's next turn, when the reply is on its way.
        asyncio.get_running_loop().call_soon(self._settle, instance, invocation, outcome)
        return outcome

    def _check_loop(self, invocation: Invocation) -> None:
        """Raises RecursiveInvocation."""
        if self.loops(invocation.function, invocation.trace_id):
            raise RecursiveInvocation(invocation.function, lineage.PASSES_MAX)

    def _settle(self, instance: Instance, invocation: Invocation, outcome: Outcome) -> bytes:
        """Make up the books and take the instance back; gives the log's tail."""
        try:
            usage, tail = instance.settle(invocation.request_id, outcome)
        finally:
            self._supervisor.release(instance)
        self._account(instance.version, invocation, outcome.status, usage)
        return tail

    def _account(
        self, version: Version, invocation: Invocation, status: Status, usage: Usage
    ) -> None:
        # In the row's order: by name it would take twice as long, and this is done every time.
        row = UsageRow(
            int(time.time() * 1000),
            invocation.function,
            version.number,
            invocation.request_id,
            status.value,
            usage.wall_ms,
            usage.billed_ms,
            usage.cpu_ms,
            version.function.limits.memory_mb,
            usage.memory_mb,
            usage.init_ms,
        )
        self._usage.record(row)
        if self._watching:
            on_end = self._watching.get((invocation.function, version.number))
            if on_end is not None:
                on_end(status, usage.wall_ms)


def new_request_id() -> str:
    """A version 4 UUID; five times faster than the uuid module's."""
    digits = os.urandom(15).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-a{digits[15:18]}-{digits[18:]}"
