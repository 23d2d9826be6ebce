"""The configuration's tables: what may stand in `microfaas.toml`, its ranges and its defaults.

These structs are the reference: their descriptions become `docs/configuration.md`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from microfaas.config.api import ApiTable
from microfaas.config.endpoints import EndpointTable
from microfaas.config.queues import QueueTable
from microfaas.config.stream_tables import StreamTable
from microfaas.config.topic_tables import SmtpTable, TopicTable
from microfaas.model import MIB, EventSettings, Limits

DEFAULTS = Limits()
EVENTS = EventSettings()


class MountTable(msgspec.Struct, kw_only=True):
    """A directory that the function sees at `/mnt/NAME`; the variable NAME holds its path."""

    path: Annotated[str, Meta(min_length=1, description="the directory, relative to the file")]
    write: Annotated[bool, Meta(description="whether the function may write there")] = False


class SecretTable(msgspec.Struct, kw_only=True):
    """A secret of the function's, from exactly one of `file`, `credential` and `stored`."""

    file: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="a file with it, relative to this one"),
    ] = None
    credential: Annotated[
        Annotated[str, Meta(pattern=r"^[^/\0]+\Z")] | None,
        Meta(description="the name of a credential that systemd passes to the service"),
    ] = None
    stored: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="a name given to `microfaas secrets set`"),
    ] = None
    shown_as: Annotated[
        Literal["file", "environment"],
        Meta(
            description="`file`: the variable NAME holds the path of a file that only this "
            "function can read; `environment`: it holds the secret itself"
        ),
    ] = msgspec.field(default="file", name="as")


