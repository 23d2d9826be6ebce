"""HTTP APIs of a template: the routes in their OpenAPI documents, which SAM makes of events too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from microfaas.templates.mapping import Resource, Scene

_INTEGRATION = "x-amazon-apigateway-integration"
_ANY_METHOD = "x-amazon-apigateway-any-method"
_POLICY = "x-amazon-apigateway-policy"
_DEFAULT = "$default"
_METHODS = frozenset(("get", "put", "post", "delete", "options", "head", "patch", _ANY_METHOD))
# The ways to ask who calls: not at all, and by a signature.
_NOBODY, _SIGNED = "NONE", "AWS_IAM"

Payload = Callable[[Mapping[str, Any]], str]


def api(scene: Scene, resource: Resource) -> None:
    """AWS::ApiGateway::RestApi: routes with the first payload format."""
    _routes(scene, resource, lambda _: "1.0")


def http_api(scene: Scene, resource: Resource) -> None:
    """AWS::ApiGatewayV2::Api: routes with the format that each names."""
    if resource.properties.get("ProtocolType", "HTTP") != "HTTP":
        scene.fault(resource, "there are no WebSockets here; use an HTTP API")
        return
    _routes(scene, resource, lambda integration: integration.get("payloadFormatVersion", "2.0"))


def _routes(scene: Scene, resource: Resource, payload: Payload) -> None:
    body = resource.properties.get("Body")
    if not isinstance(body, Mapping):
        scene.fault(resource, "its routes must stand in its Body, or in the functions' events")
        return
    if body.get(_POLICY):
        scene.fault(resource, "has a resource policy, which is not had here: it would be open")
    for path, methods in (body.get("paths") or {}).items():
        for method, operation in (methods or {}).items():
            if method in _METHODS and isinstance(operation, Mapping):
                security = operation.get("security", body.get("security"))
                _operation(scene, resource, _route(path, method), operation, security, payload)


def _operation(
    scene: Scene,
    resource: Resource,
    route: str,
    operation: Mapping[str, Any],
    security: Any,
    payload: Payload,
) -> None:
    integration = operation.get(_INTEGRATION) or {}
    if integration.get("type") == "mock":
        # What SAM makes of an API's Cors.
        return
    asked = {name for row in security or [] for name in row} - {_NOBODY}
    if asked - {_SIGNED}:
        scene.fault(resource, f"{route} asks for an authorizer or API key, which is not had here")
        return
    table = {
        "type": "http",
        "route": route,
        "payload": payload(integration),
        "public": None if asked else True,
    }
    scene.trigger(Resource(resource.id, resource.name, integration), "uri", table)


def _route(path: str, method: str) -> str:
    if path in (_DEFAULT, f"/{_DEFAULT}"):
        return _DEFAULT
    return f"{'ANY' if method == _ANY_METHOD else method.upper()} {path}"
