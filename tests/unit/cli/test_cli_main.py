"""The command line as a whole: help, exit codes, completion."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from cli_world import PROGRAM, ROOT, run

from microfaas import cli, errors
from microfaas.cli import exits
from microfaas.client import AnswerLost, ClientError, NotRunning
from microfaas.linux import machine


class TestMain:
    def test_help_has_every_command(self) -> None:
        result = run("--help")
        assert result.exit_code == 0
        assert all(f"  {name} " in result.stdout for name in cli.COMMANDS)

    @pytest.mark.parametrize("name", cli.COMMANDS)
    def test_every_command_has_help_with_an_example(self, name: str) -> None:
        result = run(name, "--help")
        assert result.exit_code == 0
        assert f"microfaas {name}" in result.stdout.split("Options:")[1]

    def test_an_unknown_command_is_wrong_usage(self) -> None:
        result = run("stat")
        assert (result.exit_code, result.stdout) == (2, "")
        assert "stat" in result.stderr

    def test_rich_and_the_server_are_not_loaded_for_help(self) -> None:
        code = (
            "import sys; from microfaas.cli import main\n"
            "try: main(['--help'])\n"
            "finally: assert not {'rich', 'asyncio', 'msgspec'} & sys.modules.keys()\n"
        )
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
        )


class TestExits:
    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (errors.ConfigError("f", []), 2),
            (errors.FunctionNotFound("f", "1"), 100),
            (errors.InvalidRequest("bad"), 100),
            (errors.RequestTooLarge(5), 100),
            (errors.TooManyRequests("many"), 111),
            (errors.MachineError("disk"), 111),
            (errors.ShuttingDown(), 111),
            (NotRunning("url", "why"), 111),
            (AnswerLost("lost"), 111),
            (ClientError("K", "m", 404, None), 100),
            (ClientError("K", "m", 413, None), 100),
            (ClientError("K", "m", 429, 1), 111),
            (ClientError("K", "m", 500, None), 111),
        ],
    )
    def test_code_of(self, error: errors.MicrofaasError, code: int) -> None:
        assert exits.code_of(error) == code

    @pytest.mark.parametrize(
        ("error", "code", "text"),
        [
            (errors.MachineError("cannot do it"), 111, "microfaas: cannot do it\n"),
            (KeyboardInterrupt(), 130, ""),
            (PermissionError(13, "no", "/f"), 111, "microfaas: cannot go on: /f: no\n"),
            (ZeroDivisionError("what"), 100, "a fault of microfaas: ZeroDivisionError: what"),
        ],
    )
    def test_no_traceback(
        self, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, text: str
    ) -> None:
        def probe() -> None:
            raise error

        monkeypatch.setattr(machine, "probe", probe)
        result = run("doctor")
        assert (result.exit_code, result.stdout) == (code, "")
        assert text in result.stderr
        assert "Traceback" not in result.stderr


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_prints_a_script(self, shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHELL", f"/bin/{shell}")
        result = run("completion")
        assert result.exit_code == 0
        assert "_MICROFAAS_COMPLETE" in result.stdout
        assert run("completion", shell).stdout == result.stdout

    def test_an_unknown_shell_is_wrong_usage(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHELL", "/bin/tcsh")
        assert run("completion").exit_code == 2

    def test_completes_commands(self) -> None:
        words = {"COMP_WORDS": "microfaas in", "COMP_CWORD": "1"}
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **words}
        environment["_MICROFAAS_COMPLETE"] = "bash_complete"
        done = subprocess.run(PROGRAM, env=environment, capture_output=True, text=True, check=False)
        assert done.stdout.splitlines() == ["plain,invoke", "plain,invocations", "plain,init"]
