"""Which part of which API a request is for."""

import re

from custom_host.answers import Plain, Refusal, fault

_RUNTIME = "/2018-06-01/runtime/"
_EXTENSION = "/2020-01-01/extension/"
_NEXT = _RUNTIME + "invocation/next"
_INVOCATION = re.compile(_RUNTIME + r"invocation/([^/]+)/(response|error)")
_INIT_ERROR = _RUNTIME + "init/error"
_EXTENSION_ACTIONS = {
    _EXTENSION + "register": ("POST", "register"),
    _EXTENSION + "event/next": ("GET", "next"),
    _EXTENSION + "init/error": ("POST", "init_error"),
    _EXTENSION + "exit/error": ("POST", "exit_error"),
}
_PINGS = ("/ping", "/2018-06-01/ping")
# Extensions that want the log by these go on without it.
_NOT_SUPPORTED = {
    "/2022-07-01/telemetry": ("Telemetry.NotSupported", "Telemetry API is not supported"),
    "/2020-08-15/logs": ("Logs.NotSupported", "Logs API is not supported"),
}
_TEXT = b"text/plain; charset=utf-8"


class Next:
    """The sink of a request for the next event, which has no body."""

    def __init__(self, runtime, connection):
        self._runtime = runtime
        self._connection = connection

    def take(self, piece):
        """A body means nothing here."""

    def done(self, trailers):
        self._runtime.next(self._connection)

    def cut(self):
        """It has hung up before it asked."""


class Router:
    """What connections ask for their sinks."""

    def __init__(self, runtime, extensions, closed):
        self._runtime = runtime
        self._extensions = extensions
        self._closed = closed

    def open(self, connection, request):
        method, path = request.method, request.path
        if path == _NEXT and method == "GET":
            return Next(self._runtime, connection)
        match = _INVOCATION.fullmatch(path)
        if match is not None and method == "POST":
            opened = getattr(self._runtime, "open_" + match[2])
            return opened(connection, request, match[1])
        if path == _INIT_ERROR and method == "POST":
            return self._runtime.open_init_error(connection, request)
        if path in _EXTENSION_ACTIONS and method == _EXTENSION_ACTIONS[path][0]:
            return self._extensions.open(connection, request, _EXTENSION_ACTIONS[path][1])
        if path in _PINGS and method == "GET":
            return Plain(connection, 200, b"pong", _TEXT)
        if path in _NOT_SUPPORTED and method == "PUT":
            return Plain(connection, 202, fault(*_NOT_SUPPORTED[path]))
        known = match or path in (_NEXT, _INIT_ERROR, *_EXTENSION_ACTIONS, *_PINGS, *_NOT_SUPPORTED)
        if known:
            return Refusal(connection, 405, "MethodNotAllowed", "Method not allowed")
        return Plain(connection, 404, b"404 page not found\n", _TEXT)

    def closed(self, connection, fd):
        self._runtime.closed(connection)
        self._extensions.closed(connection)
        self._closed(fd)
