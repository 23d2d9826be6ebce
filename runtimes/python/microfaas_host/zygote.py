"""The zygote: loads the function once and forks instances that are already initialised.

Theory of operation: requests for this process itself come on fd 3, answers go to fd 4. On fd 5,
a SOCK_SEQPACKET socket, come `spawn` messages with the descriptors of the instance to be; back
go `spawned`, with a pidfd, and `exited`. An instance is a fork of this loop that goes on in its
language's `serve`. As process 1 of its namespace the zygote also reaps whatever the function's
processes leave behind.
"""

import gc
import os
import select
import socket
import time

from microfaas_host import ending, fence, forkable, frames

MESSAGE_BYTES_MAX = 64 * 1024
FDS_MAX = 32
ORPHANS_S = 2.0
ORPHANS_POLL_S = 0.1


def run(language):
    """Serve until the supervisor is gone. Returns in no process: all end by os._exit."""
    language.begin()
    ending.run(lambda: _boot(language), language.flush)


def _boot(language):
    _say_ready()
    request = frames.read()
    if request is None:
        return 1
    fence.hide_memory()  # before any code of the function's is in it
    return _serve(language, request)


def _say_ready():
    frames.write({"kind": "ready", "protocol": frames.PROTOCOL_VERSION, "pid": os.getpid()})


def _serve(language, request):
    handler = None
    why = "snapshot is off" if request["snapshot"] == "off" else language.why_bare
    if not why:
        before = forkable.descriptors()
        handler = language.load(request["handler"])
        if handler is None:
            return 1
        why = forkable.verdict(before) if request["snapshot"] == "auto" else ""
        language.before_forks()
    language.warm_up()
    gc.collect()
    gc.freeze()
    if fence.heap_is_large():
        fence.collapse_heap()
    loaded = {"kind": "loaded", "forkable": handler is not None and not why, "why": why}
    language.flush()
    frames.write(loaded)
    return _Zygote(language, handler, request["handler"]).loop()


class _Zygote:
    def __init__(self, language, handler, handler_name):
        self.language = language
        self.handler = handler
        self.handler_name = handler_name
        self.control = socket.socket(fileno=frames.CONTROL)
        self.control.set_inheritable(False)
        self.poll = select.epoll()
        self.poll.register(frames.CONTROL, select.EPOLLIN)
        self.poll.register(frames.REQUESTS, select.EPOLLIN)
        self.pidfds = {}  # by pid
        self.left_in_tmp = None
        self.orphans_until = 0.0

    def loop(self):
        while True:
            for fd, _ in self.poll.poll(self.patience_s()):
                if fd == frames.REQUESTS:
                    return 0  # told to stop, or alone
                if fd != frames.CONTROL:
                    self.reap()
                    continue
                data, fds, _, _ = socket.recv_fds(self.control, MESSAGE_BYTES_MAX, FDS_MAX)
                if not data:
                    return 0
                if self.spawn(frames.unpack(data), fds):
                    return 0  # an instance that has ended

    def patience_s(self):
        """How long to wait; what an instance left behind dies unannounced, soon after it."""
        if time.monotonic() > self.orphans_until:
            return None
        self.reap()
        return ORPHANS_POLL_S

    def spawn(self, request, fds):
        """Fork. True in the instance, once it has served; False in the zygote."""
        if self.left_in_tmp is None:
            self.left_in_tmp = fence.left_in_tmp(request["tmp_shown"])
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self.become_instance(request, fds, parent)
            return True
        for fd in fds:
            os.close(fd)
        pidfd = os.pidfd_open(pid)
        self.pidfds[pid] = pidfd
        self.poll.register(pidfd, select.EPOLLIN)
        self.tell({"kind": "spawned", "id": request["id"], "pid": pid}, [pidfd])
        return False

    def become_instance(self, request, fds, parent):
        """In the fork: from the zygote's descriptors and state to an instance's."""
        given = {}
        for kind, fd in zip(request["fds"], fds):
            given.setdefault(kind, []).append(fd)
        # First of all: memory that is touched before is charged to the zygote for good.
        fence.join(given.get("groups", ()))
        if given.get("cell"):
            fence.enter(given["cell"], self.left_in_tmp)
        fence.hide_memory()
        fence.die_with_parent(parent)
        targets = (("requests", frames.REQUESTS), ("replies", frames.REPLIES), ("log", 1))
        for kind, target in targets:
            (fd,) = given[kind]
            os.dup2(fd, target, inheritable=False)
            os.close(fd)
        os.set_inheritable(1, True)
        os.dup2(1, 2)
        self.poll.close()
        self.control.close()
        for pidfd in self.pidfds.values():
            os.close(pidfd)
        for name, value in request["env"].items():
            os.environ[name] = value  # not by update(), which touches 200 KB of the interpreter
        fence.reseed()
        if self.handler is None:
            self.load_late()
        else:
            self.language.after_fork()
            _say_ready()
        self.language.serve(self.handler)

    def load_late(self):
        """An instance of a function that cannot be forked loads it itself."""
        _say_ready()
        if frames.read() is None:
            os._exit(0)
        self.handler = self.language.load(self.handler_name)
        if self.handler is None:
            os._exit(1)
        frames.write({"kind": "loaded", "forkable": False, "why": "loaded by the instance"})

    def reap(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            pidfd = self.pidfds.pop(pid, None)
            if pidfd is None:
                continue  # an orphan of an instance
            self.poll.unregister(pidfd)
            os.close(pidfd)
            self.orphans_until = time.monotonic() + ORPHANS_S
            code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            self.tell({"kind": "exited", "pid": pid, "status": code}, [])

    def tell(self, message, fds):
        try:
            socket.send_fds(self.control, [frames.pack(message)], fds)
        except BrokenPipeError:
            os._exit(0)
