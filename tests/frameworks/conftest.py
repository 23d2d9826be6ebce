"""One server with all the functions, and a client of their URLs."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.project import Project

HERE = Path(__file__).parent
FUNCTIONS, NODE = HERE / "functions", HERE.parent / "node"
PYTHON = HERE / ".venv" / "bin" / "python"
# The folder of its code and its handler, by the function's name.
HANDLERS = {
    "fastapi": ("python", "fastapi_app.handler"),
    "starlette": ("python", "starlette_app.handler"),
    "flask": ("python", "flask_app.handler"),
    "powertools": ("python", "powertools_app.handler"),
    "routed": ("python", "powertools_app.routed"),
    "rest": ("python", "powertools_app.rest"),
    "parsed": ("python", "powertools_app.parsed"),
    "whole": ("python", "powertools_app.whole"),
    "batch": ("python", "powertools_app.batch"),
    "express": ("express", "express.handler"),
    "hello": ("node", "streams.hello"),
    "plain": ("node", "streams.plain"),
    "large": ("node", "streams.large"),
    "broken": ("node", "streams.broken"),
    "adapter": ("provided", "bootstrap"),
    "go": ("go", "bootstrap"),
}
KINDS = {
    "python": f'runtime = "python"\ninterpreter = "{PYTHON}"',
    "express": 'runtime = "nodejs"',
    "node": 'runtime = "nodejs"',
    "provided": 'runtime = "provided"',
    "go": 'runtime = "provided"',
}
# Its routes and the format of their events, by the function's name.
ROUTES = {
    "fastapi": [("GET /items/{item_id}", "2.0"), ("POST /items", "1.0")],
    "flask": [("ANY /{proxy+}", "1.0")],
    "express": [("GET /hello/{name}", "2.0"), ("POST /echo", "1.0")],
    "routed": [("GET /orders/{order_id}", "2.0")],
    "rest": [("GET /rest/{order_id}", "1.0")],
}
STREAMING = ("hello", "plain", "large", "broken", "adapter", "go")


@dataclass
class Urls:
    """The functions by their URLs, and by their routes."""

    project: Project
    urls: dict[str, str] = field(default_factory=dict)

    def open(self, name: str, mode: str) -> None:
        """Give a function a URL that everybody may call."""
        client = self.project.lambda_client()
        made = client.create_function_url_config(
            FunctionName=name, AuthType="NONE", InvokeMode=mode
        )
        self.urls[name] = made["FunctionUrl"]
        client.add_permission(
            FunctionName=name,
            StatementId="url",
            Action="lambda:InvokeFunctionUrl",
            Principal="*",
            FunctionUrlAuthType="NONE",
        )

    def route(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> Response:
        """One request by the functions' routes."""
        port = urlsplit(self.project.url).port
        headers = {"Host": f"shop.execute-api.us-east-1.localhost:{port}", **headers}
        return self.ask("fastapi", path, method, body, **headers)

    def connect(self, name: str) -> tuple[http.client.HTTPConnection, str]:
        """A connection, and the Host that names the URL on it."""
        place = urlsplit(self.urls[name])
        return http.client.HTTPConnection("127.0.0.1", place.port, timeout=60), place.netloc

    def ask(
        self, name: str, path: str = "/", method: str = "GET", body: Any = None, **headers: str
    ) -> Response:
        """One request; `body` is bytes, or goes as JSON."""
        connection, host = self.connect(name)
        fields = {"Host": host, **{n.replace("_", "-"): v for n, v in headers.items()}}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            fields.setdefault("Content-Type", "application/json")
        connection.request(method, path, body, fields)
        reply = connection.getresponse()
        try:
            return Response(reply.status, reply.headers, reply.read())
        finally:
            connection.close()


@dataclass
class Response:
    """What came back."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def node_packages(*wanted: str) -> list[str]:
    """What these need of what is installed, by the lock file."""
    locked = json.loads((NODE / "package-lock.json").read_text())["packages"]
    found: list[str] = []
    left = list(wanted)
    while left:
        name = left.pop()
        if name not in found:
            found.append(name)
            left.extend(locked[f"node_modules/{name}"].get("dependencies", {}))
    return found


@pytest.fixture(scope="session")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Urls]:
    root = tmp_path_factory.mktemp("frameworks")
    shutil.copytree(FUNCTIONS, root, dirs_exist_ok=True)
    for name in node_packages("express", "serverless-http"):
        there = root / "express" / "node_modules" / name
        shutil.copytree(NODE / "node_modules" / name, there, dirs_exist_ok=True)
    environment = {**os.environ, "CGO_ENABLED": "0"}
    argv = ["go", "build", "-buildvcs=false", "-trimpath", "-o", root / "go" / "bootstrap", "./web"]
    subprocess.run(argv, cwd=HERE.parent / "go", env=environment, check=True)
    project = Project(root)
    project.write("microfaas.toml", "\n".join(_table(name) for name in HANDLERS))
    project.start()
    try:
        made = Urls(project)
        for name in HANDLERS:
            made.open(name, "RESPONSE_STREAM" if name in STREAMING else "BUFFERED")
        yield made
    finally:
        code = project.stop()
    assert code == 0, project.output.read_text()
    assert "Traceback" not in project.output.read_text()


def _table(name: str) -> str:
    code, handler = HANDLERS[name]
    return f"""
[functions.{name}]
{KINDS[code]}
handler = "{handler}"
code = "{code}"
memory_mb = 256
timeout_s = 60
init_timeout_s = 60
{"".join(_trigger(name, *route) for route in ROUTES.get(name, ()))}
"""


def _trigger(name: str, route: str, payload: str) -> str:
    return f"""
[[functions.{name}.triggers]]
type = "http"
route = "{route}"
payload = "{payload}"
"""
