"""One instance of a custom runtime: its programs, its endpoint, and the supervisor's pipes.

Theory of operation. One thread waits for everything in one epoll: the supervisor's requests,
connections to the endpoint, and the ends of the programs. Each event changes the state of one of
the two APIs, which call `_changed`; that alone decides what follows:

  extensions   all that lie in /opt/extensions run; once they have registered, the runtime starts
  runtime      once it and all extensions have asked for their next event, the instance is loaded
  idle         an invocation is given to the runtime and to the extensions that want to know
  busy         once all of these have asked for the next event, the outcome goes to the supervisor;
               where there are no extensions, once there is one: the runtime gets the next event
               when it asks for it

What ends a program ends the instance, in the same way: the supervisor sees the status that the
runtime has ended with. Extensions are told before that, and get Lambda's time for it.
"""

import os
import select
import signal
import time

from microfaas_host import fence, frames

from custom_host import extensions_api, peers, processes, programs
from custom_host.answers import fault
from custom_host.connections import Connection
from custom_host.extensions_api import ExtensionsApi
from custom_host.managed import ManagedRuntime
from custom_host.router import Router
from custom_host.runtime_api import RuntimeApi

CONNECTIONS_MAX = 128
EVENTS_MAX = 16
# How long a runtime that could not initialise may go on printing.
LAST_WORDS_S = 0.5
SHUTDOWN_EXTERNAL_S = 2.0
SHUTDOWN_INTERNAL_S = 0.5
RUNTIME_SHARE = 0.3


