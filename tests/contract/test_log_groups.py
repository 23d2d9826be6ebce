"""CloudWatch Logs with boto3: functions' logs, and groups that clients make."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from account_world import Client, World, key_of_function, listening

from microfaas.control import log_pages
from microfaas.log import path_of

GROUP = "/aws/lambda/f"
ARN = f"arn:aws:logs:eu-west-1:123456789012:log-group:{GROUP}"
NO_GROUP = (400, "ResourceNotFoundException", "The specified log group does not exist.")
NO_STREAM = (400, "ResourceNotFoundException", "The specified log stream does not exist.")
DAY_MS = 86_400_000


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with listening(tmp_path) as made:
        yield made


@pytest.fixture
def logs(world: World) -> Client:
    return world.client("logs")


def now_ms() -> int:
    return int(time.time() * 1000)


def messages(answer: Any) -> list[str]:
    return [event["message"] for event in answer["events"]]


async def filtered(logs: Client, group: str = GROUP, **how: Any) -> list[str]:
    """The messages of all pages."""
    pages = await logs.pages("filter_log_events", logGroupName=group, **how)
    return [text for page in pages for text in messages(page)]


async def own(logs: Client, *texts: str, stream: str = "s", at_ms: int | None = None) -> None:
    """Put events a millisecond apart into the group `mine`."""
    start = now_ms() - 1000 if at_ms is None else at_ms
    events = [{"timestamp": start + n, "message": text} for n, text in enumerate(texts)]
    await logs.put_log_events(logGroupName="mine", logStreamName=stream, logEvents=events)


@pytest.fixture
async def mine(logs: Client) -> Client:
    """There is a group `mine` with a stream `s`."""
    await logs.create_log_group(logGroupName="mine")
    await logs.create_log_stream(logGroupName="mine", logStreamName="s")
    return logs


# What functions print


async def test_a_functions_log_is_a_group(world: World, logs: Client) -> None:
    assert (await logs.describe_log_groups())["logGroups"] == []
    at_ms = now_ms()
    world.printed("f", "a", "hello", at_ms=at_ms)
    (group,) = (await logs.describe_log_groups())["logGroups"]
    assert group["logGroupName"] == GROUP
    assert (group["arn"], group["logGroupArn"]) == (f"{ARN}:*", ARN)
    assert group["storedBytes"] == os.path.getsize(path_of(str(world.directory), "f"))
    assert group["creationTime"] == at_ms
    assert "retentionInDays" not in group


async def test_each_process_is_a_stream(world: World, logs: Client) -> None:
    first = world.printed("f", "a", "one", "two", at_ms=1_795_473_060_000)
    second = world.printed("f", "b", "three", at_ms=1_795_473_061_000)
    found = await logs.describe_log_streams(logGroupName=GROUP)
    times = {each["logStreamName"]: each for each in found["logStreams"]}
    assert sorted(times) == sorted([first, second])
    assert times[first]["firstEventTimestamp"] == 1_795_473_060_000
    assert times[first]["lastEventTimestamp"] == 1_795_473_060_001
    assert times[second]["arn"] == f"{ARN}:log-stream:{second}"
    events = await logs.get_log_events(logGroupName=GROUP, logStreamName=first)
    assert messages(events) == ["one\n", "two\n"]
    assert events["events"][0]["timestamp"] == 1_795_473_060_000


async def test_all_streams_are_told_in_the_order_of_time(world: World, logs: Client) -> None:
    one = world.printed("f", "a", "1", "3", at_ms=1_795_473_060_000)
    two = world.printed("f", "b", "2", "4", at_ms=1_795_473_060_001)
    found = await logs.filter_log_events(logGroupName=GROUP)
    assert messages(found) == ["1\n", "3\n", "2\n", "4\n"]
    ids = [event["eventId"] for event in found["events"]]
    assert ids == sorted(set(ids))
    assert all(len(each) == 56 for each in ids)
    only = {"logStreamNames": [two]}
    assert await filtered(logs, **only) == ["2\n", "4\n"]
    assert await filtered(logs, logStreamNamePrefix=one) == ["1\n", "3\n"]
    again = await logs.filter_log_events(logGroupIdentifier=ARN, **only)
    assert [event["eventId"] for event in again["events"]] == [ids[2], ids[3]]


async def test_times_bound_what_is_told(world: World, logs: Client) -> None:
    start = 1_795_473_060_000
    stream = world.printed("f", "a", *"01234", at_ms=start)
    bounds = {"startTime": start + 1, "endTime": start + 3}
    # As on AWS: the end is in the one, and not in the other.
    assert await filtered(logs, **bounds) == ["1\n", "2\n", "3\n"]
    found = await logs.get_log_events(logGroupName=GROUP, logStreamName=stream, **bounds)
    assert messages(found) == ["1\n", "2\n"]
    assert await filtered(logs, endTime=10**18) == [f"{n}\n" for n in range(5)]


async def test_a_pattern_says_what_is_wanted(world: World, logs: Client) -> None:
    world.printed("f", "a", "an ERROR", "all well", '{"level": "ERROR", "ms": 5}', "ERROR quiet")
    assert await filtered(logs, filterPattern="ERROR -quiet") == [
        "an ERROR\n",
        '{"level": "ERROR", "ms": 5}\n',
    ]
    found = await filtered(logs, filterPattern='{ $.level = "ERR*" && $.ms > 3 }')
    assert found == ['{"level": "ERROR", "ms": 5}\n']
    refused = await logs.refused("filter_log_events", logGroupName=GROUP, filterPattern="{ $.a }")
    assert refused[:2] == (400, "InvalidParameterException")
    assert refused[2].startswith("Invalid filter pattern: behind a name")


async def test_pages_of_a_filter_have_each_event_once(world: World, logs: Client) -> None:
    texts = [f"{n:03}" for n in range(100)]
    world.printed("f", "a", *texts[:50], bytes_max=700)
    world.printed("g", "b", *texts[50:], bytes_max=700)
    world.group_of["g"] = GROUP
    found = await filtered(logs, PaginationConfig={"PageSize": 7}, filterPattern="-007")
    assert sorted(found) == [f"{each}\n" for each in texts if each != "007"]


async def test_the_latest_may_come_first(world: World, logs: Client) -> None:
    world.printed("f", "a", *"01234")
    how = {"startFromHead": False, "limit": 2}
    first = await logs.filter_log_events(logGroupName=GROUP, **how)
    assert messages(first) == ["4\n", "3\n"]
    token = {"nextToken": first["nextToken"]}
    assert messages(await logs.filter_log_events(logGroupName=GROUP, **how, **token)) == [
        "2\n",
        "1\n",
    ]


async def test_a_page_looks_through_so_much_and_says_where_it_is(
    world: World, logs: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_pages, "LOOK_BYTES_MAX", 64 * 1024)
    world.printed("f", "a", *(f"{n:04} {'x' * 2000}" for n in range(300)), "the needle")
    pages = await logs.pages("filter_log_events", logGroupName=GROUP, filterPattern="needle")
    assert len(pages) > 3
    assert [messages(page) for page in pages] == [[]] * (len(pages) - 1) + [["the needle\n"]]


async def test_a_stream_is_read_from_its_end_or_its_head(world: World, logs: Client) -> None:
    stream = world.printed("f", "a", *"012345678")
    at = {"logGroupName": GROUP, "logStreamName": stream, "limit": 4}
    last = await logs.get_log_events(**at)
    assert messages(last) == ["5\n", "6\n", "7\n", "8\n"]
    before = await logs.get_log_events(**at, nextToken=last["nextBackwardToken"])
    assert messages(before) == ["1\n", "2\n", "3\n", "4\n"]
    head = await logs.get_log_events(**at, startFromHead=True)
    assert messages(head) == ["0\n", "1\n", "2\n", "3\n"]
    after = await logs.get_log_events(**at, nextToken=head["nextForwardToken"], startFromHead=True)
    assert messages(after) == ["4\n", "5\n", "6\n", "7\n"]
    back = await logs.get_log_events(**at, nextToken=after["nextBackwardToken"])
    assert messages(back) == ["0\n", "1\n", "2\n", "3\n"]


async def test_at_the_end_the_token_stays_until_there_is_more(world: World, logs: Client) -> None:
    stream = world.printed("f", "a", "1", "2")
    at = {"logGroupName": GROUP, "logStreamName": stream, "startFromHead": True}
    first = await logs.get_log_events(**at)
    token = first["nextForwardToken"]
    for _ in range(2):
        again = await logs.get_log_events(**at, nextToken=token)
        assert (messages(again), again["nextForwardToken"]) == ([], token)
    world.printed("f", "a", "3")
    assert messages(await logs.get_log_events(**at, nextToken=token)) == ["3\n"]
    back = await logs.get_log_events(**at, nextToken=first["nextBackwardToken"])
    assert (messages(back), back["nextBackwardToken"]) == ([], first["nextBackwardToken"])


async def test_streams_are_listed_by_the_page(world: World, logs: Client) -> None:
    names = {
        p: world.printed("f", p, "x", at_ms=1_795_473_060_000 + n) for n, p in enumerate("cab")
    }

    async def listed(**how: Any) -> list[str]:
        pages = await logs.pages(
            "describe_log_streams", logGroupName=GROUP, PaginationConfig={"PageSize": 2}, **how
        )
        assert [len(page["logStreams"]) for page in pages] == [2, 1]
        return [each["logStreamName"] for page in pages for each in page["logStreams"]]

    assert await listed() == [names[p] for p in "abc"]
    assert await listed(descending=True) == [names[p] for p in "cba"]
    assert await listed(orderBy="LastEventTime") == [names[p] for p in "cab"]
    assert await listed(orderBy="LastEventTime", descending=True) == [names[p] for p in "bac"]
    assert await logs.refused(
        "describe_log_streams",
        logGroupName=GROUP,
        orderBy="LastEventTime",
        logStreamNamePrefix="2",
    ) == (
        400,
        "InvalidParameterException",
        "Cannot order by LastEventTime with a logStreamNamePrefix.",
    )


async def test_functions_may_share_a_group(world: World, logs: Client) -> None:
    world.group_of |= {"f": "shop", "g": "shop"}
    world.printed("f", "a", "of f", at_ms=1_795_473_060_000)
    world.printed("g", "b", "of g", at_ms=1_795_473_060_001)
    groups = (await logs.describe_log_groups())["logGroups"]
    assert [group["logGroupName"] for group in groups] == ["shop"]
    assert await filtered(logs, "shop") == ["of f\n", "of g\n"]


async def test_a_group_that_is_deleted_is_made_anew_by_its_function(
    world: World, logs: Client
) -> None:
    stream = world.printed("f", "a", *(f"old {n}" for n in range(99)), bytes_max=500)
    await logs.delete_log_group(logGroupName=GROUP)
    assert await logs.refused("delete_log_group", logGroupName=GROUP) == NO_GROUP
    assert await logs.refused("filter_log_events", logGroupName=GROUP) == NO_GROUP
    world.logs["f"].write(b"2026-11-23T22:31:00.000Z aaaaaaaa\tnew\n")
    world.logs["f"].flush()
    found = await logs.filter_log_events(logGroupName=GROUP)
    assert messages(found) == ["new\n"]
    assert found["events"][0]["logStreamName"] == stream


async def test_nothing_is_left_of_a_group_whose_function_is_gone(
    world: World, logs: Client
) -> None:
    world.printed("gone", "a", *(f"old {n}" for n in range(99)), bytes_max=500)
    folder = Path(world.logs["gone"].path).parent
    assert list(folder.glob("gone*"))
    await logs.delete_log_group(logGroupName="/aws/lambda/gone")
    assert not list(folder.glob("gone*"))


async def test_what_is_past_its_retention_is_not_told_and_removed(
    world: World, logs: Client
) -> None:
    world.printed("f", "a", *(f"old {n}" for n in range(20)), at_ms=now_ms() - 3 * DAY_MS)
    path = path_of(str(world.directory), "f")
    os.replace(path, f"{path}.1")
    past_s = time.time() - 3 * 86_400
    os.utime(f"{path}.1", (past_s, past_s))
    world.printed("f", "a", "late", at_ms=now_ms() - 2 * DAY_MS)
    world.printed("f", "b", "new")
    await logs.put_retention_policy(logGroupName=GROUP, retentionInDays=1)
    assert await filtered(logs) == ["new\n"]
    assert len((await logs.describe_log_streams(logGroupName=GROUP))["logStreams"]) == 1
    assert not os.path.exists(f"{path}.1")
    groups = (await logs.describe_log_groups())["logGroups"]
    assert groups[0]["retentionInDays"] == 1
    await logs.delete_retention_policy(logGroupName=GROUP)
    assert await filtered(logs) == ["late\n", "new\n"]
    wrong = await logs.refused("put_retention_policy", logGroupName=GROUP, retentionInDays=2)
    assert wrong[1] == "InvalidParameterException"
    assert "Value '2' at 'retentionInDays'" in wrong[2]


async def test_a_functions_stream_is_not_deleted_alone(world: World, logs: Client) -> None:
    stream = world.printed("f", "a", "x")
    at = {"logGroupName": GROUP, "logStreamName": stream}
    assert (await logs.refused("delete_log_stream", **at))[1] == "OperationAbortedException"
    assert (await logs.refused("create_log_stream", **at))[1] == "ResourceAlreadyExistsException"


# What clients put


async def test_a_functions_own_key_puts_events_and_reads_them(world: World, mine: Client) -> None:
    logs = world.client("logs", key_of_function("f"))
    await logs.create_log_stream(logGroupName="mine", logStreamName="t")
    await own(logs, "x", stream="t")
    assert await filtered(logs, "mine") == ["x"]
    for name in ("create_log_group", "delete_log_group"):
        refused = await logs.refused(name, logGroupName="mine")
        assert refused[1] == "AccessDeniedException"


async def test_events_are_put_and_read(mine: Client) -> None:
    await own(mine, "one\ntwo", "three")
    await own(mine, "earlier", at_ms=now_ms() - 60_000)
    found = await mine.filter_log_events(logGroupName="mine")
    assert messages(found) == ["earlier", "one\ntwo", "three"]
    assert len({event["eventId"] for event in found["events"]}) == 3
    stream = await mine.get_log_events(logGroupName="mine", logStreamName="s", limit=2)
    assert messages(stream) == ["one\ntwo", "three"]
    (told,) = (await mine.describe_log_streams(logGroupName="mine"))["logStreams"]
    assert told["firstEventTimestamp"] == found["events"][0]["timestamp"]
    assert told["lastIngestionTime"] >= told["lastEventTimestamp"]
    (group,) = (await mine.describe_log_groups())["logGroups"]
    assert group["storedBytes"] == len("one\ntwothreeearlier")


async def test_events_are_of_their_stream(mine: Client) -> None:
    await mine.create_log_stream(logGroupName="mine", logStreamName="t")
    await own(mine, "a", "b")
    await own(mine, "c", stream="t")
    for stream, texts in (("s", ["a", "b"]), ("t", ["c"])):
        at = {"logGroupName": "mine", "logStreamName": stream}
        assert messages(await mine.get_log_events(**at)) == texts
        assert await filtered(mine, "mine", logStreamNames=[stream]) == texts
    assert await filtered(mine, "mine", logStreamNames=["s", "t"]) == ["a", "b", "c"]
    missing = await mine.refused(
        "filter_log_events", logGroupName="mine", logStreamNames=["s", "none"]
    )
    assert missing == NO_STREAM


async def test_pages_of_many_events_have_each_once(mine: Client) -> None:
    texts = [f"{n:04}" for n in range(2500)]
    for start in range(0, 2500, 500):
        await own(mine, *texts[start : start + 500])
    assert sorted(await filtered(mine, "mine")) == texts
    small = await filtered(mine, "mine", PaginationConfig={"PageSize": 300})
    assert sorted(small) == texts
    at = {"logGroupName": "mine", "logStreamName": "s"}
    found, token = [], ""
    while True:
        page = await mine.get_log_events(**at, **({"nextToken": token} if token else {}))
        if page["nextBackwardToken"] == token:
            break
        token = page["nextBackwardToken"]
        found = messages(page) + found
    assert found == await filtered(mine, "mine")


async def test_a_group_that_has_too_much_loses_the_oldest(mine: Client) -> None:
    for number in range(15):
        await own(mine, *(f"{number:02} {n:02} {'x' * 394}" for n in range(20)))
    found = await filtered(mine, "mine")
    assert 100 < len(found) <= 250
    assert found[-1].startswith("14 19")
    kept = (await mine.describe_log_groups())["logGroups"][0]["storedBytes"]
    assert kept == 400 * len(found)


async def test_events_of_another_age_are_not_taken(mine: Client) -> None:
    now = now_ms()
    at = {"logGroupName": "mine", "logStreamName": "s"}
    answer = await mine.put_log_events(
        **at, logEvents=[{"timestamp": now - 15 * DAY_MS, "message": "x"}]
    )
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    events = [{"timestamp": at_ms, "message": "x"} for at_ms in (now, now + 3 * 3_600_000)]
    answer = await mine.put_log_events(**at, logEvents=events)
    assert answer["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}
    assert await filtered(mine, "mine") == ["x"]


@pytest.mark.parametrize(
    ("times", "size", "text"),
    [
        ((2, 1), 1, "must be in chronological order"),
        ((0, DAY_MS + 1), 1, "cannot span more than 24 hours"),
        ((0, 1), 600_000, "Upload too large: 1200052 bytes exceeds limit of 1048576"),
    ],
)
async def test_what_is_no_batch_is_refused(
    mine: Client, times: tuple[int, ...], size: int, text: str
) -> None:
    start = now_ms() - 2 * DAY_MS
    refused = await mine.refused(
        "put_log_events",
        logGroupName="mine",
        logStreamName="s",
        logEvents=[{"timestamp": start + each, "message": "x" * size} for each in times],
    )
    assert refused[1] == "InvalidParameterException"
    assert text in refused[2]


async def test_what_is_not_there_is_not_found(mine: Client) -> None:
    event = [{"timestamp": now_ms(), "message": "x"}]
    stream = {"logGroupName": "mine", "logStreamName": "none"}
    group = {"logGroupName": "none", "logStreamName": "s"}
    for name, more in (("put_log_events", {"logEvents": event}), ("get_log_events", {})):
        assert await mine.refused(name, **stream, **more) == NO_STREAM
        assert await mine.refused(name, **group, **more) == NO_GROUP
    assert await mine.refused("delete_log_stream", **stream) == NO_STREAM
    assert await mine.refused("create_log_stream", **group) == NO_GROUP
    assert await mine.refused("describe_log_streams", logGroupName="none") == NO_GROUP


async def test_what_is_there_is_not_made_again(mine: Client) -> None:
    assert await mine.refused("create_log_group", logGroupName="mine") == (
        400,
        "ResourceAlreadyExistsException",
        "The specified log group already exists",
    )
    stream = {"logGroupName": "mine", "logStreamName": "s"}
    refused = await mine.refused("create_log_stream", **stream)
    assert refused[1:] == (
        "ResourceAlreadyExistsException",
        "The specified log stream already exists",
    )


async def test_streams_and_groups_go_with_their_events(mine: Client) -> None:
    await own(mine, "a")
    at = {"logGroupName": "mine", "logStreamName": "s"}
    await mine.delete_log_stream(**at)
    await mine.create_log_stream(**at)
    assert await filtered(mine, "mine") == []
    await own(mine, "b")
    await mine.delete_log_group(logGroupName="mine")
    await mine.create_log_group(logGroupName="mine")
    assert (await mine.describe_log_streams(logGroupName="mine"))["logStreams"] == []
    assert await filtered(mine, "mine") == []


async def test_a_stream_that_is_empty_is_waited_at(mine: Client) -> None:
    at = {"logGroupName": "mine", "logStreamName": "s"}
    token = (await mine.get_log_events(**at))["nextForwardToken"]
    await own(mine, "first")
    assert messages(await mine.get_log_events(**at, nextToken=token)) == ["first"]


async def test_a_group_may_have_a_functions_events_and_others(world: World, mine: Client) -> None:
    world.group_of["f"] = "mine"
    at_ms = now_ms() - 1000
    world.printed("f", "a", "1", "3", at_ms=at_ms)
    await own(mine, "2", "4", at_ms=at_ms)
    found = await filtered(mine, "mine")
    assert sorted(found) == ["1\n", "2", "3\n", "4"]
    assert {found.index("1\n"), found.index("2")} == {0, 1}


async def test_groups_are_listed_by_prefix_by_part_and_by_the_page(logs: Client) -> None:
    for name in ("a/x", "a/y", "b/x"):
        await logs.create_log_group(logGroupName=name)

    async def listed(**how: Any) -> list[str]:
        pages = await logs.pages("describe_log_groups", **how)
        return [group["logGroupName"] for page in pages for group in page["logGroups"]]

    assert await listed(PaginationConfig={"PageSize": 1}) == ["a/x", "a/y", "b/x"]
    assert await listed(logGroupNamePrefix="a/") == ["a/x", "a/y"]
    assert await listed(logGroupNamePattern="/x") == ["a/x", "b/x"]
    refused = await logs.refused(
        "describe_log_groups", logGroupNamePrefix="a", logGroupNamePattern="b/x"
    )
    assert refused[1] == "InvalidParameterException"


async def test_what_is_not_acted_on_is_told_and_what_cannot_be_is_refused(logs: Client) -> None:
    told = {"logGroupClass": "INFREQUENT_ACCESS", "kmsKeyId": "arn:aws:kms:r:1:key/k"}
    await logs.create_log_group(logGroupName="mine", **told)
    (group,) = (await logs.describe_log_groups())["logGroups"]
    assert {key: group[key] for key in told} == told
    refused = await logs.refused(
        "create_log_group", logGroupName="other", deletionProtectionEnabled=True
    )
    assert refused[1:] == (
        "InvalidParameterException",
        "deletionProtectionEnabled: not served by microfaas.",
    )


async def test_a_group_has_tags(world: World, logs: Client) -> None:
    await logs.create_log_group(logGroupName="mine", tags={"a": "1"})
    arn = ARN.replace(GROUP, "mine")
    await logs.tag_resource(resourceArn=arn, tags={"b": "2"})
    await logs.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert (await logs.list_tags_for_resource(resourceArn=arn))["tags"] == {"b": "2"}
    world.printed("f", "a", "x")
    await logs.tag_resource(resourceArn=ARN, tags={"c": "3"})
    assert (await logs.list_tags_for_resource(resourceArn=ARN))["tags"] == {"c": "3"}
    await logs.tag_log_group(logGroupName=GROUP, tags={"d": "4"})
    await logs.untag_log_group(logGroupName=GROUP, tags=["c"])
    assert (await logs.list_tags_log_group(logGroupName=GROUP))["tags"] == {"d": "4"}
    assert await logs.refused("list_tags_log_group", logGroupName="no") == NO_GROUP


async def test_changes_at_the_same_time_are_all_made(logs: Client) -> None:
    await logs.create_log_group(logGroupName="mine")
    tags = {str(number): "" for number in range(8)}
    await asyncio.gather(
        *(logs.tag_log_group(logGroupName="mine", tags={name: ""}) for name in tags),
        logs.put_retention_policy(logGroupName="mine", retentionInDays=7),
    )
    assert (await logs.list_tags_log_group(logGroupName="mine"))["tags"] == tags
    [told] = (await logs.describe_log_groups())["logGroups"]
    assert told["retentionInDays"] == 7


@pytest.mark.parametrize("token", ["x", "f/12x", "f/" + "9" * 57])
async def test_a_token_is_one_that_was_given(mine: Client, token: str) -> None:
    refused = await mine.refused("filter_log_events", logGroupName="mine", nextToken=token)
    assert refused == (400, "InvalidParameterException", "The specified nextToken is invalid.")
    listed = await mine.refused("describe_log_groups", nextToken=token)
    assert listed[2] == "The specified nextToken is invalid."


async def test_what_was_put_is_there_after_a_restart(tmp_path: Path) -> None:
    async with listening(tmp_path) as world:
        logs = world.client("logs")
        await logs.create_log_group(logGroupName="mine")
        await logs.create_log_stream(logGroupName="mine", logStreamName="s")
        await own(logs, "kept")
        stream = world.printed("f", "a", "kept, too")
    async with listening(tmp_path) as world:
        logs = world.client("logs")
        assert await filtered(logs, "mine") == ["kept"]
        found = await logs.filter_log_events(logGroupName=GROUP)
        assert found["events"][0]["logStreamName"] == stream
