"""The Java host runs what Maven builds: one jar, what is in it, and classes with libraries."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from java_world import TESTS, JavaSpares

TARGET = TESTS / "project" / "target"
JAR = TARGET / "orders-1.jar"
EVENT = {
    "Records": [
        {"messageId": "m1", "body": "17", "eventSourceARN": "arn:aws:sqs:us-east-1:1:q"},
        {"messageId": "m2", "body": "seventeen", "eventSourceARN": "arn:aws:sqs:us-east-1:1:q"},
    ]
}


@pytest.fixture
def spares(tmp_path: Path) -> Iterator[JavaSpares]:
    with JavaSpares(tmp_path) as spares:
        yield spares


def unpacked(code: Path) -> None:
    """As Lambda lays out a jar that is uploaded."""
    with zipfile.ZipFile(JAR) as archive:
        archive.extractall(code)


def whole(code: Path) -> None:
    shutil.copy(JAR, code)


def classes_and_libraries(code: Path) -> None:
    """As Gradle's buildZip lays it out."""
    shutil.copytree(TARGET / "classes", code, dirs_exist_ok=True)
    shutil.copytree(TARGET / "lib", code / "lib")


def jar_and_libraries(code: Path) -> None:
    shutil.copytree(TARGET / "lib", code / "lib")
    shutil.copy(TARGET / "original-orders-1.jar", code / "lib")


@pytest.mark.parametrize("lay", [unpacked, whole, classes_and_libraries, jar_and_libraries])
def test_a_function_that_maven_built_runs(spares: JavaSpares, lay: Callable[[Path], None]) -> None:
    spare = spares.start()
    lay(spare.code)
    assert spare.load("shop.Orders::handleRequest")["kind"] == "loaded", spare.talk.printed()
    for _ in range(2):
        answer = json.loads(spare.result(json.dumps(EVENT).encode()))
        assert answer == {"batchItemFailures": [{"itemIdentifier": "m2"}]}
    assert spare.talk.printed() == "order 17\norder 17\n"


def test_the_name_of_the_class_alone_is_a_handler_too(spares: JavaSpares) -> None:
    spare = spares.start()
    whole(spare.code)
    assert spare.load("shop.Orders")["kind"] == "loaded", spare.talk.printed()
    assert json.loads(spare.result(b'{"Records": []}')) == {"batchItemFailures": []}
