"""TLS with real certificates: every client, and a certificate that changes while it is served."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from unittest import mock

import pytest

from tests.e2e.project import Project, until
from tests.e2e.test_access import APP, PATH, RELAY, aws, code, create, curl
from tests.e2e.test_access import CONFIG as FUNCTIONS

TLS = '[tls]\ncertificate = "tls/cert.pem"\nkey = "tls/key.pem"\n'


def certify(directory: Path, name: str) -> None:
    """A certificate of its own for 127.0.0.1, put in place as renewal tools do it."""
    fresh = directory.with_suffix(f".{name}")
    fresh.mkdir()
    files = ["-keyout", fresh / "key.pem", "-out", fresh / "cert.pem"]
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", f"/CN={name}"),
            *("-addext", "subjectAltName=IP:127.0.0.1", *files),
        ],
        check=True,
        capture_output=True,
    )
    directory.mkdir(exist_ok=True)
    for file in ("key.pem", "cert.pem"):
        os.replace(fresh / file, directory / file)


@pytest.fixture
def secure(project: Project) -> Project:
    project.write("app.py", APP)
    project.write("relay.py", RELAY)
    project.write("microfaas.toml", f"auth = true\n{TLS}{FUNCTIONS}")
    certify(project.root / "tls", "first")
    project.ca = str(project.root / "trusted.pem")
    shutil.copy(project.root / "tls/cert.pem", project.ca)
    project.key = create(project, "invoke")
    project.start()
    return project


def port(project: Project) -> int:
    return int(project.url.rpartition(":")[2])


def served_name(project: Project) -> str:
    """The name in the certificate that a new connection is shown."""
    pem = ssl.get_server_certificate(("127.0.0.1", port(project)))
    argv = ["openssl", "x509", "-noout", "-subject"]
    done = subprocess.run(argv, input=pem, capture_output=True, text=True, check=True)
    return done.stdout.strip().rpartition("= ")[2].rpartition("=")[2]


def test_every_client_there_is_speaks_tls(secure: Project) -> None:
    assert secure.url.startswith("https://127.0.0.1:")
    assert secure.ca is not None
    assert code(secure) == "ok"
    done = aws(secure, "invoke", "--function-name", "order", "--payload", "{}", "out.json")
    assert done.returncode == 0, done.stderr
    bearer = f"Authorization: Bearer {'.'.join(secure.key)}"
    for version in ("--tlsv1.2", "--tlsv1.3"):
        asked = [version, "--cacert", secure.ca, "-H", bearer, "-d", "{}", secure.url + PATH]
        assert curl(*asked) == (200, '{"got": {}}')
    old = ["--tls-max", "1.1", "--cacert", secure.ca, "-H", bearer, "-d", "{}", secure.url + PATH]
    assert curl(*old)[0] == 0
    with mock.patch.dict(os.environ, {"MICROFAAS_KEY": ".".join(secure.key)}):
        done = secure.cli("invoke", "order", "--ca-file", secure.ca)
        assert json.loads(done.stdout) == {"got": {}}
        distrustful = secure.cli("invoke", "order")
    assert distrustful.returncode == 111
    assert b"certificate" in distrustful.stderr


def test_functions_reach_each_other_all_the_same(secure: Project) -> None:
    assert secure.invoke("relay", {"to": "order"}) == {"got": {"from": "relay"}}


def test_a_new_certificate_is_shown_and_old_connections_go_on(secure: Project) -> None:
    trust = ssl.create_default_context(cafile=secure.ca)
    connection = http.client.HTTPSConnection("127.0.0.1", port(secure), context=trust)
    bearer = {"Authorization": f"Bearer {'.'.join(secure.key)}"}

    def status() -> int:
        connection.request("POST", PATH, b"{}", bearer)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    assert status() == 200
    mine = connection.sock.getsockname()
    assert served_name(secure) == "first"
    certify(secure.root / "tls", "second")
    until(lambda: served_name(secure) == "second", "the new certificate")
    (secure.root / "tls/cert.pem").write_text("no certificate")
    until(lambda: "the old one stays" in secure.output.read_text(), "the complaint")
    assert served_name(secure) == "second"
    (secure.root / "tls/cert.pem").unlink()
    certify(secure.root / "tls", "third")
    until(lambda: served_name(secure) == "third", "the newest certificate")
    assert status() == 200
    assert connection.sock.getsockname() == mine


def test_who_does_not_speak_tls_keeps_nobody_out(secure: Project) -> None:
    for said in (
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"\0" * 999,
    ):
        with socket.create_connection(("127.0.0.1", port(secure))) as connection:
            connection.sendall(said)
    silent = [socket.create_connection(("127.0.0.1", port(secure))) for _ in range(50)]
    assert code(secure) == "ok"
    for connection in silent:
        connection.close()
    until(lambda: code(secure) == "ok", "an answer")


def test_a_pair_that_cannot_be_used_is_told_at_the_start(project: Project) -> None:
    project.write("app.py", APP)
    project.write("microfaas.toml", f"{TLS}[functions.order]\n")
    done = project.cli("run", "--listen", "127.0.0.1:0")
    assert done.returncode == 2
    assert b"tls.certificate: must be a file" in done.stderr
    certify(project.root / "tls", "first")
    shutil.copy(project.root / "tls/cert.pem", project.root / "other.pem")
    certify(project.root / "tls", "second")
    shutil.copy(project.root / "other.pem", project.root / "tls/cert.pem")
    done = project.cli("run", "--listen", "127.0.0.1:0")
    assert done.returncode == 111
    assert b"cannot use the certificate" in done.stderr
