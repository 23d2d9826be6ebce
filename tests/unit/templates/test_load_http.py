"""What APIs of a template say beside their routes: CORS, and answers of their own."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest
from template_world import Load, sam

from microfaas.errors import ConfigError

FUNCTION = """\
F:
  Type: AWS::Serverless::Function
  Properties:
    Handler: app.handler
    Runtime: python3.12
    CodeUri: .
    Events:
"""
EVENTS = """\
      A: {Type: %s, Properties: {Path: /a, Method: get, %s: !Ref It}}
      B: {Type: %s, Properties: {Path: /b, Method: put, %s: !Ref It}}
"""


def http_api(properties: str) -> str:
    api = f"It: {{Type: AWS::Serverless::HttpApi, Properties: {properties}}}\n"
    return sam(FUNCTION + EVENTS % ("HttpApi", "ApiId", "HttpApi", "ApiId") + api)


def rest_api(properties: str) -> str:
    api = "It:\n  Type: AWS::Serverless::Api\n  Properties:\n    StageName: v1\n"
    return sam(
        FUNCTION
        + EVENTS % ("Api", "RestApiId", "Api", "RestApiId")
        + api
        + textwrap.indent(textwrap.dedent(properties), "    ")
    )


def triggers(load: Load, text: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = load(text).functions["F"]["triggers"]
    return {row["route"]: row for row in rows}


def test_cors_of_an_http_api_is_that_of_its_routes(load: Load) -> None:
    made = triggers(
        load,
        http_api(
            "{CorsConfiguration: {AllowOrigins: ['https://a.example'], AllowMethods: [get], "
            "AllowHeaders: [x-a], ExposeHeaders: [x-b], AllowCredentials: true, MaxAge: 60}}"
        ),
    )
    cors = {
        "allow_origins": ["https://a.example"],
        "allow_methods": ["GET"],
        "allow_headers": ["x-a"],
        "expose_headers": ["x-b"],
        "allow_credentials": True,
        "max_age_s": 60,
    }
    assert {route: row["cors"] for route, row in made.items()} == {"GET /a": cors, "PUT /b": cors}


def test_cors_of_an_http_api_may_be_that_of_everybody(load: Load) -> None:
    made = triggers(load, http_api("{CorsConfiguration: true}"))
    assert made["GET /a"]["cors"] == {"allow_origins": ["*"]}


BODY = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  F: {Type: AWS::Lambda::Function, Properties: {Code: ., Handler: a.b, Runtime: python3.12}}
  It:
    Type: %s
    Properties:
      %s
      Body:
        %s
        paths:
          /a:
            get: {x-amazon-apigateway-integration: {type: aws_proxy, uri: !GetAtt F.Arn}}
            %s
"""
V1, V2 = "AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api"


@pytest.mark.parametrize(
    ("properties", "inside"),
    [
        ("CorsConfiguration: {AllowOrigins: ['https://a.example'], MaxAge: '5'}", "openapi: 3.0.1"),
        ("", "x-amazon-apigateway-cors: {allowOrigins: ['https://a.example'], maxAge: 5}"),
    ],
)
def test_an_http_api_without_sam_says_it_in_two_ways(
    load: Load, properties: str, inside: str
) -> None:
    made = triggers(load, BODY % (V2, properties, inside, ""))
    assert made["GET /a"]["cors"] == {"allow_origins": ["https://a.example"], "max_age_s": 5}


def test_preflights_of_a_rest_api_are_answered_as_it_says(load: Load) -> None:
    api = """\
    Cors: {AllowOrigin: "'https://a.example'", AllowHeaders: "'x-a'", MaxAge: "'600'"}
    """
    made = triggers(load, rest_api(api))
    assert set(made) == {"GET /a", "PUT /b", "OPTIONS /a", "OPTIONS /b"}
    assert made["OPTIONS /a"] == {
        "type": "http",
        "route": "OPTIONS /a",
        "public": True,
        "payload": "1.0",
        "mock": {
            "status": 200,
            "headers": {
                "Content-Type": "application/json",
                "Access-Control-Allow-Headers": "x-a",
                "Access-Control-Allow-Origin": "https://a.example",
                "Access-Control-Allow-Methods": "GET,OPTIONS",
                "Access-Control-Max-Age": "600",
            },
            "body": "{}\n",
        },
    }
    assert "mock" not in made["GET /a"]


