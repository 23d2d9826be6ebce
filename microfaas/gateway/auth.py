"""Who asks, and whether they may: bearer tokens, AWS's signatures, scopes, rates per key.

Theory of operation. A request's head is turned into a `Claim` first: that is cheap, needs no
body, and refuses most of what must be refused. A bearer's claim is proven by its head alone, and
stays so while the key ring gives the same key for it; so a lane may keep it for as long as the
same head comes again. A signature covers the body, and is checked with each request.

Replays. A signature names a second and not a request: two equal calls in the same second have the
same one, and both are meant. SDKs sign every retry anew. So where somebody may have listened, on a
way that is neither TLS nor this machine's own, a signature that changes something is accepted
again only within REPLAY_S of its first coming. Presigned URLs are made to be used again, and are.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from microfaas import sigv4
from microfaas.audit import Audit
from microfaas.errors import AccessRefused, InvalidRequest, MachineError, TooManyRequests
from microfaas.gateway.connections import Peer
from microfaas.gateway.lambda_api import Prepared
from microfaas.gateway.rates import Rates
from microfaas.model import Address
from microfaas.scopes import Action
from microfaas.sigv4 import Signable
from microfaas.store.keys import Key, KeyRing, digest

REFRESH_S = 0.5
# A key that is not known is looked for in the database: it may have been made a moment ago.
LOOKS_PER_S = 10.0
REPLAY_S = 5.0
# The newest. Who sends more within the ten minutes that count should use TLS.
SIGNATURES_REMEMBERED = 65_536
SIGNING_KEYS_KEPT = 1024
TOLD_EVERY_S = 1.0

_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_BEARER = re.compile(r"bearer +([A-Z0-9]{1,64})\.([A-Za-z0-9_-]{1,128})", re.IGNORECASE)

_log = logging.getLogger("microfaas.gateway")


@dataclass(slots=True)
class Claim:
    """What a head presents: a bearer's secret, hashed, or a signature. `key` is what it proved."""

    head: Signable
    peer: Peer
    key_id: str
    secret_sha256: bytes = b""
    signed: sigv4.Claim | None = None
    key: Key | None = None


