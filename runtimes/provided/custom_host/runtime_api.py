"""The Runtime API, seen from the runtime: next, response, error; in Lambda's states and words.

The names of the states are those in Lambda's own error messages.
"""

import base64
import binascii
import json
import re

from microfaas_host import frames

from custom_host.answers import (
    ACCEPTED,
    NOT_ALLOWED,
    RESPONSE_BYTES_MAX,
    Collected,
    Refusal,
    fault,
)

STARTED = "Started"
INIT_ERROR = "InitError"
READY = "Ready"
RUNNING = "Running"
RESPONDING = "InvocationResponse"
FAILING = "InvocationErrorResponse"
SENT = "RuntimeResponseSentState"
_TYPE_HEADER = "lambda-runtime-function-error-type"
_TYPE = re.compile(r"(Runtime|Function)\.[A-Z][a-zA-Z]+")
_TRUNCATED = "HTTP request detected as truncated"


class RuntimeApi:
    """What the bootstrap has asked for, and what has come of the invocation."""

    def __init__(self, changed):
        self._changed = changed
        self.state = STARTED
        self.outcome = None  # the message that ends the invocation
        self.init_fault = None  # type and payload
        self._id = None
        self._waiter = None
        self._event = ()

    @property
    def is_idle(self):
        """Whether it has asked for the next event."""
        return self.state == READY

    def invoke(self, message):
        self._id = message["id"]
        self.outcome = None
        self._event = message["event"], _event_headers(message)
        self.state = RUNNING
        waiter, self._waiter = self._waiter, None
        if waiter is not None:  # else it has hung up, and will ask again
            waiter.reply(200, *self._event)

    def closed(self, connection):
        if connection is self._waiter:
            self._waiter = None

    def next(self, connection):
        if self.state == RUNNING:
            connection.reply(200, *self._event)  # it has lost the event: here it is again
        elif self.state in (STARTED, READY, SENT):
            displaced, self._waiter = self._waiter, connection
            connection.park()
            self.state = READY
            if displaced is not None:
                displaced.reply(403, _transition(READY, READY))
            self._changed()
        else:
            connection.reply(403, _transition(self.state, READY))

    def open_response(self, connection, request, request_id):
        refusal = self._refusal(connection, request_id, RESPONDING)
        if refusal:
            return refusal
        mode = request.headers.get("lambda-runtime-function-response-mode", "").lower()
        if mode == "streaming" or (not mode and _streams_unasked(request)):
            self.state = RESPONDING
            return _Stream(self, connection, self._id, request.headers.get("content-type"))
        if mode not in ("", "buffered"):
            self._fail("Runtime.InvalidResponseModeHeader", "Invalid response mode header")
            message = "Invalid function response mode"
            return Refusal(connection, 400, "InvalidFunctionResponseMode", message)
        self.state = RESPONDING
        length = request.body.length if request.body else None
        return Collected(
            lambda body, trailers: self._responded(connection, body, trailers),
            length,
            self.truncated,
        )

    def open_error(self, connection, request, request_id):
        refusal = self._refusal(connection, request_id, FAILING)
        if refusal:
            return refusal
        self.state = FAILING
        given = request.headers.get(_TYPE_HEADER, "")
        return Collected(
            lambda body, _: self._failed(connection, given, body), None, self.truncated
        )

    def open_init_error(self, connection, request):
        if self.state != STARTED:
            return Refusal(
                connection,
                403,
                "InvalidStateTransition",
                _transition_words(self.state, INIT_ERROR),
            )
        self.state = INIT_ERROR
        given = request.headers.get(_TYPE_HEADER, "")
        return Collected(lambda body, _: self._failed_to_load(connection, given, body))

    def respond(self, message):
        """The outcome is known."""
        self.outcome = message
        self.state = SENT
        self._id = None
        self._changed()

    def truncated(self):
        self._fail("Runtime.TruncatedResponse", "Response is truncated")

    def _refusal(self, connection, request_id, wanted):
        if request_id != self._id:
            return Refusal(connection, 400, "InvalidRequestID", "Invalid request ID")
        if self.state != RUNNING:
            words = _transition_words(self.state, wanted)
            return Refusal(connection, 403, "InvalidStateTransition", words)
        return None

    def _responded(self, connection, body, trailers):
        if body is None:
            words = f"Exceeded maximum allowed payload size ({RESPONSE_BYTES_MAX} bytes)."
            connection.reply(413, fault("RequestEntityTooLarge", words))
            self._fail(
                "Function.ResponseSizeTooLarge",
                "Response payload size exceeded maximum allowed payload size "
                f"({RESPONSE_BYTES_MAX} bytes).",
            )
            return
        connection.reply(202, ACCEPTED)
        self.respond(_outcome(self._id, body, trailers))

    def _failed(self, connection, given, body):
        body = body or b""
        connection.reply(202, ACCEPTED)
        self.respond(_error(self._id, error_type(given, body), body))

    def _failed_to_load(self, connection, given, body):
        body = body or b""
        self.init_fault = error_type(given, body), body
        connection.reply(202, ACCEPTED)
        self._changed()

    def _fail(self, kind, message):
        self.respond(_error(self._id, kind, fault(kind, message)))


