"""The commands that talk to a server: invoke, list."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_world import NOBODY, REQUEST_ID, Served, run


class TestInvoke:
    def test_prints_the_result(self, served: Served) -> None:
        served.answers["f"] = (200, {}, b'{"a": 1}')
        result = run("invoke", "f", "-d", '{"b": 2}')
        assert (result.exit_code, result.stdout, result.stderr) == (0, '{"a": 1}\n', "")
        assert served.payload == b'{"b": 2}'

    def test_takes_the_event_from_a_file_from_stdin_or_makes_one(self, served: Served) -> None:
        served.answers["f"] = (200, {}, b"null")
        Path("event.json").write_bytes(b"[1]")
        for arguments, stdin, payload in (
            (("-f", "event.json"), b"", b"[1]"),
            (("-",), b"[2]", b"[2]"),
            ((), b"", b"{}"),
        ):
            assert run("invoke", "f", *arguments, stdin=stdin).exit_code == 0
            assert served.payload == payload

    def test_a_failed_function_is_code_1(self, served: Served) -> None:
        served.answers["f"] = (200, {"X-Amz-Function-Error": "Unhandled"}, b'{"errorType": "E"}')
        result = run("invoke", "f")
        assert (result.exit_code, result.stdout) == (1, '{"errorType": "E"}\n')
        assert "the function failed (Unhandled)" in result.stderr

    def test_async_prints_the_request_id(self, served: Served) -> None:
        served.answers["f"] = (202, {"x-amzn-RequestId": REQUEST_ID}, b"")
        result = run("invoke", "f", "--async")
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr == f"accepted as request {REQUEST_ID}\n"

    def test_tail_goes_to_stderr(self, served: Served) -> None:
        served.answers["f"] = (200, {"X-Amz-Log-Result": "U1RBUlQK"}, b"1")
        result = run("invoke", "f", "--tail", "--client-context", "{}")
        assert (result.stdout, result.stderr) == ("1\n", "START\n")
        assert served.asked["x-amz-client-context"] == "e30="

    def test_json_has_all_of_it(self, served: Served) -> None:
        served.answers["f"] = (200, {"X-Amz-Function-Error": "Unhandled"}, b'{"a": 1}')
        result = run("invoke", "f", "--json")
        assert result.exit_code == 1
        table = json.loads(result.stdout)
        assert (table["payload"], table["function_error"]) == ({"a": 1}, "Unhandled")

    def test_an_unknown_function_is_permanent(self, served: Served) -> None:
        result = run("invoke", "g")
        assert (result.exit_code, result.stdout) == (100, "")
        assert "ResourceNotFoundException" in result.stderr

    def test_too_many_is_temporary(self, served: Served) -> None:
        served.answers["f"] = (429, {"x-amzn-ErrorType": "TooManyRequestsException"}, b"{}")
        assert run("invoke", "f").exit_code == 111

    @pytest.mark.parametrize(
        "arguments",
        [("f", "-d", "1", "-"), ("f", "--async", "--tail"), ("f", "-f", "gone"), ("f", "x"), ()],
    )
    def test_wrong_usage(self, arguments: tuple[str, ...]) -> None:
        assert run("invoke", *arguments).exit_code == 2

    def test_nobody_listens_and_where_is_looked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("microfaas.toml").write_text("listen = '0.0.0.0:1'\n[functions.broken]\nx = 1")
        result = run("invoke", "f")
        assert result.exit_code == 111
        assert f"cannot reach microfaas at {NOBODY}" in result.stderr
        monkeypatch.setenv("MICROFAAS_ENDPOINT_URL", "http://127.0.0.1:2")
        assert "http://127.0.0.1:2" in run("invoke", "f").stderr
        assert NOBODY in run("invoke", "f", "--endpoint-url", NOBODY).stderr
        assert run("invoke", "f", "--endpoint-url", "x").exit_code == 2


class TestList:
    def test_prints_columns(self, served: Served) -> None:
        rows = [
            {
                "name": "hello",
                "origin": "file",
                "state": "active",
                "reason": "",
                "failed_versions": {"2": "it is gone"},
                "runtime": "python",
                "handler": "app.handler",
                "memory_mb": 128,
                "timeout_s": 3.0,
                "concurrency_max": 10,
                "instances": [{"state": "idle"}, {"state": "busy"}, {"state": "idle"}],
            }
        ]
        served.answers["v1"] = (200, {}, json.dumps({"functions": rows}).encode())
        result = run("list")
        assert result.stdout == (
            "FUNCTION  FROM  STATE   RUNTIME  HANDLER      MEMORY  TIMEOUT  AT ONCE  BUSY  IDLE\n"
            "hello     file  active  python   app.handler  128 MB      3 s       10     1     2\n"
        )
        assert result.stderr == "hello:2 cannot be served: it is gone\n"
        assert json.loads(run("list", "--json").stdout) == {"functions": rows}

    def test_needs_a_server(self) -> None:
        assert run("list", "--endpoint-url", NOBODY).exit_code == 111


class TestKey:
    KEY = f"MFKAAAAAAAAAAAAAAAAA.{'s' * 40}"

    def test_a_key_from_a_file_or_the_environment_signs(
        self, served: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        served.answers["f"] = (200, {}, b"1")
        assert run("invoke", "f").exit_code == 0
        assert "authorization" not in served.asked
        Path("key").write_text(f"{self.KEY}\n")
        Path("created").write_text(f"AWS_ACCESS_KEY_ID=x\nMICROFAAS_KEY={self.KEY}\n")
        for name in ("key", "created"):
            assert run("invoke", "f", "--key-file", name).exit_code == 0
            assert "Credential=MFKAAAAAAAAAAAAAAAAA/" in served.asked.pop("authorization")
        monkeypatch.setenv("MICROFAAS_KEY", self.KEY)
        assert run("invoke", "f").exit_code == 0
        assert "Credential=MFKAAAAAAAAAAAAAAAAA/" in served.asked["authorization"]

    def test_what_is_no_key_is_wrong_usage(self, served: Served) -> None:
        Path("key").write_text("hunter2")
        Path("empty").touch()
        for name in ("key", "empty"):
            result = run("list", "--key-file", name)
            assert result.exit_code == 2
            assert "hunter2" not in result.stderr
        assert run("list", "--key-file", "gone").exit_code == 111

    def test_a_project_with_a_certificate_is_asked_over_tls(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Path("microfaas.toml").write_text(
            "listen = '0.0.0.0:1'\ntls = { certificate = 'c.pem', key = 'k.pem' }\n"
        )
        assert "https://127.0.0.1:1" in run("invoke", "f").stderr
