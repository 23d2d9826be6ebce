"""CORS of a route: whose pages may call it from a browser, in API Gateway's words and bounds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from microfaas.errors import Problem

LISTED_MAX = 100
# What goes into headers as it stands: no blank, no comma, nothing that ends a line.
_ORIGIN = r"^(\*|[a-z][a-z0-9+.-]*://(\*|[!-)+\x2d-~]{1,240}))\Z"
_NAME = r"^[A-Za-z0-9!#$%&'*+.^_|~-]{1,255}\Z"

Origin = Annotated[str, Meta(pattern=_ORIGIN)]
Name = Annotated[str, Meta(pattern=_NAME)]
Method = Literal["*", "GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"]


class CorsTable(msgspec.Struct, kw_only=True):
    """The gateway answers browsers' preflight requests by itself, with a 204, and puts its own CORS
    headers in place of the function's."""

    allow_origins: Annotated[
        list[Origin],
        Meta(
            max_length=LISTED_MAX,
            description="as in `https://shop.example`; `https://*` for any of that scheme, `*` "
            "for any at all",
        ),
    ] = []
    allow_methods: Annotated[
        list[Method], Meta(max_length=LISTED_MAX, description="`*` for the one that is asked for")
    ] = []
    allow_headers: Annotated[
        list[Name], Meta(max_length=LISTED_MAX, description="`*` for those that are asked for")
    ] = []
    expose_headers: Annotated[
        list[Name], Meta(max_length=LISTED_MAX, description="those of responses that pages may see")
    ] = []
    allow_credentials: Annotated[
        bool, Meta(description="with cookies; needs origins by name, as API Gateway does")
    ] = False
    max_age_s: Annotated[
        Annotated[int, Meta(ge=-1, le=86400)] | None,
        Meta(description="how long browsers may keep the answer, seconds"),
    ] = None

    def check(self, where: str, problems: list[Problem]) -> None:
        """Tell what no single key shows."""
        if self.allow_credentials and "*" in self.allow_origins:
            what = "cannot go with the origin '*': name the origins, or say 'https://*'"
            problems.append(Problem(f"{where}.allow_credentials", what))

    def by_aws_names(self) -> dict[str, Any]:
        """As function URLs have it."""
        made: dict[str, Any] = {
            "AllowOrigins": self.allow_origins,
            "AllowMethods": self.allow_methods,
            "AllowHeaders": self.allow_headers,
            "ExposeHeaders": self.expose_headers,
            "AllowCredentials": self.allow_credentials,
        }
        return made if self.max_age_s is None else {**made, "MaxAge": self.max_age_s}
