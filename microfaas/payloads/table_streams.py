"""Records of DynamoDB's tables as functions get them. Pure.

A record's data is the JSON that the service gives of it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from microfaas.payloads.batches import Form, Given, Source


def given(record: dict[str, Any]) -> Given:
    """A record as the service has it."""
    told = record["dynamodb"]
    key = msgspec.json.encode(told.get("Keys")).decode()
    at_ms = int(told.get("ApproximateCreationDateTime", 0) * 1000)
    return Given(told["SequenceNumber"], at_ms, key, msgspec.json.encode(record))


def _inner(record: Given) -> dict[str, Any]:
    table: dict[str, Any] = msgspec.json.decode(record.data)
    if (identity := table.get("userIdentity")) is not None:
        # The service's own API spells it otherwise than Lambda.
        table["userIdentity"] = {
            name[:1].lower() + name[1:]: value for name, value in identity.items()
        }
    return table


def _record(source: Source, record: Given) -> dict[str, Any]:
    return {**_inner(record), "eventSourceARN": source.arn}


def _size(record: Given) -> int:
    return 300 + len(record.data)


FORM = Form("dynamodb", _inner, _size, _record, "DDBStreamBatchInfo")
