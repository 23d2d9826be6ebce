"""The protocols, with botocore's own serializers and parsers as the other side."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import botocore.parsers
import botocore.serialize
import botocore.session
import pytest
from botocore.awsrequest import HeadersDict
from botocore.model import ServiceModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from docs import aws_models
from microfaas.errors import ServiceError
from microfaas.gateway.aws import model, query_form, requests
from microfaas.gateway.aws.model import Protocol
from microfaas.gateway.aws.replies import Form
from microfaas.gateway.aws.requests import Request
from microfaas.gateway.aws.xml_form import allowed
from microfaas.gateway.reply import Reply

OPERATIONS = [
    (service, name) for service, names in aws_models.SERVED.items() for name in names.split()
]
PROTOCOLS = {service: model.load(service).protocols[0] for service in aws_models.SERVED}
KNOWN = requests.Operations([model.load(name) for name in aws_models.SERVED])
TEXT = st.text(max_size=12).filter(lambda text: allowed(text) and "\r" not in text)
EASY = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


@functools.cache
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
    if shape.serialization.get("location") == "statusCode":
        return st.sampled_from([200, 202, 204])
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


def says(value: Any) -> bool:
    """Whether a form has any field for it."""
    if isinstance(value, dict):
        return any(map(says, value.values()))
    return any(map(says, value)) if isinstance(value, list) else True


def said(value: Any) -> Any:
    """What a form has of a value: an empty structure in a list has no field."""
    if isinstance(value, dict):
        return {k: said(v) for k, v in value.items() if says(v) or not isinstance(v, list)}
    return [said(each) for each in value if says(each)] if isinstance(value, list) else value


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
    path, _, fixed = made["url_path"].partition("?")
    query = "&".join(filter(None, [fixed, urlencode(made["query_string"], doseq=True)]))
    return Request(
        made["method"], path, query, headers, raw if isinstance(raw, bytes) else raw.encode()
    )


def parsed(service: str, request: Request) -> tuple[requests.Meant, dict[str, Any]]:
    form = requests.is_form(request)
    pairs = query_form.fields(request.body) if form else {}
    meant = KNOWN.of_head(request) or KNOWN.of_form(pairs, request.path)
    assert meant is not None
    assert meant.model.name == service
    return meant, requests.read(meant, request, pairs)


def read_by_client(spoken: str, reply: Reply, shape: Any) -> dict[str, Any]:
    lines = dict(line.split(": ", 1) for line in reply.headers.splitlines())
    answer = {"status_code": reply.status, "headers": HeadersDict(lines), "body": reply.body}
    found: dict[str, Any] = botocore.parsers.create_parser(spoken).parse(answer, shape)
    return found


def check_request(spoken: Protocol, known: ServiceModel, service: str, name: str) -> None:
    operation = known.operation_model(name)

    @EASY
    @given(values(operation.input_shape))
    def check(params: dict[str, Any]) -> None:
        meant, found = parsed(service, sent(spoken, operation, params))
        assert meant.operation == name
        # Clients fill in tokens of their own.
        expected = said(params) if spoken == "query" else params
        assert {key: found[key] for key in found if key in params} == ours(expected)

    check()


def check_reply(spoken: Protocol, known: ServiceModel, service: str, name: str) -> None:
    operation = known.operation_model(name)
    shape = operation.output_shape
    strategy = values(shape) if shape is not None else st.just({})
    members = shape.members if shape is not None else {}
    # The member that is the reply's status, if one is.
    own = next((k for k, m in members.items() if "location" in m.serialization), "")

    @EASY
    @given(strategy)
    def check(result: dict[str, Any]) -> None:
        form = Form(model.load(service), spoken, "id-1", name)
        reply = form.result(ours(result))
        usual = operation.http.get("responseCode", 200)
        assert reply.status == result.get(own, usual)
        if reply.status == 204:
            assert reply.body == b""
            assert "Content-Type" not in reply.headers
        found = read_by_client(spoken, reply, shape)
        found.pop("ResponseMetadata", None)
        assert found == ({own: reply.status} if own else {}) | result

    check()


@pytest.mark.parametrize(("service", "name"), OPERATIONS)
def test_what_clients_send_is_understood(service: str, name: str) -> None:
    check_request(PROTOCOLS[service], source(service), service, name)


# The one that is left out is a stream, and its contract is a test of its own.
RESULTS = [
    (service, name)
    for service, name in OPERATIONS
    if not model.load(service).stream_of(model.load(service).operations[name].output)
]


@pytest.mark.parametrize(("service", "name"), RESULTS)
def test_clients_understand_results(service: str, name: str) -> None:
    check_reply(PROTOCOLS[service], source(service), service, name)


@pytest.mark.parametrize("name", aws_models.SERVED["sqs"].split())
def test_older_clients_of_sqs_are_understood_and_understand(name: str) -> None:
    check_request("query", query_of_sqs(), "sqs", name)
    check_reply("query", query_of_sqs(), "sqs", name)


ERRORS = [(service, kind) for service in aws_models.SERVED for kind in model.load(service).errors]


@pytest.mark.parametrize(("service", "kind"), ERRORS)
def test_clients_understand_errors(service: str, kind: str) -> None:
    loaded, known = model.load(service), source(service)
    shape = known.shape_for(kind)
    more = {
        key: "told"
        for key, member in shape.members.items()
        if key not in ("Type", "Message", "message") and member.type_name == "string"
    }
    error = ServiceError(kind, "what is <wrong>", members=more)
    reply = Form(loaded, PROTOCOLS[service], "id-1").error(error)
    assert reply.status == loaded.errors[kind].status
    found = read_by_client(PROTOCOLS[service], reply, None)
    assert found["Error"]["Code"] in (kind, loaded.errors[kind].code)
    assert found["Error"]["Message"] == "what is <wrong>"
    code = found["Error"].get("QueryErrorCode", found["Error"]["Code"])
    assert known.shape_for_error_code(code).name == kind
    assert found["ResponseMetadata"]["RequestId"] == "id-1"
    members = read_by_client(PROTOCOLS[service], reply, shape)
    assert {key: members[key] for key in more} == more


def test_no_shape_has_what_no_protocol_here_has() -> None:
    """Payloads, labels over several segments, and members in headers."""
    for service, name in OPERATIONS:
        operation = source(service).operation_model(name)
        assert "+}" not in operation.http["requestUri"]
        for shape in (operation.input_shape, operation.output_shape):
            assert shape is None or "payload" not in shape.serialization
        if operation.output_shape is not None:
            places = [
                m.serialization.get("location") for m in operation.output_shape.members.values()
            ]
            assert set(places) <= {None, "statusCode"}


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
