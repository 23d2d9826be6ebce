"""What an instance starts, and in which environment: found in its variables and folders."""

import contextlib
import errno
import json
import os
import socket

from custom_host.processes import LaunchError

# Variables that are for this host alone.
_PRIVATE = b"_MICROFAAS_"


class Plan:
    """Made of the environment that the instance was given."""

    def __init__(self, environment, handler_name):
        given = {k: v for k, v in environment.items() if k.startswith(_PRIVATE)}
        self.environment = {k: v for k, v in environment.items() if k not in given}
        self.directory = os.fsdecode(environment[b"LAMBDA_TASK_ROOT"])
        self._layers = os.fsdecode(given.get(b"_MICROFAAS_LAYERS", b"/opt"))
        self.port = int(given.get(b"_MICROFAAS_PORT", b"0"))
        wrapper = environment.get(b"AWS_LAMBDA_EXEC_WRAPPER")
        managed = json.loads(given.get(b"_MICROFAAS_RUNTIME", b"[]"))
        self.wrapped = bool(managed and wrapper)
        # The command line of a managed language's host; empty for a custom runtime.
        self.managed = [os.fsdecode(wrapper), *managed] if self.wrapped else managed
        self.metadata = {
            "functionName": _text(environment, b"AWS_LAMBDA_FUNCTION_NAME"),
            "functionVersion": _text(environment, b"AWS_LAMBDA_FUNCTION_VERSION"),
            "handler": handler_name,
        }
        if b"_MICROFAAS_ACCOUNT_ID" in given:
            self.metadata["accountId"] = _text(given, b"_MICROFAAS_ACCOUNT_ID")

    def extensions(self):
        """The paths of the external extensions: whatever file can be executed."""
        folder = os.path.join(self._layers, "extensions")
        try:
            paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
        except OSError:
            return []
        return [path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)]

    def bootstrap(self):
        """Its path. Raises LaunchError."""
        folders = (self.directory, self._layers)
        paths = [os.path.join(folder, "bootstrap") for folder in folders]
        for path in paths:
            if os.path.isfile(path):
                return path
        raise NoBootstrap(paths)


class NoBootstrap(LaunchError):
    """There is none."""

    def __init__(self, paths):
        Exception.__init__(self, "Couldn't find valid bootstrap(s): [{}]".format(" ".join(paths)))
        self.number = errno.ENOENT


def _text(environment, name):
    return environment.get(name, b"").decode(errors="replace")


def listen(port):
    """A socket on the loopback; on another port where a sibling has this one."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.setblocking(False)
    return listener


def note(text):
    """A line in the function's log."""
    with contextlib.suppress(OSError):
        os.write(2, (text + "\n").encode())
