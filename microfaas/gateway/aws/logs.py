"""CloudWatch Logs' operations, as far as functions, their tools and agents need them."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from microfaas.control.live_tails import LiveTails
from microfaas.control.log_groups import DAY_MS, LogGroups, StreamInfo
from microfaas.control.log_pages import EVENT_BYTES, EVENTS_MAX, EVER_MS, Event, Page, Range
from microfaas.gateway.aws import tagging
from microfaas.gateway.aws.live_tail import LiveTailApi
from microfaas.gateway.aws.logs_params import accepts, bare, prefix_of, refuse
from microfaas.gateway.aws.service import Call, Caller, Params, Service, in_turn
from microfaas.model import Address

PAGE = 50
PUT_BYTES_MAX = 1024 * 1024
# Events from the future, and from too long ago, are not taken.
AHEAD_MS_MAX = 2 * 3600 * 1000
AGE_MS_MAX = 14 * DAY_MS
_RETENTIONS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557),
    *(2922, 3288, 3653),
)
# What is kept of a group for whoever asks, and not acted on.
_TOLD = ("kmsKeyId", "logGroupClass")
_TOKEN = re.compile(r"([fb])/([0-9]{1,56})")
_BAD_TOKEN = "The specified nextToken is invalid."
T = TypeVar("T")


class LogsApi:
    """One coroutine per operation."""

    def __init__(self, groups: LogGroups, tails: LiveTails, address: Address) -> None:
        self._groups = groups
        self._prefix = prefix_of(address)
        self._live_tail = LiveTailApi(tails, address)

    def service(self) -> Service:
        return Service("logs", self._operations())

    def _operations(self) -> Mapping[str, Call]:
        changing: Mapping[str, Call] = {
            "CreateLogGroup": self._create_group,
            "PutRetentionPolicy": self._keep_for,
            "DeleteRetentionPolicy": self._keep,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            # The same for clients from before groups were tagged by their ARNs.
            "TagLogGroup": self._tag_named,
            "UntagLogGroup": self._untag_named,
        }
        return {
            **in_turn(changing),
            "DeleteLogGroup": self._delete_group,
            "DescribeLogGroups": self._describe_groups,
            "CreateLogStream": self._create_stream,
            "DeleteLogStream": self._delete_stream,
            "DescribeLogStreams": self._describe_streams,
            "PutLogEvents": self._put,
            "GetLogEvents": self._get,
            "FilterLogEvents": self._filter,
            "StartLiveTail": self._live_tail.start,
            "ListTagsForResource": self._tags,
            "ListTagsLogGroup": self._tags_named,
        }

    async def _create_group(self, _: Caller, params: Params) -> Params:
        if params.get("deletionProtectionEnabled"):
            refuse("deletionProtectionEnabled: not served by microfaas.")
        told = {key: params[key] for key in _TOLD if key in params}
        await self._groups.create(params["logGroupName"], params.get("tags", {}), told)
        return {}

    async def _delete_group(self, _: Caller, params: Params) -> Params:
        await self._groups.delete(params["logGroupName"])
        return {}

    async def _describe_groups(self, _: Caller, params: Params) -> Params:
        prefix, part = params.get("logGroupNamePrefix"), params.get("logGroupNamePattern")
        if prefix and part:
            refuse("LogGroup name prefix and LogGroup name pattern are mutually exclusive.")
        only = {self._bare(each) for each in params.get("logGroupIdentifiers", ())}
        names = [
            name
            for name in self._groups.names()
            if name.startswith(prefix or "") and (part or "") in name and (not only or name in only)
        ]
        page, more = _page(names, lambda name: [name], params)
        return {"logGroups": [self._told(name) for name in page], "nextToken": more}

    def _told(self, name: str) -> Params:
        info = self._groups.info(name)
        return {
            "logGroupName": name,
            "creationTime": info.created_ms,
            "retentionInDays": info.retention_days,
            "metricFilterCount": 0,
            "arn": f"{self._prefix}{name}:*",
            "logGroupArn": f"{self._prefix}{name}",
            "logGroupClass": "STANDARD",
            "storedBytes": info.stored_bytes,
            **info.told,
        }

    async def _keep_for(self, _: Caller, params: Params) -> Params:
        days = params["retentionInDays"]
        if days not in _RETENTIONS:
            refuse(
                f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to "
                "satisfy constraint: Member must satisfy enum value set: "
                f"[{', '.join(map(str, _RETENTIONS))}]"
            )
        await self._groups.keep_for(params["logGroupName"], days)
        return {}

    async def _keep(self, _: Caller, params: Params) -> Params:
        await self._groups.keep_for(params["logGroupName"], None)
        return {}

    async def _create_stream(self, _: Caller, params: Params) -> Params:
        await self._groups.create_stream(params["logGroupName"], params["logStreamName"])
        return {}

    async def _delete_stream(self, _: Caller, params: Params) -> Params:
        await self._groups.delete_stream(params["logGroupName"], params["logStreamName"])
        return {}

    async def _describe_streams(self, _: Caller, params: Params) -> Params:
        group, prefix = self._group(params), params.get("logStreamNamePrefix", "")
        by_time = params.get("orderBy") == "LastEventTime"
        if by_time and prefix:
            refuse("Cannot order by LastEventTime with a logStreamNamePrefix.")
        found = [each for each in await self._groups.streams(group) if each.name.startswith(prefix)]

        def order(stream: StreamInfo) -> list[Any]:
            return [stream.last_ms or 0, stream.name] if by_time else [stream.name]

        descending = params.get("descending", False)
        found.sort(key=order, reverse=descending)
        page, more = _page(found, order, params, descending=descending)
        return {"logStreams": [self._told_stream(group, each) for each in page], "nextToken": more}

    def _told_stream(self, group: str, stream: StreamInfo) -> Params:
        return {
            "logStreamName": stream.name,
            "creationTime": stream.created_ms,
            "firstEventTimestamp": stream.first_ms,
            "lastEventTimestamp": stream.last_ms,
            "lastIngestionTime": stream.came_ms,
            "uploadSequenceToken": "0",
            "arn": f"{self._prefix}{group}:log-stream:{stream.name}",
            "storedBytes": 0,  # as CloudWatch has it, for any
        }

    async def _put(self, _: Caller, params: Params) -> Params:
        events = [(each["timestamp"], each["message"]) for each in params["logEvents"]]
        _check(events)
        group = params["logGroupName"]
        now_ms = int(time.time() * 1000)
        kept_ms = max(self._groups.oldest_ms(group), now_ms - AGE_MS_MAX)
        old = sum(at_ms < kept_ms for at_ms, _ in events)
        new = sum(at_ms > now_ms + AHEAD_MS_MAX for at_ms, _ in events)
        taken = events[old : len(events) - new]
        await self._groups.put(group, params["logStreamName"], taken)
        rejected = {
            **({"tooOldLogEventEndIndex": old} if old else {}),
            **({"tooNewLogEventStartIndex": len(events) - new} if new else {}),
        }
        return {"nextSequenceToken": "0", "rejectedLogEventsInfo": rejected or None}

    async def _get(self, _: Caller, params: Params) -> Params:
        group, stream = self._group(params), params["logStreamName"]
        times = params.get("startTime", 0), params.get("endTime", EVER_MS)
        within, backward = _from_token(
            Range.of_times(*times), params, backward=not params.get("startFromHead", False)
        )
        limit = params.get("limit", EVENTS_MAX)
        page = await self._groups.page(group, within, limit, streams=[stream], backward=backward)
        forward, back = _ends(page, within, first="nextToken" not in params, backward=backward)
        events = reversed(page.events) if backward else page.events
        return {
            "events": [
                {"timestamp": each.at_ms, "message": each.message, "ingestionTime": each.came_ms}
                for each in events
            ],
            "nextForwardToken": _token("f", forward),
            "nextBackwardToken": _token("b", back),
        }

    async def _filter(self, _: Caller, params: Params) -> Params:
        group = self._group(params)
        streams, prefix = params.get("logStreamNames", ()), params.get("logStreamNamePrefix", "")
        if streams and prefix:
            refuse("logStreamNames and logStreamNamePrefix are mutually exclusive.")
        # Here the end is in it.
        times = params.get("startTime", 0), params.get("endTime", EVER_MS) + 1
        within, backward = _from_token(
            Range.of_times(*times), params, backward=not params.get("startFromHead", True)
        )
        page = await self._groups.page(
            group,
            within,
            params.get("limit", EVENTS_MAX),
            streams=streams,
            prefix=prefix,
            accepts=accepts(params.get("filterPattern", "")),
            backward=backward,
        )
        more = None if page.more is None else _token("b" if backward else "f", page.more)
        events = [_filtered(each) for each in page.events]
        return {"events": events, "searchedLogStreams": [], "nextToken": more}

    async def _tag(self, _: Caller, params: Params) -> Params:
        return await self._tagged(self._of_arn(params["resourceArn"]), params["tags"])

    async def _untag(self, _: Caller, params: Params) -> Params:
        return await self._untagged(self._of_arn(params["resourceArn"]), params["tagKeys"])

    async def _tags(self, _: Caller, params: Params) -> Params:
        return {"tags": dict(self._groups.tags(self._of_arn(params["resourceArn"])))}

    async def _tag_named(self, _: Caller, params: Params) -> Params:
        return await self._tagged(params["logGroupName"], params["tags"])

    async def _untag_named(self, _: Caller, params: Params) -> Params:
        return await self._untagged(params["logGroupName"], params["tags"])

    async def _tags_named(self, _: Caller, params: Params) -> Params:
        return {"tags": dict(self._groups.tags(params["logGroupName"]))}

    async def _tagged(self, name: str, tags: Mapping[str, str]) -> Params:
        await self._groups.tag(name, {**self._groups.tags(name), **tags})
        return {}

    async def _untagged(self, name: str, keys: Iterable[str]) -> Params:
        await self._groups.tag(name, tagging.without(self._groups.tags(name), keys))
        return {}

    def _group(self, params: Params) -> str:
        name, identifier = params.get("logGroupName"), params.get("logGroupIdentifier", "")
        if (name is None) == (not identifier):
            refuse("Exactly one of logGroupName and logGroupIdentifier must be given.")
        group = self._bare(name or identifier)
        self._groups.need(group)
        return group

    def _bare(self, identifier: str) -> str:
        """A group by its name or its ARN, as a name."""
        return bare(identifier, self._prefix)

    def _of_arn(self, arn: str) -> str:
        if not arn.startswith(self._prefix):
            refuse(f"{arn} is not the ARN of a log group here: they begin with {self._prefix}")
        return self._bare(arn)


def _check(events: list[tuple[int, str]]) -> None:
    """Raises ServiceError for a batch that CloudWatch would not take."""
    size = sum(len(text.encode(errors="replace")) + EVENT_BYTES for _, text in events)
    if size > PUT_BYTES_MAX:
        refuse(f"Upload too large: {size} bytes exceeds limit of {PUT_BYTES_MAX}")
    times = [at_ms for at_ms, _ in events]
    if times != sorted(times):
        refuse("Log events in a single PutLogEvents request must be in chronological order.")
    if times[-1] - times[0] > DAY_MS:
        text = "The batch of log events in a single PutLogEvents request cannot span more than"
        refuse(f"{text} 24 hours.")


def _filtered(event: Event) -> Params:
    return {
        "logStreamName": event.stream,
        "timestamp": event.at_ms,
        "message": event.message,
        "ingestionTime": event.came_ms,
        "eventId": f"{event.place:056}",
    }


def _token(way: str, place: int) -> str:
    return f"{way}/{place:056}"


def _from_token(within: Range, params: Params, *, backward: bool) -> tuple[Range, bool]:
    """What is left of a range where a page ended, and in which direction it is read."""
    token = params.get("nextToken")
    if token is None:
        return within, backward
    match = _TOKEN.fullmatch(token)
    if match is None:
        refuse(_BAD_TOKEN)
    place = int(match[2])
    if match[1] == "f":
        return Range(max(within.start, place), within.end), False
    return Range(within.start, min(within.end, place)), True


def _ends(page: Page, within: Range, *, first: bool, backward: bool) -> tuple[int, int]:
    """Where it goes on from a page, forward and backward. Where nothing is left, the place stays:
    by that clients know."""
    places = [event.place for event in page.events]
    here = within.end if backward else within.start
    # Of a stream that is empty as yet, what comes is still to be seen.
    forward = max(places) + 1 if places else within.start if first else here
    back = min(places, default=here)
    if page.more is not None:
        return (forward, page.more) if backward else (page.more, back)
    return forward, back


def _page(
    rows: Iterable[T],
    key: Callable[[T], list[Any]],
    params: Params,
    *,
    descending: bool = False,
) -> tuple[list[T], str | None]:
    """One page of rows in the order of their keys; and a token for the next."""
    rows = list(rows)
    if (token := params.get("nextToken")) is not None:
        after = _key(token)
        try:
            rows = [row for row in rows if (key(row) < after if descending else key(row) > after)]
        except TypeError:  # it is another list's
            refuse(_BAD_TOKEN)
    size = params.get("limit", PAGE)
    if len(rows) <= size:
        return rows, None
    return rows[:size], base64.b64encode(msgspec.json.encode(key(rows[size - 1]))).decode()


def _key(token: str) -> list[Any]:
    try:
        found: list[Any] = msgspec.json.decode(base64.b64decode(token, validate=True), type=list)
    except (ValueError, RecursionError):
        refuse(_BAD_TOKEN)
    return found
