"""The zygote: loads the function once and forks instances that are already initialised.

Theory of operation: requests for this process itself come on fd 3, answers go to fd 4. On fd 5,
a SOCK_SEQPACKET socket, come `spawn` messages with the descriptors of the instance to be; back
go `spawned`, with a pidfd, and `exited`. An instance is a fork of this loop that returns from it
into `invoking.serve`. As process 1 of its namespace the zygote also reaps whatever the function's
processes leave behind.
"""

import gc
import os
import select
import socket
import sys
import time

from microfaas_host import errors, fence, forkable, frames, invoking, loading, logs

PROTOCOL_VERSION = 1
MESSAGE_BYTES_MAX = 64 * 1024
FDS_MAX = 32
ORPHANS_S = 2.0
ORPHANS_POLL_S = 0.1


def run(task_root):
    """Serve until the supervisor is gone. Returns in no process: all end by os._exit."""
    logs.setup()
    status = 1
    try:
        frames.write({"kind": "ready", "protocol": PROTOCOL_VERSION, "pid": os.getpid()})
        request = frames.read()
        if request is not None:
            fence.hide_memory()  # before any code of the function's is in it
            status = _serve(request)
    except SystemExit as exit_:
        status = _exit_status(exit_)
    except BaseException:
        # sys.excepthook is the user's to replace; print what Python itself would.
        sys.__excepthook__(*sys.exc_info())
    finally:
        logs.flush()
        os._exit(status)


def _exit_status(exit_):
    if exit_.code is None:
        return 0
    if isinstance(exit_.code, int):
        return exit_.code & 0xFF
    print(exit_.code, file=sys.stderr)
    return 1


def _serve(request):
    handler = None
    why = "snapshot is off"
    if request["snapshot"] != "off":
        before = forkable.descriptors()
        handler = _load(request["handler"])
        if handler is None:
            return 1
        why = forkable.verdict(before) if request["snapshot"] == "auto" else ""
        _run_hooks("get_before_snapshot", reverse=True)
    invoking.warm_up()
    gc.collect()
    gc.freeze()
    if fence.heap_is_large():
        fence.collapse_heap()
    loaded = {"kind": "loaded", "forkable": handler is not None and not why, "why": why}
    logs.flush()
    frames.write(loaded)
    return _Zygote(handler, request["handler"]).loop()


def _load(handler_name):
    """Import the function, or report the fault and give None."""
    try:
        return loading.load(handler_name)
    except errors.InitFault as fault:
        errors.log(fault.kind, fault.message, fault.stack)
        payload = errors.payload(fault.kind, fault.message, "", fault.stack)
        logs.flush()
        frames.write({"kind": "error", "id": "", "type": fault.kind, "payload": payload})
        return None


class _Zygote:
    def __init__(self, handler, handler_name):
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
            _run_hooks("get_after_restore")
            frames.write({"kind": "ready", "protocol": PROTOCOL_VERSION, "pid": os.getpid()})
        invoking.serve(self.handler)

    def load_late(self):
        """An instance of a function that cannot be forked loads it itself."""
        frames.write({"kind": "ready", "protocol": PROTOCOL_VERSION, "pid": os.getpid()})
        if frames.read() is None:
            os._exit(0)
        self.handler = _load(self.handler_name)
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


def _run_hooks(name, reverse=False):
    """Functions registered through `snapshot_restore_py`, when the function uses it."""
    module = sys.modules.get("snapshot_restore_py")
    if module is None:
        return
    hooks = list(getattr(module, name)())
    for function, args, kwargs in reversed(hooks) if reverse else hooks:
        function(*args, **kwargs)
