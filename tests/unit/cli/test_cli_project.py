"""The commands around a project and its machine: run, init, doctor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from cli_world import WEAK, run

from microfaas import config, log
from microfaas.linux import machine
from microfaas.linux.machine import Facility
from microfaas.runtime import Found, Runtimes


class TestRun:
    @pytest.fixture
    def project(self) -> Path:
        Path("microfaas.toml").write_text(
            "[functions.hello]\nhandler = 'app.handler'\nmemory_mb = 256\ncpu = 0.5\n"
            "triggers = [{ type = 'bucket', path = 'inbox', suffix = '.jpg' }]\n"
        )
        return Path.cwd()

    def serve(
        self,
        monkeypatch: pytest.MonkeyPatch,
        code: int,
        facilities: list[Facility],
        **access: object,
    ) -> None:
        told = {"access": "loopback", "keys": 0, "exposed": False, "made": 0, **access}

        def serve(given: config.Config, announce: Any) -> int:
            announce(SimpleNamespace(url="http://h:1", config=given, machine=facilities, **told))
            return code

        monkeypatch.setattr("microfaas.server.serve", serve)
        monkeypatch.setattr(log, "setup", lambda verbosity, color: None)

    @pytest.mark.usefixtures("project")
    def test_prints_what_it_serves(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.serve(monkeypatch, 0, WEAK)
        result = run("run")
        assert result.exit_code == 0
        assert result.stdout.splitlines()[1:] == [
            "Every program on this machine may call: no key is asked for.",
            "",
            "hello  python  app.handler",
            "  http://h:1/2015-03-31/functions/hello/invocations",
            "  256 MB, 3 s, 0.5 CPU, 10 at once, 100 waiting",
            "  bucket: path=inbox suffix=.jpg",
            "",
            "Not enforced on this machine:",
            "  memory is only sampled (psutil): no cgroups",
            "    to fix it: be root",
            "  cpu is off: no cgroups",
            "    to fix it: be root",
            "",
        ]

    @pytest.mark.parametrize(
        ("access", "keys", "exposed", "words"),
        [
            ("keys", 0, False, ["need a key", "keys create NAME --allow invoke"]),
            ("keys", 1, True, ["need a key", "travel in clear"]),
            ("insecure", 0, True, ["Everybody who reaches it", "travel in clear"]),
        ],
    )
    @pytest.mark.usefixtures("project")
    def test_says_who_may_call(
        self,
        monkeypatch: pytest.MonkeyPatch,
        access: str,
        keys: int,
        exposed: bool,
        words: list[str],
    ) -> None:
        self.serve(monkeypatch, 0, [], access=access, keys=keys, exposed=exposed)
        said = run("run").stdout.splitlines()[1:3]
        for line, word in zip(said, words, strict=True):
            assert word in line

    def test_gives_the_servers_exit_code(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("app.py").touch()
        self.serve(monkeypatch, 7, [])
        assert run("run", "app.py:handler", "--listen", "127.0.0.1:0").exit_code == 7

    def test_a_fault_in_the_file_is_wrong_usage(self) -> None:
        Path("microfaas.toml").write_text("lisen = 1\n[functions.f]\nmemory_mb = 1")
        result = run("run")
        assert (result.exit_code, result.stdout) == (2, "")
        assert 'lisen: is not a known key; did you mean "listen"?' in result.stderr
        assert "functions.f.memory_mb: must be a whole number >= 16, not 1" in result.stderr

    def test_no_project_comes_with_advice(self) -> None:
        result = run("run")
        assert result.exit_code == 2
        assert "microfaas init" in result.stderr


class TestInit:
    def test_makes_a_project_whose_test_passes(self) -> None:
        result = run("init", "my project!")
        assert result.exit_code == 0
        made = config.load("my project!", {})
        assert [function.name for function in made.functions] == ["my-project"]
        assert os.path.isfile("my project!/.gitignore")
        command = [sys.executable, "-m", "unittest"]
        done = subprocess.run(command, cwd="my project!", capture_output=True, check=False)
        assert done.returncode == 0
        assert b"Ran 2 tests" in done.stderr

    def test_takes_an_empty_directory_and_refuses_another(self) -> None:
        assert run("init", ".").exit_code == 0
        before = sorted(os.listdir())
        result = run("init", ".")
        assert result.exit_code == 2
        assert "is not empty" in result.stderr
        assert sorted(os.listdir()) == before


LANGUAGES = [
    Found(name="abc", version="1.2.3", path="/bin/abc"),
    Found(name="xyz", why="buy one"),
]


class TestDoctor:
    @pytest.fixture(autouse=True)
    def _weak(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "probe", lambda: SimpleNamespace(facilities=tuple(WEAK)))
        monkeypatch.setattr(Runtimes, "survey", lambda _: LANGUAGES)

    def test_prints_states_reasons_and_remedies(self) -> None:
        assert run("doctor").stdout.splitlines() == [
            "WHAT    STATE     HOW",
            "memory  sampled   psutil",
            "cpu     off",
            "time    enforced  kill",
            "Not enforced: memory; cpu",
            "  why: no cgroups",
            "  fix: be root",
            "",
            "RUNTIME  VERSION  INTERPRETER",
            "abc      1.2.3    /bin/abc",
            "xyz      missing  buy one",
        ]

    def test_json(self) -> None:
        table = json.loads(run("doctor", "--json").stdout)
        assert table == {
            "facilities": [msgspec.to_builtins(facility) for facility in WEAK],
            "runtimes": [msgspec.to_builtins(language) for language in LANGUAGES],
        }
