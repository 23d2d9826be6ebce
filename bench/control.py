"""Lambda's control API for the function `release.py`, on one keep-alive connection.

A bare client: boto3 would add milliseconds of its own to each of the times.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from bench.client import ANSWER_S_MAX, EVENT, AnswerError, invoke_path
from bench.server import FUNCTIONS

PATH = "/2015-03-31/functions"
SOURCE = FUNCTIONS / "release.py"


class Control:
    """The server at PORT; AnswerError where it refuses."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_S_MAX)

    def __enter__(self) -> Control:
        return self

    def __exit__(self, *failure: object) -> None:
        self.connection.close()

    def create(self, name: str, release: int) -> None:
        order = {
            "FunctionName": name,
            "Runtime": "python3.11",
            "Role": "arn:aws:iam::000000000000:role/bench",
            "Handler": "release.handler",
            "Timeout": 30,
            "Code": {"ZipFile": encoded(release)},
        }
        self.ask("POST", PATH, order)

    def update(self, name: str, release: int) -> None:
        self.ask("PUT", f"{PATH}/{name}/code", {"ZipFile": encoded(release)})

    def publish(self, name: str) -> str:
        """The version's number."""
        version: str = json.loads(self.ask("POST", f"{PATH}/{name}/versions", {}))["Version"]
        return version

    def make_alias(self, name: str, alias: str, version: str) -> None:
        order = {"Name": alias, "FunctionVersion": version}
        self.ask("POST", f"{PATH}/{name}/aliases", order)

    def move_alias(self, name: str, alias: str, version: str) -> None:
        self.ask("PUT", f"{PATH}/{name}/aliases/{alias}", {"FunctionVersion": version})

    def delete(self, name: str) -> None:
        self.ask("DELETE", f"{PATH}/{name}")

    def invoke(self, target: str) -> int:
        """The release that answers; TARGET is `name` or `name:alias`."""
        return int(self._send("POST", invoke_path(target), EVENT))

    def ask(self, method: str, path: str, order: Mapping[str, Any] | None = None) -> bytes:
        return self._send(method, path, None if order is None else json.dumps(order).encode())

    def _send(self, method: str, path: str, body: bytes | None) -> bytes:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        said = answer.read()
        if not 200 <= answer.status < 300 or answer.headers["X-Amz-Function-Error"]:
            raise AnswerError(f"cannot {method} {path}: {answer.status} {said[:300]!r}")
        return said


def encoded(release: int) -> str:
    return base64.b64encode(package(release)).decode()


def package(release: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.write(SOURCE, SOURCE.name)
        archive.writestr("number", str(release))
    return buffer.getvalue()
