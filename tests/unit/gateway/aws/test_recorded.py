"""What Lambda was recorded to say of parameters that its model does not allow, word for word.

The texts are those of localstack/localstack, tests/aws/services/lambda_/*.snapshot.json, which were
recorded against AWS. Enums of runtimes, which change every few months, are left out.
"""

from __future__ import annotations

from typing import Any

import pytest

from docs import aws_models
from microfaas.errors import ServiceError
from microfaas.gateway.aws import json_form, model
from microfaas.gateway.aws.validation import validate

LAMBDA = model.load("lambda")
ROLE = "arn:aws:iam::123456789012:role/r"
CREATE = {"FunctionName": "f", "Role": ROLE, "Code": {"ZipFile": b"z"}}
LAYER = "arn:aws:lambda:us-east-1:123456789012:layer:l"
REGION = r"(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}"
NAME = rf"(arn:(aws[a-zA-Z-]*)?:lambda:)?({REGION}:)?(\d{{12}}:)?(function:)?"
LAYERS = (
    rf"(arn:(aws[a-zA-Z-]*)?:lambda:{REGION}:\d{{12}}:layer:[a-zA-Z0-9-_]+:[0-9]+)"
    "|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)"
)
RESOURCE = (
    rf"arn:(aws[a-zA-Z-]*):lambda:{REGION}:\d{{12}}:"
    r"(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|layer:([a-zA-Z0-9-_]+)"
    r"|code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}"
    r"-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|capacity-provider:[a-zA-Z0-9-_]+)"
)
DESTINATION = (
    r"$|kafka://([^.]([a-zA-Z0-9\-_.]{0,248}))|arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:"
    rf"({REGION})?:(\d{{12}})?:(.*)"
)
ALIAS_ONLY = r"((?!^\d+$)^[0-9a-zA-Z-_]+$)"
ARCHITECTURES = (
    "Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64]"
)
WEIGHTS = (
    "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, "
    "Member must have value greater than or equal to 0.0, Member must not be null]"
)


def pattern(text: str) -> str:
    return f"Member must satisfy regular expression pattern: {text}"


def enum(*values: str) -> str:
    return f"Member must satisfy enum value set: [{', '.join(values)}]"


def lengths(least: int, most: int) -> str:
    return (
        f"Member must have length less than or equal to {most}, "
        f"Member must have length greater than or equal to {least}"
    )


def url(qualifier: str) -> tuple[str, dict[str, Any]]:
    return "GetFunctionUrlConfig", {"FunctionName": "f", "Qualifier": qualifier}


def create(**params: Any) -> tuple[str, dict[str, Any]]:
    return "CreateFunction", CREATE | params


def alias(**params: Any) -> tuple[str, dict[str, Any]]:
    return "CreateAlias", {"FunctionName": "f", "Name": "a", "FunctionVersion": "1"} | params


def weights(key: str, weight: float) -> tuple[str, dict[str, Any]]:
    return alias(RoutingConfig={"AdditionalVersionWeights": {key: weight}})


def tags(resource: str) -> tuple[str, dict[str, Any]]:
    return "ListTags", {"Resource": resource}


def permission(**params: Any) -> tuple[str, dict[str, Any]]:
    return (
        "AddPermission",
        {"FunctionName": "f", "StatementId": "s", "Action": "lambda:*", "Principal": "*"} | params,
    )


