"""Parameters that operations of CloudWatch Logs share: names of groups, and filter patterns."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from microfaas.errors import ServiceError
from microfaas.model import Address
from microfaas.patterns import InvalidPattern, compile_log_filter


def refuse(text: str) -> NoReturn:
    raise ServiceError("InvalidParameterException", text)


def prefix_of(address: Address) -> str:
    """With what the ARNs of log groups begin."""
    return f"arn:aws:logs:{address.region}:{address.account_id}:log-group:"


def bare(identifier: str, prefix: str) -> str:
    """A group by its name or its ARN, as a name."""
    return identifier.removeprefix(prefix).removesuffix(":*")


def accepts(pattern: str) -> Callable[[str], bool]:
    """What a filter pattern says of a message. Raises ServiceError."""
    try:
        return compile_log_filter(pattern).matches
    except InvalidPattern as error:
        refuse(f"Invalid filter pattern: {error}")
