"""StartLiveTail of CloudWatch Logs: a session's parameters, and its events as SDKs read them."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Sequence

from microfaas.control.live_tails import Ended, Followed, LiveEvent, LiveTails
from microfaas.gateway.aws.logs_params import accepts, bare, prefix_of, refuse
from microfaas.gateway.aws.service import Caller, Events, Params
from microfaas.model import Address

_ONE_GROUP = "If you specify %s, logGroupIdentifiers can contain only one log group."


class LiveTailApi:
    """Sessions, each of which is a stream of events until the client leaves."""

    def __init__(self, tails: LiveTails, address: Address) -> None:
        self._tails = tails
        self._account_id = address.account_id
        self._prefix = prefix_of(address)

    async def start(self, caller: Caller, params: Params) -> Params:
        groups = [bare(each, self._prefix) for each in params["logGroupIdentifiers"]]
        names, prefixes = params.get("logStreamNames"), params.get("logStreamNamePrefixes")
        if names and prefixes:
            refuse("logStreamNames and logStreamNamePrefixes are mutually exclusive.")
        for key in ("logStreamNames", "logStreamNamePrefixes"):
            if params.get(key) and len(groups) > 1:
                refuse(_ONE_GROUP % key)
        wanted = Followed(
            frozenset(groups),
            _chosen(names, prefixes),
            accepts(params.get("logEventFilterPattern", "")),
        )
        self._tails.check(groups)
        begun = {
            **params,
            "requestId": caller.request_id,
            "sessionId": str(uuid.uuid4()),
            "logGroupIdentifiers": [f"{self._account_id}:{each}" for each in groups],
        }
        return {"responseStream": self._events(wanted, begun)}

    async def _events(self, wanted: Followed, begun: Params) -> Events:
        async with contextlib.aclosing(self._tails.follow(wanted)) as updates:
            await anext(updates)
            yield "sessionStart", begun
            async for update in updates:
                if isinstance(update, Ended):
                    why = "SessionTimeout" if update.timeout else "SessionStreaming"
                    yield f"{why}Exception", {"message": update.text}
                    return
                yield (
                    "sessionUpdate",
                    {
                        "sessionMetadata": {"sampled": update.sampled},
                        "sessionResults": [self._told(event) for event in update.events],
                    },
                )

    def _told(self, event: LiveEvent) -> Params:
        return {
            "logStreamName": event.stream,
            "logGroupIdentifier": f"{self._account_id}:{event.group}",
            "message": event.message,
            "timestamp": event.at_ms,
            "ingestionTime": event.came_ms,
        }


def _chosen(names: Sequence[str] | None, prefixes: Sequence[str] | None) -> Callable[[str], bool]:
    if names:
        return frozenset(names).__contains__
    if prefixes:
        begins = tuple(prefixes)
        return lambda stream: stream.startswith(begins)
    return lambda _: True
