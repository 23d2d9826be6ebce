"""The Java host reads and writes what Lambda's own runtime does, to which it is compared: events in
the classes of AWS's own library, and values of every kind in a bean."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import java_world
import pytest
from java_world import TESTS, JavaSpares

SAMPLES: dict[str, Any] = json.loads((TESTS / "samples.json").read_text())
JARS = sorted((TESTS / "jars").glob("*.jar"))
# Not in what Lambda's runtime writes, which has a serializer of its own for this event.
ONLY_OURS = {"s3": "sizeAsLong"}
PROPERTIES = [
    "whole",
    "boxed",
    "large",
    "fraction",
    "truth",
    "boxedTruth",
    "letter",
    "small",
    "octet",
    "text",
    "size",
    "bytes",
    "numbers",
    "list",
    "set",
    "map",
    "nested",
    "optional",
    "date",
    "instant",
    "day",
    "time",
    "offset",
    "span",
    "decimal",
    "huge",
    "uuid",
    "locale",
    "any",
    "inner",
    "buffer",
    "unknown",
]
VALUES = [
    "1",
    "-5",
    "1.5",
    "300",
    "true",
    "false",
    "null",
    '""',
    '"abc"',
    '"LARGE"',
    '"true"',
    "[]",
    "{}",
    '["x","y"]',
    "[1,2]",
    '{"LARGE":1}',
    '{"a":"b","n":null}',
    "12345678901",
    "1700000000.25",
    '"2020-01-02T03:04:05Z"',
    '"aGVsbG8="',
    '"PT5M"',
    '"3b241101-e2bb-4255-8caf-4136c566a962"',
    '"de_DE"',
    '[["a"],["b",null]]',
    '"\\u00fc\\n"',
    "123456789012345678901234567890",
    '{"open":7,"hidden":1,"URL":"x","aB":"y","on":false}',
]
# Where this host is more, or less, lenient with what cannot have been meant.
DIFFERENT = {
    ("span", "123456789012345678901234567890"),
    ("buffer", "[]"),
    ("bytes", "1.5"),
}


@cache
def classes() -> Path:
    """The function, and the program that asks Lambda's runtime."""
    output = java_world.functions("events", *JARS)
    java_world.compile_java(TESTS / "reference", output, [output, *JARS])
    return output


@pytest.fixture(scope="module")
def spares(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavaSpares]:
    with JavaSpares(tmp_path_factory.mktemp("events")) as spares:
        yield spares


def lambdas(asked: list[tuple[str, str]]) -> list[Any]:
    """What Lambda's runtime makes of payloads for methods; None when it cannot read one."""
    places = ":".join(map(str, [classes(), *JARS]))
    lines = "".join(f"{method}\t{payload}\n" for method, payload in asked)
    done = subprocess.run(
        ["java", "-cp", places, "Reference"], input=lines.encode(), capture_output=True, check=True
    )
    answers = done.stdout.decode().splitlines()
    assert len(answers) == len(asked), done.stderr.decode()
    return [json.loads(answer) if answer else None for answer in answers]


def ours(spares: JavaSpares, method: str, payloads: list[str]) -> list[Any]:
    spare = spares.start()
    shutil.copytree(classes(), spare.code, dirs_exist_ok=True)
    (spare.code / "lib").mkdir()
    for jar in JARS:
        shutil.copy(jar, spare.code / "lib")
    assert spare.load(f"events.Echo::{method}")["kind"] == "loaded", spare.talk.printed()
    answers = [spare.invoke(payload.encode()) for payload in payloads]
    spare.close()
    return [json.loads(one["payload"]) if one["kind"] == "result" else None for one in answers]


def without(value: Any, name: str | None) -> Any:
    if isinstance(value, dict):
        return {k: without(v, name) for k, v in value.items() if k != name}
    return [without(item, name) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", SAMPLES)
def test_an_event_is_read_and_written_as_by_lambda(spares: JavaSpares, name: str) -> None:
    payload = json.dumps(SAMPLES[name])
    (theirs,) = lambdas([(name, payload)])
    (own,) = ours(spares, name, [payload])
    assert theirs is not None
    assert without(own, ONLY_OURS.get(name)) == theirs


def test_a_value_of_every_kind_is_read_and_written_as_by_lambda(spares: JavaSpares) -> None:
    pairs = [(name, value) for name in PROPERTIES for value in VALUES]
    payloads = [f'{{"{name}": {value}}}' for name, value in pairs]
    theirs = lambdas([("kinds", payload) for payload in payloads])
    own = ours(spares, "kinds", payloads)
    different = {pair for pair, one, other in zip(pairs, own, theirs, strict=True) if one != other}
    assert different == DIFFERENT


def test_anything_is_read_and_written_as_by_lambda(spares: JavaSpares) -> None:
    theirs = lambdas([("anything", value) for value in VALUES])
    assert ours(spares, "anything", VALUES) == theirs
