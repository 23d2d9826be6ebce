"""StartLiveTail with boto3: what comes after the start is told, once, and not more than may be."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from account_world import Client, World, key_of_function, listening
from botocore.exceptions import EventStreamError
from lane_world import PATIENCE_S

from microfaas.control import live_tails

GROUP = "/aws/lambda/f"
PREFIX = "arn:aws:logs:eu-west-1:123456789012:log-group:"
A, B = "a", "b"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with listening(tmp_path) as made:
        # So there is the group.
        made.printed("f", A, "old")
        yield made


@pytest.fixture
def logs(world: World) -> Client:
    return world.client("logs", inject_host_prefix=False)


class Session:
    """One that has begun."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._events = iter(stream)

    async def next(self) -> tuple[str, Any]:
        """The name of the next event, and what it says; no name when the stream ends."""
        async with asyncio.timeout(PATIENCE_S):
            event = await asyncio.to_thread(next, self._events, {"": None})
        return next(iter(event.items()))

    async def events(self, count: int) -> list[Any]:
        """So many of the events of logs, or more if they come at once."""
        found: list[Any] = []
        while len(found) < count:
            kind, update = await self.next()
            assert kind == "sessionUpdate"
            found += update["sessionResults"]
        return found

    async def messages(self, count: int) -> list[str]:
        return [event["message"] for event in await self.events(count)]

    def close(self) -> None:
        self._stream.close()


async def started(logs: Client, *groups: str, **how: Any) -> tuple[Session, Any]:
    """A session, and with what it began."""
    identifiers = [PREFIX + group for group in groups or [GROUP]]
    answer = await logs.start_live_tail(logGroupIdentifiers=identifiers, **how)
    session = Session(answer["responseStream"])
    kind, begun = await session.next()
    assert kind == "sessionStart"
    return session, begun


async def test_what_a_function_prints_is_told_from_then_on(world: World, logs: Client) -> None:
    session, begun = await started(logs, logEventFilterPattern="-secret")
    assert begun["logGroupIdentifiers"] == [f"123456789012:{GROUP}"]
    assert begun["logEventFilterPattern"] == "-secret"
    assert begun["requestId"]
    assert begun["sessionId"]
    kind, update = await session.next()
    assert (kind, update) == (
        "sessionUpdate",
        {"sessionMetadata": {"sampled": False}, "sessionResults": []},
    )
    at_ms = int(time.time() * 1000)
    stream = world.printed("f", A, "one", "a secret", "two", at_ms=at_ms)
    first, second = await session.events(2)
    assert first == {
        "logStreamName": stream,
        "logGroupIdentifier": f"123456789012:{GROUP}",
        "message": "one\n",
        "timestamp": at_ms,
        "ingestionTime": at_ms,
    }
    assert second["message"] == "two\n"
    session.close()


async def test_late_lines_and_files_that_turn_over_are_not_missed(
    world: World, logs: Client
) -> None:
    session, _ = await started(logs)
    for number in range(40):
        world.printed("f", A, f"{number} {'x' * 100}", at_ms=1_795_473_060_000, bytes_max=1000)
        await asyncio.sleep(0.01)
    numbers = [text.split()[0] for text in await session.messages(40)]
    assert numbers == [str(number) for number in range(40)]
    session.close()


async def test_a_function_that_has_not_printed_yet_is_told_from_its_first_line_on(
    world: World, logs: Client
) -> None:
    world.group_of |= {"old": "other", "new": GROUP}
    world.printed("old", A, "before")
    session, _ = await started(logs)
    world.printed("new", B, "first")
    assert await session.messages(1) == ["first\n"]
    world.group_of["old"] = GROUP  # of that one, only what comes
    await session.next()
    await session.next()
    world.printed("old", A, "after")
    assert await session.messages(1) == ["after\n"]
    session.close()


async def test_events_of_clients_are_told_of_several_groups(world: World, logs: Client) -> None:
    for group in ("mine", "yours", "others"):
        await logs.create_log_group(logGroupName=group)
        await logs.create_log_stream(logGroupName=group, logStreamName="s")
    session, _ = await started(logs, "mine", "yours")
    at_ms = int(time.time() * 1000)
    for number, group in enumerate(("yours", "others", "mine")):
        events = [{"timestamp": at_ms - number, "message": group}]
        await logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    found = await session.events(2)
    assert {(each["message"], each["logGroupIdentifier"]) for each in found} == {
        ("mine", "123456789012:mine"),
        ("yours", "123456789012:yours"),
    }
    session.close()


