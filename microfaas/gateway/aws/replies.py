"""Results and errors as HTTP, in the form of the protocol that the client speaks."""

from __future__ import annotations

import json
import logging
from typing import Any

from microfaas.errors import (
    AccessRefused,
    InvalidRequest,
    MachineError,
    RequestTooLarge,
    ServiceError,
    ShuttingDown,
    TooManyRequests,
)
from microfaas.gateway.aws import json_form, xml_form
from microfaas.gateway.aws.model import Model, Protocol
from microfaas.gateway.reply import JSON, Reply
from microfaas.model import EVENT_BYTES_MAX

_log = logging.getLogger("microfaas.gateway")

# What the query protocol calls the faults that stand in no model.
_QUERY_CODES = {
    "AccessDeniedException": "AccessDenied",
    "ExpiredTokenException": "ExpiredToken",
    "IncompleteSignatureException": "IncompleteSignature",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
    "ServiceUnavailableException": "ServiceUnavailable",
    "ThrottlingException": "Throttling",
    "UnknownOperationException": "InvalidAction",
    "UnrecognizedClientException": "InvalidClientTokenId",
}


def result(
    model: Model, protocol: Protocol, operation: str, value: dict[str, Any], request_id: str
) -> Reply:
    """The reply with an operation's result."""
    called = model.operations[operation]
    head = f"x-amzn-RequestId: {request_id}\r\n"
    if protocol == "query":
        body = xml_form.result(model, operation, value, request_id)
        return Reply(called.status, f"{head}Content-Type: text/xml\r\n", body)
    body = json_form.write(model, called.output, value)
    return Reply(called.status, head + _json_type(model, protocol), body)


def error(model: Model, protocol: Protocol, fault: Exception, request_id: str) -> Reply:
    """The reply for what went wrong. What is not foreseen is logged here and told as a 500."""
    told = _told(fault, request_id)
    modelled = model.errors.get(told.kind)
    status = told.status or (modelled.status if modelled else 400 if told.sender else 500)
    code = modelled.code if modelled else _QUERY_CODES.get(told.kind, told.kind)
    who = "Sender" if status < 500 else "Receiver"
    head = f"x-amzn-RequestId: {request_id}\r\n"
    if isinstance(fault, TooManyRequests):
        head += f"Retry-After: {fault.retry_after_s}\r\n"
    if protocol == "query":
        body = xml_form.error(model, who, code, str(told), request_id)
        return Reply(status, f"{head}Content-Type: text/xml\r\n", body)
    members = modelled.members if modelled else ()
    content = {"Message" if "Message" in members else "message": str(told)}
    if "Type" in members:
        content["Type"] = "User" if status < 500 else "Service"
    if protocol == "rest-json":
        head += f"x-amzn-ErrorType: {told.kind}\r\n"
    else:
        content = {"__type": told.kind, **content}
    if model.query_compatible:
        head += f"x-amzn-query-error: {code};{who}\r\n"
    return Reply(status, head + _json_type(model, protocol), json.dumps(content).encode())


def _told(fault: Exception, request_id: str) -> ServiceError:
    """Any error as a service's."""
    match fault:
        case ServiceError():
            return fault
        case AccessRefused():
            return ServiceError(fault.kind, str(fault), status=403)
        case TooManyRequests():
            return ServiceError("ThrottlingException", "Rate exceeded", status=429)
        case RequestTooLarge():
            text = f"the request must have no more than {EVENT_BYTES_MAX} bytes"
            return ServiceError("RequestEntityTooLargeException", text, status=413)
        case InvalidRequest():
            return ServiceError(fault.kind, str(fault))
        case ShuttingDown():
            return ServiceError("ServiceUnavailableException", str(fault), status=503)
        case MachineError():
            _log.error("request %s: %s", request_id, fault)
            return ServiceError("InternalFailure", str(fault), status=500)
    _log.error("request %s failed", request_id, exc_info=fault)
    text = f"cannot answer: an internal error, logged under {request_id}"
    return ServiceError("InternalFailure", text, status=500)


def _json_type(model: Model, protocol: Protocol) -> str:
    if protocol == "rest-json":
        return JSON
    return f"Content-Type: application/x-amz-json-{model.json_version}\r\n"