@pytest.mark.parametrize(
    ("called", "shown", "at", "constraint"),
    [
        (url("$LATEST"), "'$LATEST'", "qualifier", pattern(ALIAS_ONLY)),
        (url("1"), "'1'", "qualifier", pattern(ALIAS_ONLY)),
        (
            (
                "AddLayerVersionPermission",
                {
                    "LayerName": "l",
                    "VersionNumber": 1,
                    "StatementId": "s",
                    "Action": "*",
                    "Principal": "*",
                },
            ),
            *("'*'", "action", pattern("lambda:GetLayerVersion")),
        ),
        (
            (
                "PutProvisionedConcurrencyConfig",
                {"FunctionName": "f", "Qualifier": "1", "ProvisionedConcurrentExecutions": 0},
            ),
            *("'0'", "provisionedConcurrentExecutions"),
            "Member must have value greater than or equal to 1",
        ),
        (alias(Name="2024"), "'2024'", "name", pattern("(?!^[0-9]+$)([a-zA-Z0-9-_]+)")),
        (
            ("PutFunctionRecursionConfig", {"FunctionName": "f", "RecursiveLoop": "InvalidValue"}),
            *("'InvalidValue'", "recursiveLoop", enum("Terminate", "Allow")),
        ),
        (
            (
                "CreateFunctionUrlConfig",
                {"FunctionName": "f", "AuthType": "NONE", "InvokeMode": "UNKNOWN"},
            ),
            *("'UNKNOWN'", "invokeMode", enum("RESPONSE_STREAM", "BUFFERED")),
        ),
        (
            create(VpcConfig={"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["x-1"]}),
            *("'[x-1]'", "vpcConfig.securityGroupIds"),
            f"Member must satisfy constraint: [{lengths(0, 1024)}, {pattern('sg-[0-9a-zA-Z]*')}]",
        ),
        (
            create(VpcConfig={"SubnetIds": ["bad", "subnet-1"]}),
            *("'[bad, subnet-1]'", "vpcConfig.subnetIds"),
            f"Member must satisfy constraint: [{lengths(0, 1024)}, {pattern('subnet-[0-9a-z]*')}]",
        ),
        (
            create(Architectures=["X86_64"]),
            *("'[X86_64]'", "architectures", f"{ARCHITECTURES}, Member must not be null]"),
        ),
        (
            create(Architectures=["x86_64", "arm64"]),
            *("'[x86_64, arm64]'", "architectures"),
            "Member must have length less than or equal to 1",
        ),
        (
            create(Layers=[LAYER]),
            *(f"'[{LAYER}]'", "layers"),
            f"Member must satisfy constraint: [{lengths(1, 2048)}, {pattern(LAYERS)}, "
            "Member must not be null]",
        ),
        (("GetLayerVersionByArn", {"Arn": LAYER}), f"'{LAYER}'", "arn", pattern(LAYERS)),
        (
            ("ListLayers", {"CompatibleArchitecture": "archdoesnotexist"}),
            *("'archdoesnotexist'", "compatibleArchitecture", enum("x86_64", "arm64")),
        ),
        (
            ("GetFunction", {"FunctionName": "arn:aws:lambda:us-east-1:1234@function:myfn"}),
            *("'arn:aws:lambda:us-east-1:1234@function:myfn'", "functionName"),
            pattern(NAME + r"([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"),
        ),
        (
            create(FunctionName="invalid:function:name"),
            *("'invalid:function:name'", "functionName"),
            pattern(NAME + r"([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?"),
        ),
        (
            create(FunctionName="a" * 141),
            *(f"'{'a' * 141}'", "functionName"),
            "Member must have length less than or equal to 140",
        ),
        (tags("arn:aws:something"), "'arn:aws:something'", "resource", pattern(RESOURCE)),
        (
            tags("arn:aws:lambda:us-east-1:123456789012:function:f:a:b"),
            *("'arn:aws:lambda:us-east-1:123456789012:function:f:a:b'", "resource"),
            pattern(RESOURCE),
        ),
        (
            permission(StatementId="example.com"),
            *("'example.com'", "statementId", pattern("([a-zA-Z0-9-_]+)")),
        ),
        (
            permission(Qualifier="invalid-qualifier-with-?-char"),
            *("'invalid-qualifier-with-?-char'", "qualifier"),
            pattern(r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"),
        ),
        (
            ("ListFunctions", {"FunctionVersion": "invalid"}),
            *("'invalid'", "functionVersion", enum("ALL")),
        ),
        (
            ("CreateEventSourceMapping", {"FunctionName": "f", "StartingPosition": "invalid"}),
            *("'invalid'", "startingPosition", enum("LATEST", "AT_TIMESTAMP", "TRIM_HORIZON")),
        ),
        (
            create(SnapStart={"ApplyOn": "invalidOption"}),
            *("'invalidOption'", "snapStart.applyOn", enum("PublishedVersions", "None")),
        ),
        (
            create(Role="r1"),
            *("'r1'", "role"),
            pattern(r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"),
        ),
        (
            weights("$LATEST", 0.5),
            *("'{$LATEST=0.5}'", "routingConfig.additionalVersionWeights"),
            f"Map keys must satisfy constraint: [{lengths(1, 1024)}, {pattern('[0-9]+')}]",
        ),
        (weights("2", -1.0), "'{2=-1.0}'", "routingConfig.additionalVersionWeights", WEIGHTS),
        (weights("2", 2.0), "'{2=2.0}'", "routingConfig.additionalVersionWeights", WEIGHTS),
        (
            (
                "PutFunctionEventInvokeConfig",
                {"FunctionName": "f", "DestinationConfig": {"OnFailure": {"Destination": "q"}}},
            ),
            *("'q'", "destinationConfig.onFailure.destination", pattern(DESTINATION)),
        ),
        (
            ("UntagResource", {"Resource": "arn:aws:lambda:us-east-1:123456789012:function:f"}),
            *("null", "tagKeys", "Member must not be null"),
        ),
        (
            create(Environment={"Variables": {"1": "secret"}}),
            *("", "environment.variables"),
            f"Map keys must satisfy constraint: [{pattern('[a-zA-Z]([a-zA-Z0-9_])+')}]",
        ),
    ],
)
def test_what_is_wrong_is_told_in_lambdas_words(
    called: tuple[str, dict[str, Any]], shown: str, at: str, constraint: str
) -> None:
    value = f"{shown} " if shown else ""
    assert refusal(*called) == (
        f"1 validation error detected: Value {value}at '{at}' failed to satisfy constraint: "
        f"{constraint}"
    )


def test_runtimes_are_complained_of_before_architectures() -> None:
    text = refusal(
        "PublishLayerVersion",
        {
            "LayerName": "l",
            "Content": {"ZipFile": b"z"},
            "CompatibleRuntimes": ["invalidruntime"],
            "CompatibleArchitectures": ["invalidarch", "x86_64"],
        },
    )
    assert text.startswith(
        "2 validation errors detected: Value '[invalidruntime]' at 'compatibleRuntimes' failed to "
        "satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: ["
    )
    assert text.endswith(
        "; Value '[invalidarch, x86_64]' at 'compatibleArchitectures' failed to satisfy "
        f"constraint: {ARCHITECTURES}, Member must not be null]"
    )


def test_a_fraction_is_one_though_its_json_is_a_whole_number() -> None:
    body = b'{"RoutingConfig": {"AdditionalVersionWeights": {"2": 2}}}'
    read = json_form.read(LAMBDA, "CreateAliasRequest", body)
    assert "Value '{2=2.0}' at" in refusal("CreateAlias", alias()[1] | read)


def test_numbers_in_whole_are_bounded_by_such() -> None:
    assert refusal(*create(MemorySize=1)).endswith("greater than or equal to 128")


@pytest.mark.parametrize("service", aws_models.RECORDED)
def test_what_was_recorded_is_not_what_botocore_has(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it is, it need not be said again."""
    changed = {*aws_models.RECORDED[service], *aws_models.RECORDED_ORDER[service]}
    recorded = aws_models.made(service)["shapes"]
    monkeypatch.setattr(aws_models, "RECORDED", {})
    monkeypatch.setattr(aws_models, "RECORDED_ORDER", {})
    original = aws_models.made(service)["shapes"]
    # With the order of members, which equality of dicts does not see.
    assert {n for n in recorded if repr(recorded[n]) != repr(original[n])} == changed


def refusal(operation: str, params: dict[str, Any]) -> str:
    with pytest.raises(ServiceError) as caught:
        validate(LAMBDA, "rest-json", LAMBDA.operations[operation].input, params)
    assert caught.value.kind == "ValidationException"
    return str(caught.value)
