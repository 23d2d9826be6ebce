"""Calls of AWS's services that speak JSON: signed, and with their errors told apart."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import msgspec

from microfaas import sigv4
from microfaas.errors import MachineError, ServiceError
from microfaas.remote.endpoints import Endpoint
from microfaas.sigv4 import Signable

CONNECT_S_MAX = 5.0
ANSWER_S_MAX = 30.0
CONNECTIONS_MAX = 256
ERROR_CHARS_MAX = 300


class Service(NamedTuple):
    """How a service is called: what it is signed as, the prefix of its targets, its JSON."""

    name: str
    target: str
    version: str


SQS = Service("sqs", "AmazonSQS", "1.0")
KINESIS = Service("kinesis", "Kinesis_20131202", "1.1")
TABLE_STREAMS = Service("dynamodb", "DynamoDBStreams_20120810", "1.0")


class Calls:
    """One session for all services."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __call__(
        self,
        endpoint: Endpoint,
        service: Service,
        operation: str,
        params: dict[str, Any],
        wait_s: float = 0.0,
    ) -> dict[str, Any]:
        """What an operation answers; `wait_s` is how long it may wait by itself.

        Raises ServiceError for what the service refuses, and MachineError when it cannot be
        reached or is itself at fault.
        """
        body = json.dumps(params).encode()
        headers = _headers(endpoint, service, operation, body)
        limit = aiohttp.ClientTimeout(total=ANSWER_S_MAX + wait_s, sock_connect=CONNECT_S_MAX)
        try:
            async with self._open().post(
                endpoint.url, data=body, headers=headers, timeout=limit, allow_redirects=False
            ) as answer:
                status, text = answer.status, await answer.read()
        except TimeoutError:
            why = f"no answer within {ANSWER_S_MAX + wait_s:g} s"
            raise MachineError(f"cannot reach {endpoint.url}: {why}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            why = str(error) or type(error).__name__
            raise MachineError(f"cannot reach {endpoint.url}: {why}") from None
        return _decoded(endpoint, operation, status, text)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def _headers(endpoint: Endpoint, service: Service, operation: str, body: bytes) -> dict[str, str]:
    parts = urlsplit(endpoint.url)
    headers = {
        "Host": parts.netloc.rpartition("@")[2],
        "Content-Type": f"application/x-amz-json-{service.version}",
        "X-Amz-Target": f"{service.target}.{operation}",
    }
    if endpoint.key.token:
        headers["X-Amz-Security-Token"] = endpoint.key.token
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    request = Signable("POST", (parts.path or "/").encode(), pairs)
    scope = f"{endpoint.region}/{service.name}"
    signed = sigv4.sign(request, body, endpoint.key.id, endpoint.key.secret, time.time(), scope)
    return {**headers, **signed}


def _decoded(endpoint: Endpoint, operation: str, status: int, text: bytes) -> dict[str, Any]:
    """Raises ServiceError, MachineError."""
    answer: dict[str, Any] | None = None
    with contextlib.suppress(msgspec.DecodeError, RecursionError):
        answer = msgspec.json.decode(text or b"{}", type=dict[str, Any])
    if status == 200 and answer is not None:
        return answer
    answer = answer or {}
    told = answer.get("message") or answer.get("Message") or text.decode(errors="replace")
    kind = str(answer.get("__type", "")).rpartition("#")[2]
    if status >= 500 or not kind:
        what = f"{endpoint.url} answered {operation} with {status}"
        raise MachineError(f"{what}: {str(told)[:ERROR_CHARS_MAX]}")
    raise ServiceError(kind, str(told)[:ERROR_CHARS_MAX])
