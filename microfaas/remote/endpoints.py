"""Which service an ARN leads to: its URL, and the key to sign with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from microfaas.config.endpoints import EndpointTable
from microfaas.errors import MachineError

# Gives a stored secret, or None when there is none of that name.
SecretOf = Callable[[str], bytes | None]


class Key(NamedTuple):
    """What calls are signed with."""

    id: str
    secret: str
    token: str = ""


class Endpoint(NamedTuple):
    """A service, as it is found; `region` is the one that calls are signed for."""

    url: str
    region: str
    key: Key


class Endpoints:
    """Those of the configuration."""

    def __init__(
        self,
        tables: Mapping[str, EndpointTable],
        secret_of: SecretOf,
        environ: Mapping[str, str],
    ) -> None:
        self._tables = tables
        self._secret_of = secret_of
        self._environ = environ

    def find(self, arn: str) -> Endpoint | None:
        """Where a queue, stream or table is; None when nobody said. Raises MachineError without a
        key to sign with."""
        for name in _names(arn):
            if (table := self._tables.get(name)) is not None:
                return Endpoint(table.url, arn.split(":")[3], self._key(name, table))
        return None

    def covers(self, arn: str, *, whole: bool = False) -> bool:
        """Whether it is said where it is; `whole`: for its very region and account."""
        exact, service = _names(arn)
        return exact in self._tables or (service in self._tables and not whole)

    def _key(self, name: str, table: EndpointTable) -> Key:
        if table.access_key_id is not None and table.secret_access_key is not None:
            return Key(
                self._secret(name, table.access_key_id),
                self._secret(name, table.secret_access_key),
                self._secret(name, table.session_token) if table.session_token else "",
            )
        id, secret = (self._environ.get(f"AWS_{each}") for each in ("ACCESS_KEY_ID", _SECRET))
        if not id or not secret:
            raise MachineError(
                f"cannot sign calls to {table.url}: set access_key_id and secret_access_key of "
                f"endpoints.{name} to names of stored secrets, or AWS_ACCESS_KEY_ID and "
                f"AWS_{_SECRET} in the environment of microfaas"
            )
        return Key(id, secret, self._environ.get("AWS_SESSION_TOKEN", ""))

    def _secret(self, name: str, stored: str) -> str:
        value = self._secret_of(stored)
        if value is None:
            raise MachineError(
                f"cannot find the secret {stored} that endpoints.{name} names; "
                f'store it with "microfaas secrets set {stored}"'
            )
        return value.decode()


def _names(arn: str) -> tuple[str, str]:
    """What it may be said under: service, region and account, or the service alone."""
    parts = arn.split(":")
    return ":".join(parts[2:5]), parts[2]


_SECRET = "SECRET_ACCESS_KEY"
