"""What an account has beside functions, wired: log groups, roles and policies, and who calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from microfaas.config import Config
from microfaas.control.function_logs import FunctionLogs
from microfaas.control.identity import Identity
from microfaas.control.live_tails import LiveTails
from microfaas.control.log_groups import LogGroups
from microfaas.gateway.aws.iam import IamApi
from microfaas.gateway.aws.logs import LogsApi
from microfaas.gateway.aws.service import Service
from microfaas.gateway.aws.sts import Principals, StsApi
from microfaas.model import usual_log_group
from microfaas.store.db import Database
from microfaas.store.functions import Functions
from microfaas.store.log_events import LogEvents
from microfaas.store.resources import Resources


class Beside(NamedTuple):
    """Services; and what lets nobody wait any more, for the gateway is to close."""

    services: list[Service]
    hurry: Callable[[], None]


def opened(
    config: Config, database: Database, served: Functions, tasks: asyncio.TaskGroup
) -> Beside:
    """CloudWatch Logs, STS and IAM. Raises MachineError."""
    address, resources = config.address, Resources(database)

    def group_of(name: str) -> str:
        version = served.latest(name)
        return version.function.log_group if version is not None else usual_log_group(name)

    functions = FunctionLogs(config.data, group_of, served.knows)
    groups = LogGroups(resources, LogEvents(database), functions)
    tails = LiveTails(groups, functions)
    groups.open()
    tasks.create_task(groups.run())
    identity = Identity(resources, address)
    identity.open()
    principals = Principals(address, lambda: {each.function.name for each in served.all()})
    apis = LogsApi(groups, tails, address), StsApi(principals), IamApi(identity, principals)
    return Beside([api.service() for api in apis], tails.close)
