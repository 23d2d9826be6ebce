"""What the tests of the command line share: running it, and words they use."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from click.testing import CliRunner, Result

from microfaas import cli
from microfaas.linux.machine import Facility

ROOT = Path(__file__).parents[3]
REQUEST_ID = "8f5c6e0a-0b43-4c5e-9a52-7d3f6a1c9f10"
NOBODY = "http://127.0.0.1:1"
PROGRAM = [sys.executable, "-m", "microfaas"]
WEAK = [
    Facility(name="memory", state="sampled", how="psutil", why="no cgroups", fix="be root"),
    Facility(name="cpu", state="off", how="", why="no cgroups", fix="be root"),
    Facility(name="time", state="enforced", how="kill"),
]


def run(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(cli.main, arguments, input=stdin, prog_name="microfaas")


def start(*arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    return subprocess.Popen([*PROGRAM, *arguments], env=environment, stdout=pipe, stderr=pipe)


class Served(SimpleNamespace):
    """A server's answers by the last but one word of the path, or by a function of the path; and
    what it was asked last."""

    answers: dict[str, tuple[int, dict[str, str], bytes]]
    answer: Callable[[str], tuple[int, dict[str, str], bytes]] | None
    command: str
    path: str
    payload: bytes
    asked: dict[str, str]
