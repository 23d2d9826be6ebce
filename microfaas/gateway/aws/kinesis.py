"""Kinesis's operations over the streams of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import msgspec

from microfaas.errors import ServiceError
from microfaas.gateway.aws import tagging
from microfaas.gateway.aws.service import Call, Caller, Params, Service, in_turn
from microfaas.messaging import stream_numbers as numbers
from microfaas.messaging.stream_shard import Entry, Shard
from microfaas.messaging.streams import RECORD_BYTES_MAX, Put, Stream, Streams
from microfaas.store.streams import Record

PAGE = 100
PUT_BYTES_MAX = 5 * 1024 * 1024
TAGS_MAX = 50
HOUR_S = 3600
RETENTION_H = range(24, 8761)


class KinesisApi:
    """One coroutine per operation."""

    def __init__(self, owned: Streams) -> None:
        self._streams = owned

    def service(self) -> Service:
        changing: Mapping[str, Call] = {
            "IncreaseStreamRetentionPeriod": self._increase,
            "DecreaseStreamRetentionPeriod": self._decrease,
            "UpdateShardCount": self._reshard,
            "AddTagsToStream": self._tag,
            "RemoveTagsFromStream": self._untag,
        }
        calls: Mapping[str, Call] = {
            "CreateStream": self._create,
            "DeleteStream": self._delete,
            "ListStreams": self._list,
            "DescribeStream": self._describe,
            "DescribeStreamSummary": self._summary,
            "ListShards": self._shards,
            "PutRecord": self._put,
            "PutRecords": self._put_all,
            "GetShardIterator": self._iterator,
            "GetRecords": self._records,
            "ListTagsForStream": self._tags,
        }
        return Service("kinesis", {**in_turn(changing), **calls})

    async def _create(self, _: Caller, params: Params) -> Params:
        tags = _checked(params.get("Tags", {}))
        shards = params.get("ShardCount", 1)
        await self._streams.create(Stream(name=params["StreamName"], shards=shards, tags=tags))
        return {}

    async def _delete(self, _: Caller, params: Params) -> Params:
        await self._streams.delete(self._stream(params))
        return {}

    async def _list(self, _: Caller, params: Params) -> Params:
        after = params.get("ExclusiveStartStreamName") or params.get("NextToken") or ""
        streams = [stream for stream in self._streams.all() if stream.name > after]
        page = streams[: params.get("Limit", PAGE)]
        more = len(page) < len(streams)
        return {
            "StreamNames": [stream.name for stream in page],
            "HasMoreStreams": more,
            "NextToken": page[-1].name if more else None,
            "StreamSummaries": [
                {**self._head(stream), "StreamModeDetails": {"StreamMode": "PROVISIONED"}}
                for stream in page
            ],
        }

    async def _describe(self, _: Caller, params: Params) -> Params:
        stream = self._stream(params)
        shards = self._listed(stream, params.get("ExclusiveStartShardId"))
        page = shards[: params.get("Limit", PAGE)]
        description = {
            **self._head(stream),
            "Shards": page,
            "HasMoreShards": len(page) < len(shards),
            "RetentionPeriodHours": -(-stream.retention_s // HOUR_S),
            "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
            "EncryptionType": "NONE",
            "StreamModeDetails": {"StreamMode": "PROVISIONED"},
        }
        return {"StreamDescription": description}

    async def _summary(self, _: Caller, params: Params) -> Params:
        stream = self._stream(params)
        summary = {
            **self._head(stream),
            "RetentionPeriodHours": -(-stream.retention_s // HOUR_S),
            "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
            "EncryptionType": "NONE",
            "MaxRecordSizeInKiB": RECORD_BYTES_MAX // 1024,
            "OpenShardCount": stream.shards,
            "ConsumerCount": 0,
            "StreamModeDetails": {"StreamMode": "PROVISIONED"},
        }
        return {"StreamDescriptionSummary": summary}

    async def _shards(self, caller: Caller, params: Params) -> Params:
        name, after = None, params.get("ExclusiveStartShardId")
        if token := params.get("NextToken"):
            name, _, after = token.rpartition(":")
            # The token names the stream that no other parameter does.
            caller.permit("read", name)
        stream = self._streams.get(name) if name else self._stream(params)
        shards = self._listed(stream, after)
        page = shards[: params.get("MaxResults", 1000)]
        token = f"{stream.name}:{page[-1]['ShardId']}" if len(page) < len(shards) else None
        return {"Shards": page, "NextToken": token}

    async def _put(self, _: Caller, params: Params) -> Params:
        [done] = await self._streams.put_all(self._stream(params), [_entry(params)])
        return {**_told(done), "EncryptionType": "NONE"}

    async def _put_all(self, _: Caller, params: Params) -> Params:
        entries = [_entry(row) for row in params["Records"]]
        size = sum(len(entry.data) + len(entry.key.encode()) for entry in entries)
        if size > PUT_BYTES_MAX:
            text = f"The records of a call may have {PUT_BYTES_MAX} bytes together, not {size}."
            raise ServiceError("InvalidArgumentException", text)
        done = await self._streams.put(self._stream(params), entries)
        for put in done:
            # What no later call could mend is wrong with the call, as in Kinesis.
            if put.error is not None and put.error.kind == "InvalidArgumentException":
                raise put.error
        return {
            "FailedRecordCount": sum(put.error is not None for put in done),
            "Records": [_told(put) for put in done],
            "EncryptionType": "NONE",
        }

    async def _iterator(self, _: Caller, params: Params) -> Params:
        stream = self._stream(params)
        shard = self._streams.shard(stream, params["ShardId"])
        return {"ShardIterator": self._streams.iterator(shard, self._behind(shard, params))}

    def _behind(self, shard: Shard, params: Params) -> int:
        """Behind which record an iterator stands at first."""
        kind = params["ShardIteratorType"]
        match kind:
            case "TRIM_HORIZON":
                return shard.row.trimmed
            case "LATEST":
                return shard.row.last
            case "AT_TIMESTAMP":
                if "Timestamp" not in params:
                    _invalid("Must specify timestamp parameter for iterator of type AT_TIMESTAMP.")
                at_ms = int(params["Timestamp"] * 1000)
                if at_ms > self._streams.now_ms():
                    _invalid("The timestampInMillis parameter cannot be greater than the current.")
                return self._streams.before(shard, at_ms)
        number = params.get("StartingSequenceNumber", "")
        sequence = numbers.sequence_of(number, shard.id)
        if sequence is None:
            _invalid(f"StartingSequenceNumber {number} used in {kind} is not one of this shard.")
        return sequence if kind == "AFTER_SEQUENCE_NUMBER" else max(0, sequence - 1)

    async def _records(self, caller: Caller, params: Params) -> Params:
        place = self._streams.place(params["ShardIterator"])
        caller.permit("receive", self._streams.stream_of(place))
        shard, page = self._streams.page(place, params.get("Limit", 10_000))
        return {
            "Records": [_shown(record) for record in page.records],
            "NextShardIterator": self._streams.iterator(shard, page.after),
            "MillisBehindLatest": page.behind_ms,
        }

    async def _increase(self, _: Caller, params: Params) -> Params:
        stream, hours = self._stream(params), params["RetentionPeriodHours"]
        if hours * HOUR_S < stream.retention_s:
            _invalid(f"Requested retention period ({hours} h) is shorter than the present one.")
        return await self._retain(stream, hours)

    async def _decrease(self, _: Caller, params: Params) -> Params:
        stream, hours = self._stream(params), params["RetentionPeriodHours"]
        if hours * HOUR_S > stream.retention_s:
            _invalid(f"Requested retention period ({hours} h) is longer than the present one.")
        return await self._retain(stream, hours)

    async def _retain(self, stream: Stream, hours: int) -> Params:
        if hours not in RETENTION_H:
            _invalid(f"A retention period has 24 to 8760 hours, not {hours}.")
        changed = msgspec.structs.replace(stream, retention_s=hours * HOUR_S)
        await self._streams.change(changed)
        return {}

    async def _reshard(self, _: Caller, params: Params) -> Params:
        """Nothing is to be done for the count that there is, which Terraform asks for."""
        stream, shards = self._stream(params), params["TargetShardCount"]
        if shards != stream.shards:
            _invalid(
                f"The number of shards is fixed when a stream is made: {stream.name} has "
                f"{stream.shards}, not {shards}."
            )
        return {
            "StreamName": stream.name,
            "StreamARN": self._streams.arn(stream.name),
            "CurrentShardCount": shards,
            "TargetShardCount": shards,
        }

    async def _tag(self, _: Caller, params: Params) -> Params:
        stream = self._stream(params)
        tags = _checked({**stream.tags, **params["Tags"]})
        await self._streams.change(msgspec.structs.replace(stream, tags=tags))
        return {}

    async def _untag(self, _: Caller, params: Params) -> Params:
        stream = self._stream(params)
        tags = tagging.without(stream.tags, params["TagKeys"])
        await self._streams.change(msgspec.structs.replace(stream, tags=tags))
        return {}

    async def _tags(self, _: Caller, params: Params) -> Params:
        stream = self._stream(params)
        after: str = params.get("ExclusiveStartTagKey", "")
        tags = [tag for tag in sorted(stream.tags.items()) if tag[0] > after]
        page = tags[: params.get("Limit", TAGS_MAX)]
        return {"Tags": tagging.rows(dict(page)), "HasMoreTags": len(page) < len(tags)}

    def _stream(self, params: Params) -> Stream:
        """The stream that is named, by name or by ARN. Raises ServiceError."""
        arn, name = params.get("StreamARN"), params.get("StreamName")
        if arn is None:
            if name is None:
                _invalid("Must specify either the StreamName or StreamARN parameter.")
            return self._streams.get(str(name))
        stream = self._streams.get(arn.rpartition("/")[2])
        if arn != self._streams.arn(stream.name) or name not in (None, stream.name):
            raise ServiceError("ResourceNotFoundException", f"Stream {arn} not found.")
        return stream

    def _head(self, stream: Stream) -> dict[str, Any]:
        return {
            "StreamName": stream.name,
            "StreamARN": self._streams.arn(stream.name),
            "StreamStatus": "ACTIVE",
            "StreamCreationTimestamp": stream.at_ms / 1000,
        }

    def _listed(self, stream: Stream, after: str | None) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for index, shard in enumerate(self._streams.shards(stream.name)):
            first, last = numbers.hash_range(index, stream.shards)
            start = numbers.sequence_number(shard.id, 0)
            rows.append(
                {
                    "ShardId": numbers.shard_id(index),
                    "HashKeyRange": {"StartingHashKey": str(first), "EndingHashKey": str(last)},
                    "SequenceNumberRange": {"StartingSequenceNumber": start},
                }
            )
        return [row for row in rows if row["ShardId"] > (after or "")]


def _entry(params: Params) -> Entry:
    if "PartitionKey" not in params:
        _invalid("PartitionKey must not be null.")
    hash_key = params.get("ExplicitHashKey")
    key = None if hash_key is None else int(hash_key)
    return Entry(params["PartitionKey"], params["Data"], key)


def _told(put: Put) -> dict[str, Any]:
    if put.error is not None:
        return {"ErrorCode": put.error.kind, "ErrorMessage": str(put.error)}
    return {"ShardId": numbers.shard_id(put.shard), "SequenceNumber": put.number}


def _shown(record: Record) -> dict[str, Any]:
    return {
        "SequenceNumber": numbers.sequence_number(record.shard, record.sequence),
        "ApproximateArrivalTimestamp": record.at_ms / 1000,
        "Data": record.data,
        "PartitionKey": record.key,
        "EncryptionType": "NONE",
    }


def _checked(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > TAGS_MAX:
        _invalid(f"A stream may have {TAGS_MAX} tags, not {len(tags)}.")
    return tags


def _invalid(text: str) -> NoReturn:
    raise ServiceError("InvalidArgumentException", text)
