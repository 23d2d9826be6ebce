"""Roles and policies of IAM, kept for tools that make them before a function. Nothing asks them
what is allowed: that is for access keys' scopes to say."""

from __future__ import annotations

import json
import secrets
import string
import time
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import msgspec

from microfaas.control.table import Edit, Table, commit
from microfaas.errors import ServiceError
from microfaas.model import Address
from microfaas.store.resources import Resources

ROLES_MAX = 1000
POLICIES_MAX = 1500
ATTACHED_MAX = 20
VERSIONS_MAX = 5
# AWS's own policies, which are taken to be there. What they say is not known here.
AWS_POLICIES = "arn:aws:iam::aws:policy/"
_ID_CHARS = string.ascii_uppercase + "234567"


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A role. `trust` and the values of `inline` are documents; `attached` are policies' ARNs."""

    id: str
    path: str
    trust: str
    created_ms: int
    description: str = ""
    session_s_max: int = 3600
    boundary: str = ""
    tags: dict[str, str] = {}
    attached: tuple[str, ...] = ()
    inline: dict[str, str] = {}


class PolicyVersion(msgspec.Struct, frozen=True):
    """One state of a policy."""

    document: str
    created_ms: int


class ManagedPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A policy, with its versions by their numbers; `numbered` is the last that was given."""

    id: str
    path: str
    created_ms: int
    changed_ms: int
    versions: dict[int, PolicyVersion]
    default: int = 1
    numbered: int = 1
    description: str = ""
    tags: dict[str, str] = {}


class Identity:
    """The account's roles and policies. All that changes something raises ServiceError for what
    AWS refuses, and MachineError; who calls it lets no other change begin before it is made."""

    def __init__(self, resources: Resources, address: Address) -> None:
        self._resources = resources
        self._account = f"arn:aws:iam::{address.account_id}:"
        self.roles = Table(resources, "role", Role)
        self.policies = Table(resources, "iam-policy", ManagedPolicy)

    def open(self) -> None:
        """Read what is on disk. Raises MachineError."""
        self.roles.open()
        self.policies.open()

    def role(self, name: str) -> Role:
        """Raises ServiceError."""
        role = self.roles.get(name)
        if role is None:
            _no_entity(f"The role with name {name} cannot be found.")
        return role

    def role_arn(self, name: str, role: Role) -> str:
        return f"{self._account}role{role.path}{name}"

    def policy_arn(self, name: str, policy: ManagedPolicy) -> str:
        return f"{self._account}policy{policy.path}{name}"

    def policy(self, arn: str) -> tuple[str, ManagedPolicy]:
        """A policy and its name. Raises ServiceError."""
        name = arn.rpartition("/")[2]
        policy = self.policies.get(name)
        if policy is None or self.policy_arn(name, policy) != arn:
            _no_entity(f"Policy {arn} was not found.")
        return name, policy

    def attachments(self, arn: str) -> int:
        """How many roles have a policy."""
        return sum(arn in role.attached for _, role in self.roles.all())

    async def create_role(self, name: str, role: Role) -> None:
        if name in self.roles:
            _exists(f"Role with name {name} already exists.")
        if len(self.roles) >= ROLES_MAX:
            _exceeded(f"Cannot exceed quota for RolesPerAccount: {ROLES_MAX}")
        await self._commit(self.roles.put(name, role))

    async def change_role(self, name: str, **changes: Any) -> None:
        """Set fields of a role."""
        role = self.role(name)
        await self._commit(self.roles.put(name, msgspec.structs.replace(role, **changes)))

    async def delete_role(self, name: str) -> None:
        role = self.role(name)
        if role.attached:
            _conflict("Cannot delete entity, must detach all policies first.")
        if role.inline:
            _conflict("Cannot delete entity, must delete policies first.")
        await self._commit(self.roles.remove(name))

    async def attach(self, name: str, arn: str) -> None:
        """Any of AWS's own policies may be attached."""
        role = self.role(name)
        if not arn.startswith(AWS_POLICIES):
            try:
                self.policy(arn)
            except ServiceError:
                _no_entity(f"Policy {arn} does not exist or is not attachable.")
        if arn in role.attached:
            return
        if len(role.attached) >= ATTACHED_MAX:
            _exceeded(f"Cannot exceed quota for PoliciesPerRole: {ATTACHED_MAX}")
        await self.change_role(name, attached=(*role.attached, arn))

    async def detach(self, name: str, arn: str) -> None:
        role = self.role(name)
        if arn not in role.attached:
            _no_entity(f"Policy {arn} was not found.")
        await self.change_role(name, attached=tuple(each for each in role.attached if each != arn))

    def inline(self, name: str, policy: str) -> str:
        """The document of one of a role's own policies. Raises ServiceError."""
        document = self.role(name).inline.get(policy)
        if document is None:
            _no_entity(f"The role policy with name {policy} cannot be found.")
        return document

    async def put_inline(self, name: str, policy: str, document: str) -> None:
        await self.change_role(name, inline={**self.role(name).inline, policy: document})

    async def delete_inline(self, name: str, policy: str) -> None:
        self.inline(name, policy)
        kept = {k: v for k, v in self.role(name).inline.items() if k != policy}
        await self.change_role(name, inline=kept)

    async def create_policy(self, name: str, policy: ManagedPolicy) -> None:
        if name in self.policies:
            _exists(f"A policy called {name} already exists. Duplicate names are not allowed.")
        if len(self.policies) >= POLICIES_MAX:
            _exceeded(f"Cannot exceed quota for PoliciesPerAccount: {POLICIES_MAX}")
        await self._commit(self.policies.put(name, policy))

    async def delete_policy(self, arn: str) -> None:
        name, policy = self.policy(arn)
        if self.attachments(arn):
            _conflict("Cannot delete a policy attached to entities.")
        if len(policy.versions) > 1:
            _conflict(
                "This policy has more than one version. Before you delete a policy, you must "
                "delete the policy's versions. The default version is deleted with the policy."
            )
        await self._commit(self.policies.remove(name))

    async def tag_policy(self, arn: str, tags: Mapping[str, str]) -> None:
        """These are all it has from now on."""
        name, policy = self.policy(arn)
        changed = msgspec.structs.replace(policy, tags=dict(tags))
        await self._commit(self.policies.put(name, changed))

    async def add_version(self, arn: str, document: str, *, default: bool) -> int:
        """The new version's number."""
        name, policy = self.policy(arn)
        if len(policy.versions) >= VERSIONS_MAX:
            _exceeded(
                f"A managed policy can have up to {VERSIONS_MAX} versions. Before you create a new "
                "version, you must delete an existing version."
            )
        number, at_ms = policy.numbered + 1, now_ms()
        changed = msgspec.structs.replace(
            policy,
            versions={**policy.versions, number: PolicyVersion(document, at_ms)},
            numbered=number,
            default=number if default else policy.default,
            changed_ms=at_ms,
        )
        await self._commit(self.policies.put(name, changed))
        return number

    def version(self, arn: str, called: str) -> tuple[int, PolicyVersion]:
        """A version by its name, `v1`. Raises ServiceError."""
        _, policy = self.policy(arn)
        number = next((each for each in policy.versions if called == f"v{each}"), None)
        if number is None:
            _no_entity(f"Policy {arn} version {called} does not exist or is not attachable.")
        return number, policy.versions[number]

    async def delete_version(self, arn: str, called: str) -> None:
        name, policy = self.policy(arn)
        number, _ = self.version(arn, called)
        if number == policy.default:
            _conflict("Cannot delete the default version of a policy.")
        kept = {k: v for k, v in policy.versions.items() if k != number}
        changed = msgspec.structs.replace(policy, versions=kept, changed_ms=now_ms())
        await self._commit(self.policies.put(name, changed))

    async def _commit(self, *edits: Edit) -> None:
        await commit(self._resources, edits)


