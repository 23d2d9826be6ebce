"""The nouns: functions, versions, limits, invocations, outcomes. Values only, no behaviour."""

from __future__ import annotations

import enum
from typing import Literal

import msgspec

MIB = 1024 * 1024
# Lambda gives a function one CPU at this size.
MEMORY_MB_PER_CPU = 1769

# AWS documents 6 MiB for both directions; its emulator's constant for replies adds 100 bytes.
EVENT_BYTES_MAX = 6 * MIB
RESULT_BYTES_MAX = 6 * MIB + 100
CLIENT_CONTEXT_BYTES_MAX = 3583
LATEST = "$LATEST"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a function may take. MB are MiB, as in Lambda; `_s` are seconds."""

    memory_mb: int = 128
    timeout_s: float = 3.0
    init_timeout_s: float = 10.0
    cpu: float | None = None
    swap_mb: int = 0
    processes_max: int = 512
    files_max: int = 1024
    tmp_mb: int = 512
    concurrency_max: int = 10
    waiting_max: int = 100
    waiting_s_max: float = 60.0
    rate_max: float | None = None
    idle_s_max: float = 300.0
    # None: one where the language forks, else none.
    ready_ahead: int | None = None
    output_mb_max: int = 4


class Mount(msgspec.Struct, frozen=True):
    """A directory that a function sees at /mnt/NAME; the variable NAME holds its path."""

    name: str
    source: str
    write: bool = False


class Secret(msgspec.Struct, frozen=True):
    """Where a secret comes from, one of three places, and how the function gets it."""

    name: str
    file: str | None = None
    credential: str | None = None
    stored: str | None = None
    in_environment: bool = False


class Egress(msgspec.Struct, frozen=True):
    """What a function may connect to by TCP: a named host, or an address or a block of them.

    Port 0 means every port of a block.
    """

    host: str
    port: int
    block: bool = False


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """What a function sees of the network; `endpoint` is the gateway, in spite of the rest."""

    kind: Literal["host", "loopback", "none", "allowed"] = "host"
    allowed: tuple[Egress, ...] = ()
    endpoint: bool = True


class Destination(msgspec.Struct, frozen=True):
    """Where something is sent: a function (or a version or alias of it, `NAME:QUALIFIER`), queue
    or topic by name, the default event bus, a URL, or a directory."""

    kind: Literal["function", "queue", "topic", "bus", "url", "directory"]
    name: str


class EventSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a function's events are seen through when nobody waits for them."""

    retries_max: int = 2
    retry_delay_s: float = 60.0
    age_s_max: float = 21600.0
    messages_max: int = 1_000_000
    bytes_max: int = 1024 * MIB
    on_success: Destination | None = None
    on_failure: Destination | None = None
    dead_letter: Destination | None = None


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Lambda's LoggingConfig. Levels go with JSON; an empty group is the function's usual one."""

    format: Literal["Text", "JSON"] = "Text"
    application_level: str = ""
    system_level: str = ""
    group: str = ""


def qualified(function: str, qualifier: str) -> str:
    """A function as it is called: `NAME`, or `NAME:QUALIFIER` for an alias or version."""
    return f"{function}:{qualifier}" if qualifier else function


def usual_log_group(function: str) -> str:
    """What CloudWatch calls the log of a function that names no other group."""
    return f"/aws/lambda/{function}"


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """What is deployed: where the code is, how to run it, what it may take."""

    name: str
    runtime: str
    handler: str
    code: str
    limits: Limits
    interpreter: str | None = None
    layers: tuple[str, ...] = ()
    description: str = ""
    environment: dict[str, str] = {}
    mounts: tuple[Mount, ...] = ()
    secrets: tuple[Secret, ...] = ()
    network: Network = Network()
    devices: tuple[str, ...] = ()
    snapshot: Literal["auto", "on", "off"] = "auto"
    isolation: Literal["instance", "request"] = "instance"
    # Whether one chain of events may come back to it without end.
    recursive_loop: Literal["terminate", "allow"] = "terminate"
    events: EventSettings = EventSettings()
    logs: LogSettings = LogSettings()

    @property
    def log_group(self) -> str:
        """What CloudWatch calls its log."""
        return self.logs.group or usual_log_group(self.name)


VersionKey = tuple[str, str, str, str, str, bool]


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """An immutable snapshot of a function; `code_dir` holds its own copy of the code, or what
    was built of it."""

    function: Function
    code_dir: str
    code_sha256: str
    # Its layers, one over the other; empty when it has none.
    layers_dir: str = ""
    layers_sha256: str = ""
    number: str = LATEST
    # Of everything else that its processes are started with.
    settings_sha256: str = ""
    # Whether its instances are kept for it, used or not.
    provisioned: bool = False

    @property
    def key(self) -> VersionKey:
        """What its processes are good for: with another one they are others."""
        return (
            self.function.name,
            self.number,
            self.code_sha256,
            self.layers_sha256,
            self.settings_sha256,
            self.provisioned,
        )


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Whose machine the functions believe they are on, and where its API is."""

    region: str = "us-east-1"
    account_id: str = "123456789012"
    endpoint_url: str = ""

    def arn(self, name: str) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account_id}:function:{name}"


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to run a version with an event. The event is opaque JSON bytes."""

    request_id: str
    function: str
    event: bytes
    qualifier: str = ""
    client_context: bytes = b""
    trace_id: str = ""
    tail: bool = False


class Status(enum.StrEnum):
    """How an invocation ended."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    EXIT = "exit"
    INIT = "init"


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What an invocation took. `init_ms` is None when a running instance took it."""

    wall_ms: float = 0.0
    billed_ms: int = 0
    cpu_ms: float = 0.0
    memory_mb: int = 0
    init_ms: float | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an invocation ended: Lambda's payload for the caller.

    `error_type` is set when it was the platform that ended it. `log_tail` is there when it was
    asked for.
    """

    status: Status
    payload: bytes
    version: str = LATEST
    error_type: str = ""
    wall_s: float = 0.0
    log_tail: bytes = b""

    @property
    def ok(self) -> bool:
        return self.status is Status.OK
