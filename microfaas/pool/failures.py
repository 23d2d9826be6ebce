"""Lambda's payloads for what the platform finds wrong: timeouts, deaths, sizes. Pure."""

from __future__ import annotations

import json
import signal


class Failure:
    """An errorType and the message that goes with it."""

    __slots__ = ("kind", "message")

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        self.message = message

    def payload(self) -> bytes:
        """The JSON object that the caller gets."""
        return json.dumps({"errorType": self.kind, "errorMessage": self.message}).encode()


def timed_out(request_id: str, timeout_s: float) -> Failure:
    message = f"RequestId: {request_id} Error: Task timed out after {timeout_s:.2f} seconds"
    return Failure("Sandbox.Timedout", message)


def init_timed_out(request_id: str, timeout_s: float) -> Failure:
    message = f"RequestId: {request_id} Error: Init timed out after {timeout_s:.2f} seconds"
    return Failure("Sandbox.Timedout", message)


def exited(request_id: str, status: int) -> Failure:
    """A process that ended by itself: `status` is its exit code, or minus a signal."""
    return Failure("Runtime.ExitError", f"RequestId: {request_id} Error: {_how(status)}")


def out_of_memory(request_id: str) -> Failure:
    return Failure("Runtime.OutOfMemory", f"RequestId: {request_id} Error: {_how(-signal.SIGKILL)}")


def broke_protocol(request_id: str, fault: str) -> Failure:
    message = f"RequestId: {request_id} Error: Runtime was stopped: {fault}"
    return Failure("Runtime.ExitError", message)


def too_large(limit_bytes: int) -> Failure:
    message = f"Response payload size exceeded maximum allowed payload size ({limit_bytes} bytes)."
    return Failure("Function.ResponseSizeTooLarge", message)


def _how(status: int) -> str:
    if status == 0:
        return "Runtime exited without providing a reason"
    if status < 0:
        return f"Runtime exited with error: signal: {_signal_name(-status)}"
    return f"Runtime exited with error: exit status {status}"


def _signal_name(number: int) -> str:
    try:
        return (signal.strsignal(number) or str(number)).lower()
    except ValueError:  # no signal of this machine has that number
        return str(number)
