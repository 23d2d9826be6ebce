"""`[endpoints]`: where queues, streams and tables are that are not of this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from microfaas import strict
from microfaas.errors import Problem

_KEY = re.compile(r"(sqs|kinesis|dynamodb)(:[a-z0-9-]+:[0-9]{12})?")
_WANTED = (
    "must be sqs, kinesis or dynamodb, or one of them with a region and an account, such as "
    "sqs:eu-west-1:000000000000"
)


class EndpointTable(msgspec.Struct, kw_only=True):
    """`[endpoints.SERVICE]` or `[endpoints."SERVICE:REGION:ACCOUNT"]`: where to find what event
    source mappings read of `sqs`, `kinesis` or `dynamodb` that is not on this machine."""

    url: Annotated[
        str,
        Meta(
            min_length=1,
            description="where the service answers, such as "
            "`https://sqs.eu-west-1.amazonaws.com`; `SERVICE = URL` says the same",
        ),
    ]
    access_key_id: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="the name of a stored secret with the key's id; default the variable "
            "AWS_ACCESS_KEY_ID of microfaas itself, and of the others likewise"
        ),
    ] = None
    secret_access_key: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="the name of a stored secret with the key's secret"),
    ] = None
    session_token: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="the name of a stored secret with the token of a temporary key"),
    ] = None


def endpoint_tables(raw: object, problems: list[Problem]) -> dict[str, EndpointTable]:
    """The tables, or URLs alone."""
    if not isinstance(raw, Mapping):
        problems.append(Problem("endpoints", "must be a table"))
        return {}
    made = {}
    for key, value in raw.items():
        where = strict.join("endpoints", key)
        if not _KEY.fullmatch(key):
            problems.append(Problem(where, _WANTED))
            continue
        table: Any = {"url": value} if isinstance(value, str) else value
        if (found := strict.convert(table, EndpointTable, where, problems)) is not None:
            _check(where, found, problems)
            made[key] = found
    return made


def _check(where: str, table: EndpointTable, problems: list[Problem]) -> None:
    if not _is_url(table.url):
        what = f"must be an http: or https: URL, not {strict.shown(table.url)}"
        problems.append(Problem(f"{where}.url", what))
    if (table.access_key_id is None) != (table.secret_access_key is None):
        problems.append(Problem(where, "needs both access_key_id and secret_access_key, or none"))


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
