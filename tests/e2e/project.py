"""A project in a temporary folder and the real server that serves it, for end-to-end tests."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import boto3
import botocore.config

START_S_MAX = 120.0
STOP_S_MAX = 90.0
BIN = Path(sys.executable).parent
Command = Sequence[str | os.PathLike[str]]


class Project:
    """Files, a server on a port of its own, and a client of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / ".microfaas"
        self.url = ""
        # What clients sign with, and what they trust.
        self.key = ("x", "x")
        self.ca: str | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.output = root.parent / f"{root.name}.output"

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def start(self, *arguments: str, path: str = ".", command: Command | None = None) -> None:
        """Run `microfaas run`, or what is to be run for `microfaas`; returns when it listens."""
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [
                    *(command or [BIN / "microfaas"]),
                    "run",
                    path,
                    "--listen",
                    "127.0.0.1:0",
                    *arguments,
                ],
                cwd=self.root,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        start = self.output.stat().st_size if self.url else 0
        deadline = time.monotonic() + START_S_MAX
        while True:
            text = self.output.read_bytes()[start:].decode()
            for word in text.split():
                if re.fullmatch(r"https?://127\.0\.0\.1:[0-9]+", word):
                    self.url = word
                    return
            assert self.process.poll() is None, f"the server ended: {text}"
            assert time.monotonic() < deadline, f"the server does not start: {text}"
            time.sleep(0.02)

    def stop(self) -> int:
        """SIGTERM, as an operator would; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S_MAX)

    def kill(self) -> None:
        """What a power cut does to the supervisor."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def lambda_client(self, **options: Any) -> Any:
        return boto3.client(
            "lambda",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=self.key[0],
            aws_secret_access_key=self.key[1],
            verify=self.ca,
            config=botocore.config.Config(retries={"max_attempts": 0}, **options),
        )

    def invoke(self, name: str, event: object = None) -> Any:
        """The decoded result; the function must succeed."""
        reply = self.lambda_client().invoke(FunctionName=name, Payload=json.dumps(event or {}))
        payload = reply["Payload"].read()
        assert "FunctionError" not in reply, payload
        return json.loads(payload)

    def fail(self, name: str, event: object = None) -> dict[str, Any]:
        """The decoded error; the function must fail."""
        reply = self.lambda_client().invoke(FunctionName=name, Payload=json.dumps(event or {}))
        assert reply["FunctionError"] == "Unhandled"
        error: dict[str, Any] = json.loads(reply["Payload"].read())
        return error

    def functions(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/_microfaas/v1/functions") as reply:
            return {row["name"]: row for row in json.load(reply)["functions"]}

    def cli(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [BIN / "microfaas", *arguments],
            cwd=self.root,
            input=stdin,
            capture_output=True,
            env={**os.environ, "MICROFAAS_ENDPOINT_URL": self.url},
        )

    def popen(self, *arguments: str, output: BinaryIO) -> subprocess.Popen[bytes]:
        """A command that goes on meanwhile."""
        environment = {**os.environ, "MICROFAAS_ENDPOINT_URL": self.url}
        command = [BIN / "microfaas", *arguments]
        return subprocess.Popen(
            command, cwd=self.root, stdout=output, stderr=output, env=environment
        )

    def log(self, name: str) -> str:
        """What a function has logged; a line that is just being written is not in it."""
        path = self.data / "logs" / f"{name}.log"
        text = path.read_text() if path.exists() else ""
        return text[: text.rfind("\n") + 1]

    def pids(self) -> set[int]:
        """Every process of this project's: the server's session, and what is in its cgroups."""
        assert self.process is not None
        found = {self.process.pid} if self.process.poll() is None else set()
        for row in self.functions().values() if found else []:
            found |= {instance["pid"] for instance in row["instances"]}
            found |= {row["zygote_pid"]} if row["zygote_pid"] else set()
        return found


def until(condition: Any, what: str, timeout_s: float = 60.0) -> Any:
    """Wait for something to become true; its value."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
