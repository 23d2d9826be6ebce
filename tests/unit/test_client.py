"""The client against a small server that answers as it is told and remembers what it was asked."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from microfaas import sigv4
from microfaas.client import AnswerLost, Client, ClientError, NotRunning
from microfaas.errors import ConfigError
from microfaas.sigv4 import Signable


@dataclass
class Script:
    """What the server answers, and what it was asked."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"null"
    line: str = ""
    asked: dict[str, str] = field(default_factory=dict)
    payload: bytes = b""


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            script.line = f"{self.command} {self.path}"
            script.asked = {name.lower(): value for name, value in self.headers.items()}
            script.payload = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(script.status)
            for name, value in {"Content-Length": str(len(script.body)), **script.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(script.body)

        do_GET = do_PUT = do_DELETE = do_POST

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        script.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield script
        server.shutdown()
        thread.join()


def test_invoke_asks_as_aws_clients_do(script: Script) -> None:
    script.body = b'{"a": 1}'
    script.headers = {
        "x-amzn-RequestId": "r-1",
        "X-Amz-Executed-Version": "7",
        "X-Amz-Log-Result": base64.b64encode("größe\n".encode()).decode(),
    }
    reply = Client(f"{script.url}/").invoke(
        "arn:aws:f/ü", b"{}", tail=True, qualifier="live", client_context=b'{"env": {}}'
    )
    assert reply == (200, b'{"a": 1}', None, "größe\n", "r-1", "7")
    assert script.line == (
        "POST /2015-03-31/functions/arn%3Aaws%3Af%2F%C3%BC/invocations?Qualifier=live"
    )
    assert script.payload == b"{}"
    assert script.asked["x-amz-invocation-type"] == "RequestResponse"
    assert script.asked["x-amz-log-type"] == "Tail"
    assert script.asked["x-amz-client-context"] == base64.b64encode(b'{"env": {}}').decode()


def test_an_event_is_only_handed_over(script: Script) -> None:
    script.status, script.body = 202, b""
    reply = Client(script.url).invoke("f", b"{}", event=True)
    assert (reply.status, reply.payload) == (202, b"")
    assert script.asked["x-amz-invocation-type"] == "Event"
    assert "x-amz-client-context" not in script.asked


def test_a_failed_function_is_a_reply_and_no_exception(script: Script) -> None:
    script.headers = {"X-Amz-Function-Error": "Unhandled"}
    script.body = b'{"errorType": "ValueError"}'
    reply = Client(script.url).invoke("f", b"{}")
    assert (reply.function_error, reply.payload) == ("Unhandled", b'{"errorType": "ValueError"}')


@pytest.mark.parametrize(
    ("status", "kind", "body", "headers", "temporary"),
    [
        (404, "ResourceNotFoundException", {"Type": "User", "Message": "no f"}, {}, False),
        (413, "RequestEntityTooLargeException", {"message": "no f"}, {}, False),
        (429, "TooManyRequestsException", {"message": "no f"}, {"Retry-After": "3"}, True),
        (503, "ServiceUnavailableException", {"message": "no f"}, {"Retry-After": "soon"}, True),
    ],
)
def test_refusals_are_errors(
    script: Script,
    status: int,
    kind: str,
    body: dict[str, str],
    headers: dict[str, str],
    temporary: bool,
) -> None:
    script.status, script.body = status, json.dumps(body).encode()
    script.headers = {"x-amzn-ErrorType": f"{kind}:http://x/", **headers}
    with pytest.raises(ClientError) as caught:
        Client(script.url).invoke("f", b"{}")
    error = caught.value
    assert (error.kind, error.status, error.temporary) == (kind, status, temporary)
    assert error.retry_after_s == (3 if status == 429 else None)
    assert str(error) == f"no f ({kind}, HTTP status {status})"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"\xff", b""])
def test_an_error_of_somebody_elses_is_understood_too(script: Script, body: bytes) -> None:
    script.status, script.body = 502, body
    with pytest.raises(ClientError, match="Bad Gateway"):
        Client(script.url).health()


def test_reads_what_is_served_and_the_health(script: Script) -> None:
    script.body = b'{"functions": []}'
    assert Client(script.url).functions() == {"functions": []}
    assert script.line == "GET /_microfaas/v1/functions"
    script.body = b'{"status": "ok"}'
    assert Client(script.url).health() == {"status": "ok"}
    assert script.line == "GET /_microfaas/v1/health"


def test_asks_about_events(script: Script) -> None:
    client, script.body = Client(script.url), b'{"a": 1}'
    asked = {
        "GET /_microfaas/v1/invocations": client.invocations,
        "GET /_microfaas/v1/invocations?function=f&status=ok&limit=3": lambda: client.invocations(
            "f", "ok", 3
        ),
        "GET /_microfaas/v1/invocations/a%2Fb?wait_s=2.5": lambda: client.invocation("a/b", 2.5),
        "DELETE /_microfaas/v1/invocations/i": lambda: client.cancel("i"),
        "GET /_microfaas/v1/dead?error=E&older_than_s=60": lambda: client.dead_letters(
            error="E", older_than_s=60
        ),
        "GET /_microfaas/v1/dead/17": lambda: client.dead_letter("17"),
        "POST /_microfaas/v1/dead/redrive": lambda: client.redrive(ids=["1"]),
        "POST /_microfaas/v1/dead/purge": lambda: client.purge(all=True),
    }
    for line, ask in asked.items():
        assert ask() == {"a": 1}
        assert script.line == line
    assert json.loads(script.payload) == {"all": True}


