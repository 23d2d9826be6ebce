"""The protocols, with botocore's own serializers and parsers as the other side."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import botocore.parsers
import botocore.serialize
import botocore.session
import pytest
from botocore.model import ServiceModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from docs import aws_models
from microfaas.gateway.aws import model, query_form, replies, requests
from microfaas.gateway.aws.requests import Request
from microfaas.gateway.aws.xml_form import allowed

OPERATIONS = [
    (service, name) for service, names in aws_models.SERVED.items() for name in names.split()
]
PROTOCOLS = {"sqs": "json", "sns": "query", "kinesis": "json", "events": "json"}
TEXT = st.text(max_size=12).filter(lambda text: allowed(text) and "\r" not in text)
EASY = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


def source(service: str) -> ServiceModel:
    return botocore.session.Session().get_service_model(service)


def query_of_sqs() -> ServiceModel:
    """The model of SQS as botocore had it when it spoke the query protocol."""
    made = model.load("sqs")
    shapes: dict[str, Any] = {}
    for name, shape in made.shapes.items():
        shapes[name] = {"type": shape.type, "flattened": shape.flattened}
        if shape.type == "structure":
            shapes[name]["required"] = list(shape.required)
            shapes[name]["members"] = {k: {"shape": m.shape} for k, m in shape.members.items()}
        if shape.type == "list":
            wire = aws_models.SQS_LISTS[name]
            shapes[name]["member"] = {"shape": shape.member.shape, "locationName": wire}
        if shape.type == "map":
            shapes[name]["locationName"] = aws_models.SQS_MAPS[name][0]
            for part, member in (("key", shape.key), ("value", shape.value)):
                shapes[name][part] = {"shape": member.shape, "locationName": member.name}
    for shape in shapes.values():
        for member in shape.get("members", {}).values():
            if member["shape"] in aws_models.SQS_MAPS:
                member["locationName"] = aws_models.SQS_MAPS[member["shape"]][0]
    operations = {}
    for name, operation in made.operations.items():
        operations[name] = {"name": name, "http": {"method": "POST", "requestUri": "/"}}
        operations[name]["input"] = {"shape": operation.input}
        if operation.output:
            operations[name]["output"] = {
                "shape": operation.output,
                "resultWrapper": f"{name}Result",
            }
    metadata = {"apiVersion": made.version, "protocol": "query", "endpointPrefix": "sqs"}
    return ServiceModel({"metadata": metadata, "operations": operations, "shapes": shapes}, "sqs")


def values(shape: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of a shape, as boto3 takes them."""
    kind = shape.type_name
    if kind == "structure":
        needed = {key: values(shape.members[key], depth + 1) for key in shape.required_members}
        rest = {k: values(s, depth + 1) for k, s in shape.members.items() if k not in needed}
        return st.fixed_dictionaries(needed, optional=rest if depth < 3 else {})
    if kind == "list":
        return st.lists(values(shape.member, depth + 1), min_size=1, max_size=3)
    if kind == "map":
        keys = st.text("abcXYZ.-_", min_size=1, max_size=8)
        return st.dictionaries(keys, values(shape.value, depth + 1), min_size=1, max_size=3)
    simple: Mapping[str, st.SearchStrategy[Any]] = {
        "string": st.text("ab /+%&=é<", min_size=1, max_size=12) | TEXT.filter(bool),
        "blob": st.binary(max_size=12),
        "boolean": st.booleans(),
        "timestamp": st.integers(0, 2_000_000_000).map(lambda s: datetime.fromtimestamp(s, UTC)),
    }
    return simple.get(kind, st.integers(-1000, 1_000_000))


def ours(value: Any) -> Any:
    """A value as services have it: times are numbers."""
    if isinstance(value, dict):
        return {key: ours(each) for key, each in value.items()}
    if isinstance(value, list):
        return [ours(each) for each in value]
    return value.timestamp() if isinstance(value, datetime) else value


def sent(protocol: str, operation: Any, params: dict[str, Any]) -> Request:
    serializer = botocore.serialize.create_serializer(protocol, False)
    made = serializer.serialize_to_request(params, operation)
    body = made["body"]
    raw = urlencode(body).encode() if isinstance(body, dict) else body
    headers = {name.lower(): value for name, value in made["headers"].items()}
    path, _, query = made["url_path"].partition("?")
    query = urlencode(made["query_string"], doseq=True)
    return Request(
        made["method"], path, query, headers, raw if isinstance(raw, bytes) else raw.encode()
    )


def parsed(service: str, request: Request) -> tuple[requests.Meant, dict[str, Any]]:
    models = [model.load(name) for name in aws_models.SERVED]
    form = requests.is_form(request)
    pairs = query_form.fields(request.body) if form else {}
    meant = requests.of_head(models, request) or requests.of_form(models, pairs, request.path)
    assert meant is not None
    assert meant.model.name == service
    return meant, requests.read(meant, request, pairs)


def check_request(spoken: str, known: ServiceModel, service: str, name: str) -> None:
    operation = known.operation_model(name)

    @EASY
    @given(values(operation.input_shape))
    def check(params: dict[str, Any]) -> None:
        meant, found = parsed(service, sent(spoken, operation, params))
        assert meant.operation == name
        # Clients fill in tokens of their own.
        assert {key: found[key] for key in found if key in params} == ours(params)

    check()


def check_reply(spoken: str, known: ServiceModel, service: str, name: str) -> None:
    operation = known.operation_model(name)
    shape = operation.output_shape
    strategy = values(shape) if shape is not None else st.just({})

    @EASY
    @given(strategy)
    def check(result: dict[str, Any]) -> None:
        loaded = model.load(service)
        reply = replies.result(loaded, spoken, name, ours(result), "id-1")  # type: ignore[arg-type]
        assert reply.status == 200
        parser = botocore.parsers.create_parser(spoken)
        answer = {"status_code": 200, "headers": {}, "body": reply.body}
        found = parser.parse(answer, shape)
        found.pop("ResponseMetadata", None)
        assert found == result

    check()


@pytest.mark.parametrize(("service", "name"), OPERATIONS)
def test_what_clients_send_is_understood(service: str, name: str) -> None:
    check_request(PROTOCOLS.get(service, "rest-json"), source(service), service, name)


@pytest.mark.parametrize(("service", "name"), OPERATIONS)
def test_clients_understand_results(service: str, name: str) -> None:
    check_reply(PROTOCOLS.get(service, "rest-json"), source(service), service, name)


@pytest.mark.parametrize("name", aws_models.SERVED["sqs"].split())
def test_older_clients_of_sqs_are_understood_and_understand(name: str) -> None:
    check_request("query", query_of_sqs(), "sqs", name)
    check_reply("query", query_of_sqs(), "sqs", name)


@pytest.mark.parametrize("service", aws_models.SERVED)
def test_models_are_what_botocore_has(service: str) -> None:
    """A newer botocore may have more; what is kept of it must be there still."""
    kept, made = model.load(service), aws_models.made(service)
    for name, operation in kept.operations.items():
        assert (made["operations"][name]["uri"]) == operation.uri
        assert made["operations"][name].get("input", "") == operation.input
    for name, shape in kept.shapes.items():
        assert made["shapes"][name]["type"] == shape.type
        assert made["shapes"][name].get("members", {}).keys() >= shape.members.keys()
        if shape.pattern:
            model.compiled(shape.pattern)
