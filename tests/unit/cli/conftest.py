"""Every command's test runs in an empty directory; some of them need a server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cli_world import Served


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name in ("MICROFAAS_ENDPOINT_URL", "MICROFAAS_KEY", "MICROFAAS_CA_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    served = Served(answers={}, answer=None, payload=b"", asked={}, command="", path="")

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            served.payload = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            served.asked = {name.lower(): value for name, value in self.headers.items()}
            missing = (404, {"x-amzn-ErrorType": "ResourceNotFoundException"}, b'{"Message": "no"}')
            served.command, served.path = self.command, self.path
            status, headers, body = (
                served.answer(self.path)
                if served.answer
                else served.answers.get(self.path.split("/")[-2], missing)
            )
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_DELETE = do_POST

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        monkeypatch.setenv("MICROFAAS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield served
        server.shutdown()
        thread.join()
