"""The functions that are served, and which version a name and qualifier mean now."""

from __future__ import annotations

from microfaas.errors import FunctionNotFound
from microfaas.model import LATEST, Version


class Functions:
    """Names to versions. Each function has one version here, $LATEST."""

    def __init__(self) -> None:
        self._latest: dict[str, Version] = {}

    def put(self, version: Version) -> Version | None:
        """Serve this version from now on; gives the one that it replaces."""
        name = version.function.name
        replaced = self._latest.get(name)
        self._latest[name] = version
        return replaced

    def resolve(self, name: str, qualifier: str = "") -> Version:
        """Raises FunctionNotFound."""
        version = self._latest.get(name)
        if version is None or qualifier not in ("", LATEST):
            raise FunctionNotFound(name, qualifier or LATEST)
        return version

    def all(self) -> list[Version]:
        return [self._latest[name] for name in sorted(self._latest)]
