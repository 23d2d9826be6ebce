"""Authorizers of routes: functions that say who may call, in API Gateway's words and bounds."""

from __future__ import annotations

import re
from typing import Annotated, Literal, cast

import msgspec
from msgspec import Meta

from microfaas import strict
from microfaas.errors import Problem
from microfaas.payloads.authorizers import Authorizer, Source

TTL_S = 300
SOURCES_MAX = 20
_FUNCTION = r"^[a-zA-Z0-9-_]{1,64}(:(\$LATEST|[a-zA-Z0-9-_]{1,128}))?\Z"
_SOURCE = re.compile(
    r"(\$request\.|method\.request\.)(header|querystring)\.([A-Za-z0-9!#$%&'*+.^_`|~-]+)"
    r"|(\$?)context\.(routeKey|resourcePath|path|httpMethod|identity\.sourceIp)"
)


class AuthorizerTable(msgspec.Struct, kw_only=True):
    """The function is asked who may call the route, and nobody needs a key; what it returns is a
    policy, or with `simple` an `isAuthorized`. The `context` it returns is in the event of the
    function that is called."""

    function: Annotated[
        str,
        Meta(pattern=_FUNCTION, description="the function's name, with `:ALIAS` or `:VERSION`"),
    ]
    type: Annotated[
        Literal["request", "token"],
        Meta(description="whether it sees the request, or, as in REST APIs, only a header"),
    ] = "request"
    payload: Annotated[
        Literal["1.0", "2.0"] | None,
        Meta(description="its event's format; default the route's"),
    ] = None
    simple: Annotated[bool, Meta(description="it returns `isAuthorized`; needs the format 2.0")] = (
        False
    )
    identity: Annotated[
        list[str],
        Meta(
            max_length=SOURCES_MAX,
            description="where it stands who calls: `$request.header.NAME`, "
            "`$request.querystring.NAME`, `$context.routeKey`; in REST APIs "
            "`method.request.header.NAME`, …; a request without one of them is a 401",
        ),
    ] = []
    ttl_s: Annotated[
        Annotated[int, Meta(ge=0, le=3600)] | None,
        Meta(
            description="how long what it said counts for the same identity, seconds; 0 not at "
            f"all; default {TTL_S}, and 0 without identity"
        ),
    ] = None

    def check(self, where: str, payload: str, problems: list[Problem]) -> None:
        """Tell what no single key shows; `payload` is the route's."""
        for number, text in enumerate(self.identity):
            if _SOURCE.fullmatch(text) is None:
                wanted = "must be $request.header.NAME, $request.querystring.NAME or $context.NAME"
                what = f"{wanted}, not {strict.shown(text)}"
                problems.append(Problem(f"{where}.identity[{number}]", what))
        if len({text.startswith("$") for text in self.identity}) > 1:
            what = "must be HTTP APIs' words ($request…) or REST APIs' (method.request…), not both"
            problems.append(Problem(f"{where}.identity", what))
        form = self.payload or payload
        if self.simple and form != "2.0":
            problems.append(Problem(f"{where}.simple", 'goes with payload = "2.0" only'))
        if form == "2.0" and any(not text.startswith("$") for text in self.identity):
            what = 'goes with payload = "1.0" of route and authorizer; here $request.header.NAME'
            problems.append(Problem(f"{where}.identity", what))
        if self.ttl_s and not self.identity:
            what = "needs identity: without it, nothing that was said is kept"
            problems.append(Problem(f"{where}.ttl_s", what))
        if self.type == "token":
            self._check_token(where, form, payload, problems)

    def _check_token(self, where: str, form: str, payload: str, problems: list[Problem]) -> None:
        if form != "1.0" or payload != "1.0":
            what = '"token" is of REST APIs: it goes with payload = "1.0"'
            problems.append(Problem(f"{where}.type", what))
        if [text.startswith("method.request.header.") for text in self.identity] != [True]:
            what = (
                "must have the one header of the token, as in method.request.header.Authorization"
            )
            problems.append(Problem(f"{where}.identity", what))

    def made(self, payload: str) -> Authorizer:
        """What it means for a route with this payload; it has been checked."""
        name, _, qualifier = self.function.partition(":")
        form = self.payload or cast(Literal["1.0", "2.0"], payload)
        dollars = any(text.startswith("$") for text in self.identity)
        ttl_s = TTL_S if self.ttl_s is None else self.ttl_s
        return Authorizer(
            name,
            qualifier,
            form="token" if self.type == "token" else form,
            rest=form == payload == "1.0" and not dollars,
            simple=self.simple,
            sources=tuple(map(_source, self.identity)),
            ttl_s=ttl_s if self.identity else 0,
        )


def _source(text: str) -> Source:
    match = _SOURCE.fullmatch(text)
    assert match is not None
    if match[2]:
        return Source(cast(Literal["header", "querystring"], match[2]), match[3])
    return Source("context", match[5])
