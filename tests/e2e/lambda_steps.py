"""Calls of every operation of Lambda's, in an order in which each finds what it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.e2e.control import ECHO, ROLE, package

WHERE = "us-east-1:123456789012"
ARN = f"arn:aws:lambda:{WHERE}:function:f"
LAYER = f"arn:aws:lambda:{WHERE}:layer:l"
SIGNER = f"arn:aws:signer:{WHERE}:/signing-profiles/p/0123456789"

# What an operation answered last, by the operation's name.
Answers = Mapping[str, Any]
Params = Mapping[str, Any] | Callable[[Answers], Mapping[str, Any]]


class Step(NamedTuple):
    """A call, and the fault that it ends in, if that is what it is there for."""

    operation: str
    params: Params = MappingProxyType({})
    fault: str = ""


def of_f(**params: Any) -> dict[str, Any]:
    return {"FunctionName": "f", **params}


def of_layer(**params: Any) -> dict[str, Any]:
    return {"LayerName": "l", "VersionNumber": 1, **params}


def signing(answers: Answers) -> dict[str, Any]:
    made = answers["CreateCodeSigningConfig"]["CodeSigningConfig"]
    return {"CodeSigningConfigArn": made["CodeSigningConfigArn"]}


def mapping(answers: Answers) -> dict[str, Any]:
    return {"UUID": answers["CreateEventSourceMapping"]["UUID"]}


LAYERS = (
    Step("PublishLayerVersion", {
        "LayerName": "l",
        "Description": "shared",
        "LicenseInfo": "MIT",
        "CompatibleRuntimes": ["python3.12"],
        "CompatibleArchitectures": ["x86_64"],
        "Content": {"ZipFile": package("X = 1\n", "python/shared.py")},
    }),
    Step("GetLayerVersion", of_layer()),
    Step("GetLayerVersion", of_layer(VersionNumber=7), "ResourceNotFoundException"),
    Step("GetLayerVersionByArn", {"Arn": f"{LAYER}:1"}),
    Step("ListLayers"),
    Step("ListLayers", {"CompatibleRuntime": "python3.12", "CompatibleArchitecture": "x86_64"}),
    Step("ListLayerVersions", {"LayerName": "l"}),
    Step("AddLayerVersionPermission", of_layer(
        StatementId="s", Action="lambda:GetLayerVersion", Principal="*"
    )),
    Step("AddLayerVersionPermission", of_layer(
        StatementId="s", Action="lambda:GetLayerVersion", Principal="*"
    ), "ResourceConflictException"),
    Step("GetLayerVersionPolicy", of_layer()),
    Step("RemoveLayerVersionPermission", of_layer(StatementId="s")),
)  # fmt: skip
FUNCTIONS = (
    Step("GetAccountSettings"),
    Step("CreateFunction", of_f(
        Runtime="python3.12",
        Role=ROLE,
        Handler="app.handler",
        Code={"ZipFile": package()},
        Description="all there is",
        Timeout=10,
        MemorySize=256,
        Environment={"Variables": {"SAID": "one"}},
        Tags={"team": "one"},
        Layers=[f"{LAYER}:1"],
        DeadLetterConfig={"TargetArn": f"arn:aws:sqs:{WHERE}:lost"},
        TracingConfig={"Mode": "Active"},
        EphemeralStorage={"Size": 1024},
        Architectures=["x86_64"],
        LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG"},
    )),
    Step("CreateFunction", of_f(
        Runtime="python3.12", Role=ROLE, Handler="app.handler", Code={"ZipFile": package()}
    ), "ResourceConflictException"),
    Step("CreateFunction", of_f(
        Runtime="python3.12", Role="me", Handler="app.handler", Code={"ZipFile": package()}
    ), "ValidationException"),
    Step("CreateFunction", {
        "FunctionName": "g",
        "Runtime": "python3.12",
        "Role": ROLE,
        "Handler": "app.handler",
        "Code": {"ZipFile": b"no archive"},
    }, "InvalidParameterValueException"),
    Step("GetFunction", of_f()),
    Step("GetFunction", of_f(Qualifier="7"), "ResourceNotFoundException"),
    Step("GetFunctionConfiguration", of_f()),
    Step("ListFunctions"),
    Step("ListFunctions", {"FunctionVersion": "ALL", "MaxItems": 1}),
    Step("UpdateFunctionCode", of_f(ZipFile=package(f"{ECHO}#\n"), DryRun=True)),
    Step("UpdateFunctionCode", of_f(ZipFile=package(f"{ECHO}#\n"))),
    Step("UpdateFunctionConfiguration", of_f(Timeout=11, VpcConfig={}, SnapStart={
        "ApplyOn": "PublishedVersions"
    })),
    Step("UpdateFunctionConfiguration", of_f(RevisionId="old"), "PreconditionFailedException"),
    Step("PublishVersion", of_f(Description="the first")),
    Step("UpdateFunctionConfiguration", of_f(Timeout=12)),
    Step("PublishVersion", of_f()),
    Step("ListVersionsByFunction", of_f()),
    Step("CreateAlias", of_f(Name="live", FunctionVersion="1", Description="what is used")),
    Step("CreateAlias", of_f(Name="live", FunctionVersion="1"), "ResourceConflictException"),
    Step("GetAlias", of_f(Name="live")),
    Step("GetAlias", of_f(Name="dead"), "ResourceNotFoundException"),
    Step("UpdateAlias", of_f(Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.1}})),
    Step("ListAliases", of_f(FunctionVersion="1")),
)  # fmt: skip
INVOCATIONS = (
    Step("Invoke", of_f(Payload=b'{"a": 1}', LogType="Tail", Qualifier="live")),
    Step("Invoke", of_f(InvocationType="Event", Payload=b"{}")),
    Step("Invoke", of_f(InvocationType="DryRun")),
    Step("Invoke", of_f(Payload=b"{"), "InvalidRequestContentException"),
    Step("Invoke", of_f(Qualifier="dead"), "ResourceNotFoundException"),
    Step("InvokeAsync", of_f(InvokeArgs=b"{}")),
    Step("InvokeWithResponseStream", of_f(LogType="Tail")),
)
SIGNING = (
    Step("CreateCodeSigningConfig", {
        "Description": "by whom",
        "AllowedPublishers": {"SigningProfileVersionArns": [SIGNER]},
        "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Warn"},
    }),
    Step("GetCodeSigningConfig", signing),
    Step("UpdateCodeSigningConfig", lambda answers: {**signing(answers), "Description": "who"}),
    Step("ListCodeSigningConfigs"),
    Step("PutFunctionCodeSigningConfig", lambda answers: of_f(**signing(answers))),
    Step("GetFunctionCodeSigningConfig", of_f()),
    Step("ListFunctionsByCodeSigningConfig", signing),
    Step("DeleteFunctionCodeSigningConfig", of_f()),
    Step("GetFunctionCodeSigningConfig", of_f()),
    Step("DeleteCodeSigningConfig", signing),
    Step("GetCodeSigningConfig", signing, "ResourceNotFoundException"),
)  # fmt: skip
SETTINGS = (
    Step("PutFunctionConcurrency", of_f(ReservedConcurrentExecutions=2)),
    Step("GetFunctionConcurrency", of_f()),
    Step("GetFunction", of_f()),
    Step("DeleteFunctionConcurrency", of_f()),
    Step("PutProvisionedConcurrencyConfig", of_f(
        Qualifier="2", ProvisionedConcurrentExecutions=1
    )),
    Step("GetProvisionedConcurrencyConfig", of_f(Qualifier="2")),
    Step("GetProvisionedConcurrencyConfig", of_f(Qualifier="1"),
         "ProvisionedConcurrencyConfigNotFoundException"),
    Step("ListProvisionedConcurrencyConfigs", of_f()),
    Step("DeleteProvisionedConcurrencyConfig", of_f(Qualifier="2")),
    Step("PutFunctionEventInvokeConfig", of_f(
        MaximumRetryAttempts=1,
        MaximumEventAgeInSeconds=60,
        DestinationConfig={"OnFailure": {"Destination": f"arn:aws:sqs:{WHERE}:lost"}},
    )),
    Step("UpdateFunctionEventInvokeConfig", of_f(MaximumRetryAttempts=0)),
    Step("GetFunctionEventInvokeConfig", of_f()),
    Step("ListFunctionEventInvokeConfigs", of_f()),
    Step("DeleteFunctionEventInvokeConfig", of_f()),
    Step("GetFunctionEventInvokeConfig", of_f(), "ResourceNotFoundException"),
    Step("PutFunctionRecursionConfig", of_f(RecursiveLoop="Allow")),
    Step("GetFunctionRecursionConfig", of_f()),
    Step("PutRuntimeManagementConfig", of_f(UpdateRuntimeOn="FunctionUpdate")),
    Step("GetRuntimeManagementConfig", of_f()),
    Step("TagResource", {"Resource": ARN, "Tags": {"a": "1", "b": "2"}}),
    Step("UntagResource", {"Resource": ARN, "TagKeys": ["a", "team"]}),
    Step("ListTags", {"Resource": ARN}),
)  # fmt: skip
ACCESS = (
    Step("AddPermission", of_f(
        StatementId="s",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn="arn:aws:s3:::b",
        SourceAccount="123456789012",
    )),
    Step("AddPermission", of_f(
        StatementId="s", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
    ), "ResourceConflictException"),
    Step("GetPolicy", of_f()),
    Step("RemovePermission", of_f(StatementId="s")),
    Step("RemovePermission", of_f(StatementId="s"), "ResourceNotFoundException"),
    Step("GetPolicy", of_f(), "ResourceNotFoundException"),
)  # fmt: skip
HTTP = (
    Step("CreateFunctionUrlConfig", of_f(
        AuthType="NONE",
        InvokeMode="BUFFERED",
        Cors={"AllowOrigins": ["https://example.com"], "AllowMethods": ["GET"], "MaxAge": 10,
              "AllowHeaders": ["x-a"], "ExposeHeaders": ["x-b"], "AllowCredentials": True},
    )),
    Step("CreateFunctionUrlConfig", of_f(AuthType="NONE"), "ResourceConflictException"),
    Step("GetFunctionUrlConfig", of_f()),
    Step("ListFunctionUrlConfigs", of_f()),
    Step("UpdateFunctionUrlConfig", of_f(AuthType="AWS_IAM")),
    Step("DeleteFunctionUrlConfig", of_f()),
    Step("GetFunctionUrlConfig", of_f(), "ResourceNotFoundException"),
)  # fmt: skip
EVENT_SOURCES = (
    Step("CreateEventSourceMapping", of_f(
        EventSourceArn=f"arn:aws:kinesis:{WHERE}:stream/s",
        StartingPosition="LATEST",
        Enabled=False,
        BatchSize=10,
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": f"arn:aws:sqs:{WHERE}:lost"}},
    )),
    Step("GetEventSourceMapping", mapping),
    Step("DeleteEventSourceMapping", mapping),
    Step("CreateEventSourceMapping", of_f(
        EventSourceArn=f"arn:aws:sqs:{WHERE}:q",
        BatchSize=5,
        FilterCriteria={"Filters": [{"Pattern": '{"body": {"a": [1]}}'}]},
        FunctionResponseTypes=["ReportBatchItemFailures"],
        ScalingConfig={"MaximumConcurrency": 2},
    )),
    Step("CreateEventSourceMapping", of_f(EventSourceArn=f"arn:aws:sqs:{WHERE}:q"),
         "ResourceConflictException"),
    Step("GetEventSourceMapping", mapping),
    Step("ListEventSourceMappings", of_f()),
    Step("UpdateEventSourceMapping", lambda answers: {**mapping(answers), "BatchSize": 6}),
    Step("DeleteEventSourceMapping", mapping),
)  # fmt: skip
ENDS = (
    Step("DeleteFunction", of_f(Qualifier="1"), "ResourceConflictException"),
    Step("DeleteAlias", of_f(Name="live")),
    Step("DeleteFunction", of_f(Qualifier="1")),
    Step("DeleteFunction", of_f()),
    Step("DeleteFunction", of_f(), "ResourceNotFoundException"),
    Step("DeleteLayerVersion", of_layer()),
)
CAPACITY = {"CapacityProviderName": "c"}
DURABLE = {"DurableExecutionArn": f"{ARN}:1/durable-execution/x/y"}
RESOURCE = {"ResourceArn": ARN}
NOTHING, NOT_HERE = "ResourceNotFoundException", "UnknownOperationException"
NOT_SERVED = (
    Step("ListCapacityProviders"),
    Step("CreateCapacityProvider", {
        **CAPACITY,
        "VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
        "PermissionsConfig": {"CapacityProviderOperatorRoleArn": ROLE},
    }, NOT_HERE),
    Step("GetCapacityProvider", CAPACITY, NOTHING),
    Step("UpdateCapacityProvider", CAPACITY, NOTHING),
    Step("ListFunctionVersionsByCapacityProvider", CAPACITY, NOTHING),
    Step("DeleteCapacityProvider", CAPACITY, NOTHING),
    Step("PutFunctionScalingConfig", of_f(Qualifier="1"), NOT_HERE),
    Step("GetFunctionScalingConfig", of_f(Qualifier="1"), NOTHING),
    Step("ListDurableExecutionsByFunction", of_f()),
    Step("GetDurableExecution", DURABLE, NOTHING),
    Step("GetDurableExecutionHistory", DURABLE, NOTHING),
    Step("GetDurableExecutionState", {**DURABLE, "CheckpointToken": "dA=="}, NOTHING),
    Step("CheckpointDurableExecution", {**DURABLE, "CheckpointToken": "dA=="}, NOTHING),
    Step("PauseDurableExecution", DURABLE, NOTHING),
    Step("ResumeDurableExecution", DURABLE, NOTHING),
    Step("StopDurableExecution", DURABLE, NOTHING),
    Step("DeleteDurableExecution", DURABLE, NOTHING),
    Step("SendDurableExecutionCallbackSuccess", {"CallbackId": "YQ=="}, NOTHING),
    Step("SendDurableExecutionCallbackFailure", {"CallbackId": "YQ=="}, NOTHING),
    Step("SendDurableExecutionCallbackHeartbeat", {"CallbackId": "YQ=="}, NOTHING),
    Step("GetResourcePolicy", RESOURCE, NOTHING),
    Step("PutResourcePolicy", {**RESOURCE, "Policy": "{}"}, NOT_HERE),
    Step("DeleteResourcePolicy", RESOURCE, NOTHING),
)  # fmt: skip
LAMBDA: Sequence[Step] = (
    *LAYERS,
    *FUNCTIONS,
    *INVOCATIONS,
    *SIGNING,
    *SETTINGS,
    *ACCESS,
    *HTTP,
    *EVENT_SOURCES,
    *NOT_SERVED,
    *ENDS,
)
