"""Writes what microfaas needs to know of AWS's APIs, as data, out of botocore's service models.

python -m docs.aws_models    write microfaas/gateway/aws/models/*.json

botocore is needed here and in tests, never by microfaas itself. What is kept of a model are facts
of the protocol for the operations that are served: shapes, names on the wire, constraints, errors.
Of the others only the names are kept, so that they can be refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import botocore.session
from botocore.model import ServiceModel

MODELS = Path(__file__).parents[1] / "microfaas/gateway/aws/models"

SERVED: Mapping[str, str] = {
    "sqs": """
        CreateQueue DeleteQueue ListQueues GetQueueUrl GetQueueAttributes SetQueueAttributes
        SendMessage SendMessageBatch ReceiveMessage DeleteMessage DeleteMessageBatch
        ChangeMessageVisibility ChangeMessageVisibilityBatch PurgeQueue ListDeadLetterSourceQueues
        StartMessageMoveTask ListMessageMoveTasks CancelMessageMoveTask
        TagQueue UntagQueue ListQueueTags""",
    "sns": """
        CreateTopic DeleteTopic ListTopics GetTopicAttributes SetTopicAttributes
        Publish PublishBatch Subscribe ConfirmSubscription Unsubscribe
        ListSubscriptions ListSubscriptionsByTopic GetSubscriptionAttributes
        SetSubscriptionAttributes TagResource UntagResource ListTagsForResource""",
    "kinesis": """
        CreateStream DeleteStream DescribeStream DescribeStreamSummary ListStreams ListShards
        PutRecord PutRecords GetShardIterator GetRecords
        IncreaseStreamRetentionPeriod DecreaseStreamRetentionPeriod UpdateShardCount
        AddTagsToStream ListTagsForStream RemoveTagsFromStream""",
    "events": """
        PutEvents PutRule DeleteRule DescribeRule ListRules EnableRule DisableRule
        PutTargets RemoveTargets ListTargetsByRule TestEventPattern
        TagResource UntagResource ListTagsForResource
        ListEventBuses DescribeEventBus""",
    "scheduler": "CreateSchedule GetSchedule UpdateSchedule DeleteSchedule ListSchedules",
    # The three that invoke have ways of their own through the gateway.
    "lambda": """
        GetAccountSettings
        CreateFunction GetFunction ListFunctions DeleteFunction
        GetFunctionConfiguration UpdateFunctionConfiguration UpdateFunctionCode
        PublishVersion ListVersionsByFunction
        CreateAlias GetAlias ListAliases UpdateAlias DeleteAlias
        PutFunctionConcurrency GetFunctionConcurrency DeleteFunctionConcurrency
        PutProvisionedConcurrencyConfig GetProvisionedConcurrencyConfig
        ListProvisionedConcurrencyConfigs DeleteProvisionedConcurrencyConfig
        PutFunctionEventInvokeConfig UpdateFunctionEventInvokeConfig GetFunctionEventInvokeConfig
        ListFunctionEventInvokeConfigs DeleteFunctionEventInvokeConfig
        AddPermission GetPolicy RemovePermission
        CreateFunctionUrlConfig GetFunctionUrlConfig UpdateFunctionUrlConfig
        DeleteFunctionUrlConfig ListFunctionUrlConfigs
        CreateEventSourceMapping GetEventSourceMapping ListEventSourceMappings
        UpdateEventSourceMapping DeleteEventSourceMapping
        PublishLayerVersion GetLayerVersion GetLayerVersionByArn ListLayers ListLayerVersions
        DeleteLayerVersion AddLayerVersionPermission GetLayerVersionPolicy
        RemoveLayerVersionPermission
        CreateCodeSigningConfig GetCodeSigningConfig UpdateCodeSigningConfig
        DeleteCodeSigningConfig ListCodeSigningConfigs ListFunctionsByCodeSigningConfig
        PutFunctionCodeSigningConfig GetFunctionCodeSigningConfig
        DeleteFunctionCodeSigningConfig
        PutFunctionRecursionConfig GetFunctionRecursionConfig
        PutRuntimeManagementConfig GetRuntimeManagementConfig
        TagResource UntagResource ListTags""",
    "logs": """
        CreateLogGroup DeleteLogGroup DescribeLogGroups PutRetentionPolicy DeleteRetentionPolicy
        CreateLogStream DeleteLogStream DescribeLogStreams PutLogEvents
        GetLogEvents FilterLogEvents StartLiveTail
        TagResource UntagResource ListTagsForResource
        TagLogGroup UntagLogGroup ListTagsLogGroup""",
    "sts": "GetCallerIdentity AssumeRole",
    "iam": """
        CreateRole GetRole ListRoles UpdateRole DeleteRole UpdateAssumeRolePolicy
        UpdateRoleDescription PutRolePermissionsBoundary DeleteRolePermissionsBoundary
        TagRole UntagRole ListRoleTags
        AttachRolePolicy DetachRolePolicy ListAttachedRolePolicies
        PutRolePolicy GetRolePolicy DeleteRolePolicy ListRolePolicies
        CreatePolicy GetPolicy ListPolicies DeletePolicy
        GetPolicyVersion CreatePolicyVersion ListPolicyVersions DeletePolicyVersion
        TagPolicy UntagPolicy ListPolicyTags
        ListInstanceProfilesForRole GetUser CreateServiceLinkedRole""",
}

# What botocore's model of SQS, which has JSON only, does not say of the older query protocol.
SQS_NAMESPACE = "http://queue.amazonaws.com/doc/2012-11-05/"
SQS_LISTS = {
    "ActionNameList": "ActionName",
    "AttributeNameList": "AttributeName",
    "MessageAttributeNameList": "MessageAttributeName",
    "MessageSystemAttributeList": "MessageSystemAttributeName",
    "BinaryList": "BinaryListValue",
    "StringList": "StringListValue",
    "TagKeyList": "TagKey",
    "QueueUrlList": "QueueUrl",
    "MessageList": "Message",
    "BatchResultErrorEntryList": "BatchResultErrorEntry",
    "ChangeMessageVisibilityBatchRequestEntryList": "ChangeMessageVisibilityBatchRequestEntry",
    "ChangeMessageVisibilityBatchResultEntryList": "ChangeMessageVisibilityBatchResultEntry",
    "DeleteMessageBatchRequestEntryList": "DeleteMessageBatchRequestEntry",
    "DeleteMessageBatchResultEntryList": "DeleteMessageBatchResultEntry",
    "SendMessageBatchRequestEntryList": "SendMessageBatchRequestEntry",
    "SendMessageBatchResultEntryList": "SendMessageBatchResultEntry",
    "ListMessageMoveTasksResultEntryList": "ListMessageMoveTasksResultEntry",
}
SQS_MAPS = {
    "MessageBodyAttributeMap": ("MessageAttribute", "Name", "Value"),
    "MessageBodySystemAttributeMap": ("MessageSystemAttribute", "Name", "Value"),
    "MessageSystemAttributeMap": ("Attribute", "Name", "Value"),
    "QueueAttributeMap": ("Attribute", "Name", "Value"),
    "TagMap": ("Tag", "Key", "Value"),
}
_SQS_PREFIXED = (
    "BatchEntryIdsNotDistinct",
    "BatchRequestTooLong",
    "EmptyBatchRequest",
    "InvalidBatchEntryId",
    "MessageNotInflight",
    "PurgeQueueInProgress",
    "QueueDeletedRecently",
    "TooManyEntriesInBatchRequest",
    "UnsupportedOperation",
)
SQS_CODES = {
    **{name: f"AWS.SimpleQueueService.{name}" for name in _SQS_PREFIXED},
    "QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
    "QueueNameExists": "QueueAlreadyExists",
    "KmsAccessDenied": "KMS.AccessDeniedException",
    "KmsDisabled": "KMS.DisabledException",
    "KmsInvalidKeyUsage": "KMS.InvalidKeyUsageException",
    "KmsInvalidState": "KMS.InvalidStateException",
    "KmsNotFound": "KMS.NotFoundException",
    "KmsOptInRequired": "KMS.OptInRequired",
    "KmsThrottled": "KMS.ThrottlingException",
}
SQS_FORBIDDEN = ("InvalidSecurity", "OverLimit", "PurgeQueueInProgress", "RequestThrottled")

# What a request may have, where it is more than an event may: code is sent in some.
CODE_BYTES_MAX = 70_167_211
BODY_BYTES_MAX: Mapping[str, Mapping[str, int]] = {
    "lambda": dict.fromkeys(
        ("CreateFunction", "UpdateFunctionCode", "PublishLayerVersion"), CODE_BYTES_MAX
    )
}

# What there is none of, by what it is called: who asks for one by its name learns that.
NONE_OF: Mapping[str, Mapping[str, str]] = {
    "lambda": {
        "durable executions": """
            CheckpointDurableExecution DeleteDurableExecution GetDurableExecution
            GetDurableExecutionHistory GetDurableExecutionState PauseDurableExecution
            ResumeDurableExecution StopDurableExecution SendDurableExecutionCallbackFailure
            SendDurableExecutionCallbackHeartbeat SendDurableExecutionCallbackSuccess""",
        "capacity providers": """
            DeleteCapacityProvider GetCapacityProvider UpdateCapacityProvider
            ListFunctionVersionsByCapacityProvider""",
        "scaling configurations": "GetFunctionScalingConfig",
        "resource policies beside those of GetPolicy": "GetResourcePolicy DeleteResourcePolicy",
    }
}
# Lists of what there is none of, with the member that is empty.
EMPTY: Mapping[str, Mapping[str, str]] = {
    "lambda": {
        "ListCapacityProviders": "CapacityProviders",
        "ListDurableExecutionsByFunction": "DurableExecutions",
    }
}
# Why others are not served.
REASONS: Mapping[str, Mapping[str, str]] = {
    "lambda": {
        "CreateCapacityProvider": "functions run on this machine, and there is no other capacity",
        "PutFunctionScalingConfig": "there are no capacity providers whose instances would scale",
        "PutResourcePolicy": "AddPermission and RemovePermission change a function's policy",
    }
}

# Where recorded replies of AWS say something else than botocore's model. All are errors kept in
# localstack/localstack, tests/aws/services/lambda_/*.snapshot.json, recorded against AWS in
# November 2025: `'invalid' at 'startingPosition'`, `'UNKNOWN' at 'invokeMode'`, `'InvalidValue' at
# 'recursiveLoop'`, `at 'layers'` and `at 'arn'`, `'arn:aws:something' at 'resource'`. The members
# of `sparse` lists may be null: `at 'vpcConfig.securityGroupIds'`, `at 'vpcConfig.subnetIds'`.
_REGION = r"(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}"
_HEX = "[0-9a-fA-F]"
RECORDED: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "lambda": {
        "EventSourcePosition": {"enum": ["LATEST", "AT_TIMESTAMP", "TRIM_HORIZON"]},
        "InvokeMode": {"enum": ["RESPONSE_STREAM", "BUFFERED"]},
        "RecursiveLoop": {"enum": ["Terminate", "Allow"]},
        "SecurityGroupIds": {"sparse": True},
        "SubnetIds": {"sparse": True},
        "LayerVersionArn": {
            "pattern": rf"(arn:(aws[a-zA-Z-]*)?:lambda:{_REGION}:\d{{12}}:layer:[a-zA-Z0-9-_]+"
            r":[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)"
        },
        "TaggableResource": {
            "pattern": rf"arn:(aws[a-zA-Z-]*):lambda:{_REGION}:\d{{12}}:"
            r"(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|layer:([a-zA-Z0-9-_]+)"
            r"|code-signing-config:csc-[a-z0-9]{17}"
            rf"|event-source-mapping:{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
            r"|capacity-provider:[a-zA-Z0-9-_]+)"
        },
    }
}
# The order in which a structure's members are complained of: `2 validation errors detected: …
# at 'compatibleRuntimes' …; … at 'compatibleArchitectures'`.
RECORDED_ORDER: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "lambda": {"PublishLayerVersionRequest": ("CompatibleRuntimes", "CompatibleArchitectures")}
}

# What AWS's first layer lets through and the second refuses in other words: `Value PYTHON3.9 at
# 'runtime' … or be a valid ARN`, an InvalidParameterValueException.
LOOSE: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "lambda": {
        "CreateFunctionRequest": {"Runtime": "String"},
        "UpdateFunctionConfigurationRequest": {"Runtime": "String"},
    }
}

_TRAITS = ("enum", "pattern", "min", "max", "sensitive")


def main() -> None:
    for service in SERVED:
        path = MODELS / f"{service}.json"
        path.write_text(_lines(made(service)))


def _lines(model: dict[str, Any]) -> str:
    """JSON with a line for each operation, error and shape."""
    parts = []
    for key, value in sorted(model.items()):
        text = json.dumps(value, sort_keys=True)
        if isinstance(value, dict):
            # Not sorted within: the order of members is the model's.
            inner = [f'"{k}": {json.dumps(v)}' for k, v in sorted(value.items())]
            text = "{\n" + ",\n".join(inner) + "\n}"
        parts.append(f'"{key}": {text}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def made(service: str) -> dict[str, Any]:
    """What is kept of a service's model."""
    source = botocore.session.Session().get_service_model(service)
    served = SERVED[service].split()
    operations = {name: _operation(source, name) for name in served}
    for name, limit in BODY_BYTES_MAX.get(service, {}).items():
        operations[name]["body_bytes_max"] = limit
    roots = [o[side] for o in operations.values() for side in ("input", "output") if side in o]
    metadata = source.metadata
    names = [name for name in source.operation_names if name not in served]
    model = {
        "name": service,
        "title": metadata.get("serviceAbbreviation", metadata["serviceFullName"]),
        "protocols": [metadata["protocol"]],
        "version": metadata["apiVersion"],
        "target": metadata.get("targetPrefix", ""),
        "json_version": metadata.get("jsonVersion", ""),
        "namespace": metadata.get("xmlNamespace", ""),
        "query_compatible": "awsQueryCompatible" in metadata,
        "operations": operations,
        "unserved": {name: _unserved(source, name) for name in names},
        "errors": {shape.name: _error(service, shape) for shape in source.error_shapes},
        "shapes": _shapes(source, roots),
    }
    if service == "sqs":
        model |= {"protocols": ["json", "query"], "namespace": SQS_NAMESPACE}
    return model


