"""Topics and who is subscribed, from the configuration to values, with every fault named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from microfaas import patterns, strict
from microfaas.config import qualifiers
from microfaas.config.events import destination
from microfaas.config.reach import absolute
from microfaas.config.topic_tables import SmtpTable, SubscriptionTable, TopicTable
from microfaas.errors import Problem
from microfaas.patterns import InvalidPattern

NAME_PATTERN = re.compile(r"[a-zA-Z0-9-_]{1,256}")
# Of what RFC 5322 allows, that which needs no quoting.
_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}", re.ASCII)


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription of the file; `protocol` is SNS's word for what the endpoint is."""

    topic: str
    protocol: Literal["lambda", "sqs", "http", "https", "email"]
    endpoint: str
    policy: str = ""
    scope: Literal["MessageAttributes", "MessageBody"] = "MessageAttributes"
    raw: bool = False
    dead_letter: str = ""


class Smtp(msgspec.Struct, frozen=True, kw_only=True):
    """The mail server, checked."""

    host: str
    port: int
    tls: Literal["none", "starttls", "tls"]
    sender: str
    user: str | None = None
    password_file: str | None = None


def check_topics(tables: Mapping[str, TopicTable], problems: list[Problem]) -> list[Declared]:
    """The subscriptions of all topics."""
    made = []
    for name, table in tables.items():
        where = strict.join("topics", name)
        if not NAME_PATTERN.fullmatch(name):
            what = "a name has 1 to 256 letters, digits, hyphens and underscores"
            problems.append(Problem(where, what))
        for number, row in enumerate(table.subscriptions):
            place = f"{where}.subscriptions[{number}]"
            if (declared := _subscription(place, name, row, problems)) is not None:
                made.append(declared)
    return made


def _subscription(
    where: str, topic: str, row: SubscriptionTable, problems: list[Problem]
) -> Declared | None:
    given = {
        key: value
        for key in ("function", "queue", "url", "email")
        if (value := getattr(row, key)) is not None
    }
    if len(given) != 1:
        problems.append(Problem(where, "needs exactly one of function, queue, url and email"))
        return None
    [(key, endpoint)] = given.items()
    qualifier = endpoint.partition(":")[2] if key == "function" else ""
    if qualifier and (what := qualifiers.refused(qualifier)):
        problems.append(Problem(f"{where}.function", f"behind the colon {what}"))
    protocol = {"function": "lambda", "queue": "sqs", "email": "email"}.get(key)
    if key == "url":
        protocol = endpoint.partition(":")[0]
        if (made := destination(endpoint, "/")) is None or made.kind != "url":
            what = f"must be an http: or https: URL, not {strict.shown(endpoint)}"
            problems.append(Problem(f"{where}.url", what))
            return None
    if key == "email" and not is_email(endpoint):
        what = f"must be an e-mail address, not {strict.shown(endpoint)}"
        problems.append(Problem(f"{where}.email", what))
    return Declared(
        topic=topic,
        protocol=protocol,  # type: ignore[arg-type]
        endpoint=endpoint,
        policy=filter_text(f"{where}.filter", row.filter, row.filter_scope, problems),
        scope=row.filter_scope,
        raw=row.raw,
        dead_letter=row.dead_letter or "",
    )


def is_email(text: str) -> bool:
    """Whether a mail server could be given it as it stands."""
    return _EMAIL.fullmatch(text) is not None


def filter_text(
    where: str,
    table: dict[str, Any] | None,
    scope: Literal["MessageAttributes", "MessageBody"],
    problems: list[Problem],
) -> str:
    """A filter policy as JSON, once it is known to be one; empty without one."""
    if table is None:
        return ""
    try:
        patterns.compile_policy(table, scope)
        return msgspec.json.encode(table).decode()
    except (InvalidPattern, TypeError) as error:
        problems.append(Problem(where, str(error)))
        return ""


def smtp(table: SmtpTable, root: str, emails: bool, problems: list[Problem]) -> Smtp | None:
    """None where no mail can be sent."""
    if not table.host:
        if emails:
            problems.append(Problem("smtp.host", "is missing, and a topic sends e-mails"))
        return None
    if not is_email(table.sender):
        what = f"must be an e-mail address, not {strict.shown(table.sender)}"
        problems.append(Problem("smtp.sender", what))
    if (table.user is None) != (table.password_file is None):
        problems.append(Problem("smtp", "needs both user and password_file, or neither"))
    return Smtp(
        host=table.host,
        port=table.port,
        tls=table.tls,
        sender=table.sender,
        user=table.user,
        password_file=absolute(root, table.password_file) if table.password_file else None,
    )