class _Stream:
    """A response that is passed on as it comes."""

    def __init__(self, api, connection, request_id, content_type):
        self._api = api
        self._connection = connection
        self._id = request_id
        self._first = {"content_type": content_type} if content_type else {}
        self._begun = False

    def take(self, piece):
        frames.write({"kind": "chunk", "id": self._id, "payload": piece, **self._first})
        self._first = {}
        self._begun = True

    def done(self, trailers):
        if not self._begun:
            self.take(b"")  # what type it is must be known all the same
        self._connection.reply(202, ACCEPTED)
        self._api.respond(_outcome(self._id, b"", trailers))

    def cut(self):
        self._api.truncated()


def _event_headers(message):
    """The lines that go with an event. Nothing in them may begin a line of its own."""
    lines = [
        b"Lambda-Runtime-Aws-Request-Id: %s\r\n" % _plain(message["id"]),
        b"Lambda-Runtime-Deadline-Ms: %d\r\n" % message["deadline_ms"],
        b"Lambda-Runtime-Invoked-Function-Arn: %s\r\n" % _plain(message["arn"]),
    ]
    trace_id = message.get("trace_id")
    if trace_id:
        lines.append(b"Lambda-Runtime-Trace-Id: %s\r\n" % _plain(trace_id))
    client_context = message.get("client_context")
    if client_context:
        lines.append(b"Lambda-Runtime-Client-Context: %s\r\n" % _one_line(client_context))
    return b"".join(lines)


def _plain(text):
    return _one_line(text.encode())


def _one_line(data):
    return data.replace(b"\r", b" ").replace(b"\n", b" ").replace(b"\0", b" ")


def _streams_unasked(request):
    """aws-lambda-go announces trailers for errors always, and streams what is not JSON."""
    headers = request.headers
    is_json = headers.get("content-type", "").startswith("application/json")
    return _TYPE_HEADER in headers.get("trailer", "").lower() and not is_json


def _outcome(request_id, payload, trailers):
    """A result, unless what follows it says that it has failed half way."""
    given = trailers.get(_TYPE_HEADER)
    if given is None:
        return {"kind": "result", "id": request_id, "payload": payload}
    body = _unpacked(trailers.get("lambda-runtime-function-error-body", ""))
    return _error(request_id, error_type(given, body), body)


def _error(request_id, kind, payload):
    return {"kind": "error", "id": request_id, "type": kind, "payload": payload}


def error_type(given, payload):
    """The name of an error: what its object says, else the header as far as it is well-formed."""
    try:
        kind = json.loads(payload)["errorType"]
        if isinstance(kind, str) and kind:
            return kind
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    if _TYPE.fullmatch(given):
        return given
    return "Function.Unknown" if given.startswith("Function.") else "Runtime.Unknown"


def _unpacked(text):
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _transition(state, wanted):
    return fault("InvalidStateTransition", _transition_words(state, wanted))


def _transition_words(state, wanted):
    return f"State transition from {state} to {wanted} failed for runtime. Error: {NOT_ALLOWED}"
