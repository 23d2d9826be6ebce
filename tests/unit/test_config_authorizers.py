"""The `authorizer` of an HTTP trigger in the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from microfaas import config
from microfaas.config.http import HttpSettings
from microfaas.errors import ConfigError
from microfaas.payloads.authorizers import Authorizer, Source
from microfaas.triggers import table


def load(folder: Path, authorizer: str, more: str = "") -> Authorizer:
    text = f'[[functions.f.triggers]]\ntype = "http"\nroute = "GET /"\n{more}\n'
    whole = f"[functions.guard]\n{text}authorizer = {authorizer}\n"
    (folder / "microfaas.toml").write_text(whole)
    (trigger,) = config.load(str(folder), table.settings()).triggers
    assert isinstance(trigger.settings, HttpSettings)
    assert trigger.settings.authorizer is not None
    return trigger.settings.authorizer.made(trigger.settings.payload)


def test_an_authorizer_of_an_http_api(tmp_path: Path) -> None:
    made = load(
        tmp_path,
        '{ function = "guard:live", simple = true, ttl_s = 60, identity = '
        '["$request.header.X-A", "$request.querystring.q", "$context.routeKey"] }',
    )
    sources = (Source("header", "X-A"), Source("querystring", "q"), Source("context", "routeKey"))
    expected = Authorizer("guard", "live", "2.0", simple=True, sources=sources, ttl_s=60)
    assert made == expected


@pytest.mark.parametrize(
    ("authorizer", "route", "form", "rest", "ttl_s"),
    [
        ('{ function = "guard" }', "2.0", "2.0", False, 0),
        ('{ function = "guard", payload = "1.0" }', "2.0", "1.0", False, 0),
        ('{ function = "guard", payload = "2.0" }', "1.0", "2.0", False, 0),
        ('{ function = "guard" }', "1.0", "1.0", True, 0),
        ('{ function = "guard", identity = ["$request.header.a"] }', "1.0", "1.0", False, 300),
        ('{ function = "guard", identity = ["method.request.header.a"] }', "1.0", "1.0", True, 300),
        (
            '{ function = "guard", type = "token", identity = ["method.request.header.a"] }',
            *("1.0", "token", True, 300),
        ),
    ],
)
def test_what_is_not_said_follows_from_the_rest(
    tmp_path: Path, authorizer: str, route: str, form: str, rest: bool, ttl_s: int
) -> None:
    made = load(tmp_path, authorizer, f'payload = "{route}"')
    assert (made.form, made.rest, made.ttl_s) == (form, rest, ttl_s)


@pytest.mark.parametrize(
    ("authorizer", "more", "said"),
    [
        ('{ function = "other" }', "", "functions.f.triggers: there is no function other"),
        ('{ function = "a b" }', "", "authorizer.function: must"),
        ("{ }", "", "authorizer.function: is missing"),
        ('{ function = "guard" }', "public = true", "public: cannot go with an authorizer"),
        ('{ function = "guard", identity = ["header.X"] }', "",
         "authorizer.identity[0]: must be $request.header.NAME"),
        ('{ function = "guard", identity = ["$request.path.X"] }', "", "authorizer.identity[0]:"),
        ('{ function = "guard", identity = ["$stageVariables.X"] }', "", "authorizer.identity[0]:"),
        ('{ function = "guard", identity = ["$request.header.a\\nb"] }', "", "identity[0]: must"),
        ('{ function = "guard", identity = ["method.request.header.X"] }', "",
         'authorizer.identity: goes with payload = "1.0"'),
        ('{ function = "guard", identity = ["$request.header.X", "context.path"] }',
         'payload = "1.0"', "authorizer.identity: must be HTTP APIs' words"),
        ('{ function = "guard", simple = true }', 'payload = "1.0"',
         'authorizer.simple: goes with payload = "2.0" only'),
        ('{ function = "guard", ttl_s = 60 }', "", "authorizer.ttl_s: needs identity"),
        ('{ function = "guard", ttl_s = 3601 }', "", "authorizer.ttl_s: must be"),
        ('{ function = "guard", type = "token", identity = ["$request.header.X"] }', "",
         'authorizer.type: "token" is of REST APIs'),
        ('{ function = "guard", type = "token" }', 'payload = "1.0"',
         "authorizer.identity: must have the one header of the token"),
        ('{ function = "guard", type = "jwt" }', "", "type: must be one of: request, token"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(tmp_path: Path, authorizer: str, more: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, authorizer, more)
    assert said in str(caught.value)
