"""The languages under test, and a server with the functions of one of them."""

from __future__ import annotations

import base64
import json
import subprocess
import tomllib
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from tests.e2e.project import Project

RUNTIMES = Path(__file__).parents[1]
# Functions that cannot be loaded, by the handler that says why.
FAULTS = ("missing", "nowhere", "malformed", "raises", "syntax")
# What an error has besides its type and message: always, and sometimes.
ERROR_FIELDS: dict[str, tuple[set[str], set[str]]] = {
    "python": ({"requestId", "stackTrace"}, set()),
    "nodejs": ({"trace"}, set()),
    "java": ({"stackTrace"}, {"cause"}),
    "dotnet": ({"stackTrace"}, {"cause", "causes"}),
    "ruby": ({"stackTrace"}, set()),
    "go": (set(), set()),
}
_MORE_FIELDS: tuple[set[str], set[str]] = (set(), {"requestId", "stackTrace", "trace", "cause"})
MEMORY_MB = 512
CONCURRENCY_MAX = 4
# Where a test looks at what an instance keeps, there must be no other that stands ready.
ALONE = "concurrency_max = 1"
# The function `cases` again, each under the settings that a test needs.
CASES: dict[str, str] = {
    "cases": 'environment = { COLOUR = "blue", TEXT = "\\u00e4 \\"quoted\\"" }',
    "brief": "timeout_s = 2",
    "hungry": "memory_mb = 256",
    "counting": ALONE,
    "exiting": ALONE,
    "several": f"concurrency_max = {CONCURRENCY_MAX}",
    "ticking": ALONE,
    "writing": ALONE,
}


@dataclass(frozen=True, eq=False)
class Language:
    """One `runtimes/NAME/conformance/`."""

    folder: Path
    table: dict[str, Any]

    @property
    def name(self) -> str:
        return self.folder.parent.name

    @property
    def handlers(self) -> dict[str, str]:
        handlers: dict[str, str] = self.table["handlers"]
        return handlers

    @property
    def errors(self) -> dict[str, str]:
        errors: dict[str, str] = self.table["errors"]
        return errors

    @property
    def traits(self) -> dict[str, str]:
        traits: dict[str, str] = self.table["traits"]
        return traits

    @property
    def error_fields(self) -> tuple[set[str], set[str]]:
        return ERROR_FIELDS.get(self.name, _MORE_FIELDS)

    @property
    def interpreter(self) -> str:
        """The program that runs the functions; empty where the one on PATH will do."""
        path = self.table.get("interpreter", "")
        return str((self.folder / path).resolve()) if path else ""

    def code(self, output: Path) -> Path:
        """Where the code is that is deployed; made in `output` when it must be built."""
        if "build" not in self.table:
            return self.folder / str(self.table["code"])
        output.mkdir()
        subprocess.run([self.folder / self.table["build"], output], cwd=self.folder, check=True)
        return output


@cache
def languages() -> tuple[Language, ...]:
    """All that are here; always the same objects, by which pytest knows a fixture again."""
    return tuple(
        Language(path.parent, tomllib.loads(path.read_text()))
        for path in sorted(RUNTIMES.glob("*/conformance/conformance.toml"))
    )


@dataclass
class Reply:
    """What came back from an invocation."""

    request_id: str
    payload: bytes
    failed: bool
    tail: str

    @property
    def value(self) -> Any:
        """The result; the function must have succeeded."""
        assert not self.failed, self.payload
        return json.loads(self.payload)

    @property
    def error(self) -> dict[str, Any]:
        """The error; the function must have failed."""
        assert self.failed, self.payload
        error: dict[str, Any] = json.loads(self.payload)
        return error


class Served:
    """A server with the functions of a language."""

    def __init__(self, language: Language, root: Path) -> None:
        self.language = language
        self.project = Project(root)
        code = language.code(root.parent / f"{root.name}-code")
        rows = [("cases", name, settings) for name, settings in CASES.items()]
        rows += [(name, name, "") for name in language.handlers if name != "cases"]
        self.project.write("microfaas.toml", "\n".join(self._table(code, *row) for row in rows))
        self.project.start()

    def _table(self, code: Path, handler: str, name: str, settings: str) -> str:
        program = self.language.interpreter
        interpreter = f"interpreter = {json.dumps(program)}" if program else ""
        memory = "" if "memory_mb" in settings else f"memory_mb = {MEMORY_MB}"
        timeout = "" if "timeout_s" in settings else "timeout_s = 30"
        return "\n".join(
            [
                f"[functions.{name}]",
                f'runtime = "{self.language.name}"',
                f"handler = {json.dumps(self.language.handlers[handler])}",
                f"code = {json.dumps(str(code))}",
                interpreter,
                memory,
                timeout,
                settings,
                "",
            ]
        )

    @cached_property
    def client(self) -> Any:
        return self.project.lambda_client(read_timeout=90, max_pool_connections=8)

    def invoke(self, function: str, payload: bytes, **options: Any) -> Reply:
        reply = self.client.invoke(FunctionName=function, Payload=payload, **options)
        return Reply(
            request_id=reply["ResponseMetadata"]["RequestId"],
            payload=reply["Payload"].read(),
            failed="FunctionError" in reply,
            tail=base64.b64decode(reply.get("LogResult", "")).decode(),
        )

    def call(self, case: str, function: str = "cases", **fields: Any) -> Any:
        """The result of a case."""
        return self.invoke(function, event(case, **fields)).value


def event(case: str, **fields: Any) -> bytes:
    return json.dumps({"case": case, **fields}).encode()
