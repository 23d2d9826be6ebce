"""The book of subscriptions: what it keeps, refuses, and takes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from topic_world import ARN, TopicWorld

from microfaas.errors import MachineError, ServiceError
from microfaas.messaging import subscriptions
from microfaas.messaging.subscriptions import Subscription, new_arn, new_token


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[TopicWorld]:
    made = await TopicWorld(tmp_path).open()
    yield made
    made.db.close()


def one(endpoint: str = "f", **more: Any) -> Subscription:
    return Subscription(arn=new_arn(ARN), topic="t", protocol="lambda", endpoint=endpoint, **more)


async def broken(*_: object) -> None:
    raise MachineError("cannot write: the disk is full")


async def test_it_is_kept_as_it_is(world: TopicWorld) -> None:
    made = one(policy='{"a": ["b"]}', raw=True, dead_letter="q", token="x", pending=True)
    await world.book.add(made)
    await world.open()
    assert world.book.all() == [made]
    assert world.book.of("t") == [made]
    assert world.book.find(made.arn) == made
    assert world.book.of("other") == []


async def test_the_same_endpoint_is_the_same_subscription(world: TopicWorld) -> None:
    made = one()
    assert await world.book.add(made) is made
    assert await world.book.add(one()) is made
    other = msgspec.structs.replace(one(), protocol="sqs")
    assert await world.book.add(other) is other


async def test_nor_is_it_two_when_asked_at_once(world: TopicWorld) -> None:
    kept = await asyncio.gather(*(world.book.add(one()) for _ in range(5)))
    assert len({each.arn for each in kept}) == 1
    assert len(world.book.all()) == 1


async def test_a_change_while_another_is_written_loses_neither(world: TopicWorld) -> None:
    made = await world.book.add(one(token="x", pending=True))

    async def change(**fields: Any) -> None:
        found = world.book.find(made.arn)
        assert found is not None
        await world.book.change(msgspec.structs.replace(found, **fields))

    await asyncio.gather(change(pending=False), change(raw=True))
    await world.open()
    [kept] = world.book.all()
    assert (kept.pending, kept.raw) == (False, True)


async def test_removed_it_is_gone_for_good(world: TopicWorld) -> None:
    made = await world.book.add(one())
    await world.book.remove(made)
    assert (world.book.find(made.arn), world.book.of("t")) == (None, [])
    await world.open()
    assert world.book.all() == []


async def test_what_does_not_reach_the_disk_is_taken_back(
    world: TopicWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await world.book.add(one())
    monkeypatch.setattr(world.store, "commit", broken)
    narrowed = msgspec.structs.replace(made, policy='{"a": ["b"]}')
    for change in (
        world.book.add(one("g")),
        world.book.change(narrowed),
        world.book.remove(made),
    ):
        with pytest.raises(MachineError):
            await change
    assert world.book.all() == [made]
    assert world.book.of("t") == [made]
    assert world.book.accepts(made, {}, "m")


async def test_there_are_not_more_than_may_be(
    world: TopicWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "SUBSCRIPTIONS_MAX", 1)
    await world.book.add(one())
    with pytest.raises(ServiceError) as caught:
        await world.book.add(one("g"))
    assert caught.value.kind == "SubscriptionLimitExceededException"


async def test_those_of_the_file_are_changed_there(world: TopicWorld) -> None:
    declared = one(declared=True)
    world.declared = [declared]
    await world.open()
    for change in (world.book.change(declared), world.book.remove(declared)):
        with pytest.raises(ServiceError, match=r"microfaas\.toml"):
            await change
    assert world.book.all() == [declared]


async def test_and_are_gone_when_they_are_there_no_more(world: TopicWorld) -> None:
    world.declared = [one(declared=True)]
    await world.open()
    world.declared = []
    await world.open()
    assert world.book.all() == []


async def test_who_is_pending_accepts_nothing(world: TopicWorld) -> None:
    made = await world.book.add(one(token="x", pending=True))
    assert not world.book.accepts(made, {}, "m")


def test_neither_arns_nor_tokens_can_be_guessed() -> None:
    assert len({new_token() for _ in range(100)}) == 100
    assert len(new_token()) == 128
    assert len({new_arn(ARN) for _ in range(100)}) == 100
    assert new_arn(ARN).startswith(f"{ARN}:")
