"""The commands that read what a server has left: logs, usage."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from cli_world import REQUEST_ID, run, start

from microfaas import log
from microfaas.store import usage
from microfaas.store.db import Database
from microfaas.store.usage import Total


class TestLogs:
    @pytest.fixture
    def path(self) -> str:
        path = log.path_of(".microfaas", "hello")
        file = log.LogFile(path, 1000, 5)
        for number in range(50):
            request = f"{REQUEST_ID[:-2]}{number:02}"
            for text in (f"START RequestId: {request} Version: $LATEST", f"line {number}"):
                file.write(f"{log.stamp(number)} 0a1b2c3d\t{text}\n".encode())
            report = f"REPORT RequestId: {request}\tDuration: 1.00 ms\t"
            file.write(f"{log.stamp(number)} 0a1b2c3d\t{report}\n".encode())
            file.flush() if number > 40 else None
        file.close()
        return path

    @pytest.mark.usefixtures("path")
    def test_prints_the_last_lines(self) -> None:
        result = run("logs", "hello", "-n", "2")
        assert result.exit_code == 0
        lines = result.stdout.splitlines()
        assert lines[0] == "1970-01-01T00:00:49.000Z 0a1b2c3d\tline 49"
        assert len(lines) == 2

    @pytest.mark.usefixtures("path")
    def test_prints_one_request(self) -> None:
        result = run("logs", "hello", "--request-id", f"{REQUEST_ID[:-2]}45", "--json")
        texts = [json.loads(line)["text"] for line in result.stdout.splitlines()]
        assert len(texts) == 3
        assert texts[1] == "line 45"

    @pytest.mark.usefixtures("path")
    def test_names_the_logs_there_are(self) -> None:
        result = run("logs", "helo")
        assert (result.exit_code, result.stdout) == (100, "")
        assert "logs there are of: hello" in result.stderr
        assert run("logs", "../hello").exit_code == 2

    def test_follows_until_ctrl_c(self, path: str) -> None:
        with start("logs", "hello", "-f", "-n", "1") as process:
            assert process.stdout
            assert b"REPORT" in process.stdout.readline()
            file = log.LogFile(path, 1000, 5)
            file.write(b"something new\n")
            file.close()
            assert process.stdout.readline() == b"something new\n"
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
            assert process.stderr
            assert process.stderr.read() == b""

    @pytest.mark.usefixtures("path")
    def test_is_quiet_when_the_reader_goes(self) -> None:
        with start("logs", "hello", "-f", "-n", "1") as process:
            assert process.stdout
            process.stdout.readline()
            process.stdout.close()
            file = log.LogFile(log.path_of(".microfaas", "hello"), 1000, 5)
            deadline = time.monotonic() + 60
            while process.poll() is None and time.monotonic() < deadline:
                file.write(b"more\n")
                file.flush()
                time.sleep(0.02)
            assert process.wait(60) == 141
            assert process.stderr
            assert process.stderr.read() == b""


class TestUsage:
    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int | None, str | None]]:
        """A store with two functions; what it was asked for."""
        os.mkdir(".microfaas")
        database = Database(".microfaas/microfaas.db")
        database.open()
        database.close()
        asked = []

        def totals(db: Database, since_ms: int | None, function: str | None) -> list[Total]:
            asked.append((since_ms, function))
            found = [
                Total("a", 2_000_000, 3, 1500, 400_000.0, 1000.0, 30, 1),
                Total("b", 1, 0, 500, 0.5, 500.0, 20, 1),
            ]
            return [total for total in found if function in (None, total.function)]

        monkeypatch.setattr(usage, "totals", totals)
        return asked

    @pytest.mark.usefixtures("asked")
    def test_prints_totals_and_their_sum(self) -> None:
        Path("microfaas.toml").write_text("prices = { currency = 'EUR' }")
        result = run("usage")
        assert [" ".join(line.split()) for line in result.stdout.splitlines()[1:]] == [
            "a 2000000 3 1.500 s 400000.000 1.000 s 30 MB 7.066680 EUR",
            "b 1 0 0.500 s 0.500 0.500 s 20 MB 0.000009 EUR",
            "in all 2000001 3 2.000 s 400000.500 1.500 s 30 MB 7.066689 EUR",
        ]

    def test_json_of_one_since(self, asked: list[tuple[int | None, str | None]]) -> None:
        table = json.loads(run("usage", "b", "--since", "1d", "--json").stdout)
        assert [row["function"] for row in table["functions"]] == ["b"]
        assert table["price"] == table["functions"][0]["price"]
        ((since_ms, function),) = asked
        assert function == "b"
        assert since_ms is not None
        assert abs(since_ms - (time.time() - 86400) * 1000) < 60_000

    @pytest.mark.usefixtures("asked")
    def test_nothing_recorded_is_no_failure(self) -> None:
        result = run("usage", "c")
        assert (result.exit_code, result.stdout) == (0, "")

    def test_no_store_is_temporary(self) -> None:
        result = run("usage", "--data", "nowhere")
        assert result.exit_code == 111
        assert "nothing has been recorded yet" in result.stderr

    @pytest.mark.parametrize("since", ["1", "d", "-1d", "1y", "1.5h"])
    def test_refuses_what_is_no_duration(self, since: str) -> None:
        assert run("usage", "--since", since).exit_code == 2
