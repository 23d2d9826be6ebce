"""IAM's operations on roles and policies, for tools that make them before a function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from microfaas.control.identity import (
    AWS_POLICIES,
    Identity,
    ManagedPolicy,
    PolicyVersion,
    Role,
    check_document,
    new_id,
    now_ms,
)
from microfaas.errors import ServiceError
from microfaas.gateway.aws import paging, tagging
from microfaas.gateway.aws.service import Call, Caller, Params, Service, in_turn
from microfaas.gateway.aws.sts import Principals

PAGE = 100
PAGE_MAX = 1000
# What is told of a policy of AWS's own; what it says is not known here.
_UNKNOWN = '{"Version":"2012-10-17","Statement":[]}'
_TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"%s"},'
    '"Action":"sts:AssumeRole"}]}'
)
T = TypeVar("T")


class IamApi:
    """One coroutine per operation."""

    def __init__(self, identity: Identity, principals: Principals) -> None:
        self._identity = identity
        self._principals = principals

    def service(self) -> Service:
        calls = {**self._of_roles(), **self._of_policies(), "GetUser": self._user}
        return Service("iam", in_turn(calls))

    def _of_roles(self) -> Mapping[str, Call]:
        return {
            "CreateRole": self._create_role,
            "CreateServiceLinkedRole": self._create_linked_role,
            "GetRole": self._get_role,
            "ListRoles": self._list_roles,
            "UpdateRole": self._update_role,
            "UpdateRoleDescription": self._describe_role,
            "PutRolePermissionsBoundary": self._bound_role,
            "DeleteRolePermissionsBoundary": self._unbound_role,
            "UpdateAssumeRolePolicy": self._update_trust,
            "DeleteRole": self._delete_role,
            "TagRole": self._tag_role,
            "UntagRole": self._untag_role,
            "ListRoleTags": self._role_tags,
            "AttachRolePolicy": self._attach,
            "DetachRolePolicy": self._detach,
            "ListAttachedRolePolicies": self._attached,
            "PutRolePolicy": self._put_inline,
            "GetRolePolicy": self._get_inline,
            "DeleteRolePolicy": self._delete_inline,
            "ListRolePolicies": self._list_inline,
            "ListInstanceProfilesForRole": self._profiles,
        }

    def _of_policies(self) -> Mapping[str, Call]:
        return {
            "CreatePolicy": self._create_policy,
            "GetPolicy": self._get_policy,
            "ListPolicies": self._list_policies,
            "DeletePolicy": self._delete_policy,
            "CreatePolicyVersion": self._create_version,
            "GetPolicyVersion": self._get_version,
            "ListPolicyVersions": self._list_versions,
            "DeletePolicyVersion": self._delete_version,
            "TagPolicy": self._tag_policy,
            "UntagPolicy": self._untag_policy,
            "ListPolicyTags": self._policy_tags,
        }

    async def _create_role(self, _: Caller, params: Params) -> Params:
        check_document(params["AssumeRolePolicyDocument"], trust=True)
        role = Role(
            id=new_id("AROA"),
            path=params.get("Path", "/"),
            trust=params["AssumeRolePolicyDocument"],
            created_ms=now_ms(),
            description=params.get("Description", ""),
            session_s_max=params.get("MaxSessionDuration", 3600),
            boundary=params.get("PermissionsBoundary", ""),
            tags=tagging.read(params.get("Tags", ())),
        )
        await self._identity.create_role(params["RoleName"], role)
        return {"Role": self._told_role(params["RoleName"], role)}

    async def _create_linked_role(self, _: Caller, params: Params) -> Params:
        service, suffix = params["AWSServiceName"], params.get("CustomSuffix", "")
        label = service.partition(".")[0].title().replace("-", "")
        name = f"AWSServiceRoleFor{label}" + (f"_{suffix}" if suffix else "")
        if name in self._identity.roles:
            text = f"Service role name {name} has been taken in this account"
            raise ServiceError("InvalidInputException", f"{text}, please try a different suffix.")
        role = Role(
            id=new_id("AROA"),
            path=f"/aws-service-role/{service}/",
            trust=_TRUST % service,
            created_ms=now_ms(),
            description=params.get("Description", ""),
        )
        await self._identity.create_role(name, role)
        return {"Role": self._told_role(name, role)}

    async def _get_role(self, _: Caller, params: Params) -> Params:
        name = params["RoleName"]
        return {"Role": self._told_role(name, self._identity.role(name))}

    async def _list_roles(self, _: Caller, params: Params) -> Params:
        prefix = params.get("PathPrefix", "/")
        found = [
            (name, self._told_role(name, role))
            for name, role in self._identity.roles.all()
            if role.path.startswith(prefix)
        ]
        return _listed("Roles", found, params)

    async def _update_role(self, _: Caller, params: Params) -> Params:
        named = {"Description": "description", "MaxSessionDuration": "session_s_max"}
        changes = {field: params[key] for key, field in named.items() if key in params}
        await self._identity.change_role(params["RoleName"], **changes)
        return {}

    async def _describe_role(self, _: Caller, params: Params) -> Params:
        name = params["RoleName"]
        await self._identity.change_role(name, description=params["Description"])
        return {"Role": self._told_role(name, self._identity.role(name))}

    async def _bound_role(self, _: Caller, params: Params) -> Params:
        boundary = params["PermissionsBoundary"]
        await self._identity.change_role(params["RoleName"], boundary=boundary)
        return {}

    async def _unbound_role(self, _: Caller, params: Params) -> Params:
        await self._identity.change_role(params["RoleName"], boundary="")
        return {}

    async def _update_trust(self, _: Caller, params: Params) -> Params:
        check_document(params["PolicyDocument"], trust=True)
        await self._identity.change_role(params["RoleName"], trust=params["PolicyDocument"])
        return {}

    async def _delete_role(self, _: Caller, params: Params) -> Params:
        await self._identity.delete_role(params["RoleName"])
        return {}

    async def _tag_role(self, _: Caller, params: Params) -> Params:
        name = params["RoleName"]
        tags = {**self._identity.role(name).tags, **tagging.read(params["Tags"])}
        await self._identity.change_role(name, tags=tags)
        return {}

    async def _untag_role(self, _: Caller, params: Params) -> Params:
        name = params["RoleName"]
        tags = tagging.without(self._identity.role(name).tags, params["TagKeys"])
        await self._identity.change_role(name, tags=tags)
        return {}

    async def _role_tags(self, _: Caller, params: Params) -> Params:
        return _listed_tags(self._identity.role(params["RoleName"]).tags, params)

    async def _attach(self, _: Caller, params: Params) -> Params:
        await self._identity.attach(params["RoleName"], params["PolicyArn"])
        return {}

    async def _detach(self, _: Caller, params: Params) -> Params:
        await self._identity.detach(params["RoleName"], params["PolicyArn"])
        return {}

    async def _attached(self, _: Caller, params: Params) -> Params:
        prefix = params.get("PathPrefix", "/")
        found = [
            (arn, {"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn})
            for arn in sorted(self._identity.role(params["RoleName"]).attached)
            if _path_of(arn).startswith(prefix)
        ]
        return _listed("AttachedPolicies", found, params)

    async def _put_inline(self, _: Caller, params: Params) -> Params:
        check_document(params["PolicyDocument"], trust=False)
        names = params["RoleName"], params["PolicyName"]
        await self._identity.put_inline(*names, params["PolicyDocument"])
        return {}

    async def _get_inline(self, _: Caller, params: Params) -> Params:
        names = params["RoleName"], params["PolicyName"]
        document = _quoted(self._identity.inline(*names))
        return {"RoleName": names[0], "PolicyName": names[1], "PolicyDocument": document}

    async def _delete_inline(self, _: Caller, params: Params) -> Params:
        await self._identity.delete_inline(params["RoleName"], params["PolicyName"])
        return {}

    async def _list_inline(self, _: Caller, params: Params) -> Params:
        found = sorted(self._identity.role(params["RoleName"]).inline)
        return _listed("PolicyNames", zip(found, found, strict=True), params)

    async def _profiles(self, _: Caller, params: Params) -> Params:
        self._identity.role(params["RoleName"])
        return {"InstanceProfiles": [], "IsTruncated": False}

    async def _create_policy(self, _: Caller, params: Params) -> Params:
        check_document(params["PolicyDocument"], trust=False)
        at_ms = now_ms()
        policy = ManagedPolicy(
            id=new_id("ANPA"),
            path=params.get("Path", "/"),
            created_ms=at_ms,
            changed_ms=at_ms,
            versions={1: PolicyVersion(params["PolicyDocument"], at_ms)},
            description=params.get("Description", ""),
            tags=tagging.read(params.get("Tags", ())),
        )
        await self._identity.create_policy(params["PolicyName"], policy)
        return {"Policy": self._told_policy(params["PolicyName"], policy)}

    async def _get_policy(self, _: Caller, params: Params) -> Params:
        arn = params["PolicyArn"]
        if arn.startswith(AWS_POLICIES):
            return {"Policy": self._told_of_aws(arn)}
        return {"Policy": self._told_policy(*self._identity.policy(arn))}

    async def _list_policies(self, _: Caller, params: Params) -> Params:
        prefix, attached = params.get("PathPrefix", "/"), params.get("OnlyAttached", False)
        own = params.get("Scope", "All") != "AWS"  # AWS's own are not known by name
        found = [
            (name, self._told_policy(name, policy))
            for name, policy in self._identity.policies.all()
            if own and policy.path.startswith(prefix)
        ]
        found = [each for each in found if not attached or each[1]["AttachmentCount"]]
        return _listed("Policies", found, params)

    async def _delete_policy(self, _: Caller, params: Params) -> Params:
        await self._identity.delete_policy(params["PolicyArn"])
        return {}

    async def _create_version(self, _: Caller, params: Params) -> Params:
        check_document(params["PolicyDocument"], trust=False)
        arn, default = params["PolicyArn"], params.get("SetAsDefault", False)
        number = await self._identity.add_version(arn, params["PolicyDocument"], default=default)
        policy = self._identity.policy(arn)[1]
        return {"PolicyVersion": _told_version(policy, number)}

    async def _get_version(self, _: Caller, params: Params) -> Params:
        arn = params["PolicyArn"]
        if arn.startswith(AWS_POLICIES):
            told = {"VersionId": "v1", "IsDefaultVersion": True, "Document": _quoted(_UNKNOWN)}
            return {"PolicyVersion": told}
        policy = self._identity.policy(arn)[1]
        number, version = self._identity.version(arn, params["VersionId"])
        document = {"Document": _quoted(version.document)}
        return {"PolicyVersion": _told_version(policy, number) | document}

    async def _list_versions(self, _: Caller, params: Params) -> Params:
        policy = self._identity.policy(params["PolicyArn"])[1]
        found = [(f"{n:09}", _told_version(policy, n)) for n in sorted(policy.versions)]
        return _listed("Versions", found, params)

    async def _delete_version(self, _: Caller, params: Params) -> Params:
        await self._identity.delete_version(params["PolicyArn"], params["VersionId"])
        return {}

    async def _tag_policy(self, _: Caller, params: Params) -> Params:
        arn = params["PolicyArn"]
        await self._identity.tag_policy(
            arn, {**self._identity.policy(arn)[1].tags, **tagging.read(params["Tags"])}
        )
        return {}

    async def _untag_policy(self, _: Caller, params: Params) -> Params:
        arn = params["PolicyArn"]
        tags = tagging.without(self._identity.policy(arn)[1].tags, params["TagKeys"])
        await self._identity.tag_policy(arn, tags)
        return {}

    async def _policy_tags(self, _: Caller, params: Params) -> Params:
        return _listed_tags(self._identity.policy(params["PolicyArn"])[1].tags, params)

    async def _user(self, caller: Caller, params: Params) -> Params:
        who = self._principals.of(caller.key_id)
        name = params.get("UserName", who.user)
        if name != who.user:
            text = f"The user with name {name} cannot be found."
            raise ServiceError("NoSuchEntityException", text)
        named = {"UserName": name} if name else {}
        # When a key was made is not for its bearer to know.
        return {"User": {"Path": "/", **named, "UserId": who.id, "Arn": who.arn, "CreateDate": 0}}

    def _told_role(self, name: str, role: Role) -> Params:
        told: Params = {
            "Path": role.path,
            "RoleName": name,
            "RoleId": role.id,
            "Arn": self._identity.role_arn(name, role),
            "CreateDate": role.created_ms / 1000,
            "AssumeRolePolicyDocument": _quoted(role.trust),
            "MaxSessionDuration": role.session_s_max,
            "Description": role.description or None,
            "Tags": _told_tags(role.tags),
        }
        if role.boundary:
            told["PermissionsBoundary"] = {
                "PermissionsBoundaryType": "Policy",
                "PermissionsBoundaryArn": role.boundary,
            }
        return told

    def _told_policy(self, name: str, policy: ManagedPolicy) -> Params:
        arn = self._identity.policy_arn(name, policy)
        return {
            "PolicyName": name,
            "PolicyId": policy.id,
            "Arn": arn,
            "Path": policy.path,
            "DefaultVersionId": f"v{policy.default}",
            "AttachmentCount": self._identity.attachments(arn),
            "PermissionsBoundaryUsageCount": 0,
            "IsAttachable": True,
            "Description": policy.description or None,
            "CreateDate": policy.created_ms / 1000,
            "UpdateDate": policy.changed_ms / 1000,
            "Tags": _told_tags(policy.tags),
        }

    def _told_of_aws(self, arn: str) -> Params:
        return {
            "PolicyName": arn.rpartition("/")[2],
            "Arn": arn,
            "Path": _path_of(arn),
            "DefaultVersionId": "v1",
            "AttachmentCount": self._identity.attachments(arn),
            "IsAttachable": True,
        }


def _listed(key: str, rows: Iterable[tuple[str, T]], params: Params) -> Params:
    found, more = paging.page(rows, params, usual=PAGE, most=PAGE_MAX)
    return {key: found, "IsTruncated": more is not None, "Marker": more}


def _told_version(policy: ManagedPolicy, number: int) -> dict[str, Any]:
    return {
        "VersionId": f"v{number}",
        "IsDefaultVersion": number == policy.default,
        "CreateDate": policy.versions[number].created_ms / 1000,
    }


def _path_of(arn: str) -> str:
    """`/service-role/` of `arn:aws:iam::aws:policy/service-role/NAME`."""
    return arn.rpartition("/")[0].partition(":policy")[2] + "/"


def _quoted(document: str) -> str:
    """As IAM gives documents."""
    return quote(document, safe="")


def _listed_tags(tags: Mapping[str, str], params: Params) -> Params:
    rows = [(key, {"Key": key, "Value": tags[key]}) for key in sorted(tags)]
    return _listed("Tags", rows, params)


def _told_tags(tags: Mapping[str, str]) -> list[Params] | None:
    return tagging.rows(tags) or None
