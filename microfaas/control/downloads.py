"""Links to packages: whoever has one may fetch that package for ten minutes, without a key."""

from __future__ import annotations

import hmac
import time
from hashlib import sha256

from microfaas.store.machine_key import MachineKey

LINK_S = 600
PATH = "/_microfaas/v1/packages"


class Downloads:
    """Makes links and knows them again."""

    def __init__(self, machine_key: MachineKey) -> None:
        self._key = machine_key.derive("package links")

    def link(self, base_url: str, package: str) -> str:
        """A link to a package, by its hash."""
        expires_s = str(int(time.time()) + LINK_S)
        query = f"expires={expires_s}&signature={self._sign(package, expires_s)}"
        return f"{base_url}{PATH}/{package}?{query}"

    def opens(self, package: str, expires_s: str, signature: str) -> bool:
        """Whether a link is one of ours and still good."""
        right = self._sign(package, expires_s)
        genuine = hmac.compare_digest(right.encode(), signature.encode("utf-8", "replace"))
        return genuine and int(expires_s) >= time.time()

    def _sign(self, package: str, expires_s: str) -> str:
        return hmac.new(self._key, f"{package} {expires_s}".encode(), sha256).hexdigest()
