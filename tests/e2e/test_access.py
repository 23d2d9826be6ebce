"""Keys, signatures, TLS and limits, with the clients that people have: boto3, aws, curl, ours."""

from __future__ import annotations

import contextlib
import datetime
import http.client
import json
import os
import re
import socket
import subprocess
import sys
from typing import Any
from unittest import mock

import botocore.exceptions
import pytest

from tests.e2e.project import BIN, Project, until

APP = """def handler(event, context):
    return {"got": event}
"""
RELAY = """import json
import boto3

def handler(event, context):
    reply = boto3.client("lambda").invoke(FunctionName=event["to"], Payload=b'{"from": "relay"}')
    return json.loads(reply["Payload"].read())
"""
CONFIG = f"""
[functions.order]
[functions.pay]
[functions.relay]
handler = "relay.handler"
interpreter = {json.dumps(sys.executable)}
timeout_s = 30
memory_mb = 256
init_timeout_s = 30
[functions.often]
rate_max = 0.001
"""
PATH = "/2015-03-31/functions/order/invocations"


@pytest.fixture
def made(project: Project) -> Project:
    project.write("app.py", APP)
    project.write("relay.py", RELAY)
    project.write("microfaas.toml", f"auth = true\n{CONFIG}")
    return project


def create(project: Project, allow: str, *arguments: str) -> tuple[str, str]:
    done = project.cli("keys", "create", "--allow", allow, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    return row["id"], row["secret"]


def code(project: Project, name: str = "order") -> str:
    """What boto3 says of a call: a name of AWS's for a fault, or "ok"."""
    try:
        project.lambda_client().invoke(FunctionName=name, Payload=b"{}")
    except botocore.exceptions.ClientError as error:
        return str(error.response["Error"]["Code"])
    return "ok"


def curl(*arguments: str) -> tuple[int, str]:
    """The status and the body."""
    argv = ["curl", "-s", "-w", "\n%{http_code}", "--max-time", "30", *arguments]
    body, _, status = subprocess.run(argv, capture_output=True, text=True).stdout.rpartition("\n")
    return int(status), body


def aws(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": project.key[0],
        "AWS_SECRET_ACCESS_KEY": project.key[1],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        **({"AWS_CA_BUNDLE": project.ca} if project.ca else {}),
    }
    argv = [BIN / "aws", "lambda", *arguments, "--endpoint-url", project.url]
    return subprocess.run(argv, capture_output=True, text=True, env=environment, cwd=project.root)


def audited(project: Project) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (project.data / "audit.log").read_text().splitlines()]


class TestWhoMayCall:
    def test_the_loopback_address_is_open(self, made: Project) -> None:
        made.write("microfaas.toml", CONFIG)
        made.start()
        assert "Every program on this machine may call" in made.output.read_text()
        assert code(made) == "ok"

    def test_every_other_address_asks_for_a_key(self, made: Project) -> None:
        made.write("microfaas.toml", CONFIG)
        made.start("--listen", "0.0.0.0:0")
        said = made.output.read_text()
        assert "Callers need a key." in said
        assert "There is none yet; make one: microfaas keys create NAME --allow invoke" in said
        assert "travel in clear" in said
        assert code(made) == "UnrecognizedClientException"
        assert curl("-d", "{}", made.url + PATH)[0] == 403

    def test_unless_it_is_told_to_be_insecure(self, made: Project) -> None:
        made.write("microfaas.toml", CONFIG)
        made.start("--listen", "0.0.0.0:0", "--insecure")
        assert "Everybody who reaches it may call" in made.output.read_text()
        assert code(made) == "ok"


def test_every_client_there_is_gets_in_with_one_key(made: Project) -> None:
    made.key = create(made, "invoke,read")
    made.start()
    assert "There is none yet" not in made.output.read_text()
    assert code(made) == "ok"
    done = aws(made, "invoke", "--function-name", "order", "--payload", "{}", "out.json")
    assert done.returncode == 0, done.stderr
    assert json.loads((made.root / "out.json").read_text()) == {"got": {}}
    bearer = f"Authorization: Bearer {'.'.join(made.key)}"
    assert curl("-H", bearer, "-d", "{}", made.url + PATH) == (200, '{"got": {}}')
    signed = ["--aws-sigv4", "aws:amz:us-east-1:lambda", "-u", ":".join(made.key)]
    assert curl(*signed, "-d", "{}", made.url + PATH) == (200, '{"got": {}}')
    made.write("key", ".".join(made.key))
    assert json.loads(made.cli("invoke", "order", "--key-file", "key").stdout) == {"got": {}}
    environment = {**os.environ, "MICROFAAS_KEY": ".".join(made.key)}
    with mock.patch.dict(os.environ, environment):
        assert made.cli("invoke", "order", "-d", '{"a": "\\u00e4"}').returncode == 0
        names = json.loads(made.cli("list", "--json").stdout)["functions"]
    assert len(names) == 4
    refused = made.cli("invoke", "order")
    assert refused.returncode == 100
    assert b"MissingAuthenticationTokenException" in refused.stderr


