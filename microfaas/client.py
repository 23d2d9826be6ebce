"""A small synchronous client of the HTTP API: what the command line uses, and scripts may.

A connection is made for each request. A request is never repeated, since an invocation may have
happened although its answer was lost; whoever calls knows whether it may happen twice.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import http.client
import json
import re
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from microfaas.errors import ConfigError, MicrofaasError, Problem

DEFAULT_URL = "http://127.0.0.1:9000"
CONNECT_S_MAX = 5.0
# The longest waiting line, load and run of a function, with some room.
ANSWER_S_MAX = 3 * 900 + 60.0
_API = "/_microfaas/v1"
_HOST = re.compile(r"[A-Za-z0-9._:%-]+")


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

    def __init__(self, endpoint_url: str = DEFAULT_URL) -> None:
        self.url = endpoint_url.rstrip("/")
        self._secure, self._host, self._port, self._prefix = _split(self.url)

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

    def health(self) -> dict[str, Any]:
        """Whether all is well."""
        return self._get("/health")

    def _get(self, path: str) -> dict[str, Any]:
        _, _, body = self._request("GET", f"{_API}{path}", None, {})
        table = _table(body)
        if table is None:
            raise AnswerLost(f"cannot understand the answer of {self.url}: is it microfaas?")
        return table

    def _request(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
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

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=CONNECT_S_MAX)
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


def _log_tail(encoded: str) -> str:
    try:
        return base64.b64decode(encoded).decode(errors="replace")
    except binascii.Error:
        return ""


def _error(status: int, headers: http.client.HTTPMessage, body: bytes) -> ClientError:
    table = _table(body) or {}
    message = table.get("message") or table.get("Message") or http.client.responses.get(status, "")
    # Some services append a colon and a URL to the name.
    kind = headers.get("x-amzn-ErrorType", "").partition(":")[0] or "UnknownError"
    after = headers.get("Retry-After", "")
    return ClientError(kind, str(message), status, int(after[:9]) if after.isdecimal() else None)


def _table(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
