"""Function names as they come in paths: plain, with a qualifier, partial and full ARNs. Pure."""

from __future__ import annotations

import re
from urllib.parse import unquote

from microfaas.errors import InvalidRequest
from microfaas.model import Address

NAME_CHARS_MAX = 256
_PATTERN = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?"
    r"(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
)
_NAME = re.compile(_PATTERN)
_QUALIFIER_PATTERN = r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"
_QUALIFIER = re.compile(_QUALIFIER_PATTERN)


def parse(raw: str, query_qualifier: str, address: Address) -> tuple[str, str]:
    """(name, qualifier) of a percent-encoded path segment and a `Qualifier` parameter.

    Raises InvalidRequest in AWS's words.
    """
    text = unquote(raw)
    match = _NAME.fullmatch(text)
    if match is None or len(text) > NAME_CHARS_MAX:
        raise _violation(text, "functionName", _PATTERN)
    region, name, own = match[3], match[11], match[13] or ""
    if region and region.rstrip(":") != address.region:
        raise InvalidRequest(
            f"Functions from '{region.rstrip(':')}' are not reachable in this region "
            f"('{address.region}')",
            kind="ResourceNotFoundException",
        )
    if query_qualifier and not _QUALIFIER.fullmatch(query_qualifier):
        raise _violation(query_qualifier, "qualifier", _QUALIFIER_PATTERN)
    if own and query_qualifier and own != query_qualifier:
        raise InvalidRequest(
            "The derived qualifier from the function name does not match the specified qualifier."
        )
    return name, own or query_qualifier


def bare(text: str) -> str:
    """A function's name without its qualifier and what an ARN has before; other text as it is."""
    match = _NAME.fullmatch(text)
    return text if match is None else match[11]


def _violation(value: str, field: str, pattern: str) -> InvalidRequest:
    return InvalidRequest(
        f"1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {pattern}",
        kind="ValidationException",
    )
