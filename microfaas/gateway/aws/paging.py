"""Lists by the page, as Lambda gives them: MaxItems and Marker in, NextMarker out. Pure."""

from __future__ import annotations

import base64
import binascii
import itertools
from collections.abc import Iterable
from typing import TypeVar

from microfaas.errors import ServiceError
from microfaas.gateway.aws.service import Params

PAGE = 50
T = TypeVar("T")


def page(
    rows: Iterable[tuple[str, T]], params: Params, *, usual: int = PAGE, most: int = PAGE
) -> tuple[list[T], str | None]:
    """One page of rows, which have a key each and are in its order; and where the next begins.

    Raises ServiceError for a marker that none of these lists has given.
    """
    after = _key(params["Marker"]) if params.get("Marker") else ""
    size = min(params.get("MaxItems", usual), most)
    found = list(itertools.islice((row for row in rows if row[0] > after), size + 1))
    more = base64.b64encode(found[size - 1][0].encode()).decode() if len(found) > size else None
    return [value for _, value in found[:size]], more


def _key(marker: str) -> str:
    try:
        return base64.b64decode(marker, validate=True).decode()
    except (binascii.Error, ValueError):
        text = "The Marker is not one that this list has given."
        raise ServiceError("InvalidParameterValueException", text) from None
