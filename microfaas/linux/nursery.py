"""The nursery: a small single-threaded program that starts confined processes. It holds no policy.

Run as `python -m microfaas.linux.nursery FD DIRECTORY…`: FD is a SOCK_SEQPACKET socket to the
supervisor. It forks, because the supervisor, with its loop and threads, must not. When the
supervisor is gone it kills everything it started, sweeps the cgroup DIRECTORYs and ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import select
import signal
import socket
import sys

import msgspec

from microfaas.linux import cgroup_files, fence, fitting, process, syscalls, warden
from microfaas.linux.fitting import Place
from microfaas.linux.launch import (
    FDS_MAX,
    LAUNCH_BYTES_MAX,
    Answer,
    Exited,
    Fit,
    Launch,
    Launched,
    Order,
)


def main(argv: list[str]) -> None:
    """Serve until the supervisor is gone."""
    # Ctrl-C goes to the whole foreground group; only the supervisor decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # A collection in a fork would copy every page that it looks at.
    gc.freeze()
    supervisor = socket.socket(fileno=int(argv[0]))
    # Functions must not have it: it tells of all of them, and whoever holds it is believed.
    supervisor.set_inheritable(False)
    nursery = Nursery(supervisor)
    nursery.serve()
    nursery.kill_all()
    # What is frozen dies of that only when its group is swept.
    cgroup_files.sweep(argv[1:])
    nursery.wait_all()


class Nursery:
    """The loop: launches asked for, exits told."""

    def __init__(self, supervisor: socket.socket) -> None:
        self._supervisor = supervisor
        self._poll = select.poll()
        self._poll.register(supervisor, select.POLLIN)
        self._pids: dict[int, int] = {}  # by pidfd
        self._decode = msgspec.msgpack.Decoder(Order).decode
        self._encode = msgspec.msgpack.Encoder().encode

    def serve(self) -> None:
        while True:
            for fd, _ in self._poll.poll():
                if fd in self._pids:
                    self._reap(fd)
                elif not self._answer():
                    return

    def _answer(self) -> bool:
        try:
            data, fds, _, _ = socket.recv_fds(self._supervisor, LAUNCH_BYTES_MAX, FDS_MAX)
        except ConnectionError:
            return False
        if not data:
            return False
        for fd in fds:  # or whatever is started next would inherit them
            os.set_inheritable(fd, False)
        order = self._decode(data)
        try:
            if order.launch is not None:
                self._answer_launch(order.launch, fds)
            elif order.fit is not None:
                self._answer_fit(order.fit, fds)
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def _answer_launch(self, launch: Launch, fds: list[int]) -> None:
        try:
            pidfd = self._launch(launch, fds)
        except OSError as error:
            self._tell(Answer(launched=Launched(ticket=launch.ticket, fault=str(error))))
            return
        launched = Launched(ticket=launch.ticket, pid=self._pids[pidfd])
        self._tell(Answer(launched=launched), [pidfd])

    def _answer_fit(self, order: Fit, fds: list[int]) -> None:
        try:
            if order.user_namespace:
                _fit_in_child(fds[0], order.places)
            else:
                fitting.fit_and_return(fds[0], order.places)
            fault = ""
        except OSError as error:
            fault = f"cannot show a spare its function: {error}"
        self._tell(Answer(launched=Launched(ticket=order.ticket, fault=fault)))

    def _launch(self, launch: Launch, fds: list[int]) -> int:
        """Start the program; its pidfd. Raises OSError with what went wrong on the way to exec."""
        given = fds[: len(launch.targets)]
        joins = fds[len(given) + (launch.warden is not None) :]
        fault_read, fault_write = os.pipe2(os.O_CLOEXEC)
        owner = os.geteuid(), os.getegid()
        pid = syscalls.fork(launch.fence.namespaces)
        if pid == 0:
            _become(launch, given, joins, fault_write, owner)
        os.close(fault_write)
        with os.fdopen(fault_read, "rb") as pipe:
            fault = pipe.read().decode()
        if fault:
            os.waitpid(pid, 0)
            raise OSError(fault)
        pidfd = self._watch(pid)
        if launch.warden is not None:
            self._start_warden(launch, pidfd, fds[len(given)], joins)
        return pidfd

    def _start_warden(self, launch: Launch, program: int, channel: int, joins: list[int]) -> None:
        pid = os.fork()
        if pid:
            self._watch(pid)
            return
        try:
            assert launch.warden is not None
            _keep_only([2, program, channel, *joins])
            with socket.socket(fileno=channel) as supervisor:
                warden.serve(launch.warden, program, supervisor, joins)
        except BaseException as error:
            os.write(2, f"the warden of {launch.argv[0]} ends: {error!r}\n".encode())
        finally:
            os._exit(0)

    def _watch(self, pid: int) -> int:
        pidfd = os.pidfd_open(pid)
        self._pids[pidfd] = pid
        self._poll.register(pidfd, select.POLLIN)
        return pidfd

    def _reap(self, pidfd: int) -> None:
        self._poll.unregister(pidfd)
        os.close(pidfd)
        pid = self._pids.pop(pidfd)
        _, status = os.waitpid(pid, 0)
        exited = Exited(pid=pid, status=os.waitstatus_to_exitcode(status))
        self._tell(Answer(exited=exited))

    def _tell(self, answer: Answer, fds: list[int] | None = None) -> None:
        # A supervisor that is gone is noticed by the next poll.
        with contextlib.suppress(ConnectionError):
            socket.send_fds(self._supervisor, [self._encode(answer)], fds or [])

    def kill_all(self) -> None:
        for pidfd in self._pids:
            process.kill(pidfd)

    def wait_all(self) -> None:
        for pid in self._pids.values():
            os.waitpid(pid, 0)


def _become(
    launch: Launch, given: list[int], joins: list[int], fault_write: int, owner: tuple[int, int]
) -> None:
    """In the child: build the fence from the inside and execute. Never returns."""
    # The nursery's own are as many as there are processes: more than a function may have.
    _keep_only([0, 1, 2, fault_write, *given, *joins])
    # Parked: a source, or this, may have a number that another one is to get.
    above = max(launch.targets, default=2) + 1
    fault_write = fcntl.fcntl(fault_write, fcntl.F_DUPFD_CLOEXEC, above)
    given = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above) for fd in given]
    joins = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above) for fd in joins]
    try:
        fence.confine(launch.fence, joins, owner)
        os.chdir(launch.cwd)
        for fd, target in zip(given, launch.targets, strict=True):
            os.dup2(fd, target, inheritable=True)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execve(launch.argv[0], launch.argv, launch.env)
    except BaseException as error:
        os.write(fault_write, f"cannot start {launch.argv[0]}: {error}".encode())
    finally:
        os._exit(127)


def _fit_in_child(program: int, places: list[Place]) -> None:
    """What it enters for this, a process does not come back from. Raises OSError."""
    fault_read, fault_write = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            fitting.fit_as_owner(program, places)
        except BaseException as error:
            os.write(fault_write, str(error).encode())
        finally:
            os._exit(0)
    os.close(fault_write)
    with os.fdopen(fault_read, "rb") as pipe:
        fault = pipe.read().decode(errors="replace")
    os.waitpid(pid, 0)
    if fault:
        raise OSError(fault)


def _keep_only(fds: list[int]) -> None:
    """Close all other descriptors: what this process holds open, others cannot see closed."""
    last = -1
    for fd in sorted(fds):
        if last + 1 < fd:  # from 0 to 0 would be all there are
            os.closerange(last + 1, fd)
        last = fd
    os.closerange(last + 1, os.sysconf("SC_OPEN_MAX"))


if __name__ == "__main__":
    main(sys.argv[1:])
