"""Between what the API keeps of a function and what is run. Pure, but for asking the machine which
runtimes it has."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from microfaas.control.records import Edition, InvokeConfig, Settings
from microfaas.messaging.targets import place
from microfaas.model import Destination, EventSettings, Function, Limits, qualified
from microfaas.payloads.eventbridge import BUS, bus_in
from microfaas.runtime import RuntimeNotFound, Runtimes

Path = Callable[[str], str]
# Of a function that a file has made, whom nobody has given a role.
FILE_ROLE = "arn:aws:iam::{account}:role/microfaas"


def function(
    name: str, edition: Edition, *, runtimes: Runtimes, path: Path, layer: Path, concurrency: int
) -> Function:
    """What is run of an edition. `path` says where a package is, `layer` which package a layer's
    ARN means; `concurrency` is the limit for a function that no file has set one for.

    Raises RuntimeNotFound, and what `layer` raises.
    """
    settings = edition.settings
    base = edition.function or Function(
        name=name,
        runtime=settings.runtime,
        handler=settings.handler,
        code="",
        limits=Limits(concurrency_max=concurrency),
    )
    layers = [layer(arn) for arn in settings.layers] or base.layers
    limits = msgspec.structs.replace(
        base.limits,
        memory_mb=settings.memory_mb,
        timeout_s=settings.timeout_s,
        tmp_mb=settings.tmp_mb,
    )
    return msgspec.structs.replace(
        base,
        runtime=installed(runtimes, settings.runtime),
        handler=settings.handler,
        code=path(edition.package.sha256),
        layers=tuple(path(sha256) for sha256 in layers),
        description=settings.description,
        environment=settings.environment or {},
        limits=limits,
        logs=settings.logs,
    )


def settings_of(made: Function, account_id: str) -> Settings:
    """What the API shows of a function that a file has made."""
    return Settings(
        runtime=made.runtime,
        handler=made.handler,
        role=FILE_ROLE.format(account=account_id),
        description=made.description,
        timeout_s=made.limits.timeout_s,
        memory_mb=made.limits.memory_mb,
        tmp_mb=made.limits.tmp_mb,
        environment=dict(made.environment) or None,
        logs=made.logs,
    )


def installed(runtimes: Runtimes, runtime: str) -> str:
    """The runtime itself, or the language in the version that is here. Raises RuntimeNotFound.

    Code of a language that is built runs as what was built of it: what comes over the network is
    not compiled here, outside of any sandbox.
    """
    recipe = runtimes.manifest(runtime)[0].code
    if recipe is not None:
        return recipe.runs_as
    try:
        runtimes.find(runtime)
    except RuntimeNotFound:
        manifest, _ = runtimes.manifest(runtime)
        runtimes.find(manifest.name)
        return manifest.name
    return runtime


def events(settings: EventSettings, dead_letter: str, config: InvokeConfig | None) -> EventSettings:
    """How events are seen through: the function's way, with what the API has set on top."""
    if dead_letter:
        settings = msgspec.structs.replace(settings, dead_letter=destination(dead_letter))
    if config is None:
        return settings
    return msgspec.structs.replace(
        settings,
        retries_max=settings.retries_max if config.retries_max is None else config.retries_max,
        age_s_max=settings.age_s_max if config.age_s_max is None else config.age_s_max,
        on_success=destination(config.on_success),
        on_failure=destination(config.on_failure),
    )


def destination(arn: str) -> Destination | None:
    """Where an ARN leads on this machine; None when it leads nowhere."""
    if bus_in(arn) == BUS:
        return Destination("bus", BUS)
    to = place(arn) if arn else None
    if to is None or to.kind == "stream":
        return None
    return Destination(to.kind, qualified(to.name, to.qualifier))


def whole_s(timeout_s: float) -> int:
    """As the API shows it, which knows whole seconds only."""
    return max(1, math.ceil(timeout_s))
