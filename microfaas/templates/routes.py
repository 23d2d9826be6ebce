"""HTTP APIs of a template: the routes in their OpenAPI documents, which SAM makes of events too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from microfaas.templates import authorizers, preflights
from microfaas.templates.mapping import Resource, Scene

_INTEGRATION = "x-amazon-apigateway-integration"
_ANY_METHOD = "x-amazon-apigateway-any-method"
_POLICY = "x-amazon-apigateway-policy"
_DEFAULT = "$default"
_METHODS = frozenset(("get", "put", "post", "delete", "options", "head", "patch", _ANY_METHOD))
# The ways to ask who calls that are no security schemes: not at all, and by a signature.
_NOBODY, _SIGNED = "NONE", "AWS_IAM"
_NOT_HAD: Mapping[str, str] = MappingProxyType(
    {
        "x-amazon-apigateway-gateway-responses": "has gateway responses of its own, which "
        "are not had here; errors are as API Gateway has them",
        "x-amazon-apigateway-request-validators": "has request validators, which are not had "
        "here; check requests in the function",
    }
)

Payload = Callable[[Mapping[str, Any]], str]


class _Operation(NamedTuple):
    """One of an API's: its path, its route, and what the document says of it."""

    path: str
    route: str
    integration: Mapping[str, Any]
    security: Any


def api(scene: Scene, resource: Resource) -> None:
    """AWS::ApiGateway::RestApi: routes with the first payload format."""
    operations = _operations(scene, resource)
    owners = [each for each in operations if not _is_mock(each)]
    for operation in owners:
        _route(scene, resource, operation, {"payload": "1.0"})
    for operation in operations:
        if _is_mock(operation):
            _mock(scene, resource, operation, owners)


def http_api(scene: Scene, resource: Resource) -> None:
    """AWS::ApiGatewayV2::Api: routes with the format that each names."""
    if resource.properties.get("ProtocolType", "HTTP") != "HTTP":
        scene.fault(resource, "there are no WebSockets here; use an HTTP API")
        return
    cors = preflights.cors(scene, resource)
    for operation in _operations(scene, resource):
        payload = operation.integration.get("payloadFormatVersion", "2.0")
        _route(scene, resource, operation, {"payload": payload, "cors": cors})


def _operations(scene: Scene, resource: Resource) -> list[_Operation]:
    body = resource.properties.get("Body")
    if not isinstance(body, Mapping):
        scene.fault(resource, "its routes must stand in its Body, or in the functions' events")
        return []
    if body.get(_POLICY) or resource.properties.get("Policy"):
        scene.fault(resource, "has a resource policy, which is not had here: it would be open")
    for key, why in _NOT_HAD.items():
        if body.get(key):
            scene.fault(resource, why)
    return list(_found(body))


def _found(body: Mapping[str, Any]) -> Iterator[_Operation]:
    for path, methods in (body.get("paths") or {}).items():
        for method, operation in (methods or {}).items():
            if method in _METHODS and isinstance(operation, Mapping):
                security = operation.get("security", body.get("security"))
                integration = operation.get(_INTEGRATION) or {}
                yield _Operation(path, _key(path, method), integration, security)


def _is_mock(operation: _Operation) -> bool:
    return str(operation.integration.get("type", "")).lower() == "mock"


def _mock(
    scene: Scene, resource: Resource, operation: _Operation, owners: list[_Operation]
) -> None:
    """An answer of the API's own, as SAM makes them of its Cors. It goes with the function that has
    the path, and else with the API's first: here every route is some function's."""
    mock = preflights.mock(scene, resource, operation.route, operation.integration)
    if mock is None:
        return
    if not owners:
        scene.fault(resource, f"{operation.route} answers by itself, and no route calls a function")
        return
    owner = next((each for each in owners if each.path == operation.path), owners[0])
    beside = operation._replace(integration=owner.integration)
    _route(scene, resource, beside, {"payload": "1.0", "mock": mock})


def _route(
    scene: Scene, resource: Resource, operation: _Operation, more: Mapping[str, Any]
) -> None:
    asked = {name for row in operation.security or [] for name in row} - {_NOBODY}
    authorizer = None
    if others := sorted(asked - {_SIGNED}):
        if len(asked) == 1:
            authorizer = authorizers.authorizer(scene, resource, others[0], more["payload"])
        if authorizer is None:
            what = f"{operation.route} asks for an authorizer or API key that is not had here"
            scene.fault(resource, f"{what}: {', '.join(others)}")
            return
    table = {
        "type": "http",
        "route": operation.route,
        "public": None if asked else True,
        "authorizer": authorizer,
        **more,
    }
    called = Resource(resource.id, resource.name, operation.integration)
    scene.trigger(called, "uri", table)


def _key(path: str, method: str) -> str:
    if path in (_DEFAULT, f"/{_DEFAULT}"):
        return _DEFAULT
    return f"{'ANY' if method == _ANY_METHOD else method.upper()} {path}"
