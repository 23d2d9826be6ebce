"""One instance: a process that runs one version, one invocation at a time."""

from __future__ import annotations

import asyncio
import math
import signal
import time
from collections.abc import Awaitable, Callable

from microfaas import lineage
from microfaas.log import stamp
from microfaas.model import RESULT_BYTES_MAX, Invocation, Outcome, Status, Usage, Version
from microfaas.pool import failures
from microfaas.pool.failures import Failure
from microfaas.pool.loading import exit_status
from microfaas.pool.output import Output
from microfaas.pool.platform_lines import Ending
from microfaas.pool.sandbox import Sandbox
from microfaas.wire.channel import Channel, ChannelClosed
from microfaas.wire.frames import Message

# Takes a piece of a streamed result, and the content type that the function gave with the first.
OnChunk = Callable[[bytes, str], Awaitable[None]]


class Instance:
    """Owned by a pool; `run` is called by one invocation at a time."""

    def __init__(
        self,
        name: str,
        stream: str,
        version: Version,
        arn: str,
        sandbox: Sandbox,
        channel: Channel,
        output: Output,
        exited: asyncio.Future[int],
        on_closed: Callable[[str], None],
    ) -> None:
        self.name = name
        # What its log is called.
        self.stream = stream
        self.version = version
        self.sandbox = sandbox
        self.channel = channel
        self.exited = exited
        # Told of with the first invocation, which is the one that waited for it.
        self.init_ms: float | None = None
        self.idle_since = time.monotonic()
        # Whether it is kept, used or not.
        self.provisioned = False
        self._arn = arn
        self._hash = lineage.hash_of(arn)
        self._begun = lineage.extended("", self._hash)
        self._on_closed = on_closed
        self._output = output
        self._cpu_us = sandbox.cpu_us()
        self._expired = False
        self._loop = asyncio.get_running_loop()
        self._deadline = math.inf
        self._timer: asyncio.TimerHandle | None = None
        exited.add_done_callback(self._exited)

    @property
    def alive(self) -> bool:
        """Whether it can take an invocation."""
        return not (self.channel.closed or self.exited.done())

    @property
    def has_run(self) -> bool:
        """Whether it has run an invocation whose books are made up."""
        return self.init_ms is None

    async def run(self, invocation: Invocation, on_chunk: OnChunk | None = None) -> Outcome:
        """Run the handler with the event; whatever goes wrong inside is in the outcome.

        What a handler streams goes to `on_chunk` as it comes, and the outcome has the rest; else
        the outcome has all of it. `settle` must follow. It is apart because the caller can have
        its reply before the books are made up.
        """
        timeout_s = self.version.function.limits.timeout_s
        if self.sandbox.frozen:
            self.sandbox.thaw()
        self._output.begin(invocation.request_id, self.version.number, invocation.tail)
        started = time.monotonic()
        self._deadline = started + timeout_s
        if self._timer is None:
            self._watch_deadline()
        try:
            self.channel.send(self._request(invocation, timeout_s))
            message = await self.channel.receive()
            if message["kind"] == "chunk":
                message = await self._streamed(message, on_chunk)
        except ChannelClosed as closed:
            wall_s = time.monotonic() - started
            status, failure = await self._post_mortem(invocation.request_id, closed.fault)
            return self._outcome(status, failure.payload(), wall_s, failure.kind)
        finally:
            self._deadline = math.inf
        wall_s = time.monotonic() - started
        if message.get("ends"):
            # Nobody is to be sent to a process that is about to end.
            self.channel.close()
        payload = message["payload"]
        if len(payload) > RESULT_BYTES_MAX:
            failure = failures.too_large(RESULT_BYTES_MAX)
            return self._outcome(Status.ERROR, failure.payload(), wall_s, failure.kind)
        status = Status.OK if message["kind"] == "result" else Status.ERROR
        return self._outcome(status, payload, wall_s)

    def settle(self, request_id: str, outcome: Outcome) -> tuple[Usage, bytes]:
        """What the invocation took; writes the end of its log and gives the log's tail."""
        cpu_us = self.sandbox.cpu_us()
        wall_ms = outcome.wall_s * 1000
        usage = Usage(
            wall_ms=wall_ms,
            billed_ms=max(1, math.ceil(wall_ms)),
            cpu_ms=max(0, cpu_us - self._cpu_us) / 1000,
            memory_mb=self.sandbox.memory_peak_mb(),
            init_ms=self.init_ms,
        )
        self._cpu_us = cpu_us
        self.init_ms = None
        memory_mb = self.version.function.limits.memory_mb
        ending = Ending(outcome.status, outcome.error_type)
        return usage, self._output.end(request_id, usage, memory_mb, ending)

    def show_start(self) -> None:
        """What takes long should be seen in the log while it runs."""
        self._output.show_start()

    def kill(self) -> None:
        """End it and everything it started, now."""
        self.sandbox.kill()
        self.channel.close()

    def close(self) -> bool:
        """Let go of a process that is gone; False when its cgroup must be tried again."""
        if not self.exited.done():
            return False
        self.channel.close()
        self._output.close()
        self._on_closed(self.name)
        return self.sandbox.close()

    async def _streamed(self, message: Message, on_chunk: OnChunk | None) -> Message:
        """Take a result that comes in pieces; the last message, with all that nobody else took."""
        kept, kept_bytes = [], 0
        while message["kind"] == "chunk":
            payload = message["payload"]
            if on_chunk is not None:
                await on_chunk(payload, message.get("content_type", ""))
            elif kept_bytes <= RESULT_BYTES_MAX:  # what is too large is refused below, not kept
                kept.append(payload)
                kept_bytes += len(payload)
            message = await self.channel.receive()
        if message["kind"] == "result":
            message["payload"] = b"".join([*kept, message["payload"]])
        return message

    def _request(self, invocation: Invocation, timeout_s: float) -> Message:
        qualifier = invocation.qualifier
        trace_id = invocation.trace_id or lineage.new_trace_id(invocation.request_id)
        if lineage.MARK in trace_id:
            trace_id = lineage.extended(trace_id, self._hash)
        else:
            trace_id += self._begun  # as most calls come: nothing is to be read
        request: Message = {
            "kind": "invoke",
            "id": invocation.request_id,
            "event": invocation.event or b"{}",
            "deadline_ms": int((time.time() + timeout_s) * 1000),
            "arn": f"{self._arn}:{qualifier}" if qualifier else self._arn,
            "trace_id": trace_id,
        }
        if invocation.client_context:
            request["client_context"] = invocation.client_context
        return request

    def _watch_deadline(self) -> None:
        """End what runs past its deadline; killing closes the pipes, and that wakes `run`.

        The timer is set again only when it has gone off: hardly any invocation costs one.
        """
        self._timer = None
        if self._deadline == math.inf or self.exited.done():
            return
        left_s = self._deadline - time.monotonic()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._watch_deadline)
        else:
            self._expired = True
            self.kill()

    def _exited(self, _: asyncio.Future[int]) -> None:
        # A process that it left behind may keep the pipe open: the exit counts, not the pipe.
        self.channel.hang_up()

    async def _post_mortem(self, request_id: str, fault: str) -> tuple[Status, Failure]:
        """Why there is no reply."""
        limits = self.version.function.limits
        if self._expired:
            self._output.note(
                f"{stamp(time.time())} {request_id} "
                f"Task timed out after {limits.timeout_s:.2f} seconds"
            )
            return Status.TIMEOUT, failures.timed_out(request_id, limits.timeout_s)
        if fault:
            self.kill()
            return Status.EXIT, failures.broke_protocol(request_id, fault)
        status = await exit_status(self.exited)
        if status is None:
            # It closed its pipes but lives on: it is of no use any more.
            self.kill()
            status = -signal.SIGKILL
        if self.sandbox.out_of_memory():
            failure = failures.out_of_memory(request_id)
            self._output.note(failure.message)
            return Status.MEMORY, failure
        failure = failures.exited(request_id, status)
        self._output.note(failure.message)
        return Status.EXIT, failure

    def _outcome(
        self, status: Status, payload: bytes, wall_s: float, error_type: str = ""
    ) -> Outcome:
        return Outcome(
            status=status,
            payload=payload,
            version=self.version.number,
            error_type=error_type,
            wall_s=wall_s,
        )
