"""How Lambda refuses what a parameter says."""

from __future__ import annotations

from typing import NoReturn

from microfaas.errors import ServiceError


def refuse(text: str) -> NoReturn:
    """Raises ServiceError: the request is understood, and a value in it cannot be."""
    raise ServiceError("InvalidParameterValueException", text)
