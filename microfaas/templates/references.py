"""What `Ref` and `Fn::GetAtt` give of a resource: names, ARNs and URLs, as AWS makes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from microfaas.model import Address
from microfaas.templates.intrinsics import NOTHING, PENDING

Naming = Callable[[str, Any], Any]


class Told(NamedTuple):
    """What a type tells of itself, as formats. `named_by` is the property with its name."""

    named_by: str
    ref: str
    attributes: Mapping[str, str] = MappingProxyType({})


_QUEUE_URL = "{url}/{account}/{name}"
_LAYER = "arn:aws:lambda:{region}:{account}:layer:{name}:1"
_FUNCTION = "arn:aws:lambda:{region}:{account}:function:"
_ALIAS = _FUNCTION + "{function}{qualifier}"

TYPES: Mapping[str, Told] = MappingProxyType(
    {
        "AWS::Lambda::Function": Told("FunctionName", "{name}", {"Arn": _FUNCTION + "{name}"}),
        "AWS::Lambda::LayerVersion": Told("LayerName", _LAYER, {"LayerVersionArn": _LAYER}),
        "AWS::Lambda::Version": Told("", _FUNCTION + "{function}", {"Version": "$LATEST"}),
        "AWS::Lambda::Alias": Told("Name", _ALIAS, {"AliasArn": _ALIAS}),
        "AWS::Lambda::Url": Told("", _FUNCTION + "{function}"),
        "AWS::SQS::Queue": Told(
            "QueueName",
            _QUEUE_URL,
            {
                "Arn": "arn:aws:sqs:{region}:{account}:{name}",
                "QueueName": "{name}",
                "QueueUrl": _QUEUE_URL,
            },
        ),
        "AWS::SNS::Topic": Told(
            "TopicName",
            "arn:aws:sns:{region}:{account}:{name}",
            {"TopicArn": "arn:aws:sns:{region}:{account}:{name}", "TopicName": "{name}"},
        ),
        "AWS::Kinesis::Stream": Told(
            "Name", "{name}", {"Arn": "arn:aws:kinesis:{region}:{account}:stream/{name}"}
        ),
        "AWS::Events::Rule": Told(
            "Name", "{name}", {"Arn": "arn:aws:events:{region}:{account}:rule/{name}"}
        ),
        "AWS::Scheduler::Schedule": Told(
            "Name",
            "{name}",
            {"Arn": "arn:aws:scheduler:{region}:{account}:schedule/default/{name}"},
        ),
        "AWS::S3::Bucket": Told(
            "BucketName",
            "{name}",
            {
                "Arn": "arn:aws:s3:::{name}",
                "DomainName": "{name}.s3.amazonaws.com",
                "RegionalDomainName": "{name}.s3.{region}.amazonaws.com",
            },
        ),
        "AWS::IAM::Role": Told("RoleName", "{name}", {"Arn": "arn:aws:iam::{account}:role/{name}"}),
        "AWS::Logs::LogGroup": Told(
            "LogGroupName", "{name}", {"Arn": "arn:aws:logs:{region}:{account}:log-group:{name}:*"}
        ),
        "AWS::ApiGateway::RestApi": Told("", "{id}", {"RestApiId": "{id}"}),
        "AWS::ApiGateway::Deployment": Told("", "{id}"),
        "AWS::ApiGateway::Stage": Told("StageName", "{name}"),
        "AWS::ApiGatewayV2::Api": Told("", "{id}", {"ApiId": "{id}"}),
        "AWS::ApiGatewayV2::Stage": Told("StageName", "{name}"),
    }
)


class References:
    """The resources of a translated template. `resolve` is what resolves their properties.

    With `aliases` those exist where the template goes; without, they stand for their functions.
    """

    resolve: Naming

    def __init__(self, resources: Mapping[str, Any], address: Address, *, aliases: bool) -> None:
        self._resources = resources
        self._address = address
        self._aliases = aliases
        self._naming: set[str] = set()

    def ref(self, logical_id: str) -> object:
        """What `Ref` gives, PENDING for what is no resource."""
        told = self._told(logical_id)
        return PENDING if told is None else self._filled(told.ref, logical_id)

    def attribute(self, logical_id: str, name: str) -> object:
        """What `Fn::GetAtt` gives, PENDING for what is not known."""
        told = self._told(logical_id)
        if told is None or name not in told.attributes:
            return PENDING
        return self._filled(told.attributes[name], logical_id)

    def name(self, logical_id: str) -> str:
        """The resource's own name: as its properties say, or else its id in the template."""
        row = self._resources[logical_id]
        properties = row.get("Properties") or {}
        named_by = TYPES[row["Type"]].named_by if row["Type"] in TYPES else ""
        told = self._property(logical_id, named_by) if named_by in properties else None
        if told is not None and told is not NOTHING:
            return str(told)
        if row["Type"] == "AWS::S3::Bucket":
            return logical_id.lower()
        fifo = row["Type"] == "AWS::SQS::Queue" and properties.get("FifoQueue") in (True, "true")
        return f"{logical_id}.fifo" if fifo else logical_id

    def _told(self, logical_id: str) -> Told | None:
        # A name that is made of itself has no end.
        if logical_id in self._naming:
            return None
        return TYPES.get(self._resources.get(logical_id, {}).get("Type", ""))

    def _filled(self, form: str, logical_id: str) -> str:
        fields = {
            "url": self._address.endpoint_url,
            "region": self._address.region,
            "account": self._address.account_id,
            "id": logical_id,
        }
        if "{name}" in form or "{qualifier}" in form:
            fields["name"] = self.name(logical_id)
            fields["qualifier"] = f":{fields['name']}" if self._aliases else ""
        if "{function}" in form:
            properties = self._resources[logical_id].get("Properties", {})
            key = "FunctionName" if "FunctionName" in properties else "TargetFunctionArn"
            fields["function"] = function_of(str(self._property(logical_id, key)))[0]
        return form.format_map(fields)

    def _property(self, logical_id: str, name: str) -> object:
        self._naming.add(logical_id)
        try:
            value = self._resources[logical_id]["Properties"][name]
            return self.resolve(logical_id, value)
        finally:
            self._naming.discard(logical_id)


_FUNCTION_ARN = re.compile(r"arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]*:function:([^:/]+)(?::([^:/]+))?")


def function_of(text: str) -> tuple[str, str]:
    """The function that a name or an ARN names, and the qualifier behind it if there is one."""
    # An API's integration has the ARN inside another one.
    if (match := _FUNCTION_ARN.search(text)) is not None:
        return match[1], match[2] or ""
    name, _, qualifier = text.partition(":")
    return name, qualifier