MOCK = "options: {x-amazon-apigateway-integration: {type: MOCK, responses: %s}}"
LONE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  It:
    Type: AWS::ApiGateway::RestApi
    Properties:
      Body:
        paths:
          /a: {options: {x-amazon-apigateway-integration: {type: mock, responses: {a: {}}}}}
"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (http_api("{CorsConfiguration: {AllowOrigins: [a.example]}}"),
         "It: CorsConfiguration.allow_origins[0]: must"),
        (BODY % (V2, "CorsConfiguration: {AllowOrigins: ['*'], AllowCredentials: true}",
                 "openapi: 3.0.1", ""),
         "It: CorsConfiguration.allow_credentials: cannot go with"),
        (BODY % (V2, "CorsConfiguration: {Allow: 1}", "openapi: 3.0.1", ""),
         "It: CorsConfiguration.Allow: is not a known key"),
        (BODY % (V1, "", "swagger: '2.0'", MOCK % "{a: {}, b: {}}"), "but not always the same"),
        (BODY % (V1, "", "swagger: '2.0'", MOCK % "{a: {responseTemplates: {x/y: '$input.body'}}}"),
         "OPTIONS /a answers by itself, with what is made of the request"),
        (BODY % (V1, "", "swagger: '2.0'",
                 MOCK % "{a: {responseParameters: {method.response.header.A: context.x}}}"),
         "OPTIONS /a answers by itself, with what cannot be mapped here"),
        (BODY % (V1, "", "swagger: '2.0'",
                 MOCK % "{a: {responseParameters: {method.response.header.Date: \"'x'\"}}}"),
         "It: OPTIONS /a.headers.Date: is no header that can be set"),
        (LONE, "OPTIONS /a answers by itself, and no route calls a function"),
        (rest_api("GatewayResponses: {UNAUTHORIZED: {StatusCode: 402}}"), "has gateway responses"),
        (BODY % (V1, "", "x-amazon-apigateway-request-validators: {a: {}}", ""),
         "has request validators"),
        (BODY % (V1, "Policy: {Statement: []}", "swagger: '2.0'", ""), "has a resource policy"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_told(load: Load, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert told in str(caught.value)
    assert "template.yaml:" in str(caught.value)


GUARD = """\
Guard:
  Type: AWS::Serverless::Function
  Properties: {Handler: app.guard, Runtime: python3.12, CodeUri: .}
"""
GUARDED = """\
      A: {Type: %(kind)s, Properties: {Path: /a, Method: get, %(id)s: !Ref It}}
      B:
        Type: %(kind)s
        Properties: {Path: /b, Method: get, %(id)s: !Ref It, Auth: {Authorizer: Other}}
      C:
        Type: %(kind)s
        Properties: {Path: /c, Method: get, %(id)s: !Ref It, Auth: {Authorizer: NONE}}
It:
  Type: AWS::Serverless::%(kind)s
  Properties:
    StageName: v1
    Auth:
      DefaultAuthorizer: Main
      Authorizers:
        Main: %(main)s
        Other: %(other)s
"""
ARN = "FunctionArn: !GetAtt Guard.Arn"


def guarded(kind: str, main: str, other: str) -> str:
    known = {"kind": kind, "id": "ApiId" if kind == "HttpApi" else "RestApiId"}
    return sam(GUARD + FUNCTION + GUARDED % {**known, "main": main, "other": other})


def test_authorizers_of_an_http_api(load: Load) -> None:
    made = triggers(
        load,
        guarded(
            "HttpApi",
            f"{{{ARN}, AuthorizerPayloadFormatVersion: '2.0', EnableSimpleResponses: true, "
            "Identity: {Headers: [Authorization], QueryStrings: [q], ReauthorizeEvery: 30}}",
            f"{{{ARN}, AuthorizerPayloadFormatVersion: '1.0'}}",
        ),
    )
    assert made["GET /a"]["authorizer"] == {
        "function": "Guard",
        "type": "request",
        "payload": "2.0",
        "simple": True,
        "identity": ["$request.header.Authorization", "$request.querystring.q"],
        "ttl_s": 30,
    }
    assert made["GET /b"]["authorizer"] == {
        "function": "Guard",
        "type": "request",
        "payload": "1.0",
    }
    assert "public" not in made["GET /a"]
    assert made["GET /c"] == {
        "type": "http",
        "route": "GET /c",
        "public": True,
        "payload": "2.0",
    }


def test_authorizers_of_a_rest_api(load: Load) -> None:
    made = triggers(
        load,
        guarded(
            "Api",
            f"{{{ARN}, Identity: {{Header: X-Token}}}}",
            f"{{{ARN}, FunctionPayloadType: REQUEST, "
            "Identity: {Headers: [X-A], QueryStrings: [q], Context: [identity.sourceIp]}}",
        ),
    )
    assert made["GET /a"]["authorizer"] == {
        "function": "Guard",
        "type": "token",
        "identity": ["method.request.header.X-Token"],
    }
    assert made["GET /b"]["authorizer"] == {
        "function": "Guard",
        "type": "request",
        "identity": [
            "method.request.header.X-A",
            "method.request.querystring.q",
            "context.identity.sourceIp",
        ],
    }
    assert made["GET /c"]["public"] is True


OTHER = f"{{{ARN}, AuthorizerPayloadFormatVersion: '2.0'}}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (guarded("HttpApi", "{IdentitySource: $request.header.A, JwtConfiguration: "
                 "{issuer: x, audience: [y]}}", OTHER),
         "It: Main is no authorizer that can be had here"),
        (guarded("HttpApi", "{IdentitySource: $request.header.A, JwtConfiguration: "
                 "{issuer: x, audience: [y]}}", OTHER),
         "It: GET /a asks for an authorizer or API key that is not had here: Main"),
        (guarded("Api", "{UserPoolArn: 'arn:aws:cognito-idp:e:1:userpool/x'}", f"{{{ARN}}}"),
         "It: Main is no authorizer that can be had here"),
        (guarded("Api", f"{{{ARN}, Identity: {{ValidationExpression: a}}}}", f"{{{ARN}}}"),
         "It: Main has a ValidationExpression"),
        (guarded("Api", f"{{{ARN}, FunctionPayloadType: REQUEST, Identity: "
                 "{StageVariables: [x]}}", f"{{{ARN}}}"),
         "It: Main.identity[0]: must be $request.header.NAME"),
        (guarded("HttpApi", "{FunctionArn: 'arn:aws:lambda:eu-west-1:1:function:away', "
                 "AuthorizerPayloadFormatVersion: '2.0'}", OTHER),
         "It: authorizerUri is 'away', which is no function of this template"),
        (BODY % (V1, "", "securityDefinitions: {api_key: {type: apiKey, name: x-api-key}}",
                 "put: {security: [{api_key: []}], x-amazon-apigateway-integration: "
                 "{type: aws_proxy, uri: !GetAtt F.Arn}}"),
         "PUT /a asks for an authorizer or API key that is not had here: api_key"),
    ],
)  # fmt: skip
def test_authorizers_that_cannot_be_had_are_told(load: Load, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert told in str(caught.value)
    assert "template.yaml:" in str(caught.value)


@pytest.mark.parametrize(("aliases", "function"), [(True, "Guard:live"), (False, "Guard")])
def test_an_authorizer_may_be_an_alias(load: Load, aliases: bool, function: str) -> None:
    main = "{FunctionArn: !Ref Guard.Alias, AuthorizerPayloadFormatVersion: '2.0'}"
    text = guarded("HttpApi", main, OTHER)
    text = text.replace("app.guard,", "app.guard, AutoPublishAlias: live,")
    rows: list[dict[str, Any]] = load(text, aliases=aliases).functions["F"]["triggers"]
    made = {row["route"]: row["authorizer"] for row in rows if "authorizer" in row}
    assert made["GET /a"]["function"] == function
