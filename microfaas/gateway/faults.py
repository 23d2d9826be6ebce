"""Errors as AWS writes them: the only place where an error becomes HTTP."""

from __future__ import annotations

import json
import logging
from types import MappingProxyType

from microfaas.errors import (
    AccessRefused,
    FunctionFailed,
    FunctionNotFound,
    InvalidRequest,
    MachineError,
    RecursiveInvocation,
    RequestTooLarge,
    ShuttingDown,
    TooManyRequests,
)
from microfaas.gateway.reply import JSON, Reply
from microfaas.model import Address

_log = logging.getLogger("microfaas.gateway")

# What is wrong with a request, where it is not the request itself.
_STATUS = MappingProxyType({"ResourceNotFoundException": 404, "ResourceConflictException": 409})

_FAILED = (
    "The operation cannot be performed at this time. The function is currently in the following "
    "state: Failed"
)

# The faults whose body spells `Message` with a capital, as AWS's model has them.
_CAPITAL = frozenset(
    {
        "AccessDeniedException",
        "RecursiveInvocationException",
        "ResourceNotFoundException",
        "ServiceException",
    }
)


def fault(error: Exception, request_id: str, address: Address) -> Reply:
    """The reply for an error. One that is not foreseen is logged here and told as a 500."""
    if isinstance(error, FunctionNotFound):
        text = f"Function not found: {address.arn(error.name)}:{error.qualifier}"
        return reply(404, "ResourceNotFoundException", text, request_id)
    if isinstance(error, RequestTooLarge):
        return reply(413, "RequestEntityTooLargeException", str(error), request_id)
    if isinstance(error, TooManyRequests):
        return _throttled(error, request_id)
    if isinstance(error, InvalidRequest):
        return reply(_STATUS.get(error.kind, 400), error.kind, str(error), request_id)
    if isinstance(error, AccessRefused):
        return _refused(error, request_id)
    if isinstance(error, RecursiveInvocation):
        return reply(400, "RecursiveInvocationException", str(error), request_id)
    if isinstance(error, ShuttingDown):
        return reply(503, "ServiceUnavailableException", str(error), request_id)
    if isinstance(error, FunctionFailed):
        return reply(409, "ResourceConflictException", _FAILED, request_id)
    if isinstance(error, MachineError):
        _log.error("request %s: %s", request_id, error)
        return reply(500, "ServiceException", str(error), request_id)
    _log.error("request %s failed", request_id, exc_info=error)
    text = f"cannot answer: an internal error, logged under {request_id}"
    return reply(500, "ServiceException", text, request_id)


def reply(
    status: int,
    kind: str,
    message: str,
    request_id: str,
    extra: dict[str, str] | None = None,
    headers: str = "",
) -> Reply:
    """An error body in AWS's shape, its type also in the header that SDKs read."""
    who = "User" if status < 500 else "Service"
    key = "Message" if kind in _CAPITAL else "message"
    body = json.dumps({**(extra or {}), "Type": who, key: message}, separators=(",", ":"))
    return Reply(
        status,
        f"x-amzn-RequestId: {request_id}\r\nx-amzn-ErrorType: {kind}\r\n{headers}{JSON}",
        body.encode(),
    )


def _refused(error: AccessRefused, request_id: str) -> Reply:
    """403 for all of them, as AWS has it; who sent no key learns how one is sent."""
    asked = error.kind == "MissingAuthenticationTokenException"
    headers = 'WWW-Authenticate: Bearer realm="microfaas"\r\n' if asked else ""
    return reply(403, error.kind, str(error), request_id, headers=headers)


def _throttled(error: TooManyRequests, request_id: str) -> Reply:
    return reply(
        429,
        "TooManyRequestsException",
        str(error),
        request_id,
        extra={"Reason": error.reason},
        headers=f"Retry-After: {error.retry_after_s}\r\n",
    )
