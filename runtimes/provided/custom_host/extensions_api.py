"""The Extensions API: who has registered for what, who is at work, who waits for an event."""

import json
import os
import re
import time

from custom_host.answers import ACCEPTED, NOT_ALLOWED, Collected, fault

EXTENSIONS_MAX = 10
STARTED = "Started"
REGISTERED = "Registered"
READY = "Ready"
RUNNING = "Running"
INIT_ERROR = "InitError"
EXIT_ERROR = "ExitError"
_EVENTS = {"INVOKE", "SHUTDOWN"}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Refused(Exception):
    """An extension asked for something that it may not have: 403, with Lambda's name for it."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind
        self.message = message


def _not_allowed(state, wanted, who):
    words = f"State transition from {state} to {wanted} failed for extension {who}."
    return Refused("Extension.InvalidExtensionState", f"{words} Error: {NOT_ALLOWED}")


class Extension:
    """External, with a process of its own, or internal, in the runtime's."""

    def __init__(self, name, process=None):
        self.name = name
        self.process = process
        self.id = new_id()
        self.state = STARTED
        self.events = set()
        self.waiter = None
        self.event = None  # the answer that is due to it

    def give(self, event):
        """Hand it an event, now or when it asks."""
        self.state = RUNNING
        waiter, self.waiter = self.waiter, None
        if waiter is None:
            self.event = event
        else:
            waiter.reply(*event)

    def ask(self, connection):
        if self.event is not None:
            event, self.event = self.event, None
            self.state = RUNNING
            connection.reply(*event)
            return
        if self.state not in (REGISTERED, RUNNING) and (self.state != READY or self.waiter):
            raise self._not_allowed(READY)
        self.state = READY
        self.waiter = connection
        connection.park()

    def fail(self, wanted, allowed):
        if self.state not in allowed:
            raise self._not_allowed(wanted)
        self.state = wanted

    def _not_allowed(self, wanted):
        return _not_allowed(self.state, wanted, self.id)


