"""A function that answers HTTP requests: the trigger kind "http".

It is a route that the gateway looks up, for as long as the trigger runs.
"""

from __future__ import annotations

from microfaas.config import Trigger
from microfaas.config.http import HttpSettings, MockTable, parse_route
from microfaas.control.http_routes import Served
from microfaas.payloads.http_answer import Answer
from microfaas.triggers.kind import Surroundings


async def run(trigger: Trigger, around: Surroundings) -> None:
    """Have the route until the trigger stops."""
    settings = trigger.settings
    assert isinstance(settings, HttpSettings)
    authorizer, cors, mock = settings.authorizer, settings.cors, settings.mock
    served = Served(
        parse_route(settings.route),
        trigger.function,
        trigger.qualifier,
        settings.payload,
        settings.public,
        cors=None if cors is None else cors.by_aws_names(),
        mock=None if mock is None else _answer(mock),
        authorizer=None if authorizer is None else authorizer.made(settings.payload),
    )
    around.routes.add(served)
    try:
        await around.stopping.wait()
    finally:
        around.routes.remove(served)


def _answer(mock: MockTable) -> Answer:
    return Answer(mock.status, tuple(mock.headers.items()), mock.body.encode())
