"""Other ways to run the same handler on one machine, each as its own documentation starts it."""

from __future__ import annotations

import base64
import io
import json
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.client import invoke_path
from bench.endpoint import Endpoint, StartError, free_port, program
from bench.server import FUNCTIONS
from bench.venvs import program_of

FLASK_ECHO = '''\
"""The echo function in functions-framework's own shape."""


def handler(request):
    return request.get_json()
'''


@contextmanager
def functions_framework() -> Iterator[Endpoint]:
    """Google's runner: gunicorn and Flask; the handler runs in the server's own process."""
    command = program_of("functions-framework", "functions-framework", "functions-framework")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "main.py").write_text(FLASK_ECHO)
        argv = [command, "--target", "handler", "--source", f"{folder}/main.py"]
        argv += ["--host", "127.0.0.1", "--port", str(port)]
        with program(argv, port, "/", folder=folder) as endpoint:
            yield endpoint


@contextmanager
def ministack() -> Iterator[Endpoint]:
    """An emulator of AWS; its Lambda runs functions in local processes."""
    command = program_of("ministack", "ministack", "ministack")
    port = free_port()
    environment = {"GATEWAY_PORT": str(port), "LOG_LEVEL": "ERROR"}
    with (
        tempfile.TemporaryDirectory() as folder,
        program(
            [command], port, invoke_path("echo"), environment=environment, folder=folder
        ) as endpoint,
    ):
        create_function(port)
        yield endpoint


def create_function(port: int) -> None:
    """Lambda's CreateFunction with the echo handler."""
    order = {
        "FunctionName": "echo",
        "Runtime": "python3.11",
        "Role": "arn:aws:iam::000000000000:role/bench",
        "Handler": "echo.handler",
        "Timeout": 30,
        "Code": {"ZipFile": base64.b64encode(zipped(FUNCTIONS / "echo.py")).decode()},
    }
    url = f"http://127.0.0.1:{port}/2015-03-31/functions"
    request = urllib.request.Request(url, json.dumps(order).encode())
    request.add_header("Content-Type", "application/json")
    try:
        urllib.request.urlopen(request, timeout=30).close()
    except urllib.error.URLError as error:
        raise StartError(f"cannot create ministack's function: {error}") from error


def zipped(file: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.write(file, file.name)
    return buffer.getvalue()
