"""STS, as far as deploy tools ask it: whose key it is that they have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from microfaas.errors import ServiceError
from microfaas.gateway.aws.service import Caller, Params, Service
from microfaas.model import Address
from microfaas.store.keys import function_key_id


class Principal(NamedTuple):
    """Somebody who calls, as IAM names them. Only a user has a name."""

    arn: str
    id: str
    user: str = ""


class Principals:
    """Tells whose a key is. `functions` are the names of those that have one."""

    def __init__(self, address: Address, functions: Callable[[], Iterable[str]]) -> None:
        self.account_id = address.account_id
        self._functions = functions

    def of(self, key_id: str) -> Principal:
        """Where nobody is asked for a key, everybody is the account itself."""
        if not key_id:
            return Principal(f"arn:aws:iam::{self.account_id}:root", self.account_id)
        for name in self._functions():
            if function_key_id(name) == key_id:
                arn = f"arn:aws:sts::{self.account_id}:assumed-role/{name}/{name}"
                return Principal(arn, f"{key_id}:{name}")
        return Principal(f"arn:aws:iam::{self.account_id}:user/{key_id}", key_id, key_id)


class StsApi:
    """One coroutine per operation."""

    def __init__(self, principals: Principals) -> None:
        self._principals = principals

    def service(self) -> Service:
        return Service("sts", {"GetCallerIdentity": self._identity, "AssumeRole": self._assume})

    async def _identity(self, caller: Caller, _: Params) -> Params:
        who = self._principals.of(caller.key_id)
        return {"UserId": who.id, "Account": self._principals.account_id, "Arn": who.arn}

    async def _assume(self, caller: Caller, params: Params) -> Params:
        who = self._principals.of(caller.key_id)
        raise ServiceError(
            "AccessDenied",
            f"User: {who.arn} is not authorized to perform: sts:AssumeRole on resource: "
            f"{params['RoleArn']} because microfaas has no credentials of roles: a key may do what "
            "its scopes say, whatever role is named; use the key itself",
            status=403,
        )
