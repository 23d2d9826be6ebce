"""The tables of topics in `microfaas.toml`: `[topics.NAME]` and `[smtp]`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta


class SubscriptionTable(msgspec.Struct, kw_only=True):
    """One of `[[topics.NAME.subscriptions]]`: exactly one of function, queue, url and email."""

    function: Annotated[
        str | None,
        Meta(
            description="a function that each message starts, `NAME`, or `NAME:QUALIFIER` for an "
            "alias or version"
        ),
    ] = None
    queue: Annotated[str | None, Meta(description="a queue that gets each message")] = None
    url: Annotated[str | None, Meta(description="an HTTP or HTTPS endpoint")] = None
    email: Annotated[str | None, Meta(description="an address; needs `[smtp]`")] = None
    filter: Annotated[
        dict[str, Any] | None, Meta(description="SNS's filter policy: only what it lets through")
    ] = None
    filter_scope: Annotated[
        Literal["MessageAttributes", "MessageBody"],
        Meta(description="what the filter is applied to"),
    ] = "MessageAttributes"
    raw: Annotated[
        bool, Meta(description="whether a queue or URL gets the bare message, unwrapped")
    ] = False
    dead_letter: Annotated[
        str | None, Meta(description="a queue for what cannot be delivered; else a dead letter")
    ] = None


class TopicTable(msgspec.Struct, kw_only=True):
    """`[topics.NAME]`: a topic as SNS has them."""

    display_name: Annotated[str, Meta(max_length=100, description="the sender's name in mails")] = (
        ""
    )
    signature_version: Annotated[
        Literal["1", "2"], Meta(description="how messages are signed: SHA-1, or SHA-256")
    ] = "1"
    subscriptions: Annotated[
        list[SubscriptionTable], Meta(description="who gets what is published")
    ] = msgspec.field(default_factory=list)


class SmtpTable(msgspec.Struct, kw_only=True):
    """`[smtp]`: the mail server that e-mail subscriptions use."""

    host: Annotated[str, Meta(description="its name or address; without it no mail is sent")] = ""
    port: Annotated[int, Meta(ge=1, le=65535, description="its port")] = 25
    tls: Annotated[
        Literal["none", "starttls", "tls"],
        Meta(description="`starttls`: begun on the open connection; `tls`: from its start"),
    ] = "none"
    sender: Annotated[str, Meta(description="the address mails come from")] = "microfaas@localhost"
    user: Annotated[str | None, Meta(description="whom to log in as")] = None
    password_file: Annotated[
        str | None, Meta(description="a file with the password, relative to this one")
    ] = None
