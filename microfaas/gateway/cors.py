"""CORS, as the gateway answers it for a function: AWS's settings, by their names. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

Headers = list[tuple[str, str]]
_PREFIX = "access-control-"
_ASKED_METHOD = "Access-Control-Request-Method"
_ASKED_HEADERS = "Access-Control-Request-Headers"
# What may come back in a header; browsers ask for nothing else.
_PLAIN = re.compile(r"[\x20-\x7e]*")


def is_preflight(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a browser asks for permission; the names of headers have no case."""
    return method == "OPTIONS" and _ASKED_METHOD in headers


def asked_method(headers: Mapping[str, str]) -> str:
    """The method that a preflight asks for."""
    return headers.get(_ASKED_METHOD, "")


class Cors:
    """The rules of one URL or route."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings

    def permission(self, headers: Mapping[str, str]) -> Headers:
        """The answer to a preflight with these headers."""
        names = ("Origin", _ASKED_METHOD, _ASKED_HEADERS)
        return self.preflight(*(_plain(headers.get(name, "")) for name in names))

    def preflight(self, origin: str, method: str, headers: str) -> Headers:
        """The answer to a browser that asks for permission; nothing when it has none."""
        if not (found := self._allowed(origin)):
            return []
        settings = self._settings
        wide = {"AllowMethods": method, "AllowHeaders": headers}
        for name, header in (("AllowMethods", "Methods"), ("AllowHeaders", "Headers")):
            listed: list[str] = settings.get(name, [])
            text = wide[name] if "*" in listed else ",".join(listed)
            if text:
                found.append((f"Access-Control-Allow-{header}", text))
        if "MaxAge" in settings:
            found.append(("Access-Control-Max-Age", str(settings["MaxAge"])))
        return found

    def applied(self, headers: Iterable[tuple[str, str]], origin: str) -> Headers:
        """A response's headers, with the gateway's instead of the function's own of CORS."""
        kept = [(name, value) for name, value in headers if not name.lower().startswith(_PREFIX)]
        found = self._allowed(_plain(origin))
        if found and (exposed := self._settings.get("ExposeHeaders")):
            found.append(("Access-Control-Expose-Headers", ",".join(exposed)))
        return kept + found

    def _allowed(self, origin: str) -> Headers:
        """What tells a browser that pages of this origin may see the response."""
        listed = self._settings.get("AllowOrigins", ())
        scheme, _, name = origin.partition("://")
        fitting = ("*", origin, f"{scheme}://*" if name else origin)
        if not origin or not any(each in listed for each in fitting):
            return []
        if self._settings.get("AllowCredentials"):
            credentials = ("Access-Control-Allow-Credentials", "true")
            return [("Access-Control-Allow-Origin", origin), credentials, ("Vary", "Origin")]
        if "*" in listed:
            return [("Access-Control-Allow-Origin", "*")]
        return [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]


def _plain(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else ""