class Instance:
    """From the start of its programs to their end."""

    def __init__(self, handler_name):
        self._plan = programs.Plan(os.environb, handler_name)
        self._poll = select.epoll()
        self._handlers = {}
        self._phase = "extensions"
        self._process = None  # the runtime's
        self._request_id = ""
        self._extensions = ExtensionsApi(self._plan.metadata, self._changed, self._fail)
        if self._plan.managed:
            self._runtime = ManagedRuntime(handler_name, self._changed)
        else:
            self._runtime = RuntimeApi(self._changed)
        self._router = Router(self._runtime, self._extensions, self._forget)
        self._listener = programs.listen(self._plan.port)
        self._port = self._listener.getsockname()[1]
        self._watch(self._listener.fileno(), self._accept)
        self._watch(frames.REQUESTS, self._hear)

    def initialise(self):
        """Whether it is loaded; if not, the supervisor has been told why."""
        fence.adopt_orphans()
        address = b"127.0.0.1:%d" % self._port
        self._plan.environment[b"AWS_LAMBDA_RUNTIME_API"] = address
        self._start_extensions()
        self._changed()
        while self._phase in ("extensions", "runtime"):
            self._turn(None)
        return self._phase == "idle"

    def serve(self):
        """Until told to stop."""
        while self._phase != "over":
            self._turn(None)

    def _turn(self, seconds):
        """Wait for something to happen, and see to it."""
        for fd, events in self._poll.poll(seconds, EVENTS_MAX):
            handle = self._handlers.get(fd)
            if handle is not None:
                handle(events)

    def _changed(self):
        if self._phase == "extensions" and self._extensions.are_registered:
            self._phase = "runtime"
            self._start_runtime()
        if self._phase == "runtime":
            self._see_runtime_start()
        elif self._phase == "busy" and self._is_done():
            self._phase = "idle"
            frames.write(self._runtime.outcome)
            processes.reap_orphans(self._pids())

    def _is_done(self):
        if not self._extensions.all:
            return self._runtime.outcome is not None
        return self._runtime.is_idle and self._extensions.are_idle

    def _see_runtime_start(self):
        if self._runtime.init_fault:
            self._await_end([self._process], LAST_WORDS_S)
            self._give_up(*self._runtime.init_fault)
        elif self._runtime.is_idle:
            self._extensions.is_open = False
            if self._extensions.are_idle:
                self._phase = "idle"

    def _hear(self, events):
        """The supervisor speaks."""
        message = frames.read()
        if message is None:
            os._exit(0)  # all programs are killed with this process
        if message["kind"] == "invoke":
            self._phase = "busy"
            self._request_id = message["id"]
            self._runtime.invoke(message)
            self._extensions.invoke(message)
        elif message["kind"] == "stop":
            self._shut_down("spindown")
            os._exit(0)

    def _accept(self, events):
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return  # it is gone already
        if len(self._handlers) >= CONNECTIONS_MAX or not peers.is_ours(sock, self._port):
            sock.close()
            return
        connection = Connection(sock, self._router, self._poll)
        self._handlers[connection.fd] = connection.on_event

    def _forget(self, fd):
        self._handlers.pop(fd, None)

    def _watch(self, fd, handle):
        self._handlers[fd] = handle
        self._poll.register(fd, select.EPOLLIN)

    def _start_extensions(self):
        paths = self._plan.extensions()
        if len(paths) > extensions_api.EXTENSIONS_MAX:
            words = f"Extension limit ({extensions_api.EXTENSIONS_MAX}) reached"
            self._fail("Extension.TooManyExtensions", words)
            return
        for path in paths:
            try:
                process = self._start([path])
            except processes.LaunchError as error:
                self._fail("Extension.LaunchError", str(error))
                return
            name = os.path.basename(path)
            self._extensions.add_external(name, process)
            self._watch(process.pidfd, self._on_end_of_extension(name, process))

    def _start_runtime(self):
        try:
            if self._plan.managed:
                argv = self._plan.managed
                environment, directory = self._plan.environment, self._plan.directory
                self._process = self._runtime.start(
                    argv, environment, directory, self._poll, self._handlers
                )
            else:
                self._process = self._start([self._plan.bootstrap()])
        except processes.LaunchError as error:
            self._cannot_launch(error)
            return
        self._watch(self._process.pidfd, self._on_end_of_runtime)

    def _cannot_launch(self, error):
        if self._plan.wrapped:
            # Lambda's shell finds no wrapper, and says so by its status.
            programs.note(str(error))
            self._shut_down("failure")
            processes.die_as(127)
        self._fail("Runtime.InvalidEntrypoint", str(error))

    def _start(self, argv):
        return processes.start(argv, self._plan.environment, self._plan.directory)

    def _on_end_of_runtime(self, events):
        if not self._process.ended():
            return
        self._unwatch(self._process)
        if self._phase == "over" or (self._phase == "runtime" and self._runtime.init_fault):
            return  # which is what is waited for
        if self._phase == "busy" and self._runtime.outcome:
            frames.write(self._runtime.outcome)  # it has answered before it ended
        self._shut_down("failure")
        processes.die_as(self._process.status)

    def _on_end_of_extension(self, name, process):
        def on_end(events):
            if not process.ended():
                return
            self._unwatch(process)
            if self._phase != "over":
                how = processes.how(process.status)
                self._fail("Extension.Crash", f"extension {name}: {how}")

        return on_end

    def _unwatch(self, process):
        del self._handlers[process.pidfd]
        self._poll.unregister(process.pidfd)

    def _fail(self, kind, message):
        """Lambda's platform finds something wrong with a program."""
        words = f"RequestId: {self._request_id} Error: {message}"
        self._give_up(kind, fault(kind, words).rstrip())

    def _give_up(self, kind, payload):
        """Tell everybody; then, of an instance that was loaded, there is nothing left."""
        loaded = self._phase in ("idle", "busy")
        request_id = self._request_id if self._phase == "busy" else ""
        told = self._phase != "idle"
        self._shut_down("failure")
        if told:
            error = {"kind": "error", "id": request_id, "type": kind, "payload": payload}
            frames.write(error)
        programs.note("{} {}".format(kind, payload.decode(errors="replace")))
        if loaded:
            os._exit(1)

    def _shut_down(self, reason):
        """End all programs; the extensions get Lambda's time for it."""
        self._phase = "over"
        self._poll.unregister(frames.REQUESTS)
        del self._handlers[frames.REQUESTS]
        external = [extension.process for extension in self._extensions.external]
        seconds = SHUTDOWN_EXTERNAL_S if external else 0.0
        if not external and self._extensions.all:
            seconds = SHUTDOWN_INTERNAL_S
        until = time.monotonic() + seconds
        if self._process is not None:
            share = RUNTIME_SHARE if external else 1.0
            self._process.send(signal.SIGTERM if seconds else signal.SIGKILL)
            self._await_end([self._process], seconds * share)
            self._process.send(signal.SIGKILL)
        deadline_ms = extensions_api.now_ms() + int((until - time.monotonic()) * 1000)
        self._extensions.shut_down(reason, deadline_ms)
        for extension in self._extensions.external:
            if "SHUTDOWN" not in extension.events:
                extension.process.send(signal.SIGKILL)
        self._await_end(external, until - time.monotonic())
        for process in external:
            process.send(signal.SIGKILL)

    def _await_end(self, awaited, seconds):
        """Serve on until these have ended, or it is time."""
        until = time.monotonic() + seconds
        while not all(process.ended() for process in awaited):
            left = until - time.monotonic()
            if left <= 0:
                return
            self._turn(left)

    def _pids(self):
        external = {extension.process.pid for extension in self._extensions.external}
        return external | {self._process.pid}