async def test_streams_are_chosen_by_name_or_by_prefix(world: World, logs: Client) -> None:
    stream = world.printed("f", A, "before")
    named, _ = await started(logs, logStreamNames=[stream])
    begins, _ = await started(logs, logStreamNamePrefixes=[stream[:-20], "x"])
    world.printed("f", B, "another's")
    world.printed("f", A, "its own")
    assert await named.messages(1) == ["its own\n"]
    assert await begins.messages(1) == ["its own\n"]
    named.close()
    begins.close()


async def test_of_too_much_there_is_a_sample(world: World, logs: Client) -> None:
    session, _ = await started(logs)
    text = "\n".join(f"2026-11-28T21:03:29.{n % 1000:03}Z aaaaaaaa\tline {n}" for n in range(5000))
    with (world.directory / "logs" / "f.log").open("a") as file:
        file.write(f"{text}\n")
    _, update = await session.next()
    while not update["sessionResults"]:
        _, update = await session.next()
    assert update["sessionMetadata"] == {"sampled": True}
    assert len(update["sessionResults"]) == live_tails.EVENTS_MAX
    times = [each["timestamp"] for each in update["sessionResults"]]
    assert times == sorted(times)
    session.close()


async def test_who_leaves_is_forgotten(world: World, logs: Client) -> None:
    session, _ = await started(logs)
    assert world.tails.followers == 1
    session.close()
    deadline = time.monotonic() + PATIENCE_S
    while world.tails.followers and time.monotonic() < deadline:  # noqa: ASYNC110  # of a test
        await asyncio.sleep(0.01)
    assert world.tails.followers == 0


async def test_who_reads_nothing_holds_nobody_up_and_may_leave(world: World, logs: Client) -> None:
    stuck = world.client("logs", inject_host_prefix=False)
    answer = await stuck.start_live_tail(logGroupIdentifiers=[PREFIX + GROUP])
    assert world.tails.followers == 1
    other, _ = await started(logs)
    # More than sockets hold.
    for number in range(40):
        world.printed("f", A, *(f"{number} {'x' * 20_000}" for _ in range(50)), bytes_max=10**8)
        seen = await other.messages(1)
        assert seen[-1].startswith(f"{number} ")
    other.close()
    answer["responseStream"].close()
    deadline = time.monotonic() + PATIENCE_S
    while world.tails.followers and time.monotonic() < deadline:  # noqa: ASYNC110  # of a test
        await asyncio.sleep(0.01)
    assert world.tails.followers == 0


async def test_the_prefix_of_sdks_may_stand_before_the_host(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo

    def resolved(host: str, *rest: Any, **more: Any) -> Any:
        asked.append(host)
        return look_up("127.0.0.1" if host.endswith("localhost") else host, *rest, **more)

    asked: list[str] = []
    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    world.url = world.url.replace("127.0.0.1", "localhost")
    session, _ = await started(world.client("logs"))
    assert asked == ["stream-localhost"]
    session.close()


async def test_a_session_ends_with_its_time_and_with_the_server(world: World, logs: Client) -> None:
    session, _ = await started(logs)
    world.tails.close()
    while (await session.next())[0]:
        pass
    world.tails._closing.clear()
    world.tails.session_s_max = 0.0
    session, _ = await started(logs)
    with pytest.raises(EventStreamError, match="SessionTimeoutException"):
        await session.next()


async def test_there_may_be_so_many(
    world: World, logs: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_tails, "SESSIONS_MAX", 1)
    session, _ = await started(logs)
    status, kind, _ = await logs.refused("start_live_tail", logGroupIdentifiers=[PREFIX + GROUP])
    assert (status, kind) == (400, "LimitExceededException")
    session.close()


@pytest.mark.parametrize(
    ("params", "kind", "what"),
    [
        ({"logGroupIdentifiers": [PREFIX + "none"]}, "ResourceNotFoundException", "The specified"),
        ({"logStreamNames": ["a"], "logStreamNamePrefixes": ["b"]}, "", "logStreamNames and"),
        (
            {"logGroupIdentifiers": [PREFIX + GROUP, PREFIX + "b"], "logStreamNames": ["a"]},
            *("", "If you specify logStreamNames"),
        ),
        ({"logEventFilterPattern": "{"}, "", "Invalid filter pattern"),
        ({"logGroupIdentifiers": [PREFIX + GROUP] * 11}, "", "1 validation error detected"),
    ],
)
async def test_what_is_refused(logs: Client, params: dict[str, Any], kind: str, what: str) -> None:
    asked = {"logGroupIdentifiers": [PREFIX + GROUP], **params}
    status, found, text = await logs.refused("start_live_tail", **asked)
    assert (status, found) == (400, kind or "InvalidParameterException")
    assert text.startswith(what)


async def test_a_functions_own_key_may_follow(world: World) -> None:
    own = world.client("logs", key_of_function("f"), inject_host_prefix=False)
    session, _ = await started(own)
    session.close()
