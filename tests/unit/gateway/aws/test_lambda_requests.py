"""What a request says of a function that is to be made: its name, and where its package is."""

from __future__ import annotations

from typing import Any

import pytest

from microfaas.errors import ServiceError
from microfaas.gateway.aws import lambda_code, lambda_names
from microfaas.model import Address

ARN = "arn:aws:lambda:us-east-1:123456789012:function:"


@pytest.mark.parametrize("name", ["f", "n" * 64, ARN + "n" * 64])
def test_a_new_name(name: str) -> None:
    assert lambda_names.new({"FunctionName": name}, Address()) == name.removeprefix(ARN)


@pytest.mark.parametrize("name", ["n" * 65, ARN + "n" * 65])
def test_a_new_name_that_is_too_long(name: str) -> None:
    with pytest.raises(ServiceError, match="length less than or equal to 64") as caught:
        lambda_names.new({"FunctionName": name}, Address())
    assert caught.value.kind == "InvalidParameterValueException"


@pytest.mark.parametrize("more", [{"S3Bucket": "b", "S3Key": "k"}, {"S3ObjectVersion": "1"}])
async def test_a_package_is_in_one_place(more: dict[str, Any]) -> None:
    assert await lambda_code.package({"ZipFile": b"z"}, {}) == b"z"
    with pytest.raises(ServiceError, match="do not provide other FunctionCode parameters"):
        await lambda_code.package({"ZipFile": b"z", **more}, {})