class FunctionTable(msgspec.Struct, kw_only=True):
    """One `[functions.NAME]` table."""

    handler: Annotated[
        Annotated[str, Meta(min_length=1, max_length=128)] | None,
        Meta(
            description="what to call, in the form that the language has in Lambda; default "
            "`app.handler`, `index.handler`, … (see languages.md)"
        ),
    ] = None
    runtime: Annotated[
        str,
        Meta(
            description="the language, with or without a version: `python`, `python3.12`, "
            "`nodejs22.x`, `java21`, `ruby3.4`, `dotnet8`, `go`, `provided.al2023`, `bash`"
        ),
    ] = "python"
    code: Annotated[
        str, Meta(min_length=1, description="a folder or .zip, relative to the file")
    ] = "."
    interpreter: Annotated[
        str | None,
        Meta(
            description="an interpreter to use instead of the found one, such as a virtual "
            "environment's `.venv/bin/python`, whose packages are then the function's"
        ),
    ] = None
    layers: Annotated[
        list[Annotated[str, Meta(min_length=1)]],
        Meta(
            max_length=5,
            description="folders or .zip files, relative to the file, that the function sees "
            "one over the other at `/opt`",
        ),
    ] = msgspec.field(default_factory=list)
    description: Annotated[str, Meta(max_length=256, description="a text for people")] = ""
    memory_mb: Annotated[
        int, Meta(ge=16, le=32768, description="memory of one instance, MiB; past it, it is killed")
    ] = DEFAULTS.memory_mb
    timeout_s: Annotated[
        float, Meta(gt=0, le=900, description="time for one invocation, seconds")
    ] = DEFAULTS.timeout_s
    init_timeout_s: Annotated[
        float, Meta(gt=0, le=900, description="time for loading the function's module, seconds")
    ] = DEFAULTS.init_timeout_s
    cpu: Annotated[
        Annotated[float, Meta(gt=0, le=1024)] | Literal["memory"] | None,
        Meta(
            description='hard cap in CPUs, or `"memory"` for Lambda\'s, one CPU for 1769 MB; '
            "without it instances share by memory what is free"
        ),
    ] = DEFAULTS.cpu
    swap_mb: Annotated[int, Meta(ge=0, le=32768, description="swap of one instance, MiB")] = (
        DEFAULTS.swap_mb
    )
    processes_max: Annotated[
        int, Meta(ge=1, le=32768, description="processes and threads of one instance")
    ] = DEFAULTS.processes_max
    files_max: Annotated[int, Meta(ge=32, le=1048576, description="open files of one process")] = (
        DEFAULTS.files_max
    )
    tmp_mb: Annotated[int, Meta(ge=1, le=10240, description="size of `/tmp`, MiB")] = (
        DEFAULTS.tmp_mb
    )
    concurrency_max: Annotated[
        int, Meta(ge=1, le=1000, description="instances that may run at once")
    ] = DEFAULTS.concurrency_max
    waiting_max: Annotated[
        int, Meta(ge=0, le=100000, description="calls that may wait for an instance; more get 429")
    ] = DEFAULTS.waiting_max
    waiting_s_max: Annotated[
        float, Meta(gt=0, le=900, description="how long a call may wait before it gets 429")
    ] = DEFAULTS.waiting_s_max
    rate_max: Annotated[
        Annotated[float, Meta(gt=0, le=1000000)] | None,
        Meta(description="calls per second over HTTP; more get 429; as many as come without it"),
    ] = DEFAULTS.rate_max
    idle_s_max: Annotated[
        float, Meta(ge=0, le=86400, description="an instance unused for so long is stopped")
    ] = DEFAULTS.idle_s_max
    ready_ahead: Annotated[
        Annotated[int, Meta(ge=0, le=100)] | None,
        Meta(
            description="instances kept ready ahead of demand; default 1 where the language "
            "forks, else 0, as its spares stand ready"
        ),
    ] = DEFAULTS.ready_ahead
    snapshot: Annotated[
        Literal["auto", "on", "off"],
        Meta(
            description="fork instances from a loaded module, where the language can: where it "
            "is safe, always, never"
        ),
    ] = "auto"
    isolation: Annotated[
        Literal["instance", "request"],
        Meta(description="`request` gives every invocation a fresh process"),
    ] = "instance"
    recursive_loop: Annotated[
        Literal["terminate", "allow"],
        Meta(
            description="what to do when one chain of events has come back to it 16 times: not to "
            "run it again, or to go on without end"
        ),
    ] = "terminate"
    environment: Annotated[dict[str, str], Meta(description="environment variables")] = (
        msgspec.field(default_factory=dict)
    )
    mounts: Annotated[
        dict[str, MountTable], Meta(description="directories it sees, by variable name")
    ] = msgspec.field(default_factory=dict)
    secrets: Annotated[
        dict[str, SecretTable], Meta(description="secrets it is given, by variable name")
    ] = msgspec.field(default_factory=dict)
    network: Annotated[
        str | list[str],
        Meta(
            description="`host`: the machine's network; `loopback`: one of its own with nothing "
            "else in it; `none`: none at all; or the list of what it may connect to by TCP, each "
            "`HOST:PORT`, `ADDRESS/BITS:PORT` or `ADDRESS/BITS`"
        ),
    ] = "host"
    endpoint: Annotated[
        bool, Meta(description="whether the gateway can be reached whatever `network` says")
    ] = True
    devices: Annotated[
        list[str], Meta(description="devices below `/dev` that it sees, such as `/dev/gpiochip0`")
    ] = msgspec.field(default_factory=list)
    output_mb_max: Annotated[
        int,
        Meta(ge=1, le=1024, description="what one invocation may print, MiB; the rest is dropped"),
    ] = DEFAULTS.output_mb_max
    log_group: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9._/#-]{1,512}$")] | None,
        Meta(description="what its log is called by AWS's API; default `/aws/lambda/NAME`"),
    ] = None
    log_format: Annotated[
        Literal["Text", "JSON"], Meta(description="whether its log is text or a JSON object a line")
    ] = "Text"
    log_level: Annotated[
        Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"] | None,
        Meta(description="with `JSON`, from which level on its own records are kept; default INFO"),
    ] = None
    system_log_level: Annotated[
        Literal["DEBUG", "INFO", "WARN"] | None,
        Meta(description="the same for the platform's records, such as START; default INFO"),
    ] = None
    retries_max: Annotated[
        int, Meta(ge=0, le=100, description="how often an event that failed is tried again")
    ] = EVENTS.retries_max
    retry_delay_s: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="time before the first retry, seconds; before the n-th it is n times as "
            "long, and up to a fifth more",
        ),
    ] = EVENTS.retry_delay_s
    event_age_s_max: Annotated[
        float, Meta(gt=0, le=1209600, description="an event older than this is given up, seconds")
    ] = EVENTS.age_s_max
    events_max: Annotated[
        int, Meta(ge=1, le=100000000, description="events that may wait; more are refused")
    ] = EVENTS.messages_max
    events_mb_max: Annotated[
        int, Meta(ge=1, le=1048576, description="what they may take of the disk, MiB")
    ] = EVENTS.bytes_max // MIB
    on_success: Annotated[
        str | None,
        Meta(
            description="where the record of an event that succeeded is sent: "
            "`function:NAME[:QUALIFIER]`, `queue:NAME`, `topic:NAME`, `bus:default`, an `http:` "
            "or `https:` URL, or `directory:PATH`"
        ),
    ] = None
    on_failure: Annotated[
        str | None, Meta(description="where the record of one that was given up is sent")
    ] = None
    dead_letter: Annotated[
        str | None,
        Meta(
            description="where the event itself is sent when it was given up, `queue:NAME` or "
            "`topic:NAME`; without it and `on_failure` it is kept as a dead letter"
        ),
    ] = None
    triggers: Annotated[list[dict[str, Any]], Meta(description="what fires it")] = msgspec.field(
        default_factory=list
    )


class PricesTable(msgspec.Struct, kw_only=True):
    """`[prices]`: what `microfaas usage` reckons with. Defaults are AWS's for x86 in us-east-1."""

    gb_second: Annotated[float, Meta(ge=0, le=1e9, description="price of one GB-second")] = (
        0.0000166667
    )
    request: Annotated[float, Meta(ge=0, le=1e9, description="price of one invocation")] = 0.0000002
    currency: Annotated[str, Meta(description="printed behind amounts")] = "USD"


