"""What a zygote leaves to its language, for custom runtimes: each instance starts its own."""

from microfaas_host import frames

from custom_host import http11
from custom_host.instance import Instance

_ROUNDS = 64
_HEAD = (
    b"POST /2018-06-01/runtime/invocation/id/response HTTP/1.1\r\nHost: 127.0.0.1:9001\r\n"
    b"User-Agent: warm-up\r\nContent-Length: 2\r\nContent-Type: application/json"
)


class Custom:
    """The zygote has nothing of the function's."""

    why_bare = "each instance starts its own custom runtime"

    def begin(self):
        """Nothing is set up: programs print to their own descriptors."""

    def warm_up(self):
        """Have the interpreter specialise what each request runs through, for all forks at once."""
        parser = http11.Parser()
        for _ in range(_ROUNDS):
            body = parser.parse(_HEAD).body
            body.feed(bytearray(b"{}"))
            http11.response(202, b"{}")
            frames.unpack(frames.pack({"kind": "result", "id": "", "payload": b"{}"}))

    def load(self, handler_name):
        """The instance whose runtime has asked for its first event, or None."""
        instance = Instance(handler_name)
        return instance if instance.initialise() else None

    def serve(self, instance):
        instance.serve()

    def flush(self):
        """Nothing is buffered."""