def test_operations_that_a_path_names(script: Script) -> None:
    script.body = b'{"Version": "3"}'
    path = "/2015-03-31/functions/f/versions"
    assert Client(script.url).rest("POST", path, {"Description": "x"}) == {"Version": "3"}
    assert script.line == f"POST {path}"
    assert script.asked["content-type"] == "application/json"
    assert json.loads(script.payload) == {"Description": "x"}
    script.status, script.body = 204, b""
    assert Client(script.url).rest("DELETE", path) == {}
    assert script.payload == b""


def test_operations_that_a_form_asks_for(script: Script) -> None:
    script.body = b"<R xmlns='urn:x'><TopicArn>arn</TopicArn></R>"
    made = Client(script.url).form("CreateTopic", "2010-03-31", Name="a b")
    assert [element.text for element in made] == ["arn"]
    assert script.payload == b"Action=CreateTopic&Version=2010-03-31&Name=a+b"
    script.status = 404
    script.body = (
        b"<E xmlns='urn:x'><Error><Code>NotFound</Code><Message>no t</Message></Error></E>"
    )
    with pytest.raises(ClientError, match=r"no t \(NotFound, HTTP status 404\)"):
        Client(script.url).form("GetTopicAttributes", "2010-03-31", TopicArn="t")
    script.status, script.body = 200, b"no XML"
    with pytest.raises(AnswerLost, match="is it microfaas"):
        Client(script.url).form("ListTopics", "2010-03-31")


def test_triggers_of_a_function(script: Script) -> None:
    tables = [{"type": "queue", "queue": "jobs"}]
    script.body = json.dumps({"triggers": tables}).encode()
    assert Client(script.url).triggers("f") == tables
    assert script.line == "GET /_microfaas/v1/functions/f/triggers"
    Client(script.url).put_triggers({"f": tables})
    assert script.line == "PUT /_microfaas/v1/triggers"
    assert json.loads(script.payload) == {"f": tables}
    Client(script.url).check_triggers({"f": tables}, queues={"jobs": 30})
    assert script.line == "POST /_microfaas/v1/triggers/check"
    assert json.loads(script.payload) == {"triggers": {"f": tables}, "queues": {"jobs": 30}}


def test_somebody_elses_answer_is_refused(script: Script) -> None:
    script.body = b"<html>"
    with pytest.raises(AnswerLost, match="is it microfaas"):
        Client(script.url).health()


def test_nothing_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(NotRunning, match=f"cannot reach microfaas at {url}: .*microfaas run"):
            Client(url).invoke("f", b"{}")


@pytest.mark.parametrize(
    "answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9"]
)
def test_a_broken_answer_is_told_from_no_answer(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(AnswerLost, match="cannot read the answer"):
            Client(f"http://127.0.0.1:{server.getsockname()[1]}").invoke("f", b"{}")
        thread.join()


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:9000", "ftp://x", "http://", "http://a b", "http://h:x"]
)
def test_refuses_what_is_no_address(url: str) -> None:
    with pytest.raises(ConfigError, match="must be http://HOST:PORT"):
        Client(url)


def test_with_a_key_requests_are_signed_and_the_secret_stays_here(script: Script) -> None:
    key_id, secret = "MFKAAAAAAAAAAAAAAAAA", "s" * 40
    Client(f"{script.url}/prefix", key=f"{key_id}.{secret}").invoke("f:1", b"{}", qualifier="a b")
    method, target = script.line.split(" ")
    asked = [(name.encode(), value.encode()) for name, value in script.asked.items()]
    request = Signable(method, target.encode(), asked)
    claim = sigv4.read(request)
    assert claim is not None
    assert claim.key_id == key_id
    assert {"host", "x-amz-date", "x-amz-log-type", "content-type"} <= set(claim.signed)
    signing_key = sigv4.signing_key(secret, claim.scope)
    sigv4.check(claim, request, script.payload, signing_key, claim.at_s, private=False)
    assert secret not in str(script.asked)


@pytest.mark.parametrize("key", ["x", "x.", ".x", "a b.c", "key\n.secret"])
def test_refuses_what_is_no_key_without_repeating_it(key: str) -> None:
    with pytest.raises(ConfigError, match=r"must be ID\.SECRET") as caught:
        Client("http://127.0.0.1:1", key=key)
    assert str(caught.value) == "cannot use the key:\n  MICROFAAS_KEY: must be ID.SECRET"


def test_a_ca_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("no certificate")
    for name in ("gone.pem", "bad.pem"):
        with pytest.raises(ConfigError, match=name):
            Client("https://127.0.0.1:1", ca_file=str(tmp_path / name))
