"""Lambda's control API, wired: the registry, what changes it, and the operations that ask."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence

from microfaas.config import Config, Trigger
from microfaas.control import restoring
from microfaas.control.account import Account
from microfaas.control.downloads import Downloads
from microfaas.control.editions import Editions, Machine
from microfaas.control.layers import Layers
from microfaas.control.lifecycle import Lifecycle
from microfaas.control.mappings import Mappings
from microfaas.control.registry import Registry
from microfaas.control.rollouts import Rollouts
from microfaas.control.routing import Routing
from microfaas.control.serving import Serving
from microfaas.control.signing import SigningConfigs
from microfaas.control.urls import Urls
from microfaas.durable import Durable
from microfaas.errors import ConfigError, Problem
from microfaas.gateway.aws.lambda_concurrency import ConcurrencyApi
from microfaas.gateway.aws.lambda_functions import FunctionsApi
from microfaas.gateway.aws.lambda_invoke_configs import InvokeConfigsApi
from microfaas.gateway.aws.lambda_layer_policies import LayerPolicies
from microfaas.gateway.aws.lambda_layers import LayersApi
from microfaas.gateway.aws.lambda_management import ManagementApi
from microfaas.gateway.aws.lambda_mappings import MappingsApi
from microfaas.gateway.aws.lambda_policies import PoliciesApi
from microfaas.gateway.aws.lambda_shapes import Shapes
from microfaas.gateway.aws.lambda_signing import SigningApi
from microfaas.gateway.aws.lambda_tags import TagsApi
from microfaas.gateway.aws.lambda_urls import LambdaUrls
from microfaas.gateway.aws.lambda_versions import VersionsApi
from microfaas.gateway.aws.service import Service
from microfaas.gateway.invocations_api import Operation
from microfaas.gateway.rollouts_api import RolloutsApi
from microfaas.messaging.targets import Place
from microfaas.model import MIB, Function
from microfaas.store.machine_key import MachineKey
from microfaas.triggers.bucket import BucketSettings


class ControlPlane:
    """The parts, by their names."""

    def __init__(
        self,
        config: Config,
        registry: Registry,
        machine: Machine,
        durable: Durable,
        machine_key: MachineKey,
        tasks: asyncio.TaskGroup,
        url: str,
    ) -> None:
        """`url` is where the gateway is for those who are not its functions."""
        self._machine = machine
        self.registry = registry
        code_bytes_max = config.api.code_mb_max * MIB
        self.layers = Layers(registry, machine.packages, code_bytes_max)
        self._editions = Editions(registry, machine, self.layers.package, config.api)
        self.lifecycle = Lifecycle(
            registry,
            machine,
            self._editions,
            Serving(registry, machine.deployer, durable.follow, tasks),
            config.api,
            self.layers,
        )
        self.routing = Routing(registry, machine.deployer)
        self.rollouts = Rollouts(
            registry, self.routing, durable.invoker, self.lifecycle.lock, tasks
        )
        self.lifecycle.before_gone(self.rollouts.forget)
        self.signing = SigningConfigs(registry)
        self.downloads = Downloads(machine_key)
        self.urls = Urls(registry)
        self._tasks = tasks
        self._durable = durable
        self._config = config
        self._url = url

    async def open(self) -> None:
        """Serve what the last run left; the file's functions are served already."""
        self.signing.open()
        await self.layers.open()
        await restoring.restore(self.registry, self._editions, self._machine.deployer)
        self.routing.open()
        self.rollouts.open()
        used = {*self.registry.packages(), *self.layers.packages()}
        self._machine.packages.prune(used)
        self._tasks.create_task(self.lifecycle.keep_tidy())

    def services(self, mappings: Mappings) -> list[Service]:
        """What the gateway answers of Lambda's API, beside invoking."""
        registry, config = self.registry, self._config
        shapes = Shapes(registry, self.layers.size)
        buckets = _folders(config.triggers, config.root)
        strict = config.api.strict
        account = Account(registry, self.layers.storage, config.api.concurrency)
        parts = (
            FunctionsApi(
                *(registry, self.lifecycle, shapes, self.layers, self.signing),
                *(self.downloads, buckets),
                strict=strict,
            ),
            PoliciesApi(registry, self.lifecycle),
            ConcurrencyApi(account, self.lifecycle, self.routing),
            InvokeConfigsApi(registry, self.lifecycle, self._serves),
            TagsApi(registry, self.lifecycle, mappings, self.signing),
            ManagementApi(registry, self.lifecycle),
            SigningApi(registry, self.lifecycle, self.signing),
            LayersApi(self.layers, self.downloads, buckets, config.address, self.lifecycle.tidy),
            LayerPolicies(self.layers, config.address),
            VersionsApi(registry, self.lifecycle, self.routing, shapes),
            LambdaUrls(self.urls, self.lifecycle, config.address, self._url),
            MappingsApi(mappings, registry.exists, config.address),
        )
        return [
            Service("lambda", {k: call for part in parts for k, call in part.operations.items()})
        ]

    def _serves(self, to: Place) -> bool:
        """Whether there is such a place to send something to."""
        if to.kind == "function":
            return self.registry.exists(to.name, to.qualifier)
        if to.kind == "queue":
            return to.name in self._durable.queues.directory
        return any(to.name == topic.name for topic in self._durable.topics.all())

    def operations(self) -> Sequence[Operation]:
        """What the gateway answers of microfaas's own API."""
        return RolloutsApi(self.rollouts).operations

    def download(self, package: str, expires_s: str, signature: str) -> bytes | None:
        """A package for whoever has a link to it. Blocking. Raises MachineError."""
        if not self.downloads.opens(package, expires_s, signature):
            return None
        return self._machine.packages.read(package)


def of_file(registry: Registry, config: Config) -> list[Function]:
    """The functions that are the file's to say. Raises ConfigError for a name that the API has
    given to another one."""
    problems = []
    kept = []
    for function in config.functions:
        head = registry.functions.get(function.name)
        if head is None or head.latest is None:
            kept.append(function)
        elif not (head.adopted or config.api.adopt):
            what = (
                "the API has made a function of that name; delete it there, name this one "
                "otherwise, or start with --adopt to leave the function to the API"
            )
            problems.append(Problem(f"functions.{function.name}", what))
    if problems:
        raise ConfigError(config.source or config.root, problems)
    return kept


def _folders(triggers: Iterable[Trigger], root: str) -> Mapping[str, str]:
    """The local buckets: their folders by their names."""
    found = {}
    for trigger in triggers:
        if isinstance(trigger.settings, BucketSettings):
            path = os.path.abspath(os.path.join(root, trigger.settings.path))
            found[trigger.settings.bucket or os.path.basename(path)] = path
    return found
