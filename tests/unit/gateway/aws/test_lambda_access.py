"""Who may call Lambda's operations, through the whole gateway and with a guard before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from service_world import call, listening, refusal

from microfaas import scopes
from microfaas.audit import Audit
from microfaas.gateway.auth import Guard
from microfaas.gateway.aws.service import Caller, Params, Service
from microfaas.model import Address
from microfaas.store.db import Database
from microfaas.store.functions import Functions
from microfaas.store.keys import KeyRing, Keys
from microfaas.store.machine_key import MachineKey

ADDRESS = Address()
CODE = {"FunctionName": "f", "Role": "arn:aws:iam::123456789012:role/r"}


async def served(_: Caller, __: Params) -> Params:
    return {}


class World:
    """A gateway that asks for keys, and some keys by what they allow."""

    def __init__(self) -> None:
        self.port = 0
        self.keys: dict[str, tuple[str, str]] = {}


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    db, machine_key = Database(str(tmp_path / "store.db")), MachineKey(b"k" * 32)
    db.open()
    made = World()
    for allow in ("admin", "read", "invoke,send,receive,read"):
        row, secret = await Keys(db, machine_key).create(
            allow, scopes.parse(allow), expires_s=None, rate_per_s=None
        )
        made.keys[allow] = row.id, secret
    guard = Guard(KeyRing(db, machine_key, Functions()), Audit(str(tmp_path)), ADDRESS)
    guard.refresh()
    operations = ("CreateFunction", "UpdateFunctionCode", "GetFunction", "ListFunctions")
    async with listening([Service("lambda", dict.fromkeys(operations, served))], guard) as port:
        made.port = port
        yield made
    db.close()


@pytest.mark.parametrize(
    ("allowed", "operation", "params"),
    [
        ("admin", "create_function", CODE | {"Code": {"ZipFile": b"z" * 7_000_000}}),
        ("read", "get_function", {"FunctionName": "f"}),
        ("read", "list_functions", {}),
        ("invoke,send,receive,read", "list_functions", {}),
    ],
)
async def test_a_scope_lets_one_in(
    world: World, allowed: str, operation: str, params: dict[str, Any]
) -> None:
    made = await call(world.port, "lambda", operation, world.keys[allowed], **params)
    assert made["ResponseMetadata"]["HTTPStatusCode"] in (200, 201)


@pytest.mark.parametrize(
    ("allowed", "operation", "params", "refused"),
    [
        ("invoke,send,receive,read", "create_function", CODE | {"Code": {}}, "CreateFunction"),
        (
            *("read", "update_function_code", {"FunctionName": f"{ADDRESS.arn('f')}:live"}),
            "UpdateFunctionCode",
        ),
    ],
)
async def test_who_may_not_learns_what_of_which_function(
    world: World, allowed: str, operation: str, params: dict[str, Any], refused: str
) -> None:
    key = world.keys[allowed]
    kind, status, text = await refusal(world.port, "lambda", operation, key, **params)
    assert (kind, status) == ("AccessDeniedException", 403)
    assert text == (
        f"User: arn:aws:iam::{ADDRESS.account_id}:user/{key[0]} is not authorized to perform: "
        f"lambda:{refused} on resource: {ADDRESS.arn('f')} because no scope of the key allows it"
    )


@pytest.mark.parametrize(
    "credentials",
    [
        "Bearer MFKNOBODY.secret",
        "AWS4-HMAC-SHA256 Credential=MFKNOBODY/20261128/us-east-1/lambda/aws4_request, "
        f"SignedHeaders=host, Signature={'0' * 64}",
        "",
    ],
)
async def test_nobody_unknown_is_listened_to(world: World, credentials: str) -> None:
    """The answer comes before the first byte of a large body does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    lines = ["POST /2015-03-31/functions HTTP/1.1", "Host: h", "Content-Length: 60000000"]
    lines += [f"Authorization: {credentials}"] if credentials else []
    lines += ["X-Amz-Date: 20261128T000000Z", "", ""]
    writer.write("\r\n".join(lines).encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 403 ")
    writer.close()
