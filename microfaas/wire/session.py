"""The order of messages between the supervisor and one host, as a table. No I/O, no clock.

Theory of operation: a session is a state; each message, in either direction, is looked up in
`TABLE` and moves it. A message without an entry is an error of whoever sent it: a ProtocolError
names it, and the caller kills the host. The page for people is `runtimes/PROTOCOL.md`.
"""

from __future__ import annotations

import enum

from microfaas.errors import ProtocolError
from microfaas.wire.frames import Message

PROTOCOL_VERSION = 1


class State(enum.Enum):
    """Where a session stands, seen from the supervisor."""

    BOOTING = "booting"  # executed, has not spoken yet
    FORKED = "forked"  # forked from a loaded zygote, has not spoken yet
    BARE = "bare"  # runs, holds no code
    LOADING = "loading"  # imports the function
    IDLE = "idle"  # loaded; a zygote stays here
    BUSY = "busy"  # runs an invocation
    FAILED = "failed"  # could not load; only its end is left
    STOPPING = "stopping"  # was told to stop


SEND: dict[tuple[State, str], State] = {
    (State.BARE, "init"): State.LOADING,
    (State.IDLE, "invoke"): State.BUSY,
    (State.BARE, "stop"): State.STOPPING,
    (State.IDLE, "stop"): State.STOPPING,
    (State.FAILED, "stop"): State.STOPPING,
}

RECEIVE: dict[tuple[State, str], State] = {
    (State.BOOTING, "ready"): State.BARE,
    (State.FORKED, "ready"): State.IDLE,
    (State.LOADING, "loaded"): State.IDLE,
    (State.LOADING, "error"): State.FAILED,
    (State.BUSY, "chunk"): State.BUSY,
    (State.BUSY, "result"): State.IDLE,
    (State.BUSY, "error"): State.IDLE,
}

# What a message must carry, besides its kind.
FIELDS: dict[str, tuple[tuple[str, type], ...]] = {
    "ready": (("protocol", int), ("pid", int)),
    "loaded": (("forkable", bool), ("why", str)),
    "chunk": (("id", str), ("payload", bytes)),
    "result": (("id", str), ("payload", bytes)),
    "error": (("id", str), ("type", str), ("payload", bytes)),
}


class Session:
    """One conversation; it only says what is allowed."""

    __slots__ = ("_request_id", "state")

    def __init__(self, state: State = State.BOOTING) -> None:
        self.state = state
        self._request_id = ""

    def send(self, message: Message) -> None:
        """Note that `message` goes to the host."""
        kind = message["kind"]
        state = SEND.get((self.state, kind))
        if state is None:
            raise ProtocolError(f"cannot send {kind!r} to a host that is {self.state.value}")
        self.state = state
        self._request_id = message.get("id", "")

    def receive(self, message: Message) -> None:
        """Note that `message` came from the host; refuse it if it is out of order or malformed."""
        kind = message["kind"]
        state = RECEIVE.get((self.state, kind))
        if state is None:
            raise ProtocolError(f"cannot accept {kind!r} from a host that is {self.state.value}")
        for name, wanted in FIELDS[kind]:
            if type(message.get(name)) is not wanted:
                raise ProtocolError(
                    f"cannot accept {kind!r}: field {name!r} is not {wanted.__name__}"
                )
        if kind == "ready" and message["protocol"] != PROTOCOL_VERSION:
            raise ProtocolError(
                f"cannot talk to a host of protocol {message['protocol']}; "
                f"this is protocol {PROTOCOL_VERSION}"
            )
        if message.get("id", self._request_id) != self._request_id:
            raise ProtocolError(f"cannot accept {kind!r} for a request that is not running")
        self.state = state
