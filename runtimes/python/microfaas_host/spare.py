"""The spare: a host that becomes one instance of the function that it is told."""

import importlib
import os

from microfaas_host import ending, fence, frames


def run(language):
    """Serve until the supervisor is gone. Does not return."""
    ending.run(lambda: _serve(language), language.flush)


def _serve(language):
    language.warm_up()
    frames.write({"kind": "ready", "protocol": frames.PROTOCOL_VERSION, "pid": os.getpid()})
    request = frames.read()
    if request is None or request["kind"] == "stop":
        return 0
    os.environ.update(request.get("env", {}))
    fence.hide_memory()  # before any code of the function's is in it
    language.begin()
    importlib.invalidate_caches()  # the code has come since
    handler = language.load(request["handler"])
    if handler is None:
        return 1
    language.flush()
    frames.write({"kind": "loaded", "forkable": False, "why": "it is a spare"})
    language.serve(handler)
    return 0
