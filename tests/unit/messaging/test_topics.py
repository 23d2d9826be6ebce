"""Topics: who gets a copy, in which form, and that all copies are one commit."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
import pytest_asyncio
from cryptography.exceptions import InvalidSignature
from topic_world import ARN, URL, TopicWorld, verify

from microfaas.errors import MachineError, ServiceError
from microfaas.messaging import topics
from microfaas.messaging.copies import Parcel
from microfaas.messaging.subscriptions import Subscription
from microfaas.messaging.topics import Topic
from microfaas.store import events
from microfaas.store.db import Database
from microfaas.store.messages import Batch

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[TopicWorld]:
    made = await TopicWorld(tmp_path).open()
    yield made
    made.db.close()


async def confirmed(world: TopicWorld, protocol: str, endpoint: str, **more: Any) -> Subscription:
    made = await world.subscribe(protocol, endpoint, token=endpoint, pending=True, **more)
    await world.topics.confirm(ARN, endpoint)
    [asked] = world.waiting(made.queue)
    batch = Batch()
    batch.remove(asked)
    await world.store.commit(batch)
    return made


def parcels(world: TopicWorld, made: Subscription) -> list[Parcel]:
    rows = world.waiting(made.queue)
    return [msgspec.msgpack.decode(row.attributes, type=Parcel) for row in rows]


async def broken(*_: object) -> None:
    raise MachineError("cannot write: the disk is full")


class TestCopies:
    async def test_everybody_gets_one(self, world: TopicWorld) -> None:
        await world.subscribe("lambda", "f")
        await world.subscribe("lambda", "g")
        await world.subscribe("sqs", "q")
        web = await confirmed(world, "http", "http://h/")
        mail = await confirmed(world, "email", "a@b")
        message_id = await world.publish("hello", subject="s")
        assert UUID.fullmatch(message_id)
        for name in ("f", "g"):
            [event] = world.bodies(f"function:{name}")
            assert event["Records"][0]["Sns"]["Message"] == "hello"
            assert event["Records"][0]["Sns"]["MessageId"] == message_id
        assert world.bodies("queue:q")[0]["MessageId"] == message_id
        assert world.bodies(web.queue)[0]["Message"] == "hello"
        assert world.waiting(mail.queue)[0].body.startswith(b"hello\n")

    async def test_a_version_or_alias_may_be_subscribed(self, world: TopicWorld) -> None:
        await world.subscribe("lambda", "f:live")
        await world.publish()
        [message] = world.waiting("function:f")
        assert events.decode_attributes(message.attributes).qualifier == "live"

    async def test_a_function_must_permit_the_topic(self, world: TopicWorld) -> None:
        for endpoint, dead_letter in (("f", "graves"), ("f:live", ""), ("g", "")):
            await world.subscribe("lambda", endpoint, dead_letter=dead_letter)
        world.refused = {(ARN, "f", ""), (ARN, "f", "live")}
        await world.publish("m")
        assert world.bodies("function:f") == []
        assert len(world.bodies("function:g")) == 1
        [grave] = world.bodies("queue:graves")
        assert grave["Records"][0]["Sns"]["Message"] == "m"
        [buried] = world.buried()
        assert (buried.letter.function, buried.letter.queue) == ("f", "function:f")
        assert "does not permit" in json.loads(buried.letter.error)

    async def test_a_functions_own_trigger_asks_nobody(self, world: TopicWorld) -> None:
        made = Subscription(
            arn=f"{ARN}:own", topic="t", protocol="lambda", endpoint="f", declared=True
        )
        world.book.declare([made])
        world.refused = {(ARN, "f", "")}
        await world.publish()
        assert len(world.bodies("function:f")) == 1

    async def test_an_events_source_is_the_topic(self, world: TopicWorld) -> None:
        await world.subscribe("lambda", "f")
        await world.publish()
        [event] = world.waiting("function:f")
        assert events.decode_attributes(event.attributes).source == "topic:t"

    async def test_nobody_else_gets_one(self, world: TopicWorld) -> None:
        await world.subscribe("lambda", "f")
        other = await world.topics.create(Topic(name="other"))
        await world.topics.publish(other, "m")
        assert world.waiting("function:f") == []

    async def test_they_are_one_commit(
        self, world: TopicWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("f", "g"):
            await world.subscribe("lambda", name)
        commits: list[int] = []
        submit = Database.submit

        def counted(db: Database, writes: Any) -> Any:
            commits.append(sum(len(rows) for name, rows in writes if name == "put_messages"))
            return submit(db, writes)

        monkeypatch.setattr(Database, "submit", counted)
        await world.publish()
        assert commits == [2]

    async def test_a_commit_that_fails_leaves_none(
        self, world: TopicWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("f", "g"):
            await world.subscribe("lambda", name)
        with monkeypatch.context() as patch:
            patch.setattr(Database, "submit", lambda *_: asyncio.ensure_future(broken()))
            with pytest.raises(MachineError):
                await world.publish()
        await world.open()
        assert [world.waiting(f"function:{name}") for name in ("f", "g")] == [[], []]

    async def test_a_queue_that_is_gone_harms_nobody(self, world: TopicWorld) -> None:
        await world.subscribe("sqs", "gone")
        await world.subscribe("lambda", "f")
        await world.publish("hello")
        assert len(world.waiting("function:f")) == 1
        [letter] = [row.letter for row in world.buried()]
        assert (letter.event, letter.queue, letter.source) == (b"hello", "queue:gone", "topic:t")
        assert json.loads(letter.error) == "There is no queue gone."

    async def test_a_queue_that_is_full_harms_nobody(self, world: TopicWorld) -> None:
        await world.subscribe("lambda", "full")
        await world.subscribe("lambda", "f")
        world.store.bound("function:full", 1, 1 << 20)
        await world.publish("first")
        await world.publish("second")
        assert len(world.waiting("function:f")) == 2
        assert len(world.waiting("function:full")) == 1
        [letter] = [row.letter for row in world.buried()]
        assert (letter.function, letter.queue) == ("full", "function:full")
        assert json.loads(letter.event)["Records"][0]["Sns"]["Message"] == "second"
        assert events.decode_attributes(letter.attributes).source == "topic:t"

    async def test_what_has_no_room_goes_to_the_subscriptions_own_queue(
        self, world: TopicWorld
    ) -> None:
        await world.subscribe("lambda", "full", dead_letter="graves")
        world.store.bound("function:full", 0, 0)
        await world.publish("hello")
        assert world.bodies("queue:graves")[0]["Records"][0]["Sns"]["Message"] == "hello"
        assert world.buried() == []

    async def test_without_that_queue_it_is_a_dead_letter(self, world: TopicWorld) -> None:
        await world.subscribe("lambda", "full", dead_letter="gone")
        world.store.bound("function:full", 0, 0)
        await world.publish("hello")
        assert [row.letter.queue for row in world.buried()] == ["function:full"]


class TestFilters:
    async def test_by_attributes(self, world: TopicWorld) -> None:
        await world.subscribe("lambda", "f", policy='{"kind": ["a", "b"]}')
        await world.publish("1", attributes={"kind": ("String", "a")})
        await world.publish("2", attributes={"kind": ("String", "c")})
        await world.publish("3")
        texts = [event["Records"][0]["Sns"]["Message"] for event in world.bodies("function:f")]
        assert texts == ["1"]

    async def test_by_the_body(self, world: TopicWorld) -> None:
        policy = '{"order": {"total": [{"numeric": [">", 10]}]}}'
        await world.subscribe("lambda", "f", policy=policy, scope="MessageBody")
        for message in ('{"order": {"total": 11}}', '{"order": {"total": 9}}', "no JSON"):
            await world.publish(message)
        [event] = world.bodies("function:f")
        assert "11" in event["Records"][0]["Sns"]["Message"]

    async def test_by_the_text_of_its_own_protocol(self, world: TopicWorld) -> None:
        await world.subscribe("lambda", "f", policy='{"a": [1]}', scope="MessageBody")
        await world.publish('{"a": 2}', messages={"lambda": '{"a": 1}', "sqs": "other"})
        [event] = world.bodies("function:f")
        assert event["Records"][0]["Sns"]["Message"] == '{"a": 1}'

    async def test_an_invalid_one_is_refused(self, world: TopicWorld) -> None:
        with pytest.raises(ServiceError) as caught:
            await world.subscribe("lambda", "f", policy='{"a": 1}')
        assert caught.value.kind == "InvalidParameterException"
        assert "FilterPolicy" in str(caught.value)
        assert world.book.all() == []


class TestForms:
    async def test_a_queue_gets_it_wrapped(self, world: TopicWorld) -> None:
        made = await world.subscribe("sqs", "q")
        await world.publish("m", subject="s", attributes={"a": ("Number", "1")})
        [row] = world.waiting("queue:q")
        told = json.loads(row.body)
        assert told["MessageAttributes"] == {"a": {"Type": "Number", "Value": "1"}}
        assert told["UnsubscribeURL"] == world.topics.copies.unsubscribe_url(made)
        assert json.loads(row.attributes) == {}

    async def test_or_bare_with_the_attributes_beside_it(self, world: TopicWorld) -> None:
        await world.subscribe("sqs", "q", raw=True)
        await world.publish("m", attributes={"a": ("Number", "1")})
        [row] = world.waiting("queue:q")
        assert row.body == b"m"
        assert json.loads(row.attributes) == {"a": ["Number", "1"]}

    async def test_an_endpoint_is_told_in_headers_what_comes(self, world: TopicWorld) -> None:
        made = await confirmed(world, "https", "https://h/")
        message_id = await world.publish()
        [parcel] = parcels(world, made)
        assert parcel.headers == {
            "x-amz-sns-message-type": "Notification",
            "x-amz-sns-message-id": message_id,
            "x-amz-sns-topic-arn": ARN,
            "x-amz-sns-subscription-arn": made.arn,
            "Content-Type": "text/plain; charset=UTF-8",
            "User-Agent": "Amazon Simple Notification Service Agent",
        }

    async def test_an_endpoint_may_want_it_bare(self, world: TopicWorld) -> None:
        made = await confirmed(world, "http", "http://h/", raw=True)
        await world.publish("m")
        assert world.waiting(made.queue)[0].body == b"m"
        assert parcels(world, made)[0].headers["x-amz-sns-rawdelivery"] == "true"

    async def test_every_copy_has_the_trace(self, world: TopicWorld) -> None:
        endpoint = await confirmed(world, "http", "http://h/")
        await world.subscribe("lambda", "f")
        await world.subscribe("sqs", "q")
        trace_id = "Root=1;Lineage=1:a87bd80c:3"
        await world.publish("m", trace_id=trace_id)
        assert parcels(world, endpoint)[0].headers["X-Amzn-Trace-Id"] == trace_id
        (event,) = world.waiting("function:f")
        assert events.decode_attributes(event.attributes).trace_id == trace_id
        assert world.traces == [trace_id]

    async def test_a_mail_is_the_text_and_how_to_get_no_more(self, world: TopicWorld) -> None:
        made = await confirmed(world, "email", "a@b")
        await world.publish("hello", subject="News")
        await world.publish("hello")
        text = world.waiting(made.queue)[0].body.decode()
        assert text.startswith("hello\n")
        assert world.topics.copies.unsubscribe_url(made) in text
        assert [parcel.subject for parcel in parcels(world, made)] == ["News", "t: notification"]

    async def test_a_mail_comes_from_the_display_name(self, world: TopicWorld) -> None:
        made = await confirmed(world, "email", "a@b")
        await world.topics.publish(Topic(name="t", display_name="Shop"), "hello")
        assert [parcel.subject for parcel in parcels(world, made)] == ["Shop: notification"]

    async def test_or_all_of_it_as_json(self, world: TopicWorld) -> None:
        made = await confirmed(world, "email-json", "a@b")
        await world.publish("hello")
        assert world.bodies(made.queue)[0]["Message"] == "hello"

    @pytest.mark.parametrize("version", ["1", "2"])
    async def test_whoever_gets_it_can_verify_it(self, world: TopicWorld, version: str) -> None:
        await world.subscribe("lambda", "f")
        await world.subscribe("sqs", "q")
        await world.topics.change(Topic(name="t", signature_version=version))  # type: ignore[arg-type]
        for subject in ("s", None):
            await world.topics.publish(world.topics.get("t"), "m\nä", subject)
        for told in world.bodies("queue:q"):
            certificate = world.certificate(told["SigningCertURL"])
            assert certificate is not None
            assert told["SignatureVersion"] == version
            verify(told, certificate)
            with pytest.raises(InvalidSignature):
                verify({**told, "Message": "other"}, certificate)
        for event in world.bodies("function:f"):
            told = event["Records"][0]["Sns"]
            certificate = world.certificate(told["SigningCertUrl"])
            assert certificate is not None
            verify(told, certificate)

    async def test_each_text_has_a_signature_of_its_own(self, world: TopicWorld) -> None:
        await world.subscribe("lambda", "f")
        await world.subscribe("sqs", "q")
        await world.publish("default", messages={"sqs": "short"})
        [told] = world.bodies("queue:q")
        certificate = world.certificate(told["SigningCertURL"])
        assert told["Message"] == "short"
        assert certificate is not None
        verify(told, certificate)
        verify(world.bodies("function:f")[0]["Records"][0]["Sns"], certificate)


class TestConfirmation:
    async def test_an_endpoint_is_asked_first(self, world: TopicWorld) -> None:
        made = await world.subscribe("http", "http://h/", token="secret", pending=True)
        await world.publish("not for it yet")
        [asked] = world.bodies(made.queue)
        assert asked["Type"] == "SubscriptionConfirmation"
        assert asked["Token"] == "secret"
        assert asked["TopicArn"] == ARN
        assert set(asked) == {
            *("Type", "MessageId", "Token", "TopicArn", "Message", "SubscribeURL", "Timestamp"),
            *("SignatureVersion", "Signature", "SigningCertURL"),
        }
        link = urlsplit(asked["SubscribeURL"])
        assert parse_qs(link.query) == {
            "Action": ["ConfirmSubscription"],
            "TopicArn": [ARN],
            "Token": ["secret"],
        }
        certificate = world.certificate(asked["SigningCertURL"])
        assert certificate is not None
        verify(asked, certificate)
        headers = parcels(world, made)[0].headers
        assert headers["x-amz-sns-message-type"] == "SubscriptionConfirmation"
        assert "x-amz-sns-subscription-arn" not in headers

    async def test_a_person_is_asked_in_words(self, world: TopicWorld) -> None:
        made = await world.subscribe("email", "a@b", token="secret", pending=True)
        [asked] = world.waiting(made.queue)
        link = f"{URL}/?Action=ConfirmSubscription&TopicArn={ARN}&Token=secret"
        assert link in asked.body.decode()
        assert parcels(world, made)[0].subject == "Subscription confirmation"

    async def test_with_its_answer_it_is_subscribed_for_good(self, world: TopicWorld) -> None:
        made = await confirmed(world, "http", "http://h/")
        await world.open()
        await world.publish("hello")
        assert world.bodies(made.queue)[0]["Message"] == "hello"

    async def test_it_may_answer_twice(self, world: TopicWorld) -> None:
        made = await confirmed(world, "http", "http://h/")
        assert (await world.topics.confirm(ARN, "http://h/")).arn == made.arn

    @pytest.mark.parametrize("token", ["", "other", "ä"])
    async def test_a_wrong_token_is_refused(self, world: TopicWorld, token: str) -> None:
        await world.subscribe("lambda", "f")
        made = await world.subscribe("http", "http://h/", token="secret", pending=True)
        with pytest.raises(ServiceError) as caught:
            await world.topics.confirm(ARN, token)
        assert caught.value.kind == "InvalidParameterException"
        found = world.book.find(made.arn)
        assert found is not None
        assert found.pending

    async def test_a_token_is_good_for_its_own_topic_alone(self, world: TopicWorld) -> None:
        await world.subscribe("http", "http://h/", token="secret", pending=True)
        await world.topics.create(Topic(name="other"))
        with pytest.raises(ServiceError):
            await world.topics.confirm(world.topics.arn("other"), "secret")

    async def test_who_asks_again_is_asked_again(self, world: TopicWorld) -> None:
        first = await world.subscribe("http", "http://h/", token="one", pending=True)
        again = await world.subscribe("http", "http://h/", token="two", pending=True)
        assert again.arn == first.arn
        # What was sent first is still good.
        assert [asked["Token"] for asked in world.bodies(first.queue)] == ["one", "one"]


class TestTheTopicsThemselves:
    async def test_they_are_there_after_a_restart(self, world: TopicWorld) -> None:
        await world.topics.change(Topic(name="t", display_name="Shop", tags={"a": "b"}))
        await world.topics.create(Topic(name="other"))
        await world.open()
        assert [topic.name for topic in world.topics.all()] == ["other", "t"]
        assert world.topics.get(ARN).display_name == "Shop"
        assert world.topics.get(ARN).tags == {"a": "b"}

    async def test_made_again_it_stays_as_it_is(self, world: TopicWorld) -> None:
        await world.topics.change(Topic(name="t", display_name="Shop"))
        assert (await world.topics.create(Topic(name="t"))).display_name == "Shop"

    @pytest.mark.parametrize("name", ["a b", "", "a" * 257, "ä", "a.fifo", "a\n"])
    async def test_a_name_may_be_wrong(self, world: TopicWorld, name: str) -> None:
        with pytest.raises(ServiceError) as caught:
            await world.topics.create(Topic(name=name))
        assert caught.value.kind == "InvalidParameterException"

    async def test_there_are_not_more_than_may_be(
        self, world: TopicWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(topics, "TOPICS_MAX", 1)
        with pytest.raises(ServiceError, match="There may be 1 topics"):
            await world.topics.create(Topic(name="other"))

    @pytest.mark.parametrize("arn", ["other", "arn:aws:sns:eu-west-1:123456789012:t", "", ":t"])
    async def test_one_may_be_unknown(self, world: TopicWorld, arn: str) -> None:
        with pytest.raises(ServiceError) as caught:
            world.topics.get(arn)
        assert caught.value.kind == "NotFoundException"

    async def test_deleted_its_subscriptions_go_with_it(self, world: TopicWorld) -> None:
        await world.subscribe("lambda", "f")
        await world.topics.delete(ARN)
        await world.topics.delete(ARN)
        assert (world.topics.all(), world.book.all()) == ([], [])
        await world.open()  # which makes it anew
        assert world.book.all() == []

    async def test_those_of_the_file_are_changed_there(self, world: TopicWorld) -> None:
        world.declared_topics = [Topic(name="d", declared=True)]
        await world.open()
        declared = world.topics.get("d")
        for change in (world.topics.change(declared), world.topics.delete("d")):
            with pytest.raises(ServiceError, match=r"microfaas\.toml"):
                await change
        assert world.topics.get("d") == declared

    async def test_a_change_that_is_not_kept_is_none(
        self, world: TopicWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(world.store, "commit", broken)
        for topic in (Topic(name="t", display_name="Shop"), Topic(name="new")):
            with pytest.raises(MachineError):
                await world.topics.change(topic)
        assert world.topics.all() == [Topic(name="t")]


@pytest.mark.parametrize(
    ("message", "subject", "attributes"),
    [
        ("", None, {}),
        ("m" * (topics.MESSAGE_BYTES_MAX + 1), None, {}),
        ("ä" * (topics.MESSAGE_BYTES_MAX // 2 + 1), None, {}),
        ("m" * topics.MESSAGE_BYTES_MAX, None, {"a": ("String", "b")}),
        ("m", "", {}),
        ("m", "s" * 101, {}),
        ("m", "two\nlines", {}),
    ],
)
async def test_what_sns_takes_not_is_refused(
    world: TopicWorld, message: str, subject: str | None, attributes: dict[str, tuple[str, str]]
) -> None:
    with pytest.raises(ServiceError) as caught:
        await world.publish(message, subject=subject, attributes=attributes)
    assert caught.value.kind == "InvalidParameterException"


async def test_the_largest_message_is_taken(world: TopicWorld) -> None:
    await world.publish("m" * topics.MESSAGE_BYTES_MAX, subject="ä" * 100)


async def test_a_destination_is_a_publication(world: TopicWorld) -> None:
    await world.subscribe("lambda", "f")
    batch = Batch()
    world.topics.sink(batch, "t", b'{"a": 1}', {"k": ("String", "v")})
    await world.store.commit(batch)
    told = world.bodies("function:f")[0]["Records"][0]["Sns"]
    assert told["Message"] == '{"a": 1}'
    assert told["MessageAttributes"] == {"k": {"Type": "String", "Value": "v"}}
    with pytest.raises(ServiceError):
        world.topics.sink(batch, "gone", b"", {})


async def test_a_certificate_of_another_name_is_none(world: TopicWorld) -> None:
    assert world.topics.copies.certificate("SimpleNotificationService-0.pem") is None
