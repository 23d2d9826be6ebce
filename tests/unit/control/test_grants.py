"""Whether a topic or a rule may call a function."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from microfaas.control.grants import permits
from microfaas.control.records import Edition, Head, Package, Policy, Settings
from microfaas.control.registry import Registry
from microfaas.control.statements import statement
from microfaas.model import Address, Function, Limits, Version
from microfaas.store.db import Database
from microfaas.store.functions import Functions
from microfaas.store.resources import Resources

SNS = "sns.amazonaws.com"
TOPIC = "arn:aws:sns:us-east-1:123456789012:t"
MADE = Edition(
    settings=Settings(runtime="python", handler="a.b", role=""),
    package=Package("", 0, ""),
    changed_ms=0,
    settles_ms=0,
    revision="r",
    settled_revision="r",
)


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[Registry]:
    db = Database(str(tmp_path / "store.db"))
    db.open()
    made = Registry(Resources(db), Functions(), Address())
    made.open()
    await made.commit(made.functions.put("f", Head(latest=MADE)))
    yield made
    db.close()


async def permit(registry: Registry, place: str, principal: str, source: str) -> None:
    condition = {"ArnLike": {"AWS:SourceArn": source}}
    made = statement("s", principal, "lambda:InvokeFunction", "", condition)
    await registry.commit(registry.policies.put(place, Policy((made,))))


async def test_a_functions_policy_must_name_the_service_and_the_source(registry: Registry) -> None:
    assert not permits(registry, SNS, TOPIC, "f", "")
    await permit(registry, "f", SNS, TOPIC)
    assert permits(registry, SNS, TOPIC, "f", "")
    assert permits(registry, SNS, TOPIC, "f", "$LATEST")
    assert not permits(registry, SNS, TOPIC + "2", "f", "")
    assert not permits(registry, "events.amazonaws.com", TOPIC, "f", "")


async def test_an_alias_has_a_policy_of_its_own(registry: Registry) -> None:
    await permit(registry, "f", SNS, TOPIC)
    assert not permits(registry, SNS, TOPIC, "f", "live")
    await permit(registry, "f:live", SNS, "arn:aws:sns:*:*:t")
    assert permits(registry, SNS, TOPIC, "f", "live")


async def test_a_source_may_be_told_by_its_account(registry: Registry) -> None:
    for account, permitted in (("999999999999", False), ("123456789012", True)):
        condition = {"StringEquals": {"AWS:SourceAccount": account}}
        made = statement("s", SNS, "lambda:InvokeFunction", "", condition)
        await registry.commit(registry.policies.put("f", Policy((made,))))
        assert permits(registry, SNS, TOPIC, "f", "") is permitted


async def test_a_files_functions_need_none(registry: Registry) -> None:
    function = Function(name="g", runtime="python", handler="a.b", code="", limits=Limits())
    registry.served.put(Version(function=function, code_dir="/", code_sha256=""))
    assert permits(registry, SNS, TOPIC, "g", "")
    await registry.commit(registry.functions.put("g", Head(latest=MADE, adopted=True)))
    assert permits(registry, SNS, TOPIC, "g", "")
