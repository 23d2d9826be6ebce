"""The ways the machine or the caller can fail. How a *function* fails is a value: an Outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType


class MicrofaasError(Exception):
    """Base of every error that may reach a user; its text says what, where and what to do."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a configuration: where it stands, and what would be right."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class ConfigError(MicrofaasError):
    """A configuration that cannot be used, with all its problems."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(f"cannot use {source}:{lines}")


class FunctionNotFound(MicrofaasError):
    """No function, version or alias of that name is served here."""

    def __init__(self, name: str, qualifier: str) -> None:
        self.name = name
        self.qualifier = qualifier
        super().__init__(f"cannot find function {name}:{qualifier}")


class InvalidRequest(MicrofaasError):
    """The caller's request cannot be understood; `kind` is the name AWS gives the fault."""

    def __init__(self, message: str, kind: str = "InvalidParameterValueException") -> None:
        self.kind = kind
        super().__init__(message)


class AccessRefused(MicrofaasError):
    """The caller is not known, or may not do this; `kind` is the name AWS gives the fault.

    `key_id` is the key that was presented, as far as one was.
    """

    def __init__(self, message: str, kind: str = "AccessDeniedException", key_id: str = "") -> None:
        self.kind = kind
        self.key_id = key_id
        super().__init__(message)


class RequestTooLarge(MicrofaasError):
    """The event is larger than an invocation may carry."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(
            f"Request must be smaller than {limit_bytes} bytes for the InvokeFunction operation"
        )


class TooManyRequests(MicrofaasError):
    """Concurrency and the waiting line are used up; `reason` is one of Lambda's Reasons."""

    def __init__(self, reason: str, retry_after_s: int = 1) -> None:
        self.reason = reason
        self.retry_after_s = retry_after_s
        super().__init__("Rate Exceeded.")


class RecursiveInvocation(MicrofaasError):
    """A chain of events has come back to a function as often as it may."""

    def __init__(self, name: str, passes: int) -> None:
        super().__init__(
            f"Recursive invocation detected: {name} was invoked {passes} times by one chain of "
            "events, and is not invoked again; if it is meant to be, allow it recursive loops"
        )


class QueueFull(TooManyRequests):
    """As much waits in a queue as may; what was accepted is kept, more is not."""

    def __init__(self, queue: str, messages_max: int, bytes_max: int) -> None:
        super().__init__("EventQueueFull")
        self.args = (
            f"cannot accept more for {queue}: it holds as much as it may, {messages_max} messages "
            f"or {bytes_max >> 20} MiB; raise its limit, or wait until some have been dealt with",
        )


class MachineError(MicrofaasError):
    """This machine could not do what it should: start a process, write a file, make a cgroup."""


class FunctionFailed(MachineError):
    """A function, version or alias that is there, and that this machine cannot run."""

    def __init__(self, name: str, qualifier: str, why: str) -> None:
        super().__init__(f"cannot run function {name}:{qualifier}: {why}")


class ShuttingDown(MicrofaasError):
    """The server is stopping and takes nothing new."""

    def __init__(self) -> None:
        super().__init__("cannot take the request: microfaas is stopping")


class ProtocolError(MicrofaasError):
    """A host said something that the protocol does not allow at that point."""


class ServiceError(MicrofaasError):
    """An operation of one of AWS's services that cannot be done; `kind` is AWS's name for it.

    `kind` is an error of the service's model or any other code. Without a `status` it is the
    model's. `sender`: it is the caller's fault, so that SDKs do not try it again. `members` are
    those that the model gives the error beside its message.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        status: int | None = None,
        sender: bool = True,
        members: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        self.kind = kind
        self.status = status
        self.sender = sender
        self.members = members
        super().__init__(message)
