"""Where tests that build functions find compilers, with a stand-in for .NET's SDK."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

DOTNET = Path(__file__).parents[1] / "dotnet"
SDK = Path(__file__).parent / "sdk"


def provide_dotnet(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the server that the test starts: .NET's runtime, and microfaas's host for it."""
    subprocess.run([DOTNET / "host.sh"], check=True)
    monkeypatch.setenv("PATH", str(DOTNET / ".toolchain" / "dotnet"), prepend=os.pathsep)


def build(directory: Path, command: str) -> None:
    """Run a project's own command for building or testing, in its folder."""
    done = subprocess.run(
        ["bash", "-euc", command],
        cwd=directory,
        env={**os.environ, "PATH": f"{SDK}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout.decode()
