"""A zygote: the process of one version that instances are forked from."""

from __future__ import annotations

import asyncio
import os
import socket
import time
import uuid
from typing import NamedTuple

from microfaas.errors import MachineError, ProtocolError
from microfaas.linux.process import host_pid
from microfaas.log import stream_name
from microfaas.model import MIB, Version
from microfaas.pool.environment import of_instance
from microfaas.pool.instance import Instance
from microfaas.pool.loading import boot, load
from microfaas.pool.outfit import Outfit
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
SWEEP_S = 0.05
# What a fork leaves on its zygote's account: page tables, stacks, and the old copies of pages
# that the zygote writes to afterwards. Measured: 1.1 MB.
FORK_BYTES = 3 * MIB
_KILLED = -9


class _Fork(NamedTuple):
    """A fork that was made: a pidfd, its pid on the machine, and how it will end."""

    pidfd: int
    host_pid: int
    exited: asyncio.Future[int]


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
        outfit: Outfit,
        exited: asyncio.Future[int],
    ) -> None:
        self.version = version
        self.sandbox = sandbox
        self.channel = channel
        self.exited = exited
        self.outfit = outfit
        self.why_not_loaded = ""
        self._site = site
        self._output = output
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._asked: dict[str, asyncio.Future[_Fork]] = {}
        # Both by pid in the zygote's namespace: how instances end, and their pids on the machine.
        self._children: dict[int, asyncio.Future[int]] = {}
        self._hosts: dict[int, int] = {}
        self._sweeping = False
        # Asked once, as a fork is not to wait for it.
        self._tmp_shown = site.shown_in_tmp(version)
        self._user = site.lodging.user(version.function)
        self._with_code = False
        self._settled: set[int] = set()
        self._shared_bytes = 0
        control.setblocking(False)
        self._loop.add_reader(control, self._readable)
        exited.add_done_callback(self._gone)

    @property
    def alive(self) -> bool:
        return self.outfit.alive and not (self.exited.done() or self.channel.closed)

    @property
    def pid(self) -> int:
        return self.sandbox.pid

    @property
    def memory_mb(self) -> int:
        return -(-self._shared_bytes // MIB)

    def loaded(self, *, with_code: bool) -> None:
        """It is ready to fork; with the function's code in it, or bare."""
        self._with_code = with_code
        self._shared_bytes = self.sandbox.memory_bytes()
        # Its warden, and processes that loading has started.
        self._settled = self.sandbox.members()
        # No more of the function's code runs here, but what a fork touches and what the kernel
        # keeps for it before it has joined its own group is charged here.
        limits = self.version.function.limits
        forks_bytes = limits.concurrency_max * FORK_BYTES
        self.sandbox.limit_memory(limits.memory_mb * MIB + forks_bytes)
        self._output.drain()
        self.outfit.begin(self._shared_bytes)

    async def spawn(self, reaper: Reaper, provisioned: bool = False) -> Instance:
        """Fork one instance and hear that it is ready. Raises InitFailed or MachineError."""
        started = time.monotonic()
        name = uuid.uuid4().hex
        instance = await self._fork(name, provisioned)
        instance.provisioned = provisioned
        try:
            await boot(instance.channel)
            if not instance.sandbox.joined:
                self._distrust("its instance did not go where it is limited")
                raise MachineError("cannot start an instance: it evades its limits")
            if not self._with_code:
                await load(instance.channel, self.version, instance.sandbox, instance.exited)
        except BaseException:
            reaper.end(instance)
            raise
        finally:
            self.outfit.prepare_soon()
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
        return self.outfit.close() and self.sandbox.close()

    async def _fork(self, name: str, provisioned: bool) -> Instance:
        stream = stream_name(self.version.number, name)
        own = of_instance(stream, provisioned)
        environment = {**self._site.lodging.private_tmp(name), **own}
        try:
            berth = await self.outfit.take()
        except BaseException:
            self._site.lodging.remove_tmp(name)
            raise
        group = berth.group
        pipes = Pipes(self._user)
        given = {
            "requests": [pipes.requests_read],
            "replies": [pipes.replies_write],
            "log": [pipes.log_write],
            "cell": berth.cell,
            "groups": group.join_fds,
        }
        request: Message = {
            "kind": "spawn",
            "id": name,
            "fds": [kind for kind, fds in given.items() for _ in fds],
            "tmp_shown": self._tmp_shown,
            "env": environment,
        }
        try:
            fork = await self._ask(request, [fd for fds in given.values() for fd in fds])
        except BaseException:
            pipes.close_ours()
            group.remove()
            self._site.lodging.remove_tmp(name)
            raise
        finally:
            pipes.close_theirs()
            berth.close_cell()
            group.close_joins()
        state = State.FORKED if self._with_code else State.BOOTING
        return Instance(
            name=name,
            stream=stream,
            version=self.version,
            arn=self._site.address.arn(self.version.function.name),
            sandbox=Sandbox(group, fork.host_pid, fork.pidfd, self._shared_bytes),
            channel=Channel(pipes.replies_read, pipes.requests_write, state),
            output=self._site.output(self.version, stream, pipes.log_read),
            exited=fork.exited,
            on_closed=self._site.lodging.remove_tmp,
        )

    async def _ask(self, request: Message, fds: list[int]) -> _Fork:
        """Send `spawn`, and hear of the fork."""
        if not self.alive:
            raise MachineError("cannot fork an instance: its zygote has died")
        answer: asyncio.Future[_Fork] = self._loop.create_future()
        # Until it is answered, even when nobody waits for that any more.
        self._asked[request["id"]] = answer
        try:
            socket.send_fds(self._control, [encode_body(request)], fds)
            async with asyncio.timeout(SPAWN_S_MAX):
                return await answer
        except OSError as error:  # a TimeoutError is one as well
            raise MachineError(f"cannot fork an instance: {error!r}") from None

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
        except (ProtocolError, KeyError, TypeError, ValueError) as error:
            for fd in fds:
                os.close(fd)
            self._distrust(repr(error))

    def _distrust(self, why: str) -> None:
        """It does not keep to the protocol: somebody else speaks for it."""
        self.channel.close(f"cannot follow the zygote: {why}")
        self.sandbox.kill()

    def _heard(self, message: Message, fds: list[int]) -> None:
        pid, kind = message["pid"], message["kind"]
        if type(pid) is not int:
            raise ProtocolError("cannot accept a pid that is no number")
        if kind == "exited" and not fds:
            child = self._children.pop(pid, None)
            if child is None:
                raise ProtocolError(f"cannot accept the exit of {pid}, which was not forked")
            del self._hosts[pid]
            self._sweep_soon()
            if not child.done():
                child.set_result(int(message["status"]))
            return
        answer = self._asked.get(message["id"])
        if kind != "spawned" or len(fds) != 1 or answer is None or pid in self._children:
            raise ProtocolError(f"cannot accept {kind!r} that was not asked for")
        try:
            self._hosts[pid] = host_pid(fds[0])
        except OSError as error:
            raise ProtocolError(f"cannot accept what is no pidfd: {error}") from None
        self._children[pid] = self._loop.create_future()
        del self._asked[message["id"]]
        if answer.done():
            # Nobody waits any more; with its pipes closed the instance ends by itself.
            os.close(fds[0])
        else:
            answer.set_result(_Fork(fds[0], self._hosts[pid], self._children[pid]))

    def _sweep_soon(self) -> None:
        if not self._sweeping:
            self._sweeping = True
            self._loop.call_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        """End what instances left here; but not a fork that is still on its way to its place."""
        self._sweeping = False
        if self._asked:
            self._sweep_soon()
        elif self.alive:
            self.sandbox.kill_strays(self._settled, self._hosts.values())

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
        self._hosts.clear()