class TlsTable(msgspec.Struct, kw_only=True):
    """`[tls]`: with both set, the gateway speaks HTTPS. Files that change are loaded again."""

    certificate: Annotated[
        str | None, Meta(description="PEM file: the certificate, then those that vouch for it")
    ] = None
    key: Annotated[str | None, Meta(description="PEM file: its private key, not encrypted")] = None


class TlsFiles(msgspec.Struct, frozen=True):
    """What `[tls]` comes to: both files, by their absolute paths."""

    certificate: str
    key: str


class RequestsTable(msgspec.Struct, kw_only=True):
    """`[requests]`: what one client may ask of the gateway before anything runs."""

    connections_max: Annotated[
        int, Meta(ge=1, le=100000, description="connections at once, in all; more get 503")
    ] = 4096
    connections_per_peer_max: Annotated[
        int,
        Meta(
            ge=1,
            le=100000,
            description="connections at once from one address (of IPv6, one /64); more get 503",
        ),
    ] = 1024
    head_bytes_max: Annotated[
        int,
        Meta(
            ge=1024,
            le=1048576,
            description="bytes of a request's head; more get 431, and a line of more than 8190 400",
        ),
    ] = 65536
    request_s_max: Annotated[
        float,
        Meta(ge=1, le=3600, description="time for a whole request to arrive, seconds; then 408"),
    ] = 60.0
    keepalive_s_max: Annotated[
        float,
        Meta(ge=1, le=3600, description="how long an unused connection is kept, seconds"),
    ] = 75.0


class ConfigTable(msgspec.Struct, kw_only=True):
    """The file's top level."""

    listen: Annotated[str, Meta(description="HOST:PORT of the gateway")] = "127.0.0.1:9000"
    auth: Annotated[
        bool,
        Meta(
            description="whether callers need a key on the loopback address too; on others they do"
        ),
    ] = False
    data: Annotated[
        str,
        Meta(min_length=1, description="directory of logs, store and code, relative to the file"),
    ] = ".microfaas"
    memory_budget_mb: Annotated[
        Annotated[int, Meta(ge=64, le=16777216)] | None,
        Meta(description="memory for all instances, MiB; default three quarters of the machine's"),
    ] = None
    region: Annotated[
        str, Meta(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]\Z", description="region in ARNs and events")
    ] = "us-east-1"
    account_id: Annotated[str, Meta(pattern=r"^[0-9]{12}\Z", description="account in ARNs")] = (
        "123456789012"
    )
    log_mb_max: Annotated[
        int, Meta(ge=1, le=10240, description="size at which a function's log is rotated, MiB")
    ] = 10
    log_files_max: Annotated[
        int, Meta(ge=1, le=100, description="rotated files kept per function")
    ] = 5
    sandbox_off: Annotated[
        list[Literal["namespaces", "cells", "networks", "users", "seccomp", "landlock"]],
        Meta(description="layers of the sandbox not to use, to find out what one breaks or costs"),
    ] = msgspec.field(default_factory=list)
    drain_s_max: Annotated[
        float, Meta(ge=0, le=900, description="time for running invocations when stopping")
    ] = 10.0
    tls: Annotated[TlsTable, Meta(description="HTTPS")] = msgspec.field(default_factory=TlsTable)
    api: Annotated[ApiTable, Meta(description="Lambda's control API")] = ApiTable()
    http_prefix: Annotated[
        str,
        Meta(
            pattern=r"^(/[A-Za-z0-9._~-]+)+\Z",
            max_length=128,
            description="the path below which functions' routes are on every host",
        ),
    ] = "/http"
    requests: Annotated[RequestsTable, Meta(description="what one client may ask")] = msgspec.field(
        default_factory=RequestsTable
    )
    prices: Annotated[PricesTable, Meta(description="what usage costs")] = msgspec.field(
        default_factory=PricesTable
    )
    queues: Annotated[dict[str, QueueTable], Meta(description="the queues, by name")] = (
        msgspec.field(default_factory=dict)
    )
    topics: Annotated[dict[str, TopicTable], Meta(description="the topics, by name")] = (
        msgspec.field(default_factory=dict)
    )
    streams: Annotated[dict[str, StreamTable], Meta(description="the streams, by name")] = (
        msgspec.field(default_factory=dict)
    )
    endpoints: Annotated[
        dict[str, EndpointTable],
        Meta(description="where what mappings read is, when it is not here"),
    ] = msgspec.field(default_factory=dict)
    smtp: Annotated[SmtpTable, Meta(description="the mail server")] = msgspec.field(
        default_factory=SmtpTable
    )
    functions: Annotated[dict[str, FunctionTable], Meta(description="the functions, by name")] = (
        msgspec.field(default_factory=dict)
    )
