"""The `cors` of an HTTP trigger in the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from microfaas import config
from microfaas.config.cors import CorsTable
from microfaas.config.http import HttpSettings
from microfaas.errors import ConfigError
from microfaas.triggers import table


def load(folder: Path, cors: str) -> CorsTable | None:
    text = f'[[functions.f.triggers]]\ntype = "http"\nroute = "GET /"\ncors = {cors}\n'
    (folder / "microfaas.toml").write_text(text)
    (trigger,) = config.load(str(folder), table.settings()).triggers
    assert isinstance(trigger.settings, HttpSettings)
    return trigger.settings.cors


def test_all_of_it(tmp_path: Path) -> None:
    made = load(
        tmp_path,
        '{ allow_origins = ["https://a.example:8443", "http://*"], allow_methods = ["GET", "*"], '
        'allow_headers = ["x-a", "*"], expose_headers = ["x-b"], allow_credentials = true, '
        "max_age_s = 60 }",
    )
    assert made is not None
    assert made.by_aws_names() == {
        "AllowOrigins": ["https://a.example:8443", "http://*"],
        "AllowMethods": ["GET", "*"],
        "AllowHeaders": ["x-a", "*"],
        "ExposeHeaders": ["x-b"],
        "AllowCredentials": True,
        "MaxAge": 60,
    }


@pytest.mark.parametrize(
    ("cors", "said"),
    [
        ('{ allow_origins = ["a.example"] }', "cors.allow_origins[0]: must"),
        ('{ allow_origins = ["https://*.example"] }', "cors.allow_origins[0]: must"),
        ('{ allow_origins = ["https://a, https://b"] }', "cors.allow_origins[0]: must"),
        (f"{{ allow_origins = [{json.dumps('https://a' + chr(13) + chr(10) + 'X: 1')}] }}",
         "cors.allow_origins[0]: must"),
        (f"{{ allow_headers = [{json.dumps('x-a' + chr(10))}] }}", "cors.allow_headers[0]: must"),
        ('{ expose_headers = ["x a"] }', "cors.expose_headers[0]: must"),
        ('{ allow_methods = ["get"] }', "cors.allow_methods[0]: must be one of: *, GET"),
        ('{ allow_origin = ["*"] }', 'cors.allow_origin: is not a known key; did you mean "allow_'),
        ("{ max_age_s = 86401 }", "cors.max_age_s: must be"),
        (f"{{ allow_headers = {json.dumps(['x'] * 101)} }}", "cors.allow_headers: must"),
        (
            '{ allow_origins = ["*"], allow_credentials = true }',
            "cors.allow_credentials: cannot go with the origin '*'",
        ),
        ('"*"', "cors: must be a table"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(tmp_path: Path, cors: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, cors)
    assert f"functions.f.triggers[0].{said}" in str(caught.value)
