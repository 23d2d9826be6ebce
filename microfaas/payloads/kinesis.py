"""Kinesis's records as functions get them. Pure."""

from __future__ import annotations

import base64
from typing import Any

from microfaas.payloads.batches import Form, Given, Source

ROLE = "lambda-role"


def arn(region: str, account_id: str, stream: str) -> str:
    return f"arn:aws:kinesis:{region}:{account_id}:stream/{stream}"


def _inner(record: Given) -> dict[str, Any]:
    return {
        "kinesisSchemaVersion": "1.0",
        "partitionKey": record.key,
        "sequenceNumber": record.number,
        "data": base64.b64encode(record.data).decode(),
        "approximateArrivalTimestamp": record.at_ms / 1000,
    }


def _record(source: Source, record: Given) -> dict[str, Any]:
    return {
        "kinesis": _inner(record),
        "eventID": f"{source.shard_id}:{record.number}",
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": f"arn:aws:iam::{source.address.account_id}:role/{ROLE}",
        "awsRegion": source.address.region,
        "eventSourceARN": source.arn,
    }


def _size(record: Given) -> int:
    # A character of a key may become six, as \u001f does.
    return 800 + 6 * len(record.key) + (len(record.data) + 2) // 3 * 4


FORM = Form("data", _inner, _size, _record, "KinesisBatchInfo")
