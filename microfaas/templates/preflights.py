"""CORS of a template's APIs: HTTP APIs have settings for it, REST APIs answers of their own."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from microfaas import strict
from microfaas.config.cors import CorsTable
from microfaas.config.http import MockTable
from microfaas.errors import Problem
from microfaas.templates.mapping import Resource, Scene, flag, number

_IN_BODY = "x-amazon-apigateway-cors"
_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "alloworigins": "allow_origins",
        "allowmethods": "allow_methods",
        "allowheaders": "allow_headers",
        "exposeheaders": "expose_headers",
        "allowcredentials": "allow_credentials",
        "maxage": "max_age_s",
    }
)
_HEADER = "method.response.header."


def cors(scene: Scene, resource: Resource) -> dict[str, Any] | None:
    """The table of an HTTP API's CORS, which all its routes have; None where there is none."""
    body = resource.properties.get("Body") or {}
    # It has no case in OpenAPI, and another one in CloudFormation.
    given = resource.properties.get("CorsConfiguration") or body.get(_IN_BODY)
    if not given:
        return None
    if not isinstance(given, Mapping):
        scene.fault(resource, "its CorsConfiguration must be a table of AllowOrigins and the like")
        return None
    made = {_KEYS.get(key.lower(), key): _value(value) for key, value in given.items()}
    if isinstance(methods := made.get("allow_methods"), list):
        made["allow_methods"] = [str(method).upper() for method in methods]
    return made if _is_fine(scene, resource, made, CorsTable, "CorsConfiguration") else None


def mock(
    scene: Scene, resource: Resource, route: str, integration: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The table of an answer that a REST API gives by itself, as to preflights; None, and told,
    for one that depends on the request."""
    responses = list((integration.get("responses") or {}).values())
    if len(responses) != 1:
        scene.fault(resource, f"{route} answers by itself, but not always the same")
        return None
    [response] = responses
    parameters = response.get("responseParameters") or {}
    templates = response.get("responseTemplates") or {}
    texts = (*parameters.values(), *templates.values())
    if len(templates) > 1 or not all(map(_is_said, parameters, parameters.values())):
        scene.fault(resource, f"{route} answers by itself, with what cannot be mapped here")
        return None
    if any("$" in str(text) or "#" in str(text) for text in texts):
        scene.fault(resource, f"{route} answers by itself, with what is made of the request")
        return None
    headers = {name.removeprefix(_HEADER): text[1:-1] for name, text in parameters.items()}
    made = {"status": number(response.get("statusCode", 200)), "headers": headers}
    for kind, text in templates.items():
        made |= {"headers": {"Content-Type": kind, **headers}, "body": text}
    return made if _is_fine(scene, resource, made, MockTable, route) else None


def _is_said(name: str, value: Any) -> bool:
    """Whether a header has a text, which stands within single quotes."""
    quoted = isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == "'"
    return quoted and name.startswith(_HEADER)


def _is_fine(
    scene: Scene,
    resource: Resource,
    table: dict[str, Any],
    struct: type[CorsTable | MockTable],
    where: str,
) -> bool:
    problems: list[Problem] = []
    made = strict.convert(table, struct, where, problems)
    if made is not None:
        made.check(where, problems)
    scene.tell(resource, problems)
    return not problems


def _value(value: Any) -> Any:
    return [str(each) for each in value] if isinstance(value, list) else number(flag(value))