class Guard:
    """Stands before everything the gateway does."""

    def __init__(
        self,
        ring: KeyRing,
        audit: Audit,
        address: Address,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ring = ring
        self._address = address
        self._clock = clock
        self._rates = Rates("CallerRateLimitExceeded")
        self._seen = _Seen()
        self._signing_keys: dict[tuple[str, str], bytes] = {}
        self._looks = Rates("")
        self._refusals = _Refusals(audit)

    def claim(self, head: Signable, peer: Peer) -> Claim:
        """What a head presents. Raises AccessRefused when no body could make it acceptable."""
        if (signed := sigv4.read(head)) is not None:
            claim = Claim(head, peer, signed.key_id, signed=signed)
            self._find(claim.key_id)
            return claim
        for name, value in head.headers:
            if name == b"authorization" and (match := _BEARER.fullmatch(value.decode("latin-1"))):
                claim = Claim(head, peer, match[1], digest(match[2]))
                self._prove_bearer(claim)
                return claim
        raise AccessRefused("Missing Authentication Token", "MissingAuthenticationTokenException")

    def identify(self, claim: Claim, body: bytes) -> Key:
        """Whose request it is. Raises AccessRefused, TooManyRequests."""
        now_s = self._clock()
        try:
            if claim.signed is not None:
                key = self._check_signature(claim, claim.signed, body, now_s)
            else:
                key = self._prove_bearer(claim)
            if key.expires_ms is not None and now_s * 1000 >= key.expires_ms:
                text = "The security token included in the request is expired"
                raise AccessRefused(text, "ExpiredTokenException")
        except AccessRefused as error:
            error.key_id = claim.key_id
            raise
        self._ring.note_use(key)
        if key.rate_per_s is not None:
            self._rates.take(key.id, key.rate_per_s, now_s)
        return key

    def permit(self, key: Key, action: Action, operation: str, function: str = "") -> None:
        """Raises AccessRefused unless the key's scopes allow it; `operation` is Lambda's name."""
        self.permit_any(key, (action,), f"lambda:{operation}", function)

    def permit_any(self, key: Key, actions: tuple[Action, ...], operation: str, name: str) -> None:
        """Raises AccessRefused unless a scope allows one of these; `sqs:SendMessage` of a name.

        A name of Lambda's is a function's, or an ARN.
        """
        if any(key.scopes.allow(action, name) for action in actions):
            return
        who = f"arn:aws:iam::{self._address.account_id}:user/{key.id}"
        if name and operation.startswith("lambda:") and not name.startswith("arn:"):
            name = self._address.arn(name)
        raise AccessRefused(
            f"User: {who} is not authorized to perform: {operation} on resource: "
            f"{name or '*'} because no scope of the key allows it",
            key_id=key.id,
        )

    def permit_invoke(self, key: Key, prepared: Prepared | InvalidRequest) -> None:
        """Raises AccessRefused. What is not understood names no function, and runs none."""
        if isinstance(prepared, Prepared):
            self.permit(key, "invoke", "InvokeFunction", prepared.function)

    def tell(self, error: AccessRefused, head: Signable, peer: Peer) -> None:
        """Note that a request was refused; to be called where the reply is made."""
        path = head.target.partition(b"?")[0].decode("ascii", "backslashreplace")
        self._refusals.tell(error, f"{head.method} {path}", peer, self._clock())

    def refresh(self) -> None:
        """See which keys were made and revoked meanwhile. Raises MachineError."""
        self._ring.refresh()

    async def follow(self) -> None:
        """See new and revoked keys as they come, and note which are used."""
        why = ""
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                self.refresh()
                await self._ring.note_uses()
                why = ""
            except MachineError as error:
                if why != str(error):
                    _log.error("%s; the keys stay as they were", error)
                why = str(error)

    def _find(self, key_id: str) -> Key:
        key = self._ring.find(key_id)
        if key is None:
            with contextlib.suppress(TooManyRequests):
                self._looks.take("", LOOKS_PER_S, self._clock())
                self.refresh()
            key = self._ring.find(key_id)
        if key is None:
            raise _unknown(key_id)
        return key

    def _prove_bearer(self, claim: Claim) -> Key:
        key = self._find(claim.key_id)
        if key is not claim.key:
            if not hmac.compare_digest(key.secret_sha256, claim.secret_sha256):
                raise _unknown(key.id)
            claim.key = key
        return key

    def _check_signature(self, claim: Claim, signed: sigv4.Claim, body: bytes, now_s: float) -> Key:
        key = self._find(claim.key_id)
        if not hmac.compare_digest(key.token.encode(), signed.token.encode("latin-1")):
            raise _unknown(key.id)
        private = claim.peer.private
        sigv4.check(
            signed, claim.head, body, self._signing_key(key, signed.scope), now_s, private=private
        )
        if not private and signed.expires_s is None and claim.head.method not in _SAFE:
            self._seen.add(signed.signature, now_s)
        return key

    def _signing_key(self, key: Key, scope: str) -> bytes:
        known = self._signing_keys.get((key.id, scope))
        if known is None:
            if len(self._signing_keys) >= SIGNING_KEYS_KEPT:
                self._signing_keys.clear()
            known = sigv4.signing_key(self._ring.secret(key), scope)
            self._signing_keys[key.id, scope] = known
        return known


class _Seen:
    """The signatures that came over open ways, and when each came first."""

    def __init__(self) -> None:
        self._first_s: dict[str, float] = {}

    def add(self, signature: str, now_s: float) -> None:
        """Raises AccessRefused when it is too late for an equal request of the same second."""
        first_s = self._first_s.setdefault(signature, now_s)
        if now_s - first_s > REPLAY_S:
            text = "The signature was used before: sign the request anew."
            raise AccessRefused(text, "InvalidSignatureException")
        # One may be dated five minutes ahead, and is then good for ten.
        too_old_s = now_s - 2 * sigv4.SKEW_S
        while self._first_s:
            oldest = next(iter(self._first_s))
            if self._first_s[oldest] > too_old_s and len(self._first_s) <= SIGNATURES_REMEMBERED:
                return
            del self._first_s[oldest]


class _Refusals:
    """Tells of refused requests, but not so often that refusing them would cost much."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._next_s = 0.0
        self._untold = 0

    def tell(self, error: AccessRefused, request: str, peer: Peer, now_s: float) -> None:
        if now_s < self._next_s:
            self._untold += 1
            return
        before, self._untold = self._untold, 0
        self._next_s = now_s + TOLD_EVERY_S
        more = f", and {before} more before" if before else ""
        _log.warning("refused %s from %s: %s%s", request, peer.host, error.kind, more)
        self._audit.record(
            "request",
            request,
            who=error.key_id or "unknown",
            peer=peer.host,
            result=error.kind,
            refused_before=before or None,
        )


def _unknown(key_id: str) -> AccessRefused:
    text = "The security token included in the request is invalid."
    return AccessRefused(text, "UnrecognizedClientException", key_id)
