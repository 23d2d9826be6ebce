"""Lambda authorizers of a template's APIs: the security schemes in their OpenAPI documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microfaas import strict
from microfaas.config.authorizers import AuthorizerTable
from microfaas.errors import Problem
from microfaas.templates.mapping import Resource, Scene, flag, number, without_none
from microfaas.templates.references import function_of

_AUTHORIZER = "x-amazon-apigateway-authorizer"
_URI = "authorizerUri"


def authorizer(scene: Scene, resource: Resource, name: str, payload: str) -> dict[str, Any] | None:
    """The table of the authorizer that a security scheme of this name is, for routes with this
    payload; None, and told, where that is none that can be had."""
    scheme = _schemes(resource).get(name) or {}
    given = scheme.get(_AUTHORIZER) or {}
    kind = str(given.get("type", "")).lower()
    if kind not in ("token", "request"):
        what = f"{name} is no authorizer that can be had here; only functions are (FunctionArn)"
        scene.fault(resource, what)
        return None
    if given.get("identityValidationExpression"):
        what = f"{name} has a ValidationExpression, which is not had here; look at the token in the"
        scene.fault(resource, f"{what} function")
        return None
    called = Resource(resource.id, resource.name, given)
    if scene.function(called, _URI) is None:
        return None
    function, qualifier = function_of(str(given[_URI]))[0], scene.qualifier(called, _URI)
    identity = _identity(kind, scheme, given)
    table = {
        "function": f"{function}:{qualifier}" if qualifier else function,
        "type": kind,
        "payload": given.get("authorizerPayloadFormatVersion"),
        "simple": flag(given.get("enableSimpleResponses")) or None,
        "identity": identity or None,
        # Without sources nothing is kept, whatever this says.
        "ttl_s": number(given.get("authorizerResultTtlInSeconds")) if identity else None,
    }
    return _fine(scene, resource, name, without_none(table), payload)


def _schemes(resource: Resource) -> Mapping[str, Any]:
    body = resource.properties["Body"]
    newer = (body.get("components") or {}).get("securitySchemes") or {}
    return {**(body.get("securityDefinitions") or {}), **newer}


def _identity(kind: str, scheme: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """The sources, one by one; a token's header may be named by its scheme alone."""
    sources = given.get("identitySource") or []
    if isinstance(sources, str):
        sources = [source.strip() for source in sources.split(",")]
    if kind == "token" and not sources:
        return [f"method.request.header.{scheme.get('name', 'Authorization')}"]
    return list(sources)


def _fine(
    scene: Scene, resource: Resource, name: str, table: dict[str, Any], payload: str
) -> dict[str, Any] | None:
    problems: list[Problem] = []
    made = strict.convert(table, AuthorizerTable, name, problems)
    if made is not None:
        made.check(name, payload, problems)
    scene.tell(resource, problems)
    return None if problems else table
