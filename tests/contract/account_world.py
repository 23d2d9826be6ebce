"""A gateway with CloudWatch Logs, STS and IAM, and boto3's clients of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import botocore.config
from botocore.exceptions import ClientError
from lane_world import PATIENCE_S, Health, Submitted

from microfaas import scopes
from microfaas.audit import Audit
from microfaas.control.function_logs import FunctionLogs
from microfaas.control.identity import Identity
from microfaas.control.live_tails import LiveTails
from microfaas.control.log_groups import LogGroups
from microfaas.gateway.app import Gateway, bind
from microfaas.gateway.auth import Guard
from microfaas.gateway.aws.iam import IamApi
from microfaas.gateway.aws.logs import LogsApi
from microfaas.gateway.aws.service import Services
from microfaas.gateway.aws.sts import Principals, StsApi
from microfaas.gateway.lambda_api import LambdaApi
from microfaas.log import FunctionLog, path_of, stamp, stream_name
from microfaas.log.streams import short_of
from microfaas.model import Address, Function, Limits, Version
from microfaas.store.db import Database
from microfaas.store.functions import Functions
from microfaas.store.keys import KeyRing, Keys, function_credentials
from microfaas.store.log_events import LogEvents
from microfaas.store.machine_key import MachineKey
from microfaas.store.resources import Resources
from microfaas.testing import FakeInvoker, echo

MACHINE_KEY = MachineKey(b"k" * 32)
ADDRESS = Address(region="eu-west-1")


@dataclass
class World:
    """The parts that tests look behind."""

    directory: Path
    groups: LogGroups
    tails: LiveTails
    url: str
    key: tuple[str, str]
    # The groups of functions that have another than their usual one.
    group_of: dict[str, str] = field(default_factory=dict)
    logs: dict[str, FunctionLog] = field(default_factory=dict)

    def client(self, service: str, key: tuple[str, ...] = (), **config: Any) -> Client:
        key = key or self.key
        made = boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.url,
            region_name=ADDRESS.region,
            aws_access_key_id=key[0],
            aws_secret_access_key=key[1],
            aws_session_token=key[2] if len(key) > 2 else None,
            config=botocore.config.Config(retries={"total_max_attempts": 1}, **config),
        )
        return Client(made)

    def printed(
        self, function: str, process: str, *texts: str, at_ms: int | None = None, **how: Any
    ) -> str:
        """What one process of a function prints, a millisecond apart; its stream's name."""
        log = self.logs.get(function)
        if log is None:
            path = path_of(str(self.directory), function)
            log = self.logs[function] = FunctionLog(path, how.get("bytes_max", 10**6), 9)
        stream = stream_name("$LATEST", process * 32)
        log.begin_stream(stream)
        start_ms = time.time() * 1000 if at_ms is None else at_ms
        for number, text in enumerate(texts):
            at_s = (start_ms + number) / 1000
            log.write(f"{stamp(at_s)} {short_of(stream)}\t{text}\n".encode())
            log.flush()
        return stream


class Client:
    """A client whose operations do not hold up the gateway, which is on the same loop."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def call(**params: Any) -> Any:
            return await asyncio.to_thread(getattr(self.client, name), **params)

        return call

    async def refused(self, name: str, **params: Any) -> tuple[int, str, str]:
        """Status, code and text of an error."""
        try:
            found = await getattr(self, name)(**params)
        except ClientError as error:
            told: Any = error.response
            status = told["ResponseMetadata"]["HTTPStatusCode"]
            return status, told["Error"]["Code"], told["Error"]["Message"]
        raise AssertionError(f"{name} was not refused: {found}")

    async def pages(self, name: str, **params: Any) -> list[Any]:
        paginator = self.client.get_paginator(name)
        return await asyncio.to_thread(lambda: list(paginator.paginate(**params)))


@contextlib.asynccontextmanager
async def listening(directory: Path) -> AsyncIterator[World]:
    db = Database(str(directory / "store.db"))
    db.open()
    resources, served = Resources(db), Functions()
    function = Function(name="f", runtime="python", handler="", code="", limits=Limits())
    served.put(Version(function=function, code_dir="/", code_sha256="0" * 64))
    group_of: dict[str, str] = {}
    printed = FunctionLogs(
        str(directory),
        lambda name: group_of.get(name, f"/aws/lambda/{name}"),
        lambda name: name != "gone",
    )
    groups = LogGroups(resources, LogEvents(db, bytes_max=100_000), printed)
    groups.open()
    tails = LiveTails(groups, printed, update_s=0.05)
    identity = Identity(resources, ADDRESS)
    identity.open()
    principals = Principals(ADDRESS, lambda: [each.function.name for each in served.all()])
    services = [
        LogsApi(groups, tails, ADDRESS).service(),
        StsApi(principals).service(),
        IamApi(identity, principals).service(),
    ]
    guard = Guard(KeyRing(db, MACHINE_KEY, served), Audit(str(directory)), ADDRESS)
    invoker = FakeInvoker({"echo": echo})
    gateway = Gateway(
        *(LambdaApi(invoker, Submitted().submit, ADDRESS), Health(), ADDRESS),
        drain_s_max=PATIENCE_S,
        guard=guard,
        services=Services(services),
    )
    row, secret = await Keys(db, MACHINE_KEY).create(
        "k", scopes.parse("admin"), expires_s=None, rate_per_s=None
    )
    guard.refresh()
    with bind("127.0.0.1", 0) as listener:
        await gateway.listen(listener)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield World(directory, groups, tails, url, (row.id, secret), group_of)
        tails.close()
        await gateway.close()
    db.close()


def key_of_function(name: str) -> tuple[str, ...]:
    return function_credentials(MACHINE_KEY, name)
