"""Event patterns: a pattern and an event, parted by a NUL byte, both any text at all.

The same pattern is tried as an event pattern, as a filter policy and as a mapping's filter.
"""

from __future__ import annotations

import base64

import msgspec

from microfaas.patterns import (
    InvalidPattern,
    compile_filters,
    compile_pattern,
    compile_policy,
)


def target(data: bytes) -> None:
    before, _, after = data.partition(b"\0")
    pattern, event = before.decode(errors="replace"), after.decode(errors="surrogateescape")
    _try_pattern(pattern, event)
    _try_policy(pattern, event)
    _try_filters(pattern, event)


def _try_pattern(text: str, event: str) -> None:
    try:
        pattern = compile_pattern(text)
        plain = msgspec.json.decode(event)
    except InvalidPattern as error:
        assert str(error).startswith("Event pattern is not valid. Reason: ")
        return
    except (msgspec.DecodeError, RecursionError, ValueError):
        return
    matched = pattern.matches(plain)
    assert pattern.matches(plain) is matched
    assert isinstance(plain, dict) or not matched


def _try_policy(text: str, body: str) -> None:
    attributes = {"a": ("String", body), "b": ("Number", body), "c": ("String.Array", body)}
    for scope in ("MessageAttributes", "MessageBody"):
        try:
            policy = compile_policy(text, scope)
        except InvalidPattern as error:
            assert str(error).startswith("Invalid parameter: FilterPolicy: ")
            continue
        assert policy.accepts(attributes, body) in (True, False)


def _try_filters(text: str, body: str) -> None:
    encoded = base64.b64encode(body.encode(errors="surrogateescape")).decode()
    record = {"body": body, "data": encoded, "a": body}
    for key in ("body", "data"):
        try:
            filters = compile_filters([text], key)
        except InvalidPattern as error:
            assert str(error).startswith("Invalid filter pattern definition. ")
            continue
        assert filters.accepts(record) in (True, False)


def seeds() -> dict[str, bytes]:
    ends = b'{"a":["x",null,1.0,{"prefix":"p"},{"suffix":{"equals-ignore-case":"S"}}]}'
    wild = b'{"body":{"a":[{"wildcard":"*a\\\\*b*"}]}}'
    numbers = b'{"a":{"b":[{"numeric":[">",0,"<=",5e2]},{"exists":false}]}}'
    but = b'{"a":[{"anything-but":["x"]},{"anything-but":{"prefix":["y"]}}]}'
    choice = b'{"$or":[{"a":[{"cidr":"10.0.0.0/8"}]},{"data":{"b":[true]}}]}'
    return {
        "ends": ends + b'\0{"a":[["pq"],{"b":"x"}]}',
        "wildcard": wild + b'\0{"a":"aa*b"}',
        "numbers": numbers + b'\0{"a":[{"b":400.5},{"c":1}]}',
        "anything-but": but + b'\0{"a":"z"}',
        "choice": choice + b'\0{"a":"10.1.2.3"}',
        "deep": b'{"a":' * 40 + b"[1]" + b"}" * 40 + b"\0" + b"[" * 2000,
        "nothing": b"",
    }
