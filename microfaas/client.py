"""A small synchronous client of the HTTP API: what the command line uses, and scripts may.

A connection is made for each request. A request is never repeated, since an invocation may have
happened although its answer was lost; whoever calls knows whether it may happen twice. With a key
requests are signed as AWS's clients sign them: the secret itself is never sent.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import http.client
import json
import re
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from microfaas import sigv4
from microfaas.errors import ConfigError, MicrofaasError, Problem
from microfaas.sigv4 import Signable

DEFAULT_URL = "http://127.0.0.1:9000"
CONNECT_S_MAX = 5.0
# The longest waiting line, load and run of a function, with some room.
ANSWER_S_MAX = 3 * 900 + 60.0
_API = "/_microfaas/v1"
_HOST = re.compile(r"[A-Za-z0-9._:%-]+")
_KEY = re.compile(r"([A-Z0-9]{1,64})\.([A-Za-z0-9_-]{1,128})")


class NotRunning(MicrofaasError):
    """Nothing listens where microfaas should."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            f'cannot reach microfaas at {url}: {why}; start it with "microfaas run", or name '
            "another address with --endpoint-url"
        )


class AnswerLost(MicrofaasError):
    """The connection broke before the whole answer was there; the function may have run."""


class ClientError(MicrofaasError):
    """The server refused; `kind` is AWS's name of the fault."""

    def __init__(self, kind: str, message: str, status: int, retry_after_s: int | None) -> None:
        self.kind = kind
        self.status = status
        self.retry_after_s = retry_after_s
        super().__init__(f"{message} ({kind}, HTTP status {status})")

    @property
    def temporary(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status == 429 or self.status >= 500


class Reply(NamedTuple):
    """The answer to an invocation. `function_error` is set when the function failed."""

    status: int
    payload: bytes
    function_error: str | None
    log_tail: str
    request_id: str
    executed_version: str


class Client:
    """Talks to the microfaas at a URL. Its methods raise NotRunning, AnswerLost and ClientError."""

    def __init__(
        self, endpoint_url: str = DEFAULT_URL, *, key: str = "", ca_file: str | None = None
    ) -> None:
        """`key` is ID.SECRET; `ca_file` has who vouches for the server. Raises ConfigError."""
        self.url = endpoint_url.rstrip("/")
        secure, self._host, self._port, self._prefix = _split(self.url)
        self._tls = _trust(ca_file) if secure else None
        self._key = _take_apart(key) if key else None

    def invoke(
        self,
        name: str,
        payload: bytes,
        *,
        event: bool = False,
        tail: bool = False,
        qualifier: str | None = None,
        client_context: bytes | None = None,
    ) -> Reply:
        """Run a function: wait for its result, or with `event` only hand the payload over."""
        headers = {
            "Content-Type": "application/json",
            "X-Amz-Invocation-Type": "Event" if event else "RequestResponse",
            "X-Amz-Log-Type": "Tail" if tail else "None",
        }
        if client_context is not None:
            headers["X-Amz-Client-Context"] = base64.b64encode(client_context).decode()
        query = f"?{urlencode({'Qualifier': qualifier})}" if qualifier else ""
        path = f"/2015-03-31/functions/{quote(name, safe='')}/invocations{query}"
        status, answered, body = self._request("POST", path, payload, headers)
        return Reply(
            status=status,
            payload=body,
            function_error=answered.get("X-Amz-Function-Error"),
            log_tail=_log_tail(answered.get("X-Amz-Log-Result", "")),
            request_id=answered.get("x-amzn-RequestId", ""),
            executed_version=answered.get("X-Amz-Executed-Version", ""),
        )

    def functions(self) -> dict[str, Any]:
        """What is served, with the processes there are of it."""
        return self._get("/functions")

    def schedules(self) -> dict[str, Any]:
        """Which schedules there are, with their last and next times."""
        return self._get("/schedules")

    def call(self, target: str, **params: object) -> dict[str, Any]:
        """An operation of another of AWS's services, in its JSON, as SERVICE_VERSION.NAME."""
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
        _, _, body = self._request("POST", "/", json.dumps(params).encode(), headers)
        # Some operations have nothing to say.
        table = _table(body) if body else {}
        if table is None:
            raise self._not_understood()
        return table

    def form(self, action: str, version: str, **params: str) -> Element:
        """An operation of a service that is asked by a form and answers in XML, such as SNS."""
        fields = {"Action": action, "Version": version, **params}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        _, _, body = self._request("POST", "/", urlencode(fields).encode(), headers)
        document = _document(body)
        if document is None:
            raise self._not_understood()
        return document

    def rest(self, method: str, path: str, told: object = None) -> dict[str, Any]:
        """An operation that its path names, with its query, in JSON; such as all of Lambda's."""
        sent = None if told is None else json.dumps(told).encode()
        headers = {} if sent is None else {"Content-Type": "application/json"}
        _, _, body = self._request(method, path, sent, headers)
        table = _table(body) if body else {}
        if table is None:
            raise self._not_understood()
        return table

    def triggers(self, function: str) -> list[dict[str, Any]]:
        """What fires a function beside what the file says, as tables of `microfaas.toml`."""
        triggers: list[dict[str, Any]] = self._get(
            f"/functions/{quote(function, safe='')}/triggers"
        )["triggers"]
        return triggers

    def put_triggers(self, triggers: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Have these fire the functions of these names, in place of those before: all or none."""
        self._ask("PUT", "/triggers", triggers)

    def check_triggers(
        self, triggers: Mapping[str, Sequence[Mapping[str, Any]]], **to_come: object
    ) -> None:
        """Whether they could be put once there are, `to_come`, `functions` with their timeouts and
        `queues` with their visibility timeouts, in seconds, `streams` and `topics`."""
        self._ask("POST", "/triggers/check", {"triggers": triggers, **to_come})

    def messages(self, queue: str, limit: int) -> dict[str, Any]:
        """What is in a queue, without receiving it."""
        return self._get(f"/queues/{quote(queue, safe='')}/messages?limit={limit}")

    def health(self) -> dict[str, Any]:
        """Whether all is well."""
        return self._get("/health")

    def invocations(
        self, function: str | None = None, status: str | None = None, limit: int | None = None
    ) -> dict[str, Any]:
        """The events that wait, run and have ended, the newest first."""
        return self._get(f"/invocations{_query(function=function, status=status, limit=limit)}")

    def invocation(self, request_id: str, wait_s: float = 0.0) -> dict[str, Any]:
        """What became of an event; when it still has to end, after waiting for that."""
        return self._get(f"/invocations/{quote(request_id, safe='')}{_query(wait_s=wait_s)}")

    def cancel(self, request_id: str) -> dict[str, Any]:
        """Have an event not run, or no longer."""
        return self._ask("DELETE", f"/invocations/{quote(request_id, safe='')}")

    def dead_letters(
        self,
        function: str | None = None,
        error: str | None = None,
        older_than_s: float | None = None,
        limit: int | None = None,
    ) -> dict[str, Any]:
        """The events that were given up on, the newest first."""
        chosen = _query(function=function, error=error, older_than_s=older_than_s, limit=limit)
        return self._get(f"/dead{chosen}")

    def dead_letter(self, name: str) -> dict[str, Any]:
        """One of them whole, by its number or its request's id."""
        return self._get(f"/dead/{quote(name, safe='')}")

    def redrive(self, **chosen: object) -> dict[str, Any]:
        """Have dead letters run again: some `ids`, those of a `function` or an `error`, those
        `older_than_s`, or `all`."""
        return self._ask("POST", "/dead/redrive", chosen)

    def purge(self, **chosen: object) -> dict[str, Any]:
        """Throw dead letters away, chosen in the same way."""
        return self._ask("POST", "/dead/purge", chosen)

    def _get(self, path: str) -> dict[str, Any]:
        return self._ask("GET", path)

    def _ask(self, method: str, path: str, told: object = None) -> dict[str, Any]:
        sent = None if told is None else json.dumps(told).encode()
        _, _, body = self._request(method, f"{_API}{path}", sent, {})
        table = _table(body)
        if table is None:
            raise self._not_understood()
        return table

    def _not_understood(self) -> AnswerLost:
        return AnswerLost(f"cannot understand the answer of {self.url}: is it microfaas?")

    def _request(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        if self._key is not None:
            headers = self._signed(method, path, body or b"", headers, *self._key)
        connection = self._connect()
        try:
            # A server may refuse a large body, and say so, before it has all of it.
            with contextlib.suppress(BrokenPipeError):
                connection.request(method, self._prefix + path, body, headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            why = str(error) or type(error).__name__
            raise AnswerLost(f"cannot read the answer of {self.url}: {why}") from None
        finally:
            connection.close()
        if not 200 <= response.status < 300:
            raise _error(response.status, response.headers, answer)
        return response.status, response.headers, answer

    def _signed(
        self, method: str, path: str, body: bytes, headers: dict[str, str], key_id: str, secret: str
    ) -> dict[str, str]:
        host = f"[{self._host}]" if ":" in self._host else self._host
        whole = {**headers, "Host": host if self._port is None else f"{host}:{self._port}"}
        pairs = [(name.lower().encode(), value.encode()) for name, value in whole.items()]
        request = Signable(method, (self._prefix + path).encode(), pairs)
        return {**whole, **sigv4.sign(request, body, key_id, secret, time.time())}

    def _connect(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection
        if self._tls is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_S_MAX)
        else:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=CONNECT_S_MAX, context=self._tls
            )
        try:
            connection.connect()
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise NotRunning(self.url, why) from None
        connection.sock.settimeout(ANSWER_S_MAX)
        return connection


def _split(url: str) -> tuple[bool, str, int | None, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        raise ConfigError("the endpoint URL", [Problem(url, "must be http://HOST:PORT")])
    return parts.scheme == "https", host, port, parts.path


def _trust(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        why = error.strerror or str(error)
        raise ConfigError("the CA file", [Problem(ca_file or "", why)]) from None


def _take_apart(key: str) -> tuple[str, str]:
    match = _KEY.fullmatch(key)
    if match is None:
        raise ConfigError("the key", [Problem("MICROFAAS_KEY", "must be ID.SECRET")])
    return match[1], match[2]


def _log_tail(encoded: str) -> str:
    try:
        return base64.b64decode(encoded).decode(errors="replace")
    except binascii.Error:
        return ""


def _error(status: int, headers: http.client.HTTPMessage, body: bytes) -> ClientError:
    table = _table(body) or _fault(body)
    message = table.get("message") or table.get("Message") or http.client.responses.get(status, "")
    # Some services append a colon and a URL to the name.
    named = headers.get("x-amzn-ErrorType", "") or str(table.get("__type", table.get("Code", "")))
    kind = named.rpartition("#")[2].partition(":")[0] or "UnknownError"
    after = headers.get("Retry-After", "")
    return ClientError(kind, str(message), status, int(after[:9]) if after.isdecimal() else None)


def _query(**fields: object) -> str:
    given = {name: value for name, value in fields.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""


def _fault(body: bytes) -> dict[str, Any]:
    """Code and Message of an error in XML."""
    document = _document(body)
    if document is None:
        return {}
    return {element.tag.rpartition("}")[2]: element.text for element in document.iter()}


def _document(body: bytes) -> Element | None:
    try:
        return ElementTree.fromstring(body)
    except ElementTree.ParseError:
        return None


def _table(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
