"""What is kept of functions that the API makes, and of what it adds to any function. Values only.

Each kind of record is a `Table`. What belongs to a function stands under `NAME`, what belongs to
one of its versions or aliases under `NAME:QUALIFIER`. Times are milliseconds of the epoch.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from microfaas.model import Function, LogSettings


class Package(msgspec.Struct, frozen=True):
    """Code as it was uploaded: a .zip in `Packages`, by the SHA-256 (hex digits) of its bytes.

    `code_sha256` is what the API shows, in hex digits too. It is another hash only for code that
    came as a folder: over what is in it.
    """

    sha256: str
    size: int
    code_sha256: str


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A function's configuration as the API has it.

    `layers` are ARNs of layer versions, `dead_letter` the ARN of a queue or topic. `told` is kept
    for whoever asks and not acted on, by AWS's names: TracingConfig, VpcConfig, KMSKeyArn, …
    """

    runtime: str
    handler: str
    role: str
    description: str = ""
    timeout_s: float = 3
    memory_mb: int = 128
    tmp_mb: int = 512
    environment: dict[str, str] | None = None
    layers: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ("x86_64",)
    dead_letter: str = ""
    logs: LogSettings = LogSettings()
    told: dict[str, Any] = {}


class Edition(msgspec.Struct, frozen=True, kw_only=True):
    """What $LATEST or a published version is.

    `function` is there for what a file has made: all that the file says, with code and layers
    from `Packages`. Until `settles_ms` the API shows the change as in progress, under another
    revision.
    """

    settings: Settings
    package: Package
    changed_ms: int
    settles_ms: int
    revision: str
    settled_revision: str
    created: bool = False  # it is the function's first
    description: str = ""  # of the version; its settings' when it has none of its own
    function: Function | None = None


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """A function by its name. `latest` is None where a file says what it is.

    `numbered` is the last version's number: none is given twice. `adopted`: a file says something
    else, which is passed over. `recursion` is empty where nobody has set it.
    """

    latest: Edition | None = None
    numbered: int = 0
    adopted: bool = False
    tags: dict[str, str] = {}
    reserved: int | None = None
    recursion: Literal["Terminate", "Allow", ""] = ""
    signing_config: str = ""


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """A name for a version; a share of the calls may go to another one."""

    version: str
    revision: str
    description: str = ""
    weights: dict[str, float] = {}


class InvokeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How asynchronous invocations of a qualifier are seen through; None and empty: as usual.

    Destinations are ARNs.
    """

    changed_ms: int
    retries_max: int | None = None
    age_s_max: int | None = None
    on_success: str = ""
    on_failure: str = ""


class Provisioned(msgspec.Struct, frozen=True):
    """How many instances of a version or alias are to be kept initialised."""

    instances: int
    changed_ms: int


class Url(msgspec.Struct, frozen=True, kw_only=True):
    """A function URL, of a function or an alias. `cors` is AWS's, by its names."""

    id: str
    auth: Literal["NONE", "AWS_IAM"]
    mode: Literal["BUFFERED", "RESPONSE_STREAM"] = "BUFFERED"
    cors: dict[str, Any] | None = None
    created_ms: int
    changed_ms: int


class LogGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A log group that somebody made or set something of; functions' have none of themselves.

    `told` is kept for whoever asks, by AWS's names.
    """

    created_ms: int
    retention_days: int | None = None
    tags: dict[str, str] = {}
    told: dict[str, str] = {}


class LogStream(msgspec.Struct, frozen=True):
    """A stream that a client made, under `GROUP:STREAM`."""

    created_ms: int


class Policy(msgspec.Struct, frozen=True):
    """Who else may call a function, version or alias: statements of IAM's policy language."""

    statements: tuple[dict[str, Any], ...]


class Touched(msgspec.Struct, frozen=True):
    """The revision to go by in place of another one, which nothing but that changes."""

    over: str
    revision: str


class RuntimeManagement(msgspec.Struct, frozen=True):
    """When the runtime of a function or version is to be another one. Kept for whoever asks: here
    it is what the machine has."""

    update_on: Literal["Auto", "FunctionUpdate", "Manual"]
    runtime_arn: str = ""