def test_a_presigned_url_needs_no_key(made: Project) -> None:
    made.key = create(made, "invoke")
    made.start()
    url = made.lambda_client().generate_presigned_url(
        "invoke", {"FunctionName": "order"}, ExpiresIn=60, HttpMethod="POST"
    )
    assert curl("-X", "POST", url) == (200, '{"got": {}}')
    assert curl("-X", "POST", url) == (200, '{"got": {}}')
    assert curl("-X", "POST", url.replace("/order/", "/pay/"))[0] == 403
    assert curl("-X", "POST", url.replace("Expires=60", "Expires=600"))[0] == 403
    assert curl("-X", "POST", "-d", "1", url)[0] == 403


def test_what_is_wrong_has_the_names_that_aws_gives_it(made: Project) -> None:
    made.start()
    good = create(made, "invoke:order")
    made.key = good
    assert code(made) == "ok"
    assert code(made, "pay") == "AccessDeniedException"
    done = aws(made, "invoke", "--function-name", "pay", "out.json")
    assert f"user/{good[0]} is not authorized to perform: lambda:InvokeFunction" in done.stderr
    made.key = (good[0], "wrong")
    assert code(made) == "InvalidSignatureException"
    made.key = ("AKIAIOSFODNN7EXAMPLE", good[1])
    assert code(made) == "UnrecognizedClientException"
    made.key = create(made, "invoke", "--expires", "0s")
    assert code(made) == "ExpiredTokenException"
    made.key = good
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    for minutes in (-6, 6):
        then = now + datetime.timedelta(minutes=minutes)
        with mock.patch("botocore.auth.get_current_datetime", return_value=then):
            assert code(made) == "InvalidSignatureException"
    refused = [entry["result"] for entry in audited(made) if entry["action"] == "request"]
    assert "AccessDeniedException" in refused


def test_a_running_server_sees_keys_come_and_go(made: Project) -> None:
    made.start()
    made.key = create(made, "invoke")
    assert code(made) == "ok"
    connection = http.client.HTTPConnection(made.url.removeprefix("http://"))
    bearer = {"Authorization": f"Bearer {'.'.join(made.key)}"}

    def status() -> int:
        connection.request("POST", PATH, b"{}", bearer)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    assert status() == 200
    assert made.cli("keys", "revoke", made.key[0]).returncode == 0
    until(lambda: status() == 403, "the open connection to be refused")
    assert code(made) == "UnrecognizedClientException"

    def listed() -> Any:
        return json.loads(made.cli("keys", "list", "--json").stdout)["keys"][0]

    assert listed()["state"] == "revoked"
    used = until(lambda: listed()["last_used"], "the use to be written down")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", used)
    assert made.stop() == 0
    assert [entry["action"] for entry in audited(made) if entry["action"] != "request"] == [
        "start",
        "keys create",
        "keys revoke",
        "stop",
    ]
    assert (made.data / "audit.log").stat().st_mode & 0o777 == 0o600
    text = (made.data / "audit.log").read_text() + made.output.read_text()
    assert made.key[1] not in text


def test_functions_call_each_other_with_keys_of_their_own(made: Project) -> None:
    made.key = create(made, "invoke:relay")
    made.start()
    assert made.invoke("relay", {"to": "order"}) == {"got": {"from": "relay"}}
    assert "ResourceNotFoundException" in made.fail("relay", {"to": "nobody"})["errorType"]


def test_rates_of_keys_and_functions(made: Project) -> None:
    made.start()
    made.key = create(made, "invoke", "--rate", "0.001")
    assert [code(made), code(made)] == ["ok", "TooManyRequestsException"]
    made.key = create(made, "invoke")
    assert code(made, "often") == "ok"
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        made.lambda_client().invoke(FunctionName="often")
    answer = caught.value.response
    assert answer["Reason"] == "FunctionInvocationRateLimitExceeded"
    assert answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1000"
    assert code(made) == "ok"


def test_slow_and_many_connections_keep_nobody_out(made: Project) -> None:
    limits = "[requests]\nrequest_s_max = 1\nkeepalive_s_max = 2\nconnections_per_peer_max = 40\n"
    made.write("microfaas.toml", f"{limits}{CONFIG}")
    made.start()
    port = int(made.url.rpartition(":")[2])
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
    for connection in held:
        connection.settimeout(30)
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"POST /2015-03-31/functions/order/invocations HTTP/1.1\r\nX: ")
    # They never finish; each is answered (503 or 408) or hung up on, and so makes room.
    for connection in held:
        with contextlib.suppress(ConnectionError):
            while connection.recv(65536):
                pass
        connection.close()
    assert code(made) == "ok"
