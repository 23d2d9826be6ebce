"""Calls of the operations of CloudWatch Logs, STS and IAM that are served, in their order."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tests.e2e.control import ROLE
from tests.e2e.lambda_steps import WHERE, Answers, Step

DOCUMENT = '{"Version": "2012-10-17", "Statement": []}'
TRUST = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }],
})  # fmt: skip
POLICY = {"PolicyArn": "arn:aws:iam::123456789012:policy/p"}
BOUNDARY = "arn:aws:iam::aws:policy/PowerUserAccess"
GROUP = {"logGroupName": "/g"}
STREAM = {**GROUP, "logStreamName": "s"}
GROUP_ARN = f"arn:aws:logs:{WHERE}:log-group:/g"


def logged(_: Answers) -> dict[str, Any]:
    now_ms = int(time.time() * 1000)
    events = [{"timestamp": now_ms, "message": each} for each in ("one", "two")]
    return {**STREAM, "logEvents": events}


LOGS = (
    Step("CreateLogGroup", {**GROUP, "tags": {"team": "one"}}),
    Step("CreateLogGroup", GROUP, "ResourceAlreadyExistsException"),
    Step("PutRetentionPolicy", {**GROUP, "retentionInDays": 7}),
    Step("DescribeLogGroups", {"logGroupNamePrefix": "/g"}),
    Step("DeleteRetentionPolicy", GROUP),
    Step("CreateLogStream", STREAM),
    Step("DescribeLogStreams", GROUP),
    Step("PutLogEvents", logged),
    Step("GetLogEvents", {**STREAM, "startFromHead": True, "limit": 1}),
    Step("FilterLogEvents", {**GROUP, "filterPattern": "two"}),
    Step("FilterLogEvents", {"logGroupName": "/h"}, "ResourceNotFoundException"),
    Step("StartLiveTail", {"logGroupIdentifiers": [GROUP_ARN]}),
    Step("StartLiveTail", {"logGroupIdentifiers": ["/h"]}, "ResourceNotFoundException"),
    Step("DescribeLogStreams", GROUP),
    Step("TagResource", {"resourceArn": GROUP_ARN, "tags": {"a": "1"}}),
    Step("ListTagsForResource", {"resourceArn": GROUP_ARN}),
    Step("UntagResource", {"resourceArn": GROUP_ARN, "tagKeys": ["a"]}),
    Step("TagLogGroup", {**GROUP, "tags": {"b": "1"}}),
    Step("ListTagsLogGroup", GROUP),
    Step("UntagLogGroup", {**GROUP, "tags": ["b"]}),
    Step("DeleteLogStream", STREAM),
    Step("DeleteLogGroup", GROUP),
    Step("DeleteLogGroup", GROUP, "ResourceNotFoundException"),
    # A function's own log, that nobody has made.
    Step("DescribeLogGroups"),
)
STS = (
    Step("GetCallerIdentity"),
    Step("AssumeRole", {"RoleArn": ROLE, "RoleSessionName": "me"}, "AccessDenied"),
)
IAM = (
    Step("CreateRole", {
        "RoleName": "r",
        "AssumeRolePolicyDocument": TRUST,
        "Description": "for tests",
        "Tags": [{"Key": "team", "Value": "one"}],
    }),
    Step("CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": TRUST},
         "EntityAlreadyExists"),
    Step("GetRole", {"RoleName": "r"}),
    Step("ListRoles"),
    Step("UpdateRole", {"RoleName": "r", "Description": "still", "MaxSessionDuration": 7200}),
    Step("UpdateRoleDescription", {"RoleName": "r", "Description": "yet"}),
    Step("PutRolePermissionsBoundary", {"RoleName": "r", "PermissionsBoundary": BOUNDARY}),
    Step("DeleteRolePermissionsBoundary", {"RoleName": "r"}),
    Step("UpdateAssumeRolePolicy", {"RoleName": "r", "PolicyDocument": TRUST}),
    Step("TagRole", {"RoleName": "r", "Tags": [{"Key": "a", "Value": "1"}]}),
    Step("ListRoleTags", {"RoleName": "r"}),
    Step("UntagRole", {"RoleName": "r", "TagKeys": ["a"]}),
    Step("PutRolePolicy", {"RoleName": "r", "PolicyName": "in", "PolicyDocument": DOCUMENT}),
    Step("GetRolePolicy", {"RoleName": "r", "PolicyName": "in"}),
    Step("ListRolePolicies", {"RoleName": "r"}),
    Step("DeleteRolePolicy", {"RoleName": "r", "PolicyName": "in"}),
    Step("CreatePolicy", {"PolicyName": "p", "PolicyDocument": DOCUMENT}),
    Step("GetPolicy", POLICY),
    Step("ListPolicies", {"Scope": "Local"}),
    Step("TagPolicy", {**POLICY, "Tags": [{"Key": "a", "Value": "1"}]}),
    Step("ListPolicyTags", POLICY),
    Step("UntagPolicy", {**POLICY, "TagKeys": ["a"]}),
    Step("CreatePolicyVersion", {**POLICY, "PolicyDocument": DOCUMENT, "SetAsDefault": True}),
    Step("ListPolicyVersions", POLICY),
    Step("GetPolicyVersion", {**POLICY, "VersionId": "v2"}),
    Step("DeletePolicyVersion", {**POLICY, "VersionId": "v1"}),
    Step("AttachRolePolicy", {"RoleName": "r", **POLICY}),
    Step("ListAttachedRolePolicies", {"RoleName": "r"}),
    Step("DeleteRole", {"RoleName": "r"}, "DeleteConflict"),
    Step("DetachRolePolicy", {"RoleName": "r", **POLICY}),
    Step("ListInstanceProfilesForRole", {"RoleName": "r"}),
    Step("CreateServiceLinkedRole", {"AWSServiceName": "replicator.lambda.amazonaws.com"}),
    Step("GetUser"),
    Step("DeletePolicy", POLICY),
    Step("DeleteRole", {"RoleName": "r"}),
    Step("GetRole", {"RoleName": "r"}, "NoSuchEntity"),
)  # fmt: skip
AROUND: Mapping[str, Sequence[Step]] = {"logs": LOGS, "sts": STS, "iam": IAM}
