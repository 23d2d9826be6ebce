"""The subject: a real `microfaas run` with a configuration made for one scenario."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.client import invoke_path
from bench.endpoint import START_S_MAX, Endpoint, StartError, free_port, program, wait_until

FUNCTIONS = Path(__file__).parent / "functions"
ROOT = Path(__file__).parent.parent
# No scenario is about refusing work for want of memory.
MEMORY_BUDGET_MB = 65536

Tables = Mapping[str, Mapping[str, Any]]


def function(handler: str, **settings: Any) -> dict[str, Any]:
    """The table of one function of `bench/functions/`."""
    return {"runtime": "python", "handler": f"{handler}.handler", "code": str(FUNCTIONS)} | settings


@contextmanager
def project() -> Iterator[Path]:
    """A folder for microfaas.toml and data that instances of another user can pass through."""
    folder = Path(tempfile.mkdtemp(prefix="microfaas-bench-"))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serving(functions: Tables, folder: Path | None = None, **settings: Any) -> Iterator[Endpoint]:
    """Run microfaas with FUNCTIONS and top-level SETTINGS; the endpoint invokes the first."""
    if folder is None:
        with project() as made, serving(functions, made, **settings) as endpoint:
            yield endpoint
        return
    (folder / "microfaas.toml").write_text(toml(functions, settings))
    port = free_port()
    argv = [*command(), "run", str(folder), "--listen", f"127.0.0.1:{port}"]
    argv += ["--data", str(folder / "data")]
    path = invoke_path(next(iter(functions)))
    with program(argv, port, path, folder=str(ROOT)) as endpoint:
        if not wait_until(lambda: answers(port), START_S_MAX):
            raise StartError(f"cannot use microfaas: port {port} does not answer")
        yield endpoint


def command() -> list[str]:
    """The installed program, else the package in this repository."""
    script = os.path.join(os.path.dirname(sys.executable), "microfaas")
    if os.access(script, os.X_OK):
        return [script]
    return [sys.executable, "-m", "microfaas"]


def answers(port: int) -> bool:
    try:
        inventory(port)
    except (urllib.error.URLError, OSError):
        return False
    return True


def inventory(port: int) -> dict[str, Any]:
    """What the server says about each of its functions, by name."""
    url = f"http://127.0.0.1:{port}/_microfaas/v1/functions"
    with urllib.request.urlopen(url, timeout=5) as answer:
        return {row["name"]: row for row in json.load(answer)["functions"]}


def instances(port: int, name: str) -> list[dict[str, Any]]:
    return list(inventory(port)[name]["instances"])


def toml(functions: Tables, settings: Mapping[str, Any]) -> str:
    top = {"memory_budget_mb": MEMORY_BUDGET_MB, **settings}
    lines = [f"{key} = {value(x)}" for key, x in top.items()]
    for name, table in functions.items():
        lines += [f"[functions.{name}]", *(f"{key} = {value(x)}" for key, x in table.items())]
    return "\n".join(lines) + "\n"


def value(x: Any) -> str:
    """One TOML value; tables inline, so that a function stays one section."""
    if isinstance(x, Mapping):
        return "{ " + ", ".join(f"{key} = {value(each)}" for key, each in x.items()) + " }"
    if isinstance(x, list):
        return "[" + ", ".join(map(value, x)) + "]"
    return json.dumps(x)
