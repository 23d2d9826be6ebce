"""A managed runtime in the place of a bootstrap: its own host, behind a wrapper or extensions.

It speaks the frames of the protocol on its descriptors 3 and 4, as a spare does; here they are
passed on. Towards the instance it looks like the Runtime API, which refuses the runtime's part of
HTTP: only extensions are served.
"""

import contextlib
import os
import select

from microfaas_host import frames

from custom_host import processes
from custom_host.answers import Refusal

_READ_BYTES = 1 << 20


class ManagedRuntime:
    """The frames to and from a managed language's host."""

    def __init__(self, handler, changed):
        self._handler = handler
        self._changed = changed
        self._buffer = bytearray()
        self._requests = -1
        self._replies = -1
        self.is_idle = False
        self.outcome = None
        self.init_fault = None

    def start(self, argv, environment, directory, poll, handlers):
        """Start its program. Raises LaunchError."""
        requests, self._requests = os.pipe()
        self._replies, replies = os.pipe()
        try:
            moved = ((requests, frames.REQUESTS), (replies, frames.REPLIES))
            process = processes.start(argv, environment, directory, moved)
        finally:
            os.close(requests)
            os.close(replies)
        handlers[self._replies] = self._on_readable
        poll.register(self._replies, select.EPOLLIN)
        self._poll = poll
        return process

    def invoke(self, message):
        self.is_idle = False
        self.outcome = None
        self._say(message)

    def closed(self, connection):
        """None of them is the runtime's."""

    def next(self, connection):
        connection.reply(403, _REFUSED)

    def open_response(self, connection, request, request_id):
        return self._refusal(connection)

    open_error = open_response

    def open_init_error(self, connection, request):
        return self._refusal(connection)

    def _refusal(self, connection):
        return Refusal(connection, 403, "InvalidStateTransition", _WORDS)

    def _say(self, message):
        with contextlib.suppress(BrokenPipeError):  # it has ended, as will be seen
            frames.write(message, self._requests)

    def _on_readable(self, events):
        data = os.read(self._replies, _READ_BYTES)
        if not data:
            self._poll.unregister(self._replies)
            return
        self._buffer += data
        for message in frames.take(self._buffer):
            self._hear(message)
        self._changed()

    def _hear(self, message):
        kind = message["kind"]
        if kind == "ready":
            start = {"handler": self._handler, "snapshot": "off", "env": {}}
            self._say({"kind": "init", **start})
        elif kind == "loaded":
            self.is_idle = True
        elif kind == "chunk":
            frames.write(message)
        elif kind == "error" and not message["id"]:
            self.init_fault = message["type"], message["payload"]
        elif kind in ("result", "error"):
            self.outcome = message
            self.is_idle = True


_WORDS = "the runtime of this function does not use the Runtime API"
_REFUSED = b'{"errorMessage":"%s","errorType":"InvalidStateTransition"}\n' % _WORDS.encode()
