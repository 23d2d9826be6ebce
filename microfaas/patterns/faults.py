"""The one error of patterns, policies and filters: where it stands and what would be right."""

from __future__ import annotations

from typing import NoReturn

from microfaas.errors import MicrofaasError


class InvalidPattern(MicrofaasError):
    """A pattern that cannot be used. `reason` is in AWS's words where those are known."""

    def __init__(self, reason: str, where: str = "", *, preface: str = "") -> None:
        self.reason = reason
        self.where = where
        super().__init__(f"{preface}{reason} (at {where})" if where else f"{preface}{reason}")

    def told(self, preface: str, where: str = "") -> InvalidPattern:
        """The same fault as the service says it whose pattern this is."""
        return InvalidPattern(self.reason, where + self.where, preface=preface)


def refuse(reason: str, where: str) -> NoReturn:
    raise InvalidPattern(reason, where)
