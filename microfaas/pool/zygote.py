"""A zygote: the process of one version that instances are forked from."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
import uuid
from datetime import UTC, datetime

from microfaas.errors import MachineError, ProtocolError
from microfaas.linux.cgroup import Group
from microfaas.linux.process import host_pid
from microfaas.model import MIB, Version
from microfaas.pool.instance import Instance
from microfaas.pool.loading import boot, load
from microfaas.pool.output import Output
from microfaas.pool.pipes import Pipes
from microfaas.pool.reaper import Reaper
from microfaas.pool.sandbox import Sandbox
from microfaas.pool.site import Site
from microfaas.wire.channel import Channel
from microfaas.wire.frames import Message, decode_body, encode_body
from microfaas.wire.session import State

CONTROL_BYTES_MAX = 64 * 1024
SPAWN_S_MAX = 10.0
# How long after a group was taken the next one is made: not while the instance is being started.
PREPARE_S = 0.005
# What a fork leaves on its zygote's account: page tables, stacks, and the old copies of pages
# that the zygote writes to afterwards. Measured: 1.1 MB.
FORK_BYTES = 3 * MIB
_KILLED = -9


class Zygote:
    """Forks instances until it is ended or dies. Made by `boot.start_zygote`."""

    def __init__(
        self,
        *,
        site: Site,
        version: Version,
        sandbox: Sandbox,
        channel: Channel,
        output: Output,
        control: socket.socket,
        exited: asyncio.Future[int],
    ) -> None:
        self.version = version
        self.sandbox = sandbox
        self.channel = channel
        self.exited = exited
        self.why_not_loaded = ""
        self._site = site
        self._output = output
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._asked: dict[str, asyncio.Future[tuple[int, int]]] = {}
        self._children: dict[int, asyncio.Future[int]] = {}  # by pid in the zygote's namespace
        # Asked once: finding the runtime reads its manifest, and a fork is not to wait for that.
        self._tmp_shown = site.shown_in_tmp(version)
        self._with_code = False
        self._shared_bytes = 0
        # Making a cgroup takes half a millisecond, so one is made ahead.
        self._spare_group: Group | None = None
        self._preparing = False
        control.setblocking(False)
        self._loop.add_reader(control, self._readable)
        exited.add_done_callback(self._gone)

    @property
    def alive(self) -> bool:
        return not (self.exited.done() or self.channel.closed)

    @property
    def memory_mb(self) -> int:
        return -(-self._shared_bytes // MIB)

    def loaded(self, *, with_code: bool) -> None:
        """It is ready to fork; with the function's code in it, or bare."""
        self._with_code = with_code
        self._shared_bytes = self.sandbox.memory_bytes()
        # No more of the function's code runs here, but what a fork touches and what the kernel
        # keeps for it before it has joined its own group is charged here.
        limits = self.version.function.limits
        forks_bytes = limits.concurrency_max * FORK_BYTES
        self.sandbox.limit_memory(limits.memory_mb * MIB + forks_bytes)
        self._output.drain()
        self._prepare_group()

    async def spawn(self, reaper: Reaper) -> Instance:
        """Fork one instance and hear that it is ready. Raises InitFailed or MachineError."""
        started = time.monotonic()
        name = uuid.uuid4().hex
        instance = await self._fork(name)
        try:
            await boot(instance.channel)
            if not self._with_code:
                await load(instance.channel, self.version, "on", instance.sandbox, instance.exited)
        except BaseException:
            reaper.end(instance)
            raise
        instance.init_ms = (time.monotonic() - started) * 1000
        return instance

    def kill(self) -> None:
        self.sandbox.kill()
        self.channel.close()

    def close(self) -> bool:
        if not self.exited.done():
            return False
        self.channel.close()
        self._output.close()
        if self._spare_group is not None and self._spare_group.remove():
            self._spare_group = None
        return self._spare_group is None and self.sandbox.close()

    async def _fork(self, name: str) -> Instance:
        group = self._take_group()
        tmp_mb, environment = self._site.private_tmp(name, self.version)
        pipes = Pipes()
        environment["AWS_LAMBDA_LOG_STREAM_NAME"] = self._stream(name)
        request: Message = {
            "kind": "spawn",
            "id": name,
            "tmp_mb": tmp_mb,
            "tmp_shown": self._tmp_shown,
            "env": environment,
        }
        given = [pipes.requests_read, pipes.replies_write, pipes.log_write, *group.join_fds]
        try:
            pid, pidfd = await self._ask(request, given)
        except BaseException:
            pipes.close_ours()
            group.remove()
            self._site.remove_tmp(name)
            raise
        finally:
            pipes.close_theirs()
            group.close_joins()
        function = self.version.function
        state = State.FORKED if self._with_code else State.BOOTING
        return Instance(
            name=name,
            version=self.version,
            arn=self._site.address.arn(function.name),
            sandbox=Sandbox(group, host_pid(pidfd), pidfd, self._shared_bytes),
            channel=Channel(pipes.replies_read, pipes.requests_write, state),
            output=Output(pipes.log_read, self._site.log_of(function.name), name[:8]),
            exited=self._children[pid],
            on_closed=self._site.remove_tmp,
        )

    def _take_group(self) -> Group:
        """The group that was made ahead, or a new one."""
        group, self._spare_group = self._spare_group, None
        if not self._preparing:
            self._preparing = True
            self._loop.call_later(PREPARE_S, self._prepare_group)
        return group or self._new_group()

    def _prepare_group(self) -> None:
        self._preparing = False
        if self._spare_group is None and self.alive:
            # One that cannot be made now is asked for, and complained of, when it is needed.
            with contextlib.suppress(OSError):
                self._spare_group = self._new_group()

    def _new_group(self) -> Group:
        return self._site.group(uuid.uuid4().hex, self.version, self._shared_bytes)

    async def _ask(self, request: Message, fds: list[int]) -> tuple[int, int]:
        """Send `spawn`; the pid in the zygote's namespace, and a pidfd."""
        if not self.alive:
            raise MachineError("cannot fork an instance: its zygote has died")
        answer: asyncio.Future[tuple[int, int]] = self._loop.create_future()
        self._asked[request["id"]] = answer
        try:
            socket.send_fds(self._control, [encode_body(request)], fds)
            async with asyncio.timeout(SPAWN_S_MAX):
                return await answer
        except OSError as error:  # a TimeoutError is one as well
            raise MachineError(f"cannot fork an instance: {error!r}") from None
        finally:
            del self._asked[request["id"]]

    def _readable(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._control, CONTROL_BYTES_MAX, 1)
        except BlockingIOError:
            return
        except ConnectionError:
            data, fds = b"", []
        if not data:
            self._loop.remove_reader(self._control)
            return
        try:
            self._heard(decode_body(data), fds)
        except (ProtocolError, KeyError, TypeError, IndexError) as error:
            self.channel.close(f"cannot follow the zygote: {error!r}")
            self.sandbox.kill()

    def _heard(self, message: Message, fds: list[int]) -> None:
        if message["kind"] == "exited":
            child = self._children.pop(message["pid"], None)
            if child is not None and not child.done():
                child.set_result(int(message["status"]))
            return
        answer = self._asked.get(message["id"])
        if answer is None or answer.done():
            # Nobody waits any more; with its pipes closed the instance ends by itself.
            os.close(fds[0])
            return
        self._children[message["pid"]] = self._loop.create_future()
        answer.set_result((message["pid"], fds[0]))

    def _gone(self, _: asyncio.Future[int]) -> None:
        """The zygote has exited, and all its instances have with it."""
        self._loop.remove_reader(self._control)
        self._control.close()
        self.channel.hang_up()
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(MachineError("cannot fork an instance: its zygote has died"))
        for child in self._children.values():
            if not child.done():
                child.set_result(_KILLED)
        self._children.clear()

    def _stream(self, name: str) -> str:
        return f"{datetime.now(UTC):%Y/%m/%d}/[{self.version.number}]{name}"