class ExtensionsApi:
    """All extensions of an instance, in the order in which they came."""

    def __init__(self, metadata, changed, failed):
        self._metadata = metadata
        self._changed = changed
        self._failed = failed
        self.all = []
        self.is_open = True  # until the runtime is initialised

    def add_external(self, name, process):
        self.all.append(Extension(name, process))

    @property
    def external(self):
        return [extension for extension in self.all if extension.process]

    @property
    def are_registered(self):
        return all(extension.state != STARTED for extension in self.all)

    @property
    def are_idle(self):
        """Whether each has asked for the next event, as far as it has been given one."""
        return all(extension.state == READY for extension in self.all)

    def invoke(self, message):
        """Tell those who want to know of an invocation."""
        told = [extension for extension in self.all if "INVOKE" in extension.events]
        if told:
            event = _invoke_event(message)
            for extension in told:
                extension.give(event)

    def shut_down(self, reason, deadline_ms):
        event = {"eventType": "SHUTDOWN", "shutdownReason": reason, "deadlineMs": deadline_ms}
        for extension in self.external:
            if "SHUTDOWN" in extension.events:
                extension.give(_answer(event))

    def closed(self, connection):
        for extension in self.all:
            if extension.waiter is connection:
                extension.waiter = None

    def open(self, connection, request, action):
        """The sink of a request for `register`, `next`, `init/error` or `exit/error`."""
        serve = getattr(self, "_" + action)

        def finish(body, trailers):
            try:
                serve(connection, request.headers, body or b"")
            except Refused as refused:
                connection.reply(403, fault(refused.kind, refused.message))
            else:
                self._changed()

        return Collected(finish)

    def _register(self, connection, headers, body):
        name = headers.get("lambda-extension-name", "")
        if not name:
            raise Refused("Extension.InvalidExtensionName", "Empty extension name")
        events = _wanted_events(body)
        extension = next((e for e in self.external if e.name == name), None)
        _check(events, internal=extension is None)
        if extension is None:
            extension = self._add_internal(name)
        elif extension.state != STARTED:
            raise _not_allowed(extension.state, REGISTERED, name)
        extension.events = set(events)
        extension.state = REGISTERED
        features = headers.get("lambda-extension-accept-feature", "").split(",")
        answer = dict(self._metadata)
        if "accountId" not in [feature.strip() for feature in features]:
            answer.pop("accountId", None)
        identifier = b"Lambda-Extension-Identifier: %s\r\n" % extension.id.encode()
        connection.reply(200, json.dumps(answer).encode(), identifier)

    def _add_internal(self, name):
        if not self.is_open:
            raise Refused("Extension.RegistrationClosed", "Extension registration closed already")
        if any(extension.name == name for extension in self.all):
            words = "Extension with this name already registered"
            raise Refused("Extension.InvalidExtensionState", words)
        if len(self.all) >= EXTENSIONS_MAX:
            words = f"Extension limit ({EXTENSIONS_MAX}) reached"
            raise Refused("Extension.TooManyExtensions", words)
        self.all.append(Extension(name))
        return self.all[-1]

    def _next(self, connection, headers, body):
        self._known(headers).ask(connection)

    def _init_error(self, connection, headers, body):
        self._report(connection, headers, INIT_ERROR, (REGISTERED, INIT_ERROR))

    def _exit_error(self, connection, headers, body):
        self._report(connection, headers, EXIT_ERROR, (REGISTERED, READY, RUNNING, EXIT_ERROR))

    def _report(self, connection, headers, state, allowed):
        header = "Lambda-Extension-Function-Error-Type"
        extension = self._known(headers)
        kind = headers.get(header.lower(), "")
        if not kind:
            raise Refused("Extension.MissingHeader", header + " not found")
        extension.fail(state, allowed)
        connection.reply(202, ACCEPTED)
        self._failed("Extension." + state, f"extension {extension.name}: {kind}")

    def _known(self, headers):
        header = "Lambda-Extension-Identifier"
        identifier = headers.get(header.lower(), "")
        if not identifier:
            raise Refused("Extension.MissingExtensionIdentifier", f"Missing {header} header")
        if not _UUID.fullmatch(identifier):
            raise Refused("Extension.InvalidExtensionIdentifier", "Invalid " + header)
        for extension in self.all:
            if extension.id == identifier.lower() and extension.state != STARTED:
                return extension
        raise Refused("Extension.UnknownExtensionIdentifier", "Unknown extension " + identifier)


def _wanted_events(body):
    try:
        wanted = json.loads(body)
        events = wanted.get("events") or []
        keys = wanted.get("configurationKeys")
    except (ValueError, AttributeError, RecursionError):
        raise Refused("InvalidRequestFormat", "the body is not an object of JSON") from None
    if keys:
        words = "configurationKeys are deprecated; use environment variables instead"
        raise Refused("InvalidRequestFormat", words)
    if not isinstance(events, list) or not all(isinstance(event, str) for event in events):
        raise Refused("InvalidRequestFormat", "events is not a list of strings")
    return events


def _check(events, internal):
    for event in events:
        if event not in _EVENTS:
            words = f"{event}: no such event"
        elif internal and event == "SHUTDOWN":
            words = f"{event}: event not supported for internal extensions"
        else:
            continue
        raise Refused("Extension.InvalidEventType", words)


def _invoke_event(message):
    event = {
        "eventType": "INVOKE",
        "deadlineMs": message["deadline_ms"],
        "requestId": message["id"],
        "invokedFunctionArn": message["arn"],
    }
    if message.get("trace_id"):
        event["tracing"] = {"type": "X-Amzn-Trace-Id", "value": message["trace_id"]}
    return _answer(event)


def _answer(event):
    identifier = b"Lambda-Extension-Event-Identifier: %s\r\n" % new_id().encode()
    return 200, json.dumps(event).encode(), identifier


def new_id():
    digits = os.urandom(16).hex()
    return "-".join(
        (digits[:8], digits[8:12], "4" + digits[13:16], "a" + digits[17:20], digits[20:])
    )


def now_ms():
    return int(time.time() * 1000)
