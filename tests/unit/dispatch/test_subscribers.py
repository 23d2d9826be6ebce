"""Carrying topics' copies to endpoints outside, from publication to arrival."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from delivery_world import endpoint, task_group, until

sys.path.append(str(Path(__file__).parents[1] / "messaging"))
from topic_world import ARN, TopicWorld

from microfaas.dispatch import subscribers
from microfaas.dispatch.delivery import Verdict
from microfaas.dispatch.http import HttpSender
from microfaas.dispatch.mail import MailSender
from microfaas.dispatch.subscribers import Subscribers
from microfaas.messaging.subscriptions import Subscription


class Mails(MailSender):
    """Notes what it should send."""

    def __init__(self) -> None:
        super().__init__(None)
        self.sent: list[tuple[str, str, str, str]] = []

    async def send(self, to: str, subject: str, text: str, message_id: str) -> Verdict:
        self.sent.append((to, subject, text, message_id))
        return Verdict("done")


@pytest_asyncio.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TopicWorld]:
    monkeypatch.setattr(subscribers, "LOOK_S", 0.01)
    made = await TopicWorld(tmp_path).open()
    yield made
    made.db.close()


@contextlib.asynccontextmanager
async def running(world: TopicWorld, mails: Mails | None = None) -> AsyncIterator[Subscribers]:
    http = HttpSender()
    async with task_group() as tasks:
        made = Subscribers(world.store, world.topics, http, mails or Mails(), world.to_queue, tasks)
        tasks.create_task(made.run())
        yield made
        for route in made.stop():
            await route.drained()
    await http.close()


async def asked(world: TopicWorld, url: str, **more: Any) -> Subscription:
    return await world.subscribe("http", url, token="k", pending=True, **more)


async def test_an_endpoint_is_asked_and_then_told(world: TopicWorld) -> None:
    async with endpoint() as there, running(world):
        await asked(world, there.url)
        await until(lambda: there.got)
        await world.topics.confirm(ARN, "k")
        message_id = await world.publish("hello")
        await until(lambda: len(there.got) == 2)
    kinds = [headers["x-amz-sns-message-type"] for headers, _ in there.got]
    assert kinds == ["SubscriptionConfirmation", "Notification"]
    headers, body = there.got[1]
    assert headers["x-amz-sns-message-id"] == message_id
    assert headers["user-agent"] == "Amazon Simple Notification Service Agent"
    assert b'"hello"' in body


async def test_a_mail_is_handed_over(world: TopicWorld) -> None:
    mails = Mails()
    async with running(world, mails):
        await world.subscribe("email", "a@b", token="k", pending=True)
        await world.topics.confirm(ARN, "k")
        message_id = await world.publish("hello", subject="News")
        await until(lambda: len(mails.sent) == 2)
    assert "ConfirmSubscription" in mails.sent[0][2]
    to, subject, text, known = mails.sent[1]
    assert (to, subject, known) == ("a@b", "News", message_id)
    assert text.startswith("hello\n")


async def test_one_that_is_down_holds_up_nobody_else(world: TopicWorld) -> None:
    async with endpoint([0]) as hanging, endpoint() as there, running(world):
        for number, to in enumerate((hanging, there)):
            await world.subscribe("http", to.url, token=f"{number}", pending=True)
            await world.topics.confirm(ARN, f"{number}")
        for _ in range(20):
            await world.publish()
        await until(lambda: len(there.got) == 21)
        assert world.store.depth(world.book.all()[0].queue).messages == 21
        hanging.release.set()


async def test_what_failed_is_there_after_a_restart(world: TopicWorld) -> None:
    async with endpoint([500]) as down:
        async with running(world):
            made = await asked(world, down.url)
            await world.topics.confirm(ARN, "k")
            await until(lambda: any(row.attempts for row in world.store.newest(made.queue, 10)))
        port = int(down.url.split(":")[2].partition("/")[0])
    await world.open()
    async with endpoint(port=port) as up, running(world):
        await until(lambda: up.got)
        await until(lambda: not world.store.depth(made.queue).messages)


async def test_what_is_refused_goes_to_its_queue(world: TopicWorld) -> None:
    async with endpoint([200, 403]) as there, running(world):
        await asked(world, there.url, dead_letter="graves")
        await until(lambda: there.got)
        await world.topics.confirm(ARN, "k")
        await world.publish("hello", trace_id="Root=1")
        await until(lambda: world.waiting("queue:graves"))
    assert world.bodies("queue:graves")[0]["Message"] == "hello"
    assert world.traces == ["Root=1"]
    assert world.buried() == []


@pytest.mark.parametrize("dead_letter", ["", "gone"])
async def test_or_is_a_dead_letter(world: TopicWorld, dead_letter: str) -> None:
    async with endpoint([404]) as there, running(world):
        made = await asked(world, there.url, dead_letter=dead_letter)
        await until(world.buried)
    [letter] = [row.letter for row in world.buried()]
    assert letter.queue == made.queue
    assert b"answered 404" in letter.error
    assert (b"There is no queue gone" in letter.error) == bool(dead_letter)


async def test_unsubscribed_it_gets_what_was_on_its_way(world: TopicWorld) -> None:
    async with endpoint() as there:
        made = await asked(world, there.url)
        await world.topics.confirm(ARN, "k")
        async with running(world) as carrying:
            await until(lambda: there.got)
            there.statuses[:] = [503, 200]
            await world.publish("on its way")
            await until(lambda: len(there.got) == 2)
            await world.book.remove(made)
            await world.publish("too late")
            await until(lambda: not carrying._routes)
    assert len(there.got) == 3
    assert b"on its way" in there.got[2][1]


async def test_what_nobody_knows_any_more_is_a_dead_letter(world: TopicWorld) -> None:
    made = await asked(world, "http://127.0.0.1:9/")
    await world.book.remove(made)
    await world.open()
    async with running(world):
        await until(world.buried)
    [letter] = [row.letter for row in world.buried()]
    assert b"is subscribed no more" in letter.error
