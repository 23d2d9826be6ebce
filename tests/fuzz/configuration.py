"""`microfaas.toml`: any text at all, or, when the first byte is odd, any table at all.

A table is made of the bytes with the keys and with values that mean something, since random text
is hardly ever TOML.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from microfaas import config
from microfaas.config import Config
from microfaas.config.tables import (
    ConfigTable,
    FunctionTable,
    MountTable,
    PricesTable,
    SecretTable,
)
from microfaas.errors import ConfigError
from microfaas.triggers import table

KINDS = table.settings()
STRUCTS = (ConfigTable, FunctionTable, MountTable, PricesTable, SecretTable, *KINDS.values())
KEYS = (
    *sorted({field.encode_name for s in STRUCTS for field in msgspec.structs.fields(s)}),
    *("f", "a.b", "", "\0", "type"),
)
WORDS = (
    *(
        "",
        ".",
        "/",
        "..",
        "/dev/null",
        "~",
        "~nobody",
        "x",
        "\0",
        "python",
        "app.handler",
    ),
    *("host", "none", "memory", "bucket", "created", "file", "environment", "127.0.0.1:9000", ":1"),
    *("[::1]:443", "example.org:443", "10.0.0.0/8:1", "10.0.0.0/8:1-2", "x" * 300, "\u00e9:1"),
)
NUMBERS = (0, 1, -1, 2**31, 2**63, -(2**64), 10**5000, 1.5, -0.0, 1e308, float("inf"), float("nan"))
DEPTH_MAX = 6
ENTRIES_MAX = 8


def target(data: bytes) -> None:
    try:
        if data[:1] and data[0] % 2:
            made = config.parse(_table(iter(data[1:])), "/nowhere/microfaas.toml", KINDS)
        else:
            made = _load(data[1:])
    except ConfigError as error:
        assert error.problems
        assert len(str(error)) < 200_000
        str(error).encode("utf-8", "surrogatepass")
        return
    assert isinstance(made, Config)
    assert made.root.startswith("/")
    assert made.data.startswith("/")
    msgspec.json.encode(made.functions)


def _load(text: bytes) -> Config:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        Path(place, "microfaas.toml").write_bytes(text)
        return config.load(place, KINDS)


def _table(choices: Iterator[int], depth: int = 0) -> dict[str, Any]:
    count = next(choices, 0) % ENTRIES_MAX
    return {KEYS[next(choices, 0) % len(KEYS)]: _value(choices, depth + 1) for _ in range(count)}


def _value(choices: Iterator[int], depth: int) -> Any:
    kind = next(choices, 0) % (6 if depth < DEPTH_MAX else 3)
    if kind == 0:
        return WORDS[next(choices, 0) % len(WORDS)]
    if kind == 1:
        return NUMBERS[next(choices, 0) % len(NUMBERS)]
    if kind == 2:
        return bool(next(choices, 0) % 2)
    if kind == 3:
        return [_value(choices, depth + 1) for _ in range(next(choices, 0) % 4)]
    return _table(choices, depth)


def seeds() -> dict[str, bytes]:
    page = Path(__file__).parents[2] / "docs" / "configuration.md"
    example = page.read_text().partition("```toml\n")[2].partition("```")[0]
    whole = b"""[functions.f]
network = ["example.org:443", "10.0.0.0/8:1"]
devices = ["/dev/null"]
secrets = { A = { stored = "a", as = "environment" }, B = { credential = "b" } }
mounts = { C = { path = ".", write = true } }
environment = { D = "d" }
cpu = "memory"
"""
    first = bytes([KEYS.index("functions"), 4, 1, KEYS.index("f"), 4, 2])
    return {
        "example": b"\0" + example.encode(),
        "whole": b"\0" + whole,
        "wrong": b'\0listen = 5\nfunctions = []\n[prices]\nrequest = "x"\n',
        "no-toml": b"\0= =",
        "table": b"\1\1" + first + bytes([KEYS.index("network"), 3, 1, 0, 22]),
    }
