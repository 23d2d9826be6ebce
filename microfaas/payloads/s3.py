"""S3's notifications: of objects that were written, and of those that have gone. Pure."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import md5

import msgspec

from microfaas.model import MIB

# Where aws-cli starts to upload in parts, each of this size; the tag of such an object ends in
# the number of its parts.
ETAG_PART_BYTES = 8 * MIB
# 64 bits hold nanoseconds until 2554; 16 digits each, so the longer number is the later one.
SEQUENCER_DIGITS = 16


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a bucket's events have in common."""

    bucket: str
    configuration_id: str
    region: str
    account_id: str
    source_ip: str = "127.0.0.1"


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """What tells one event of a bucket from another."""

    key: str
    sequencer: int
    at_ms: int
    request_id: str
    host_id: str


def object_created(origin: Origin, happening: Happening, *, size: int, etag: str) -> bytes:
    """S3's notification that an object has been written."""
    return _notification(origin, happening, "ObjectCreated:Put", {"size": size, "eTag": etag})


def object_removed(origin: Origin, happening: Happening) -> bytes:
    """S3's notification that an object has gone."""
    return _notification(origin, happening, "ObjectRemoved:Delete", {})


def encode_key(key: str) -> str:
    """URL-encode a key as S3 does: "/" stays, a space becomes "+"."""
    return urllib.parse.quote_plus(key, safe="/")


def multipart_etag(size: int, mtime_ns: int) -> str:
    """An entity tag for an object too large to be read for it.

    S3's own tag of a multipart upload is no hash of the content either: opaque, ending in the
    number of parts. This one changes whenever size or time do.
    """
    digest = md5(b"%d %d" % (size, mtime_ns), usedforsecurity=False).hexdigest()
    return f"{digest}-{-(-size // ETAG_PART_BYTES)}"


def _notification(
    origin: Origin, happening: Happening, name: str, details: Mapping[str, object]
) -> bytes:
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": origin.region,
        "eventTime": time_of(happening.at_ms),
        "eventName": name,
        "userIdentity": {"principalId": f"AWS:{origin.account_id}"},
        "requestParameters": {"sourceIPAddress": origin.source_ip},
        "responseElements": {
            "x-amz-request-id": happening.request_id,
            "x-amz-id-2": happening.host_id,
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": origin.configuration_id,
            "bucket": {
                "name": origin.bucket,
                "ownerIdentity": {"principalId": origin.account_id},
                "arn": f"arn:aws:s3:::{origin.bucket}",
            },
            "object": {
                "key": encode_key(happening.key),
                **details,
                "sequencer": f"{happening.sequencer:0{SEQUENCER_DIGITS}X}",
            },
        },
    }
    return msgspec.json.encode({"Records": [record]})


def time_of(at_ms: int) -> str:
    """As AWS writes times with milliseconds."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
