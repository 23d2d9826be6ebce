"""Any spare host as a process of its own, spoken to as the supervisor would.

It reads the manifest itself: what is tried here is the host, not the code that starts it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import textwrap
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conversation import Conversation, launch

from microfaas.wire.frames import Message

RUNTIMES = Path(__file__).parents[2] / "runtimes"
REQUEST = "6f1d2c3b-0a4e-4b5f-8c6d-7e8f9a0b1c2d"
# What the supervisor sets for every function.
_FUNCTION = {
    "AWS_LAMBDA_FUNCTION_NAME": "f",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
    "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/02/[$LATEST]a",
    "AWS_REGION": "us-east-1",
}


class Spare:
    """A host that was started with an empty folder for the code, which comes with `init`."""

    def __init__(
        self,
        folder: Path,
        runtime: str,
        *,
        program: str | None = None,
        libraries: str = "",
        memory_mb: int = 128,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`program` is the interpreter instead of the one on PATH, `libraries` the built host."""
        self.code = folder / "code"
        self.code.mkdir(exist_ok=True)
        manifest = _manifest(runtime)
        found = program or _program(manifest)
        places = {
            "runtime": str(RUNTIMES / runtime),
            "libraries": libraries,
            "version": _version(manifest, found),
            "memory_mb": memory_mb,
            "memory_bytes": memory_mb << 20,
            "heap_mb": memory_mb * 7 // 8,
            "heap_bytes": (memory_mb << 20) * 7 // 8,
        }
        boot = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "LAMBDA_TASK_ROOT": str(self.code),
            **{k: v.format_map(places) for k, v in manifest.get("environment", {}).items()},
            **(environment or {}),
        }
        argv = [found, *(text.format_map(places) for text in manifest["arguments"])]
        self.talk, theirs = Conversation.opened(folder / "spare.log")
        self.process = launch(argv, theirs, self.talk.log, boot, self.code)
        for fd in theirs:
            os.close(fd)

    def ready(self) -> Message:
        message = self.talk.receive()
        assert message["kind"] == "ready", message
        return message

    def load(self, handler: str, **environment: str) -> Message:
        """Its answer to `init`."""
        self.talk.send("init", handler=handler, snapshot="off", env={**_FUNCTION, **environment})
        return self.talk.receive()

    def invoke(self, event: bytes = b"{}", request_id: str = REQUEST, **fields: Any) -> Message:
        return self.talk.invoke(event, request_id, **fields)

    def result(self, event: bytes = b"{}", **fields: Any) -> bytes:
        """The payload of a success."""
        return self.talk.result(event, request_id=REQUEST, **fields)

    def status(self) -> int:
        """How the process ended; waits for it."""
        return self.process.wait(60)

    def close(self) -> None:
        self.talk.hang_up()
        self.process.kill()
        self.process.wait()


class Spares:
    """Starts spares of one runtime, and ends them all."""

    def __init__(self, folder: Path, runtime: str) -> None:
        self._folder = folder
        self._runtime = runtime
        self._started: list[Spare] = []

    def __enter__(self) -> Spares:
        return self

    def __exit__(self, *_: object) -> None:
        for spare in self._started:
            spare.close()

    def start(self, files: Mapping[str, str], **options: Any) -> Spare:
        """One that is ready, and has these files as its code since."""
        folder = self._folder / f"spare-{len(self._started)}"
        folder.mkdir()
        spare = Spare(folder, self._runtime, **options)
        self._started.append(spare)
        spare.ready()
        for name, text in files.items():
            path = spare.code / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return spare

    def start_loaded(self, file: str, code: str, handler: str, **environment: str) -> Spare:
        """One that has loaded its only file."""
        spare = self.start({file: code})
        answer = spare.load(handler, **environment)
        assert answer["kind"] == "loaded", (answer, spare.talk.printed())
        return spare


def _manifest(runtime: str) -> dict[str, Any]:
    with (RUNTIMES / runtime / "runtime.toml").open("rb") as file:
        return tomllib.load(file)


def _version(manifest: Mapping[str, Any], program: str) -> str:
    asked = subprocess.run([program, *manifest["probe"]], capture_output=True, check=True)
    found = re.search(manifest["version"], (asked.stdout + asked.stderr).decode())
    assert found, f"{program} does not tell its version"
    return ".".join(found[1].split(".")[: manifest["version_parts"]])


def _program(manifest: Mapping[str, Any]) -> str:
    for name in manifest["programs"]:
        if "{version}" not in name and (found := shutil.which(name)):
            return found
    raise AssertionError(f"none of {manifest['programs']} is on PATH: {manifest['install']}")