def _operation(source: ServiceModel, name: str) -> dict[str, Any]:
    operation = source.operation_model(name)
    http = operation.http
    kept = {"method": http["method"], "uri": http["requestUri"]}
    if http.get("responseCode", 200) != 200:
        kept["status"] = http["responseCode"]
    if operation.input_shape is not None:
        kept["input"] = operation.input_shape.name
    if operation.output_shape is not None:
        kept["output"] = operation.output_shape.name
    return kept


def _unserved(source: ServiceModel, name: str) -> dict[str, Any]:
    http = source.operation_model(name).http
    kept = {"method": http["method"], "uri": http["requestUri"]}
    service = source.service_name
    none_of = [what for what, of in NONE_OF.get(service, {}).items() if name in of.split()]
    told = {
        "none_of": "".join(none_of),
        "empty": EMPTY.get(service, {}).get(name),
        "reason": REASONS.get(service, {}).get(name),
    }
    return kept | {key: value for key, value in told.items() if value}


def _error(service: str, shape: Any) -> dict[str, Any]:
    told = shape.metadata.get("error", {})
    kept = {
        "code": told.get("code", shape.name),
        "status": told.get("httpStatusCode", 500 if shape.metadata.get("fault") else 400),
        "members": {
            key: member.serialization["name"] if "location" in member.serialization else ""
            for key, member in sorted(shape.members.items())
        },
    }
    if service == "sqs":
        kept["code"] = SQS_CODES.get(shape.name, shape.name)
        kept["status"] = 403 if shape.name in SQS_FORBIDDEN else 400
    return kept


