"""Results and errors as HTTP, in the form of the protocol that the client speaks."""

from __future__ import annotations

import json
import logging
from typing import Any, NamedTuple

import msgspec

from microfaas.errors import (
    AccessRefused,
    InvalidRequest,
    MachineError,
    RequestTooLarge,
    ServiceError,
    ShuttingDown,
    TooManyRequests,
)
from microfaas.gateway.aws import json_form, streamed, xml_form
from microfaas.gateway.aws.model import Error, Model, Protocol, Shape
from microfaas.gateway.aws.streamed import Streamed
from microfaas.gateway.reply import JSON, Reply

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
# Those of them whose body spells `Message` with a capital.
_CAPITAL = frozenset({"AccessDeniedException"})


class Form(NamedTuple):
    """In whose words to answer a request. `operation` is empty while it is not known."""

    model: Model
    protocol: Protocol
    request_id: str
    operation: str = ""

    def result(self, value: dict[str, Any]) -> Reply | Streamed:
        """The reply with the operation's result."""
        called = self.model.operations.get(self.operation)
        if called is None:  # one that is not served, and says so itself
            return Reply(200, self._head() + self._type(), msgspec.json.encode(value))
        if self.protocol == "query":
            text = xml_form.result(self.model, self.operation, value, self.request_id)
            return Reply(called.status, self._head() + self._type(), text)
        if self.model.stream_of(called.output):
            return streamed.begun(self.model, called, value, self._head())
        status = _status(self.model.shape(called.output), value, called.status)
        if status == 204:
            return Reply(status, self._head(), b"")
        body = json_form.write(self.model, called.output, value)
        return Reply(status, self._head() + self._type(), body)

    def error(self, fault: Exception) -> Reply:
        """The reply for what went wrong. What is not foreseen is logged here, and told as a 500."""
        told = self._told(fault)
        known = self.model.errors.get(told.kind) or _unmodelled(told)
        status = told.status or known.status
        who = "Sender" if status < 500 else "Receiver"
        head, more = self._head(), dict(told.members)
        if isinstance(fault, TooManyRequests):
            head += f"Retry-After: {fault.retry_after_s}\r\n"
        for name, header in known.members.items():
            if header and name in more:
                head += f"{header}: {more.pop(name)}\r\n"
        if self.protocol == "query":
            body = xml_form.error(self.model, who, known.code, str(told), self.request_id, more)
            return Reply(status, head + self._type(), body)
        content = {"Message" if "Message" in known.members else "message": str(told), **more}
        if "Type" in known.members:
            content["Type"] = "User" if status < 500 else "Service"
        if self.protocol == "rest-json":
            head += f"x-amzn-ErrorType: {told.kind}\r\n"
        else:
            content = {"__type": told.kind, **content}
        if self.model.query_compatible:
            head += f"x-amzn-query-error: {known.code};{who}\r\n"
        return Reply(status, head + self._type(), json.dumps(content).encode())

    def _told(self, fault: Exception) -> ServiceError:
        """Any error as a service's."""
        match fault:
            case ServiceError():
                return fault
            case AccessRefused():
                return ServiceError(fault.kind, str(fault), status=403)
            case TooManyRequests():
                return self._throttled(fault)
            case RequestTooLarge():
                of = f" for the {self.operation} operation" if self.operation else ""
                text = f"Request must be smaller than {fault.limit_bytes} bytes{of}"
                return ServiceError("RequestEntityTooLargeException", text, status=413)
            case InvalidRequest():
                return ServiceError(fault.kind, str(fault))
            case ShuttingDown():
                return ServiceError("ServiceUnavailableException", str(fault), status=503)
        text = str(fault)
        if isinstance(fault, MachineError):
            _log.error("request %s: %s", self.request_id, fault)
        else:
            _log.error("request %s failed", self.request_id, exc_info=fault)
            text = f"cannot answer: an internal error, logged under {self.request_id}"
        kind = "ServiceException" if "ServiceException" in self.model.errors else "InternalFailure"
        return ServiceError(kind, text, status=500)

    def _throttled(self, fault: TooManyRequests) -> ServiceError:
        kind = "TooManyRequestsException"
        if kind in self.model.errors and "Reason" in self.model.errors[kind].members:
            return ServiceError(kind, str(fault), members={"Reason": fault.reason})
        return ServiceError("ThrottlingException", "Rate exceeded", status=429)

    def _head(self) -> str:
        return f"x-amzn-RequestId: {self.request_id}\r\n"

    def _type(self) -> str:
        if self.protocol == "query":
            return "Content-Type: text/xml\r\n"
        if self.protocol == "rest-json":
            return JSON
        return f"Content-Type: application/x-amz-json-{self.model.json_version}\r\n"


def _status(shape: Shape, value: dict[str, Any], usual: int) -> int:
    """An operation may say in its result with which status it is answered."""
    for name, member in shape.members.items():
        if member.location == "statusCode" and name in value:
            return int(value[name])
    return usual


def _unmodelled(told: ServiceError) -> Error:
    code = _QUERY_CODES.get(told.kind, told.kind)
    text = "Message" if told.kind in _CAPITAL else "message"
    return Error(code, 400 if told.sender else 500, {text: ""})
