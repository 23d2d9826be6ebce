"""The nursery: a small single-threaded program that starts confined processes. It holds no policy.

Run as `python -m microfaas.linux.nursery FD DIRECTORY…`: FD is a SOCK_SEQPACKET socket to the
supervisor. It forks, because the supervisor, with its loop and threads, must not. When the
supervisor is gone it kills everything it started, sweeps the cgroup DIRECTORYs and ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import select
import signal
import socket
import sys

import msgspec

from microfaas.linux import cgroup_files, namespaces, process, syscalls
from microfaas.linux.launch import FDS_MAX, LAUNCH_BYTES_MAX, Answer, Exited, Launch, Launched


def main(argv: list[str]) -> None:
    """Serve until the supervisor is gone."""
    # Ctrl-C goes to the whole foreground group; only the supervisor decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Nursery(socket.socket(fileno=int(argv[0]))).serve()
    cgroup_files.sweep(argv[1:])


class Nursery:
    """The loop: launches asked for, exits told."""

    def __init__(self, supervisor: socket.socket) -> None:
        self._supervisor = supervisor
        self._poll = select.poll()
        self._poll.register(supervisor, select.POLLIN)
        self._pids: dict[int, int] = {}  # by pidfd
        self._decode = msgspec.msgpack.Decoder(Launch).decode
        self._encode = msgspec.msgpack.Encoder().encode

    def serve(self) -> None:
        while True:
            for fd, _ in self._poll.poll():
                if fd in self._pids:
                    self._reap(fd)
                elif not self._answer():
                    self._kill_all()
                    return

    def _answer(self) -> bool:
        try:
            data, fds, _, _ = socket.recv_fds(self._supervisor, LAUNCH_BYTES_MAX, FDS_MAX)
        except ConnectionError:
            return False
        if not data:
            return False
        launch = self._decode(data)
        try:
            pidfd = self._launch(launch, fds)
        except OSError as error:
            self._tell(Answer(launched=Launched(ticket=launch.ticket, fault=str(error))))
            return True
        finally:
            for fd in fds:
                os.close(fd)
        launched = Launched(ticket=launch.ticket, pid=self._pids[pidfd])
        self._tell(Answer(launched=launched), [pidfd])
        return True

    def _launch(self, launch: Launch, fds: list[int]) -> int:
        """Start the program; its pidfd. Raises OSError with what went wrong on the way to exec."""
        fault_read, fault_write = os.pipe2(os.O_CLOEXEC)
        owner = os.geteuid(), os.getegid()
        pid = syscalls.fork(launch.namespaces)
        if pid == 0:
            _become(launch, fds, fault_write, owner)
        os.close(fault_write)
        with os.fdopen(fault_read, "rb") as pipe:
            fault = pipe.read().decode()
        if fault:
            os.waitpid(pid, 0)
            raise OSError(fault)
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

    def _kill_all(self) -> None:
        for pidfd in self._pids:
            process.kill(pidfd)
        for pid in self._pids.values():
            os.waitpid(pid, 0)


def _become(launch: Launch, fds: list[int], fault_write: int, owner: tuple[int, int]) -> None:
    """In the child: build the fence from the inside and execute. Never returns."""
    # Parked: a source, or this, may have a number that another one is to get.
    above = max(launch.targets, default=2) + 1
    fault_write = fcntl.fcntl(fault_write, fcntl.F_DUPFD_CLOEXEC, above)
    parked = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above) for fd in fds]
    given, joins = parked[: len(launch.targets)], parked[len(launch.targets) :]
    try:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
        if launch.namespaces & syscalls.CLONE_NEWUSER:
            _map_self(*owner)
        for fd in joins:
            os.write(fd, b"0")
        if launch.root is not None:
            namespaces.enter(launch.root)
        os.chdir(launch.cwd)
        _limit(launch.files_max)
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
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


def _map_self(uid: int, gid: int) -> None:
    """In a new user namespace, stay oneself; files of others then belong to nobody."""
    cgroup_files.write("/proc/self/setgroups", "deny")
    cgroup_files.write("/proc/self/uid_map", f"{uid} {uid} 1")
    cgroup_files.write("/proc/self/gid_map", f"{gid} {gid} 1")


def _limit(files_max: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (files_max, files_max))


if __name__ == "__main__":
    main(sys.argv[1:])
