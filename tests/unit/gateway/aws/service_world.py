"""A gateway that has some of AWS's services and nothing else, and boto3 to ask it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from microfaas.gateway.app import Gateway, bind
from microfaas.gateway.auth import Guard
from microfaas.gateway.aws.service import Service, Services
from microfaas.gateway.control_api import ControlApi
from microfaas.gateway.lambda_api import LambdaApi
from microfaas.model import Address, Invocation
from microfaas.testing import FakeInvoker


class Silent(ControlApi):
    """A control API that nobody asks."""

    def __init__(self) -> None:
        """Without the parts that the real one reads."""


async def never(_: Invocation) -> str:
    raise AssertionError("nothing is submitted here")


@contextlib.asynccontextmanager
async def listening(services: Sequence[Service], guard: Guard | None = None) -> AsyncIterator[int]:
    """The port of a gateway with these services."""
    address = Address()
    api = LambdaApi(FakeInvoker({}), never, address)  # type: ignore[arg-type]
    known = Services(services)
    gateway = Gateway(api, Silent(), address, drain_s_max=1, guard=guard, services=known)
    with bind("127.0.0.1", 0) as listener:
        await gateway.listen(listener)
        yield listener.getsockname()[1]
        await gateway.close()


async def call(
    port: int, service: str, operation: str, key: tuple[str, str] = ("a", "b"), **params: Any
) -> dict[str, Any]:
    """What boto3 makes of the answer. Raises ClientError."""
    client: Any = boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )
    made: dict[str, Any] = await asyncio.to_thread(getattr(client, operation), **params)
    return made


async def refusal(
    port: int, service: str, operation: str, key: tuple[str, str] = ("a", "b"), **params: Any
) -> tuple[str, int, str]:
    """The code, the status and the text of the error that boto3 gets."""
    with pytest.raises(ClientError) as caught:
        await call(port, service, operation, key, **params)
    told = caught.value.response
    status = told["ResponseMetadata"]["HTTPStatusCode"]
    return told["Error"]["Code"], status, told["Error"]["Message"]
