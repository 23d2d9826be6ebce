"""Starting the programs of an instance: its bootstrap and its extensions."""

import os
import signal

from microfaas_host import fence

# Python ignores these; programs expect to die of them.
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)


class LaunchError(Exception):
    """A program cannot be executed."""

    def __init__(self, path, number):
        super().__init__(f"fork/exec {path}: {os.strerror(number).lower()}")
        self.number = number


class Process:
    """A program that runs; its pidfd becomes readable when it has ended."""

    def __init__(self, pid):
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.status = None  # exit code, or minus a signal

    def ended(self):
        """Whether it has; then its `status` is known."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid == 0:
                return False
            signalled = os.WIFSIGNALED(status)
            self.status = -os.WTERMSIG(status) if signalled else os.WEXITSTATUS(status)
        return True

    def send(self, number):
        if self.status is None:
            os.kill(self.pid, number)  # a pid that nobody has waited for is not given away


def start(argv, environment, directory, moved=()):
    """Start a program; `moved` are pairs of descriptors and their numbers in it.

    Raises LaunchError.
    """
    failed_read, failed_write = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            _become(argv, environment, directory, moved, parent)
        except OSError as error:
            os.write(failed_write, error.errno.to_bytes(4, "little"))
        finally:
            os._exit(127)
    os.close(failed_write)
    number = int.from_bytes(os.read(failed_read, 4), "little")
    os.close(failed_read)
    if number:
        os.waitpid(pid, 0)
        raise LaunchError(argv[0], number)
    return Process(pid)


def _become(argv, environment, directory, moved, parent):
    fence.die_with_parent(parent)
    os.setpgid(0, 0)
    for number in _IGNORED:
        signal.signal(number, signal.SIG_DFL)
    for fd, target in moved:
        os.dup2(fd, target)  # which makes it inheritable
    os.chdir(directory)
    os.execve(argv[0], argv, environment)


def reap_orphans(known):
    """Collect what has been left to this process, and what of that has ended."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid in known:
            return
        os.waitpid(found.si_pid, 0)


def die_as(status):
    """End in the way in which another process has ended."""
    if status < 0:
        if -status not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status & 0xFF)


def how(status):
    """In Lambda's words."""
    return f"exit status {status}" if status >= 0 else f"signal {-status}"
