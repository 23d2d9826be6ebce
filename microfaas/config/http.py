"""Triggers that are HTTP requests: their settings, and routes as API Gateway has them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from microfaas import strict
from microfaas.config.authorizers import AuthorizerTable
from microfaas.config.cors import CorsTable
from microfaas.config.functions import Trigger
from microfaas.errors import Problem
from microfaas.payloads import http_answer

DEFAULT = "$default"
ANY = "ANY"
_ROUTE = re.compile(r"(GET|HEAD|OPTIONS|PUT|PATCH|POST|DELETE|ANY) (/[^\s?#]*)")
_VARIABLE = re.compile(r"\{([A-Za-z0-9._-]+)(\+?)\}")
# How exactly a segment says what fits: a word, a variable for one, a variable for all the rest.
WORD, VARIABLE, REST = range(3)


class Segment(NamedTuple):
    """A part of a route's path: a word, or a variable's name."""

    kind: int
    text: str


class Route(NamedTuple):
    """A route's key, and what is in it; `$default` has no method and no path."""

    key: str
    method: str
    segments: tuple[Segment, ...]

    @property
    def order(self) -> tuple[bool, tuple[int, ...], bool]:
        """Of several routes that fit a request the one with the least of this is meant."""
        kinds = tuple(segment.kind for segment in self.segments)
        return not self.method, kinds, self.method == ANY

    @property
    def shape(self) -> tuple[str, tuple[tuple[int, str], ...]]:
        """What is the same for routes that fit the same requests."""
        return self.method, tuple(
            (segment.kind, segment.text if segment.kind == WORD else "")
            for segment in self.segments
        )


class MockTable(msgspec.Struct, kw_only=True):
    """An answer that the gateway gives by itself, as mock integrations of REST APIs do."""

    status: Annotated[int, Meta(ge=200, le=599, description="its status")] = 200
    headers: Annotated[dict[str, str], Meta(description="its headers")] = {}
    body: Annotated[str, Meta(description="its body")] = ""

    def check(self, where: str, problems: list[Problem]) -> None:
        """Tell what no single key shows."""
        for name, value in self.headers.items():
            if http_answer.is_ours(name) or not http_answer.is_sendable(name, value):
                what = "is no header that can be set: it has other characters, or is the gateway's"
                problems.append(Problem(strict.join(f"{where}.headers", name), what))


class HttpSettings(msgspec.Struct, kw_only=True):
    """`type = "http"`: requests that fit a route, answered with what the function returns."""

    route: Annotated[
        str,
        Meta(
            min_length=1,
            description="`METHOD /path` as in API Gateway, with `ANY`, `{name}` and, at the end, "
            "`{name+}`; or `$default`",
        ),
    ]
    payload: Annotated[
        Literal["2.0", "1.0"],
        Meta(description="the event's format: HTTP APIs', or the older one of REST APIs"),
    ] = "2.0"
    public: Annotated[
        bool,
        Meta(description="callers need no key, where others do; else one that may invoke it"),
    ] = False
    authorizer: Annotated[
        AuthorizerTable | None,
        Meta(description="a function that says who may call, in place of keys, see below"),
    ] = None
    cors: Annotated[
        CorsTable | None, Meta(description="what browsers are told, see below; default nothing")
    ] = None
    mock: Annotated[
        MockTable | None,
        Meta(description="what is answered without calling the function, see below"),
    ] = None

    def check(self, where: str, problems: list[Problem]) -> None:
        """Tell what no single key shows."""
        try:
            parse_route(self.route)
        except ValueError as error:
            problems.append(Problem(f"{where}.route", str(error)))
        if self.authorizer is not None:
            self.authorizer.check(f"{where}.authorizer", self.payload, problems)
            if self.public:
                what = "cannot go with an authorizer, which says who may call; leave one out"
                problems.append(Problem(f"{where}.public", what))
        if self.cors is not None:
            self.cors.check(f"{where}.cors", problems)
        if self.mock is not None:
            self.mock.check(f"{where}.mock", problems)


def parse_route(text: str) -> Route:
    """Raises ValueError that says what would be right."""
    if text == DEFAULT:
        return Route(DEFAULT, "", ())
    match = _ROUTE.fullmatch(text)
    if match is None:
        wanted = "must be a method or ANY, a blank and a path, as in GET /items/{id}, or $default"
        raise ValueError(f"{wanted}; not {strict.shown(text)}")
    parts = match[2].split("/")[1:]
    last = len(parts) - 1
    segments = tuple(_segment(part, last=at == last) for at, part in enumerate(parts))
    names = [segment.text for segment in segments if segment.kind != WORD]
    if len(set(names)) < len(names):
        raise ValueError(f"has a variable twice: {text}")
    return Route(text, match[1], segments)


def check_routes(triggers: Iterable[Trigger], problems: list[Problem]) -> None:
    """No request may fit two routes alike."""
    seen: dict[object, Trigger] = {}
    for trigger in triggers:
        settings = trigger.settings
        if not isinstance(settings, HttpSettings):
            continue
        try:
            shape = parse_route(settings.route).shape
        except ValueError:
            continue  # that is told already
        other = seen.setdefault(shape, trigger)
        if other is not trigger:
            assert isinstance(other.settings, HttpSettings)
            where = f"{strict.join('functions', trigger.function)}.triggers"
            what = (
                f"the route {settings.route!r} is taken by {other.settings.route!r} of the "
                f"function {other.function}; give each request one function"
            )
            problems.append(Problem(where, what))


def check_authorizers(
    triggers: Iterable[Trigger], functions: set[str], problems: list[Problem]
) -> None:
    """In a file, authorizers are its functions."""
    for trigger in triggers:
        table = trigger.settings.authorizer if isinstance(trigger.settings, HttpSettings) else None
        if table is not None and table.function.partition(":")[0] not in functions:
            where = f"{strict.join('functions', trigger.function)}.triggers"
            problems.append(Problem(where, f"there is no function {table.function}"))


def _segment(text: str, *, last: bool) -> Segment:
    match = _VARIABLE.fullmatch(text)
    if match is None:
        if "{" in text or "}" in text:
            raise ValueError(f"must have {{name}} or {{name+}} for a whole segment, not {text!r}")
        return Segment(WORD, text)
    if match[2] and not last:
        raise ValueError(f"must have {text} at its end alone: it stands for all the rest")
    return Segment(REST if match[2] else VARIABLE, match[1])