def new_id(prefix: str) -> str:
    """An id as IAM has them: AROA… of a role, ANPA… of a policy."""
    return prefix + "".join(secrets.choice(_ID_CHARS) for _ in range(17))


def now_ms() -> int:
    return int(time.time() * 1000)


def check_document(text: str, *, trust: bool) -> None:
    """Raises ServiceError for what is no policy: of a role's trust, or of permissions."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        _malformed("This policy contains invalid Json")
    if not isinstance(document, dict) or "Statement" not in document:
        _malformed("Syntax errors in policy.")
    for statement in _statements(document):
        if statement.get("Effect") not in ("Allow", "Deny"):
            _malformed("Syntax errors in policy.")
        if not statement.keys() & {"Action", "NotAction"}:
            _malformed("Policy statement must contain actions.")
        principal = bool(statement.keys() & {"Principal", "NotPrincipal"})
        resource = bool(statement.keys() & {"Resource", "NotResource"})
        if trust and resource:
            _malformed("Has prohibited field Resource")
        if trust and not principal:
            _malformed("Missing required field Principal")
        if not trust and principal:
            _malformed("Policy document should not specify a principal.")
        if not trust and not resource:
            _malformed("Policy statement must contain resources.")


def _statements(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    found = document["Statement"]
    for statement in found if isinstance(found, list) else [found]:
        if not isinstance(statement, dict):
            _malformed("Syntax errors in policy.")
        yield statement


def _no_entity(text: str) -> NoReturn:
    raise ServiceError("NoSuchEntityException", text)


def _exists(text: str) -> NoReturn:
    raise ServiceError("EntityAlreadyExistsException", text)


def _conflict(text: str) -> NoReturn:
    raise ServiceError("DeleteConflictException", text)


def _exceeded(text: str) -> NoReturn:
    raise ServiceError("LimitExceededException", text)


def _malformed(text: str) -> NoReturn:
    raise ServiceError("MalformedPolicyDocumentException", text)
