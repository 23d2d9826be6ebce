"""The events' exact shapes, against samples of AWS's own."""

from __future__ import annotations

import json
from urllib.parse import unquote_plus

from hypothesis import given, settings
from hypothesis import strategies as st

from microfaas.payloads import s3 as payloads
from microfaas.payloads.s3 import Happening, Origin

ORIGIN = Origin(
    bucket="inbox", configuration_id="conf", region="eu-west-1", account_id="123456789012"
)
HAPPENING = Happening(
    key="a b/@ü+.txt",
    sequencer=0xABC,
    at_ms=1567539447192,
    request_id="D82B88E5F771F645",
    host_id="vlR7PnpV2Ce81l0PRw6j",
)


def test_created_is_what_s3_sends() -> None:
    event = json.loads(payloads.object_created(ORIGIN, HAPPENING, size=7, etag="e" * 32))
    assert event == {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "eu-west-1",
                "eventTime": "2019-09-03T19:37:27.192Z",
                "eventName": "ObjectCreated:Put",
                "userIdentity": {"principalId": "AWS:123456789012"},
                "requestParameters": {"sourceIPAddress": "127.0.0.1"},
                "responseElements": {
                    "x-amz-request-id": "D82B88E5F771F645",
                    "x-amz-id-2": "vlR7PnpV2Ce81l0PRw6j",
                },
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "conf",
                    "bucket": {
                        "name": "inbox",
                        "ownerIdentity": {"principalId": "123456789012"},
                        "arn": "arn:aws:s3:::inbox",
                    },
                    "object": {
                        "key": "a+b/%40%C3%BC%2B.txt",
                        "size": 7,
                        "eTag": "e" * 32,
                        "sequencer": "0000000000000ABC",
                    },
                },
            }
        ]
    }


def test_removed_has_neither_size_nor_tag() -> None:
    (record,) = json.loads(payloads.object_removed(ORIGIN, HAPPENING))["Records"]
    assert record["eventName"] == "ObjectRemoved:Delete"
    assert set(record["s3"]["object"]) == {"key", "sequencer"}


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_a_key_survives_its_encoding(key: str) -> None:
    encoded = payloads.encode_key(key)
    assert encoded.isascii()
    assert " " not in encoded
    assert encoded.count("/") == key.count("/")
    assert unquote_plus(encoded) == key


@settings(deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_sequencers_compare_as_text(first: int, second: int) -> None:
    def of(number: int) -> str:
        happening = Happening(key="k", sequencer=number, at_ms=0, request_id="r", host_id="h")
        event = json.loads(payloads.object_removed(ORIGIN, happening))
        return str(event["Records"][0]["s3"]["object"]["sequencer"])

    assert (of(first) < of(second)) == (first < second)


def test_the_tag_of_a_large_object_counts_its_parts() -> None:
    size = 20 * 1024 * 1024
    tag = payloads.multipart_etag(size, 1)
    assert tag.endswith("-3")
    assert tag != payloads.multipart_etag(size, 2)
