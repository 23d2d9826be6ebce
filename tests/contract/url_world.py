"""A gateway with function URLs over fake functions, and raw requests to them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from lane_world import PATIENCE_S, Health, Lane, Submitted
from lane_world import Functions as Fakes

from microfaas import scopes
from microfaas.audit import Audit
from microfaas.control.http_routes import HttpRoutes
from microfaas.control.records import Policy
from microfaas.control.registry import Registry, key
from microfaas.control.urls import Urls
from microfaas.gateway.app import Gateway, bind
from microfaas.gateway.auth import Guard
from microfaas.gateway.hosts import Own
from microfaas.gateway.lambda_api import LambdaApi
from microfaas.model import Address, Function, Invocation, Limits, Outcome, Status, Version
from microfaas.pool.instance import OnChunk
from microfaas.store.db import Database
from microfaas.store.functions import Functions
from microfaas.store.keys import KeyRing, Keys
from microfaas.store.machine_key import MachineKey
from microfaas.store.resources import Resources
from microfaas.testing import Answer, FakeInvoker

MACHINE_KEY = MachineKey(b"k" * 32)
ADDRESS = Address(region="eu-west-1")
PUBLIC = {
    "Sid": "url",
    "Effect": "Allow",
    "Principal": "*",
    "Action": "lambda:InvokeFunctionUrl",
    "Resource": "arn:aws:lambda:eu-west-1:123456789012:function:any",
    "Condition": {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}},
}
Streaming = Callable[[Invocation, OnChunk], Awaitable[Outcome]]


@dataclass
class Streamer(FakeInvoker):
    """Its functions may stream what they have to say."""

    streaming: dict[str, Streaming] = field(default_factory=dict)

    async def invoke(
        self,
        invocation: Invocation,
        on_chunk: OnChunk | None = None,
        version: Version | None = None,
    ) -> Outcome:
        if (streams := self.streaming.get(invocation.function)) is None:
            return await super().invoke(invocation, on_chunk)
        self.invocations.append(invocation)
        assert on_chunk is not None
        return await streams(invocation, on_chunk)

    def check(self, name: str, qualifier: str) -> Version:
        return super().check("any", "")


def returns(value: object) -> Answer:
    """A function that returns this."""

    async def answer(_: Invocation) -> Outcome:
        return Outcome(status=Status.OK, payload=json.dumps(value).encode())

    return answer


@dataclass
class World:
    """One gateway, its URLs, and what its functions were given."""

    db: Database
    urls: Urls
    registry: Registry
    routes: HttpRoutes
    served: Functions
    invoker: Streamer
    lane: Lane
    ids: dict[str, str] = field(default_factory=dict)
    key: tuple[str, str] = ("", "")

    def define(
        self, name: str, answer: Answer | None = None, stream: Streaming | None = None
    ) -> None:
        function = Function(name=name, runtime="python", handler="", code="", limits=Limits())
        self.served.put(Version(function=function, code_dir="/", code_sha256="0" * 64))
        functions: Any = self.invoker.functions
        functions[name] = answer or returns("unused")
        if stream is not None:
            self.invoker.streaming[name] = stream

    async def open(
        self,
        name: str,
        answer: Answer | None = None,
        *,
        stream: Streaming | None = None,
        auth: Any = "NONE",
        mode: Any = "BUFFERED",
        cors: dict[str, Any] | None = None,
        public: bool = True,
    ) -> None:
        """A function with a URL that everybody may call."""
        self.define(name, answer, stream)
        url = await self.urls.create(name, "", auth, mode, cors)
        self.ids[name] = url.id
        if public:
            await self.permit(name, PUBLIC)

    async def permit(self, name: str, *statements: dict[str, Any], qualifier: str = "") -> None:
        policy = Policy(statements)
        await self.registry.commit(self.registry.policies.put(key(name, qualifier), policy))

    def host(self, name: str) -> str:
        return f"{self.ids[name]}.lambda-url.eu-west-1.localhost:{self.lane.port}"

    def request(
        self, name: str, path: str = "/", body: bytes = b"", *, method: str = "GET", **headers: str
    ) -> bytes:
        """A raw request to a URL by its host."""
        fields = {"Host": self.host(name), **headers}
        if body:
            fields["Content-Length"] = str(len(body))
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode() + body

    async def ask(self, name: str, path: str = "/", body: bytes = b"", **options: Any) -> Response:
        (raw,) = await self.lane.ask(self.request(name, path, body, **options))
        return Response(raw)

    async def to_the_end(self, name: str, **options: Any) -> bytes:
        """All that comes, until the gateway hangs up."""
        options.setdefault("Connection", "close")
        return await self.lane.ask_to_the_end(self.request(name, **options))

    def event(self) -> dict[str, Any]:
        """What the last invocation was given."""
        found: dict[str, Any] = json.loads(self.invoker.invocations[-1].event)
        return found

    def signed(self, name: str, service: str = "lambda") -> dict[str, str]:
        """Headers that sign `GET /` of a URL by the world's key, as AWS's client makes them."""
        asked = AWSRequest("GET", f"http://{self.host(name)}/")
        SigV4Auth(Credentials(*self.key), service, ADDRESS.region).add_auth(asked)
        return dict(asked.headers)


class Response:
    """A whole response, taken apart; header names in small letters."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        line, *lines = head.decode().split("\r\n")
        self.status = int(line.split(" ")[1])
        self.pairs = [(n.lower(), v) for n, _, v in (each.partition(": ") for each in lines)]
        self.headers = dict(self.pairs)


@contextlib.asynccontextmanager
async def listening(directory: Path, *, keys: bool) -> AsyncIterator[World]:
    """A gateway with URLs, which asks for keys or does not."""
    db = Database(str(directory / "store.db"))
    db.open()
    served = Functions()
    registry = Registry(Resources(db), served, ADDRESS)
    registry.open()
    urls, routes = Urls(registry), HttpRoutes()
    invoker = Streamer({"any": returns("unused")})
    guard = Guard(KeyRing(db, MACHINE_KEY, served), Audit(str(directory)), ADDRESS)
    gateway = Gateway(
        *(LambdaApi(invoker, Submitted().submit, ADDRESS), Health(), ADDRESS),
        drain_s_max=PATIENCE_S,
        guard=guard if keys else None,
        own=Own(urls, guard, routes, "/http"),
    )
    with bind("127.0.0.1", 0) as listener:
        await gateway.listen(listener)
        port = listener.getsockname()[1]
        lane = Lane(port, Fakes(), invoker, Submitted(), gateway, guard)
        world = World(db, urls, registry, routes, served, invoker, lane)
        await add_key(world, "invoke:signed")
        guard.refresh()
        yield world
        await gateway.close()
    db.close()


async def add_key(world: World, allow: str) -> None:
    row, secret = await Keys(world.db, MACHINE_KEY).create(
        "k", scopes.parse(allow), expires_s=None, rate_per_s=None
    )
    world.key = row.id, secret