def _shapes(source: ServiceModel, roots: list[str]) -> dict[str, Any]:
    """The shapes that these are made of, by name."""
    kept: dict[str, Any] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in kept:
            kept[name] = _shape(source, name)
            members = [*kept[name].get("members", {}).values()]
            members += [
                kept[name][part] for part in ("member", "key", "value") if part in kept[name]
            ]
            waiting += [member["shape"] for member in members]
    return kept


def _shape(source: ServiceModel, name: str) -> dict[str, Any]:
    shape = source.shape_for(name)
    kept: dict[str, Any] = {"type": shape.type_name}
    if shape.metadata.get("required"):
        kept["required"] = list(shape.metadata["required"])
    kept |= {trait: shape.metadata[trait] for trait in _TRAITS if trait in shape.metadata}
    kept |= {t: True for t in ("flattened", "eventstream") if shape.serialization.get(t)}
    if "timestampFormat" in shape.serialization:
        kept["format"] = shape.serialization["timestampFormat"]
    if shape.type_name == "structure":
        kept["members"] = {key: _member(source, key, m) for key, m in shape.members.items()}
    elif shape.type_name == "list":
        kept["member"] = _member(source, "member", shape.member)
    elif shape.type_name == "map":
        kept["key"] = _member(source, "key", shape.key)
        kept["value"] = _member(source, "value", shape.value)
    if source.service_name == "sqs":
        _name_for_query(name, kept)
    for key, loose in LOOSE.get(source.service_name, {}).get(name, {}).items():
        kept["members"][key]["shape"] = loose
    kept |= RECORDED.get(source.service_name, {}).get(name, {})
    if order := RECORDED_ORDER.get(source.service_name, {}).get(name):
        rest = {key: kept["members"].pop(key) for key in order}
        kept["members"] |= rest
    return kept


def _member(source: ServiceModel, key: str, member: Any) -> dict[str, Any]:
    kept = {"shape": member.name}
    traits = member.serialization
    if traits.get("name", key) != key:
        kept["name"] = traits["name"]
    if "location" in traits:
        kept["location"] = traits["location"]
    if source.service_name == "sqs":
        if member.name in SQS_LISTS:
            kept["query"] = SQS_LISTS[member.name]
        elif member.name in SQS_MAPS:
            kept["query"] = SQS_MAPS[member.name][0]
    return kept


def _name_for_query(name: str, kept: dict[str, Any]) -> None:
    if name in SQS_LISTS:
        kept["flattened"] = True
    elif name in SQS_MAPS:
        kept["flattened"] = True
        kept["key"]["name"], kept["value"]["name"] = SQS_MAPS[name][1:]


if __name__ == "__main__":
    main()
