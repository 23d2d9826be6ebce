"""CORS, as the gateway answers it for a function: AWS's settings, by their names. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Headers = list[tuple[str, str]]
_PREFIX = "access-control-"


class Cors:
    """The rules of one URL."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings

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
        found = self._allowed(origin)
        if found and (exposed := self._settings.get("ExposeHeaders")):
            found.append(("Access-Control-Expose-Headers", ",".join(exposed)))
        return kept + found

    def _allowed(self, origin: str) -> Headers:
        """What tells a browser that pages of this origin may see the response."""
        listed = self._settings.get("AllowOrigins", ())
        if not origin or not ("*" in listed or origin in listed):
            return []
        if self._settings.get("AllowCredentials"):
            credentials = ("Access-Control-Allow-Credentials", "true")
            return [("Access-Control-Allow-Origin", origin), credentials, ("Vary", "Origin")]
        if "*" in listed:
            return [("Access-Control-Allow-Origin", "*")]
        return [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
